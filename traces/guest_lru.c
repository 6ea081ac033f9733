/*
 * Lists of pages, and the LRU among them: Linux's active and inactive lists.
 *
 * A page comes in inactive. A second use makes it active; so one that is read
 * once goes without pushing out what is used again. Inactive lists are filled
 * from the tail of the active ones, where a page that was used since the hand
 * last came goes round again (second chance).
 */
#include "traces/guest_private.h"

#include <assert.h>

static void link_between(struct gos *g, enum glist_id list, uint32_t page, uint32_t prev,
			 uint32_t next)
{
	struct glist *l = &g->list[list];

	assert(g->page[page].list == LIST_NONE);
	g->page[page].list = (uint8_t)list;
	g->page[page].prev = prev;
	g->page[page].next = next;
	*(prev == NO_PAGE ? &l->head : &g->page[prev].next) = page;
	*(next == NO_PAGE ? &l->tail : &g->page[next].prev) = page;
	l->n++;
}

void list_push(struct gos *g, enum glist_id list, uint32_t page)
{
	link_between(g, list, page, NO_PAGE, g->list[list].head);
}

void list_push_tail(struct gos *g, enum glist_id list, uint32_t page)
{
	link_between(g, list, page, g->list[list].tail, NO_PAGE);
}

void list_remove(struct gos *g, uint32_t page)
{
	struct gpage *p = &g->page[page];
	struct glist *l = &g->list[p->list];

	assert(p->list != LIST_NONE);
	*(p->prev == NO_PAGE ? &l->head : &g->page[p->prev].next) = p->next;
	*(p->next == NO_PAGE ? &l->tail : &g->page[p->next].prev) = p->prev;
	l->n--;
	p->list = LIST_NONE;
}

uint32_t list_pop_tail(struct gos *g, enum glist_id list)
{
	uint32_t page = g->list[list].tail;

	if (page != NO_PAGE)
		list_remove(g, page);
	return page;
}

static enum glist_id inactive_of(enum gpage_use use)
{
	return use == GPAGE_CACHE ? LIST_CACHE_INACTIVE : LIST_ANON_INACTIVE;
}

static enum glist_id active_of(enum gpage_use use)
{
	return use == GPAGE_CACHE ? LIST_CACHE_ACTIVE : LIST_ANON_ACTIVE;
}

void lru_add(struct gos *g, uint32_t page)
{
	list_push(g, inactive_of(g->page[page].use), page);
}

void lru_mark_accessed(struct gos *g, uint32_t page)
{
	struct gpage *p = &g->page[page];

	if (!(p->flags & GPAGE_REFERENCED) || p->list == LIST_WRITEBACK) {
		p->flags |= GPAGE_REFERENCED;
	} else if (p->list == inactive_of(p->use)) {
		p->flags &= ~GPAGE_REFERENCED;
		list_remove(g, page);
		list_push(g, active_of(p->use), page);
	}
}

/* Whether the page was used since this was last asked. A process's use is in its page table. */
static bool was_used(struct gos *g, uint32_t page)
{
	struct gpage *p = &g->page[page];
	bool used = p->flags & GPAGE_REFERENCED;

	if (p->use == GPAGE_ANON) {
		gpte_t *e = proc_entry(g->proc[p->owner], p->index);
		used = *e & GPTE_ACCESSED;
		*e &= ~GPTE_ACCESSED;
	}
	p->flags &= ~GPAGE_REFERENCED;
	return used;
}

/*
 * How many of so many pages are to wait on the inactive list. Linux 2.4.7 wants
 * a second's worth of allocations there; guest.inactive stands for that.
 */
static uint32_t inactive_target(const struct gos *g, uint32_t pages)
{
	return (uint32_t)min_u64(g->opts.inactive >> PAGE_SHIFT, pages / 2);
}

static void refill_inactive(struct gos *g, enum gpage_use use)
{
	const enum glist_id active = active_of(use), inactive = inactive_of(use);
	const uint32_t target = inactive_target(g, g->list[active].n + g->list[inactive].n);
	uint32_t page;

	while (g->list[inactive].n <= target && (page = list_pop_tail(g, active)) != NO_PAGE) {
		g->stats.scanned++;
		list_push(g, was_used(g, page) ? active : inactive, page);
	}
}

uint32_t lru_victim(struct gos *g, enum gpage_use use)
{
	uint32_t page;

	for (;;) {
		refill_inactive(g, use);
		page = list_pop_tail(g, inactive_of(use));
		if (page == NO_PAGE)
			return page;
		g->stats.scanned++;
		gos_charge(g, g->opts.scan_time);
		if (!was_used(g, page))
			return page;
		list_push(g, active_of(use), page);
	}
}
