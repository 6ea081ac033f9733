/*
 * A region of memory that two processes share, and a bell each way: what a
 * balloon's rings lie in (balloon/protocol.h).
 *
 * The other process gets the descriptors and may do with them what it likes.
 * So the file is sealed: it keeps its size, or a look at what was cut off would
 * be this process's end. What is in it is the other's to scribble on: whoever
 * uses it copies before looking (balloon/ring.h). A bell is an eventfd, which
 * whoever has it can make block whoever rings it; QEMU must have that and is
 * trusted. A bell for others is a socket, of which each side has its own end.
 * One thread.
 */
#ifndef BALLAST_LIVE_REGION_H
#define BALLAST_LIVE_REGION_H

#include "core/types.h"

/* What a region is, to hand over or to keep: descriptors. */
enum { REGION_MEMORY, REGION_BELL_OUT, REGION_BELL_IN, REGION_FDS };

enum region_bells { BELLS_SHARED, BELLS_APART }; /* eventfds; sockets */

struct region {
	int fd[REGION_FDS]; /* the memory; the bells that we and the other side ring; -1 none */
	size_t size;	    /* bytes */
	void *at;
	int other; /* the other side's end of BELLS_APART, until it is handed over; -1 none */
};

#define REGION_NONE ((struct region){{-1, -1, -1}, 0, NULL, -1})

/* A new one, of whole pages. 0 or -errno: there is none. */
MUST_CHECK int region_make(struct region *region, size_t size, enum region_bells bells);

/* The other side's descriptors, which stay the region's; and once it has them. */
void region_others(const struct region *region, int fd[REGION_FDS]);
void region_handed_over(struct region *region);

/*
 * The region that these descriptors are, which are its own from now on, also on
 * failure; -EUCLEAN if the memory has another size.
 */
MUST_CHECK int region_adopt(struct region *region, const int fd[REGION_FDS], size_t size);

void region_close(struct region *region); /* REGION_NONE is fine */

/* Whether the other side has rung since. */
bool region_rung(const struct region *region);

/* Rings the other side's bell. */
void region_ring(const struct region *region);

#endif
