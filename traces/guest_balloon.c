/*
 * The guest's side of a balloon: pages out of the guest's own allocator.
 *
 * A page for the balloon is one that the allocator can give without waiting and
 * without its last reserve. What that takes (dropping clean cache, writing
 * changed cache, swapping) kswapd has been made to begin; the driver comes
 * again.
 */
#include "traces/guest_private.h"

#include <errno.h>

static int alloc_page(void *ctx, ppn_t *ppn)
{
	struct gos *g = ctx;
	uint32_t page;
	int rc = page_alloc_easily(g, GPAGE_BALLOON, &page);

	if (rc)
		return rc;
	g->stats.balloon++;
	*ppn = (ppn_t){page};
	return 0;
}

static void free_page(void *ctx, ppn_t ppn)
{
	struct gos *g = ctx;

	if (ppn.n >= g->boot_pages || g->page[ppn.n].use != GPAGE_BALLOON)
		return;
	g->stats.balloon--;
	page_free(g, ppn.n);
}

static void stats(void *ctx, struct guest_memory *m)
{
	struct gos *g = ctx;
	uint64_t second = gos_now(g) / 1000000000, stall = second == g->second ? g->stall_before_ns
							   : second == g->second + 1 ? g->stall_ns
										     : 0;

	*m = (struct guest_memory){
		.total = g->boot_pages,
		.free = pages_free(g),
		.cached = g->stats.cached,
		.available = pages_free(g) + g->stats.cached - g->stats.dirty,
		.active = g->list[LIST_CACHE_ACTIVE].n + g->list[LIST_ANON_ACTIVE].n,
		.swapped = g->stats.swapped,
		.faults = g->stats.major_faults,
		.swap_ins = g->stats.swap_in,
		.swap_outs = g->stats.swap_out,
		.pressure = (uint32_t)min_u64(1000, stall / 1000000),
	};
}

static void listen(void *ctx, const struct driver_release *release)
{
	struct gos *g = ctx;

	g->release = release ? *release : (struct driver_release){0};
}

struct driver_guest gos_driver_guest(struct gos *g)
{
	return (struct driver_guest){
		.ctx = g,
		.alloc_page = alloc_page,
		.free_page = free_page,
		.stats = stats,
		.listen = listen,
	};
}
