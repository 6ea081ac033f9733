#include "live/ivshmem.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define VERSION	    0
#define HOST_PEER   0 /* BALLOON_HOST_PEER */
#define GUEST_PEER  1
#define SHM_FOLLOWS (-1)

struct ivshmem {
	char *path;
	int listener;
	int peer; /* -1: none */
	struct region region;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void ivshmem_free(struct ivshmem *iv)
{
	if (!iv)
		return;
	if (iv->listener >= 0)
		unlink(iv->path);
	close_fd(&iv->peer);
	close_fd(&iv->listener);
	region_close(&iv->region);
	free(iv->path);
	free(iv);
}

static int listen_at(struct ivshmem *iv, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(iv->path) >= sizeof address.sun_path)
		return err_input(err, "%s: a socket's path has at most %zu bytes", iv->path,
				 sizeof address.sun_path - 1);
	memcpy(address.sun_path, iv->path, strlen(iv->path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_run(err, errno, "%s: no socket: %s", iv->path, strerror(errno));
	if (bind(fd, (const struct sockaddr *)&address, sizeof address)) {
		int rc = err_run(err, errno, "%s: %s", iv->path, strerror(errno));
		close(fd);
		return rc;
	}
	iv->listener = fd;
	if (chmod(iv->path, 0600) || listen(fd, 1))
		return err_run(err, errno, "%s: %s", iv->path, strerror(errno));
	return 0;
}

int ivshmem_new(const char *path, size_t size, struct ivshmem **out, struct err *err)
{
	struct ivshmem *iv;

	if (size < 4096 || (size & (size - 1)))
		return err_input(err,
				 "%s: a region of %zu bytes: give a power of two, 4096 or more",
				 path, size);
	iv = calloc(1, sizeof *iv);
	if (!iv || !(iv->path = strdup(path))) {
		free(iv);
		return err_run(err, ENOMEM, "%s: no memory", path);
	}
	iv->listener = iv->peer = -1;
	int rc = region_make(&iv->region, size, BELLS_SHARED);
	rc = rc ? err_run(err, -rc, "%s: no shared memory: %s", path, strerror(-rc))
		: listen_at(iv, err);
	if (rc) {
		ivshmem_free(iv);
		return rc;
	}
	*out = iv;
	return 0;
}

void *ivshmem_region(const struct ivshmem *iv)
{
	return iv->region.at;
}

int ivshmem_listener(const struct ivshmem *iv)
{
	return iv->listener;
}

int ivshmem_bell(const struct ivshmem *iv)
{
	return iv->region.fd[REGION_BELL_IN];
}

/* A number, and a descriptor with it unless that is -1. */
static bool tell(int peer, int64_t number, int fd)
{
	int64_t wire = (int64_t)htole64((uint64_t)number);
	struct iovec io = {&wire, sizeof wire};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};

	if (fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof control.bytes;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	return sendmsg(peer, &m, MSG_NOSIGNAL) == (ssize_t)sizeof wire;
}

bool ivshmem_greet(int peer, const struct region *r)
{
	return tell(peer, VERSION, -1) && tell(peer, GUEST_PEER, -1) &&
	       tell(peer, SHM_FOLLOWS, r->fd[REGION_MEMORY]) &&
	       tell(peer, HOST_PEER, r->fd[REGION_BELL_IN]) &&
	       tell(peer, GUEST_PEER, r->fd[REGION_BELL_OUT]);
}

int ivshmem_serve(struct ivshmem *iv, struct err *err)
{
	int peer = accept4(iv->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (peer < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
		return 0;
	if (peer < 0)
		return err_run(err, errno, "%s: %s", iv->path, strerror(errno));
	close_fd(&iv->peer);
	iv->peer = peer;
	if (ivshmem_greet(peer, &iv->region))
		return 0;
	close_fd(&iv->peer); /* it went as it came */
	return 0;
}

bool ivshmem_rung(struct ivshmem *iv)
{
	return region_rung(&iv->region);
}

void ivshmem_ring(void *ctx)
{
	const struct ivshmem *iv = ctx;

	if (iv->peer >= 0)
		region_ring(&iv->region);
}
