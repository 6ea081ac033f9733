/*
 * What a balloon driver asks of the guest that it runs in: the seam between
 * balloon/driver.c and whatever plays the guest's memory manager (the guest-OS
 * model, a replayed trace, a test).
 *
 * The guest, not the driver, chooses which page to give (Waldspurger 2002,
 * section 3.2): alloc_page is the guest's own allocator, with all that it does
 * to find a page (drop clean cache, write back, use its own swap), and charges
 * the VM's clock for that. A page that is out is the driver's: the guest neither
 * reads nor writes it, and its contents are lost. Calls come from the driver's
 * timer, never from inside the guest's own allocator, but for `release`, which
 * the guest calls. One host, one thread.
 */
#ifndef BALLAST_CORE_BALLOON_GUEST_H
#define BALLAST_CORE_BALLOON_GUEST_H

#include "core/types.h"

/* Pages unless stated; counters only grow. What the guest does not know is 0. */
struct guest_memory {
	uint64_t total, free, cached, available, active, swapped;
	uint64_t faults, swap_ins, swap_outs; /* counters: faults that waited for a disk */
	uint32_t pressure; /* share of the last second that it waited for memory, in 1/1000 */
};

/* What the driver offers in turn. */
struct driver_release {
	/*
	 * The guest is out of memory: frees up to want pages of the balloon by
	 * free_page, before it returns, and says how many. 0: it holds none.
	 */
	uint32_t (*release)(void *ctx, uint32_t want);
	void *ctx;
};

struct driver_guest {
	void *ctx;
	/*
	 * Takes a page out of the guest's use. -ENOMEM: none without hardship (it
	 * would have to kill, or to use its last reserve); nothing changed.
	 */
	int (*alloc_page)(void *ctx, ppn_t *ppn);
	/* Gives back a page that alloc_page gave. It reads as zero. */
	void (*free_page)(void *ctx, ppn_t ppn);
	void (*stats)(void *ctx, struct guest_memory *stats);
	/* Optional: whom to ask before killing a process. NULL: nobody any more. */
	void (*listen)(void *ctx, const struct driver_release *release);
	/*
	 * Optional, both or neither, for free-page hints: takes out up to n pages
	 * that are free and were used since they were last reported; returns how
	 * many. free_reported gives them back, known to hold zeros.
	 */
	uint32_t (*take_free)(void *ctx, ppn_t *ppn, uint32_t n);
	void (*free_reported)(void *ctx, const ppn_t *ppn, uint32_t n);
	/* Optional: the host did not take the page, so it holds what it did. NULL: as above. */
	void (*free_unreported)(void *ctx, ppn_t ppn);
	/*
	 * Optional, for a guest that touches pages without asking its allocator (a
	 * physical trace): the page was touched while it was out, and is in use
	 * again. Without it a touch means that the balloon is void (reset).
	 */
	void (*popped)(void *ctx, ppn_t ppn);
};

#endif
