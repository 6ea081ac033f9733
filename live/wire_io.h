/* Messages of live/wire.h, with descriptors beside them. For agent and manager. */
#ifndef BALLAST_LIVE_WIRE_IO_H
#define BALLAST_LIVE_WIRE_IO_H

#include "live/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WIRE_SHORT offsetof(struct wire, move) /* bytes of a message without moves or text */

union wire_control {
	char buf[CMSG_SPACE(WIRE_FDS * sizeof(int))];
	struct cmsghdr align;
};

/* With n descriptors, at most WIRE_FDS. False when the other end is gone. */
static inline bool wire_send_fds(int sock, const struct wire *w, size_t size, const int *fd,
				 unsigned fds)
{
	struct iovec iov = {(void *)w, size};
	union wire_control control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fds) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(fds * sizeof *fd);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(fds * sizeof *fd);
		memcpy(CMSG_DATA(&control.align), fd, fds * sizeof *fd);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)size;
}

/* fd -1: none. */
static inline bool wire_send(int sock, const struct wire *w, size_t size, int fd)
{
	return wire_send_fds(sock, w, size, &fd, fd >= 0);
}

/*
 * Bytes received, 0 when the other end is gone, or -errno. What a short message
 * left out is 0, and names and texts end. The descriptors that came along are
 * the caller's to close; -1 where there was none.
 */
static inline ssize_t wire_receive_fds(int sock, struct wire *w, int fd[WIRE_FDS])
{
	struct iovec iov = {w, sizeof *w};
	union wire_control control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof control.buf};
	ssize_t n;

	for (unsigned i = 0; i < WIRE_FDS; i++)
		fd[i] = -1;
	memset(w, 0, sizeof *w);
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len >= CMSG_LEN(sizeof *fd) && c->cmsg_len <= CMSG_LEN(WIRE_FDS * sizeof *fd))
		memcpy(fd, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	w->vm[sizeof w->vm - 1] = '\0';
	if (w->op == WIRE_REFUSED)
		w->text[sizeof w->text - 1] = '\0';
	return n;
}

static inline void wire_close(const int fd[WIRE_FDS])
{
	for (unsigned i = 0; i < WIRE_FDS; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
	}
}

/* The same for messages with one descriptor at most; others are closed. */
static inline ssize_t wire_receive(int sock, struct wire *w, int *fd)
{
	int all[WIRE_FDS];
	ssize_t n = wire_receive_fds(sock, w, all);

	*fd = all[0];
	all[0] = -1;
	wire_close(all);
	return n;
}

#endif
