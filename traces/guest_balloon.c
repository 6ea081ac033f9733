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

/* The page is the driver's: from now on it reads as zero, as far as the guest knows. */
static int hand_out(struct gos *g, uint32_t page, ppn_t *ppn)
{
	*ppn = (ppn_t){page};
	g->stats.balloon++;
	if (g->content_of)
		g->content_of[page] = 0;
	return g->oracle ? oracle_write(g->oracle, g->vm, *ppn, 0) : 0;
}

static void take_back(struct gos *g, uint32_t page)
{
	g->stats.balloon--;
	page_free(g, page);
}

static int alloc_page(void *ctx, ppn_t *ppn)
{
	struct gos *g = ctx;
	uint32_t page;
	int rc = page_alloc_easily(g, GPAGE_BALLOON, &page);

	if (rc == 0 && (rc = hand_out(g, page, ppn)))
		take_back(g, page);
	return rc;
}

static void free_page(void *ctx, ppn_t ppn)
{
	struct gos *g = ctx;

	if (ppn.n >= g->boot_pages || g->page[ppn.n].use != GPAGE_BALLOON)
		return;
	take_back(g, ppn.n);
}

/*
 * Free pages that were used since they were last reported, but for a reserve
 * that will soon be used again. Those that were reported lie behind the others
 * in their lists and stay there until they are allocated.
 */
static uint32_t take_free(void *ctx, ppn_t *ppn, uint32_t n)
{
	struct gos *g = ctx;
	uint32_t taken = 0, page;

	while (taken < n && pages_free(g) > 2 * g->mark_high &&
	       (page = page_take_used(g)) != NO_PAGE) {
		if (hand_out(g, page, &ppn[taken++])) {
			take_back(g, page);
			return taken - 1;
		}
	}
	return taken;
}

static void free_reported(void *ctx, const ppn_t *ppn, uint32_t n)
{
	struct gos *g = ctx;

	for (uint32_t i = 0; i < n; i++) {
		if (ppn[i].n >= g->boot_pages || g->page[ppn[i].n].use != GPAGE_BALLOON)
			continue;
		g->stats.balloon--;
		page_free_reported(g, ppn[i].n);
	}
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
		.take_free = take_free,
		.free_reported = free_reported,
	};
}
