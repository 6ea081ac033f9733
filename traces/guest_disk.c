/*
 * The virtual disk and the swap area on it.
 *
 * The disk serves what it is asked in order, one request after another: a seek
 * where a request does not begin where the last one ended, then so much a page.
 * (An elevator would shorten seeks, not their number; the option is their mean.)
 * Since the order is fixed, a request's end is known when it is made.
 *
 * Swap slots are taken as Linux takes them, onward from the last, so that pages
 * that leave together lie together.
 */
#include "traces/guest_private.h"

#include <errno.h>
#include <stdlib.h>

#define SWAP_BLOCK (UINT64_C(1) << 40) /* behind all files */

uint64_t disk_io(struct gos *g, uint64_t block, uint32_t n, enum access access)
{
	struct gdisk *d = &g->disk;
	uint64_t took = n * g->opts.disk_transfer;

	if (block != d->head) {
		took += g->opts.disk_seek;
		g->stats.seeks++;
	}
	*(access == ACCESS_WRITE ? &g->stats.disk_write : &g->stats.disk_read) += n;
	g->stats.disk_busy_ns += took;
	d->head = block + n;
	d->free_ns = max_u64(d->free_ns, gos_now(g)) + took;
	return d->free_ns;
}

int swap_init(struct gos *g)
{
	struct gswap *s = &g->swap;

	s->slots = (uint32_t)(g->opts.swap >> PAGE_SHIFT);
	s->taken = calloc(s->slots + 1, sizeof *s->taken);
	s->page = calloc(s->slots + 1, sizeof *s->page);
	s->content = calloc(s->slots + 1, sizeof *s->content);
	return s->taken && s->page && s->content ? 0 : -ENOMEM;
}

uint32_t slot_take(struct gos *g)
{
	struct gswap *s = &g->swap;

	if (s->used == s->slots)
		return NO_PAGE;
	while (s->taken[s->next])
		s->next = s->next + 1 < s->slots ? s->next + 1 : 0;
	uint32_t slot = s->next;
	s->taken[slot] = 1;
	s->page[slot] = NO_PAGE;
	s->used++;
	s->next = slot + 1 < s->slots ? slot + 1 : 0;
	return slot;
}

void slot_free(struct gos *g, uint32_t slot)
{
	g->swap.taken[slot] = 0;
	g->swap.used--;
}

uint64_t slot_block(uint32_t slot)
{
	return SWAP_BLOCK + slot;
}
