/*
 * The page allocator: free lists by zone, and the marks at which reclaim begins.
 *
 * Linux 2.4: DMA (16 MB), normal, high memory (from 896 MB); each zone keeps
 * 1/128 of its pages, 20 to 255, as its minimum, twice that as low and three
 * times as high mark. Single pages come and go at the head of a free list, as
 * they do there. The buddy system is left out: everything here is one page, so
 * it would explain nothing.
 */
#include "traces/guest_private.h"

#include <errno.h>

#define DMA_PAGES    (UINT32_C(16) << (20 - PAGE_SHIFT))
#define NORMAL_END   (UINT32_C(896) << (20 - PAGE_SHIFT))
#define ZONE_BALANCE 128
#define ZONE_MIN     20
#define ZONE_MAX     255
#define BATCH	     32 /* pages that whoever finds none frees at once */

static enum glist_id list_of(const struct gos *g, uint32_t page)
{
	int z = 0;

	while (z < ZONES - 1 && page >= g->zone[z].first + g->zone[z].pages)
		z++;
	return (enum glist_id)(LIST_FREE_DMA + z);
}

static void zone_init(struct gos *g, int z, uint32_t first, uint32_t end)
{
	uint32_t pages = end > first ? end - first : 0, min = pages / ZONE_BALANCE;

	if (min < ZONE_MIN)
		min = pages / 8 < ZONE_MIN ? pages / 8 : ZONE_MIN;
	g->zone[z] = (struct gzone){first, pages, min < ZONE_MAX ? min : ZONE_MAX};
	g->mark_min += g->zone[z].min;
}

void pages_init(struct gos *g)
{
	uint32_t n = g->boot_pages, normal = n < NORMAL_END ? n : NORMAL_END;

	for (int l = 0; l < LISTS; l++)
		g->list[l] = (struct glist){NO_PAGE, NO_PAGE, 0};
	zone_init(g, 0, 0, n < DMA_PAGES ? n : DMA_PAGES);
	zone_init(g, 1, g->zone[0].pages, normal);
	zone_init(g, 2, g->zone[0].pages + g->zone[1].pages, n);
	g->mark_low = 2 * g->mark_min;
	g->mark_high = 3 * g->mark_min;
	for (uint32_t i = 0; i < n; i++) {
		g->page[i].slot = NO_PAGE;
		g->page[i].flags = GPAGE_UNUSED;
		list_push_tail(g, list_of(g, i), i);
	}
}

/* The normal zone last but for DMA; each but the one asked for keeps its minimum. */
static uint32_t take(struct gos *g, bool reserve)
{
	for (int z = ZONES - 1; z >= 0; z--) {
		struct glist *free = &g->list[LIST_FREE_DMA + z];
		if (free->n > (reserve ? 0 : g->zone[z].min)) {
			uint32_t page = free->head;
			list_remove(g, page);
			return page;
		}
	}
	uint32_t page = g->list[LIST_DIRTY_FREE].head;
	if (page != NO_PAGE)
		list_remove(g, page);
	return page;
}

static int use(struct gos *g, enum gpage_use u, uint32_t page)
{
	g->page[page].use = (uint8_t)u;
	g->page[page].flags = 0;
	g->page[page].io_ns = 0;
	g->page[page].reading = false;
	g->page[page].slot = NO_PAGE;
	return 0;
}

/* kswapd: woken at the low mark, it goes on to the high one and waits for no disk. */
static void balance(struct gos *g)
{
	if (g->list[LIST_WRITEBACK].n)
		reclaim_reap(g);
	uint32_t free = pages_free(g) + g->list[LIST_WRITEBACK].n;
	if (free < g->mark_high)
		reclaim(g, g->mark_high - free);
}

int page_alloc_easily(struct gos *g, enum gpage_use u, uint32_t *page)
{
	if (pages_free(g) <= g->mark_low)
		balance(g);
	if (pages_free(g) <= g->mark_min && reclaim(g, BATCH) == 0)
		return -ENOMEM;
	*page = take(g, false);
	return *page == NO_PAGE ? -ENOMEM : use(g, u, *page);
}

/* Direct reclaim: the caller waits for the disk; last of all the balloon gives pages back. */
static bool make_room(struct gos *g)
{
	if (reclaim(g, 1) || reclaim_wait(g) || reclaim(g, 1))
		return true;
	return g->release.release && g->release.release(g->release.ctx, BATCH) > 0;
}

int page_alloc(struct gos *g, enum gpage_use u, uint32_t *page)
{
	if (pages_free(g) <= g->mark_low)
		balance(g);
	while (pages_free(g) <= g->mark_min && make_room(g))
		;
	*page = take(g, pages_free(g) <= g->mark_min);
	if (*page != NO_PAGE)
		return use(g, u, *page);
	return err_run(&g->err, ENOMEM,
		       "the guest is out of memory and of swap: raise its memory or guest.swap");
}

void page_free(struct gos *g, uint32_t page)
{
	g->page[page].use = GPAGE_FREE;
	g->page[page].flags = 0;
	list_push(g, g->os->zeroes ? LIST_DIRTY_FREE : list_of(g, page), page);
}

/* The page at a list's head is used next; pages behind it that are unused follow the others. */
uint32_t page_take_used(struct gos *g)
{
	static const enum glist_id lists[] = {LIST_DIRTY_FREE, LIST_FREE_HIGH, LIST_FREE_NORMAL,
					      LIST_FREE_DMA};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		uint32_t page = g->list[lists[i]].head;
		if (page == NO_PAGE || g->page[page].flags & GPAGE_UNUSED)
			continue;
		list_remove(g, page);
		use(g, GPAGE_BALLOON, page);
		return page;
	}
	return NO_PAGE;
}

void page_free_reported(struct gos *g, uint32_t page)
{
	g->page[page].use = GPAGE_FREE;
	g->page[page].flags = GPAGE_UNUSED;
	list_push_tail(g, list_of(g, page), page);
}

int zero_freed_page(struct gos *g)
{
	uint32_t page = list_pop_tail(g, LIST_DIRTY_FREE);

	if (page == NO_PAGE)
		return 0;
	gos_charge(g, g->opts.zero_time);
	list_push(g, list_of(g, page), page);
	g->stats.zeroed++;
	int rc = gos_store(g, (ppn_t){page}, 0);
	return rc ? rc : 1;
}
