/*
 * What frees pages: clean cache first, then changed cache by way of the disk,
 * anonymous pages to the swap area when there is no cache left.
 *
 * Linux weighs cache against anonymous pages; taking all cache first is the
 * rule here, so that whoever looks at a guest that swaps knows that it had
 * nothing else to give. A page on its way to the disk waits in the write-back
 * list and is freed when it has arrived, unless it was used meanwhile.
 */
#include "traces/guest_private.h"

#define WAITING_MOST 1024 /* pages on their way to the disk before reclaim stops for them */

static void free_now(struct gos *g, uint32_t page)
{
	g->stats.reclaimed++;
	page_free(g, page);
}

/* The page, in no list, leaves when the disk has it; at once if that is already so. */
static bool send_away(struct gos *g, uint32_t page)
{
	if (g->page[page].io_ns > gos_now(g)) {
		list_push(g, LIST_WRITEBACK, page);
		return false;
	}
	if (g->page[page].use == GPAGE_CACHE)
		cache_forget(g, page);
	else
		g->swap.page[g->page[page].slot] = NO_PAGE;
	free_now(g, page);
	return true;
}

/*
 * Takes an anonymous page, in no list, from its process. False: it is to be
 * written, and the swap area is full.
 */
static bool unmap_anon(struct gos *g, uint32_t page)
{
	struct gpage *p = &g->page[page];
	struct gproc *proc = g->proc[p->owner];
	gpte_t *e = proc_entry(proc, p->index);
	bool write = p->slot == NO_PAGE || *e & GPTE_DIRTY;

	if (p->slot == NO_PAGE)
		p->slot = slot_take(g);
	if (p->slot == NO_PAGE)
		return false;
	if (write) {
		g->swap.content[p->slot] = gos_fetch(g, page);
		p->io_ns = disk_io(g, slot_block(p->slot), 1, ACCESS_WRITE);
		g->stats.swap_out++;
	}
	*e = (gpte_t)p->slot << GPTE_SHIFT | GPTE_SWAPPED;
	g->swap.page[p->slot] = page;
	proc->resident--;
	proc->swapped++;
	g->stats.anon--;
	g->stats.swapped++;
	return true;
}

static uint32_t shrink_cache(struct gos *g, uint32_t want)
{
	uint32_t freed = 0, page;

	while (freed < want && g->list[LIST_WRITEBACK].n < WAITING_MOST) {
		page = lru_victim(g, GPAGE_CACHE);
		if (page == NO_PAGE)
			break;
		if (g->page[page].flags & GPAGE_DIRTY)
			file_write_around(g, page);
		freed += send_away(g, page);
	}
	return freed;
}

static uint32_t shrink_anon(struct gos *g, uint32_t want)
{
	uint32_t freed = 0, sent = 0, page;

	while (freed + sent < want && g->list[LIST_WRITEBACK].n < WAITING_MOST) {
		page = lru_victim(g, GPAGE_ANON);
		if (page == NO_PAGE)
			break;
		if (!unmap_anon(g, page)) {
			list_push(g, LIST_ANON_ACTIVE, page);
			break;
		}
		bool gone = send_away(g, page);
		freed += gone;
		sent += !gone;
	}
	return freed;
}

static bool has_cache(const struct gos *g)
{
	return g->list[LIST_CACHE_INACTIVE].n + g->list[LIST_CACHE_ACTIVE].n;
}

uint32_t reclaim(struct gos *g, uint32_t want)
{
	uint32_t freed = shrink_cache(g, want);

	if (freed < want && !has_cache(g) && g->list[LIST_WRITEBACK].n < want)
		freed += shrink_anon(g, want - freed);
	return freed;
}

/* What becomes of a page that the disk is done with. True: it is free now. */
static bool settle(struct gos *g, uint32_t page)
{
	struct gpage *p = &g->page[page];

	if (p->use == GPAGE_CACHE && p->flags & (GPAGE_REFERENCED | GPAGE_DIRTY)) {
		lru_add(g, page);
		return false;
	}
	if (p->use == GPAGE_CACHE)
		cache_forget(g, page);
	else
		g->swap.page[p->slot] = NO_PAGE;
	free_now(g, page);
	return true;
}

void reclaim_reap(struct gos *g)
{
	struct glist *l = &g->list[LIST_WRITEBACK];

	while (l->tail != NO_PAGE && g->page[l->tail].io_ns <= gos_now(g))
		settle(g, list_pop_tail(g, LIST_WRITEBACK));
}

bool reclaim_wait(struct gos *g)
{
	uint32_t page;

	while ((page = list_pop_tail(g, LIST_WRITEBACK)) != NO_PAGE) {
		gos_stall(g, g->page[page].io_ns);
		if (settle(g, page))
			return true;
	}
	return false;
}
