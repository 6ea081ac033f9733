#include "pmap/pt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int pt_store_init(struct pt_store *s, uint32_t pages, struct meter *meter)
{
	*s = (struct pt_store){.pages = pages, .meter = meter, .used = 1, .upper_gen = 1};
	slab_init(&s->slab, sizeof(struct pt_page), meter);
	s->slot = meter_alloc(meter, pages * sizeof *s->slot);
	return s->slot ? 0 : -ENOMEM;
}

void pt_store_fini(struct pt_store *s)
{
	slab_fini(&s->slab);
	cells_fini(&s->cells);
	free(s->page);
	free(s->version);
	if (s->slot)
		meter_free(s->meter, s->slot, s->pages * sizeof *s->slot);
}

/* Room for twice as many tables. False without memory. */
static bool grow(struct pt_store *s)
{
	const uint32_t room = s->room ? 2 * s->room : 64;
	struct pt_page **page = realloc(s->page, room * sizeof(*page));

	if (!page)
		return false;
	s->page = page;
	if (!cells_grow(&s->cells, &s->version, s->room, room))
		return false;
	s->room = room;
	return true;
}

/* A table in a page that had none. NULL without memory. */
static struct pt_page *make(struct pt_store *s, uint32_t ppn)
{
	if (s->used >= s->room && !grow(s))
		return NULL;
	struct pt_page *p = slab_take(&s->slab);
	if (!p)
		return NULL;
	p->ppn = ppn;
	p->version = s->version[s->used];
	*p->version = ++s->versions;
	s->page[s->used] = p;
	s->slot[ppn] = s->used++;
	return p;
}

int pt_write(struct pt_store *s, ppn_t ppn, unsigned i, gpte_t word)
{
	struct pt_page *p = pt_page(s, ppn.n);

	if (!p && word == 0)
		return 0;
	if (!p && !(p = make(s, ppn.n)))
		return -ENOMEM;
	/* Accessed and dirty bits of upper tables decide nothing that is kept. */
	s->upper_gen += p->upper && p->word[i] != word;
	if (p->word[i] & GPTE_P && p->word[i] != word)
		*p->version = ++s->versions;
	p->word[i] = word;
	return 0;
}

void pt_forget(struct pt_store *s, ppn_t ppn)
{
	uint32_t slot = s->slot[ppn.n];

	if (!slot)
		return;
	/* Whoever remembers the page's address from a walk finds out by this. */
	s->upper_gen++;
	slab_give(&s->slab, s->page[slot]);
	uint64_t *const version = s->version[slot];
	s->page[slot] = s->page[--s->used]; /* the last one takes its place */
	if (slot != s->used)
		s->slot[s->page[slot]->ppn] = slot;
	s->version[slot] = s->version[s->used]; /* and what stands elsewhere goes with it */
	s->version[s->used] = version;
	s->slot[ppn.n] = 0;
}

void pt_walk(const struct pt_store *s, uint32_t root, uint64_t vpn, bool write, bool user,
	     struct pt_path *path)
{
	uint64_t table = root;

	*path = (struct pt_path){.rights = PT_R_ALL};
	for (unsigned level = PT_LEVELS;; level--) {
		path->level = level;
		if (!pt_memory(s, table)) {
			path->why = PT_OUTSIDE;
			return;
		}
		struct pt_page *p = pt_page(s, (uint32_t)table);
		gpte_t w = p ? p->word[pt_index(vpn, level)] : 0;
		path->table[level] = (uint32_t)table;
		path->word[level] = w;
		if (!(w & GPTE_P) || gpte_reserved(w, level)) {
			path->why = w & GPTE_P ? PT_RESERVED : PT_ABSENT;
			return;
		}
		if (level > 1)
			p->upper = true;
		path->rights &= gpte_rights(w);
		table = gpte_ppn(w);
		if (!gpte_leaf(w, level))
			continue;
		uint64_t ppn =
			level == 2 ? (table & ~(uint64_t)(PT_LARGE - 1)) + (vpn & (PT_LARGE - 1))
				   : table;
		path->rights |= w & GPTE_G ? PT_R_G : 0;
		path->why =
			(write && !(path->rights & PT_R_W)) || (user && !(path->rights & PT_R_U))
				? PT_DENIED
			: pt_memory(s, ppn) ? PT_MAPPED
					    : PT_OUTSIDE;
		path->ppn = path->why == PT_OUTSIDE ? 0 : (uint32_t)ppn;
		return;
	}
}

uint64_t pt_store_digest(const struct pt_store *s)
{
	uint64_t h = 0;

	for (uint32_t ppn = 0; ppn < s->pages; ppn++) {
		const struct pt_page *p = pt_page(s, ppn);
		for (unsigned i = 0; p && i < PT_WORDS; i++) {
			if (p->word[i])
				h = (h ^ p->word[i] ^ (uint64_t)ppn << 32 ^ (uint64_t)i << 20) *
				    UINT64_C(0x9e3779b97f4a7c15);
		}
	}
	return h;
}
