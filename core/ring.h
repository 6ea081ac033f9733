/*
 * Several writes to a file at a time, while the caller does something else
 * (Linux io_uring). Where the kernel refuses one, as in many containers, there
 * is none and the caller writes by itself. A ring serves one thread at a time.
 */
#ifndef BALLAST_CORE_RING_H
#define BALLAST_CORE_RING_H

#include "core/types.h"

#define RING_MOST 64 /* writes on their way */

struct ring;

struct ring_write {
	const void *bytes;
	uint32_t n;
	uint64_t offset;
	int rc; /* when it is done: 0, or -errno; -EIO if it fell short */
};

MUST_CHECK int ring_open(struct ring **ring); /* 0 or -errno */
void ring_close(struct ring *ring);	      /* NULL is fine; none is on its way */

/*
 * Begins n writes, 0 < n <= RING_MOST, which with their bytes are the ring's
 * until ring_wait() has returned. 0, or -errno with none begun.
 */
MUST_CHECK int ring_begin(struct ring *ring, int fd, struct ring_write *write, uint32_t n);
void ring_wait(struct ring *ring);

#endif
