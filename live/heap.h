/*
 * The heap of a process guest: any program's malloc() out of guest-physical
 * memory (build/ballast-heap.so, loaded by LD_PRELOAD).
 *
 * The allocator is jemalloc, linked in. Before main() its arenas get hooks
 * (jemalloc's manual, "arena.<i>.extent_hooks") that carve extents out of the
 * VM's memory, which the agent laid over. jemalloc's own structures stay outside:
 * what it looks at while it holds its locks is never paged. So does what the
 * program got before (its libraries' constructors), and what it maps itself.
 *
 * Memory used up is malloc() returning NULL, after the thread below has had the
 * balloon deflated and every arena purged. That thread (heap_serve.c) is also
 * the balloon driver; it allocates from an arena of its own outside the guest's
 * memory, and holds no lock of the guest's while it waits for anybody.
 *
 * A child of fork() gets a copy of the heap (heap_fork.c) and is no guest.
 */
#ifndef BALLAST_LIVE_HEAP_H
#define BALLAST_LIVE_HEAP_H

#include "live/heap_pages.h"

struct heap {
	struct heap_pages pages;
	uint8_t *base; /* NULL: there are no hooks, or not yet */
	uint64_t bytes;
	bool guest; /* the memory is the host's; not so in a child */
};

/* One per process: hooks and fork handlers are given no context. */
extern struct heap ballast_heap;

/* Starts the thread; returns when it allocates from its own arena. */
void heap_serve_start(void);

/*
 * A thread of the guest that found no room for so many pages: waits until the
 * balloon was deflated or the arenas were purged. False: nothing came of it.
 */
bool heap_serve_beg(uint32_t pages);

/* In a child: there is no such thread. */
void heap_serve_leave(void);

#endif
