/*
 * The agent's descriptors, out of the way of the program that it is loaded into.
 *
 * Programs close what they have not opened, all of it, to begin afresh, and put
 * descriptors of their own at low numbers. So the agent's lie high, and close(),
 * close_range() and closefrom() pass them over: to the program they are not
 * open. What calls the kernel itself is not stopped. In a child they are like any
 * other: it is no guest.
 */
#include "live/agent.h"

#include "core/types.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OWN_MOST     8
#define HIGH	     1024      /* as a table of descriptors grows with the highest, no higher */
#define CLOEXEC_ONLY (1u << 2) /* CLOSE_RANGE_CLOEXEC, which <unistd.h> does not have */

static struct {
	int fd[OWN_MOST];
	unsigned n;
	pid_t pid;
} own;

static int raw_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}

int agent_own(int fd)
{
	struct rlimit most;
	int at = HIGH;

	if (fd < 0 || own.n == OWN_MOST)
		return fd;
	if (getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur < HIGH)
		at = (int)most.rlim_cur;
	at = fcntl(fd, F_DUPFD_CLOEXEC, at > 2 * OWN_MOST ? at - OWN_MOST : 0);
	if (at >= 0) {
		raw_close(fd);
		fd = at;
	}
	own.fd[own.n++] = fd;
	own.pid = getpid();
	return fd;
}

void agent_disown(void)
{
	for (unsigned i = 0; i < own.n; i++)
		raw_close(own.fd[i]);
	own.n = 0;
}

/* The agent's first descriptor in the range, in the process that it is for; -1: none. */
static int64_t first_own(unsigned from, unsigned to)
{
	int64_t first = -1;

	for (unsigned i = 0; i < own.n; i++) {
		const unsigned fd = (unsigned)own.fd[i];
		if (fd >= from && fd <= to && (first < 0 || fd < first))
			first = fd;
	}
	return first < 0 || getpid() != own.pid ? -1 : first;
}

#define EXPORT __attribute__((visibility("default")))

/* NOLINTBEGIN(readability-*declaration*): the C library has its own */
EXPORT int close(int fd);
EXPORT int close_range(unsigned from, unsigned to, int flags);
EXPORT void closefrom(int from);

int close(int fd)
{
	if (fd < 0 || first_own((unsigned)fd, (unsigned)fd) < 0)
		return raw_close(fd);
	errno = EBADF;
	return -1;
}

int close_range(unsigned from, unsigned to, int flags)
{
	int64_t next = flags & CLOEXEC_ONLY ? -1 : first_own(from, to); /* as the agent's are */
	int rc = 0;

	while (next >= 0 && rc == 0) {
		if (next > from)
			rc = (int)syscall(SYS_close_range, from, (unsigned)next - 1, flags);
		from = (unsigned)next + 1;
		next = first_own(from, to);
	}
	return rc || from > to ? rc : (int)syscall(SYS_close_range, from, to, flags);
}

void closefrom(int from)
{
	close_range(from < 0 ? 0 : (unsigned)from, UINT32_MAX, 0);
}
/* NOLINTEND(readability-*declaration*) */
