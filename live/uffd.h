/*
 * userfaultfd, as the agent and the manager use it: one call a line.
 *
 * Registered memory tells of a page that is missing, of one that is there but
 * not mapped (minor), and of a write to one that is protected. Either process
 * may make any of these calls: they act on the memory of the process that
 * opened the descriptor. 0 or -errno. Where a page turns out to be there
 * already (-EEXIST), whoever waits for it is woken by uffd_wake() alone.
 *
 * While a process changes the map of its memory the kernel answers -EAGAIN, and
 * one that means harm can make that last. So a call is tried a number of times
 * and then given up: -EBUSY, at which the guest is.
 *
 * The agent is loaded into foreign programs and includes this; so nothing here
 * calls the library. Numbers that older kernel headers lack are the kernel's.
 */
#ifndef BALLAST_LIVE_UFFD_H
#define BALLAST_LIVE_UFFD_H

#include "core/types.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>

/* Kernel 6.4; linux-libc-dev of Debian 12 is 6.1. */
#define UFFD_WP_UNPOPULATED (UINT64_C(1) << 13)
#define UFFD_CONTINUE_WP    (UINT64_C(1) << 1)

#define UFFD_NEEDED                                                                                \
	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |  \
	 UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_WP_UNPOPULATED | UFFD_FEATURE_THREAD_ID)

/* Some milliseconds, of which an honest guest's map needs some microseconds. */
#define UFFD_TRIES 5000

static inline int uffd_call(int uffd, unsigned long request, void *arg)
{
	for (int i = 0; i < UFFD_TRIES; i++) {
		int rc = ioctl(uffd, request, arg) ? -errno : 0;
		if (rc != -EAGAIN && rc != -EINTR)
			return rc;
		sched_yield(); /* whoever changes it may be waiting for this CPU */
	}
	return -EBUSY;
}

/* Why a call failed, in words. */
static inline const char *uffd_error(int rc)
{
	return rc == -EBUSY ? "the map of its memory changes all the time" : strerror(-rc);
}

static inline struct uffdio_range uffd_range(uint64_t at, uint64_t pages)
{
	return (struct uffdio_range){at, pages << PAGE_SHIFT};
}

/* After every mmap() of such memory: a new mapping is not registered. */
static inline int uffd_register(int uffd, uint64_t at, uint64_t pages)
{
	struct uffdio_register r = {
		.range = uffd_range(at, pages),
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP |
			UFFDIO_REGISTER_MODE_MINOR,
	};

	return uffd_call(uffd, UFFDIO_REGISTER, &r);
}

/* Maps a page that the file has. -EEXIST: it is mapped; -EFAULT: the file has a hole there. */
static inline int uffd_continue(int uffd, uint64_t at, uint64_t pages, bool read_only)
{
	struct uffdio_continue c = {
		.range = uffd_range(at, pages),
		.mode = read_only ? UFFD_CONTINUE_WP : 0,
	};

	return uffd_call(uffd, UFFDIO_CONTINUE, &c);
}

/* Fills a hole with zeroes and maps it. -EEXIST: there is a page. */
static inline int uffd_zero(int uffd, uint64_t at, uint64_t pages)
{
	struct uffdio_zeropage z = {.range = uffd_range(at, pages)};

	return uffd_call(uffd, UFFDIO_ZEROPAGE, &z);
}

/* Writes wait from now on; or go ahead again, and those waiting are woken. */
static inline int uffd_protect(int uffd, uint64_t at, uint64_t pages, bool on)
{
	struct uffdio_writeprotect w = {
		.range = uffd_range(at, pages),
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return uffd_call(uffd, UFFDIO_WRITEPROTECT, &w);
}

static inline int uffd_wake(int uffd, uint64_t at, uint64_t pages)
{
	struct uffdio_range r = uffd_range(at, pages);

	return uffd_call(uffd, UFFDIO_WAKE, &r);
}

#endif
