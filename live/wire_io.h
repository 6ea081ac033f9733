/* Messages of live/wire.h, with a descriptor beside them. For agent and manager. */
#ifndef BALLAST_LIVE_WIRE_IO_H
#define BALLAST_LIVE_WIRE_IO_H

#include "live/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define WIRE_SHORT offsetof(struct wire, move) /* bytes of a message without moves or text */

union wire_control {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* fd -1: none. False when the other end is gone. */
static inline bool wire_send(int sock, const struct wire *w, size_t size, int fd)
{
	struct iovec iov = {(void *)w, size};
	union wire_control control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof control.buf;
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(&control.align), &fd, sizeof fd);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)size;
}

/*
 * Bytes received, 0 when the other end is gone, or -errno. What a short message
 * left out is 0, and names and texts end. *fd: the descriptor that came along,
 * the caller's to close, or -1.
 */
static inline ssize_t wire_receive(int sock, struct wire *w, int *fd)
{
	struct iovec iov = {w, sizeof *w};
	union wire_control control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof control.buf};
	ssize_t n;

	*fd = -1;
	memset(w, 0, sizeof *w);
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof *fd))
		memcpy(fd, CMSG_DATA(c), sizeof *fd);
	w->vm[sizeof w->vm - 1] = '\0';
	if (w->op == WIRE_REFUSED)
		w->text[sizeof w->text - 1] = '\0';
	return n;
}

#endif
