/* Derived tables: how they come and go, and follow what guest and host change. */
#include "pmap/derived.h"

#include <errno.h>
#include <stdlib.h>

int derived_init(struct derived *d, struct mmu *mmu, bool direct)
{
	struct meter *meter = &mmu->pmap->vm->host->meter;
	size_t pages = mmu->pmap->pages;

	*d = (struct derived){.direct = direct, .tables = 1, .nodes = 1, .gen = 1};
	slab_init(&d->slab, sizeof(struct dtable), meter);
	d->leaves = meter_alloc(meter, pages * sizeof *d->leaves);
	d->made = meter_alloc(meter, pages * sizeof *d->made);
	d->large = meter_alloc(meter, pmap_stretches(mmu->pmap) * sizeof *d->large);
	d->tables_in = meter_alloc(meter, pmap_stretches(mmu->pmap) * sizeof *d->tables_in);
	d->broken = meter_alloc(meter, pmap_stretches(mmu->pmap) * sizeof *d->broken);
	if (direct) {
		d->type = meter_alloc(meter, pages);
		d->refs = meter_alloc(meter, pages * sizeof *d->refs);
		d->writable = meter_alloc(meter, pages * sizeof *d->writable);
	}
	if (d->leaves && d->made && d->large && d->tables_in && d->broken &&
	    (!direct || (d->type && d->refs && d->writable)))
		return 0;
	derived_fini(d, mmu);
	return -ENOMEM;
}

void derived_fini(struct derived *d, struct mmu *mmu)
{
	struct meter *meter = &mmu->pmap->vm->host->meter;
	size_t pages = mmu->pmap->pages;

	meter_free(meter, d->leaves, pages * sizeof *d->leaves);
	meter_free(meter, d->made, pages * sizeof *d->made);
	meter_free(meter, d->large, pmap_stretches(mmu->pmap) * sizeof *d->large);
	meter_free(meter, d->tables_in, pmap_stretches(mmu->pmap) * sizeof *d->tables_in);
	meter_free(meter, d->broken, pmap_stretches(mmu->pmap) * sizeof *d->broken);
	meter_free(meter, d->type, pages);
	meter_free(meter, d->refs, pages * sizeof *d->refs);
	meter_free(meter, d->writable, pages * sizeof *d->writable);
	slab_fini(&d->slab);
	cells_fini(&d->cells);
	free(d->table);
	free(d->version);
	free(d->node);
}

/* ---- tables ------------------------------------------------------------------- */

uint32_t derived_find(const struct derived *d, uint32_t page, unsigned level, unsigned view)
{
	uint32_t t = d->made[page];

	while (t && (d->table[t]->level != level || d->table[t]->view != view))
		t = d->table[t]->next;
	return t;
}

static void age_remove(struct derived *d, uint32_t table)
{
	struct dtable *t = d->table[table];

	*(t->older ? &d->table[t->older]->newer : &d->oldest) = t->newer;
	*(t->newer ? &d->table[t->newer]->older : &d->newest) = t->older;
}

static void age_append(struct derived *d, uint32_t table)
{
	struct dtable *t = d->table[table];

	t->older = d->newest;
	t->newer = 0;
	*(d->newest ? &d->table[d->newest]->newer : &d->oldest) = table;
	d->newest = table;
}

/* Room for twice as many tables. False without memory. */
static bool grow(struct derived *d)
{
	const uint32_t room = d->room ? 2 * d->room : 64;
	struct dtable **table =
		room <= UINT32_MAX >> 9 ? realloc(d->table, room * sizeof(*table)) : NULL;

	if (!table)
		return false;
	d->table = table;
	if (!cells_grow(&d->cells, &d->version, d->room, room))
		return false;
	d->room = room;
	return true;
}

/* An empty table, of no role yet. 0 without memory. */
uint32_t derived_new_table(struct derived *d)
{
	uint32_t n = d->free;

	if (!n && d->tables >= d->room && !grow(d))
		return 0;
	struct dtable *t = slab_take(&d->slab);
	if (!t)
		return 0;
	if (n)
		d->free = (uint32_t)(uintptr_t)d->table[n];
	else
		n = d->tables++;
	d->table[n] = t;
	t->version = d->version[n];
	*t->version = ++d->versions;
	t->used = true;
	d->live++;
	return n;
}

void derived_drop(struct derived *d, struct mmu *mmu, uint32_t table)
{
	struct dtable *t = d->table[table];

	d->loose = true;
	while (t->parents) {
		uint32_t where = d->node[t->parents].where;
		struct dtable *above = d->table[where >> 9];
		above->word[where & (PT_WORDS - 1)] = 0;
		derived_node_remove(d, &t->parents, where);
	}
	for (unsigned i = 0; i < PT_WORDS; i++)
		derived_clear(d, mmu, table, i, CAUSE_TABLE);
	if (!t->splinter) {
		uint32_t *p = &d->made[t->page];
		while (*p != table)
			p = &d->table[*p]->next;
		*p = t->next;
		d->tables_in[t->page / PT_LARGE] -= !d->made[t->page];
		age_remove(d, table);
	}
	d->unsynced -= t->unsync;
	d->gen++;
	d->live--;
	slab_give(&d->slab, t);
	d->table[table] = (struct dtable *)(uintptr_t)d->free;
	d->free = table;
}

void derived_drop_page(struct derived *d, struct mmu *mmu, uint32_t page)
{
	while (d->made[page])
		derived_drop(d, mmu, d->made[page]);
}

/* Shadows beyond the limit: the oldest goes, but the roots in use. */
void derived_make_room(struct derived *d, struct mmu *mmu)
{
	uint64_t limit = (uint64_t)mmu->opts.shadow_pages;
	bool any = false;

	if (d->direct || !limit)
		return;
	/* A walk needs four tables, and a splinter; the roots of both views stay. */
	for (uint32_t left = d->live; d->live >= max_u64(limit, 8) && left; left--) {
		uint32_t table = d->oldest;
		struct dtable *t = d->table[table];
		if (t->level == PT_LEVELS && t->page == mmu->root) {
			age_remove(d, table);
			age_append(d, table);
			continue;
		}
		derived_drop(d, mmu, table);
		mmu->stats.evicted++;
		any = true;
	}
	if (any)
		derived_flush(d, mmu);
}

uint32_t derived_make(struct derived *d, struct mmu *mmu, uint32_t page, unsigned level,
		      unsigned view)
{
	uint32_t n = derived_find(d, page, level, view);

	if (n)
		return n;
	n = derived_new_table(d);
	if (!n)
		return 0;
	struct dtable *t = d->table[n];
	bool first = !d->made[page];
	t->page = page;
	t->level = (uint8_t)level;
	t->view = (uint8_t)view;
	t->next = d->made[page];
	d->made[page] = n;
	age_append(d, n);
	if (!first)
		return n;
	/* A table from now on: leaves that let it be written lose that. */
	d->tables_in[page / PT_LARGE]++;
	derived_zap(d, mmu, page, true, CAUSE_TABLE);
	return n;
}

/* ---- following the guest --------------------------------------------------------- */

/* Whether a processor that finds the word may go on by it, in that view. */
static bool usable(const struct dtable *t, gpte_t g)
{
	return (g & GPTE_P) && !gpte_reserved(g, t->level) && (!t->view || (g & GPTE_U));
}

static bool page_ready(const struct mmu *mmu, uint64_t ppn)
{
	return pt_memory(&mmu->tables, ppn) && (mmu->pmap->pte[ppn] & PTE_R);
}

/* One word of one table, after the guest's word has become g. */
static void follow(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g)
{
	struct dtable *t = d->table[table];
	uint64_t ppn = gpte_ppn(g);

	if (!derived_is_leaf(t) || !usable(t, g) || !page_ready(mmu, ppn) ||
	    (!d->direct && !(g & GPTE_A)) || !derived_set_leaf(d, mmu, table, i, g, (uint32_t)ppn))
		derived_clear(d, mmu, table, i, CAUSE_TABLE);
}

void derived_follow(struct derived *d, struct mmu *mmu, uint32_t page, unsigned i)
{
	gpte_t g = pt_read(&mmu->tables, (ppn_t){page}, i);

	for (uint32_t t = d->made[page]; t; t = d->table[t]->next) {
		if (!d->table[t]->unsync)
			follow(d, mmu, t, i, g);
	}
}

void derived_resync(struct derived *d, struct mmu *mmu, uint32_t page)
{
	for (uint32_t t = d->made[page]; t; t = d->table[t]->next) {
		struct dtable *table = d->table[t];
		if (!table->unsync)
			continue;
		for (unsigned i = 0; i < PT_WORDS; i++) {
			if (table->word[i] & DW_P)
				follow(d, mmu, t, i, pt_read(&mmu->tables, (ppn_t){page}, i));
		}
		table->unsync = false;
		d->unsynced--;
		mmu->stats.resyncs++;
	}
	derived_zap(d, mmu, page, true, CAUSE_TABLE);
}

/* Leaves of 2 MiB break, where the page is one of theirs; its small ones come anew. */
static void zap_large(struct derived *d, struct mmu *mmu, uint32_t ppn, bool only_write,
		      enum large_cause cause)
{
	for (uint32_t n = d->large[ppn / PT_LARGE], next; n; n = next) {
		uint32_t where = d->node[n].where;
		uint64_t w = d->table[where >> 9]->word[where & (PT_WORDS - 1)];
		next = d->node[n].next;
		if (only_write && !(w & DW_W))
			continue;
		derived_clear(d, mmu, where >> 9, where & (PT_WORDS - 1), cause);
		mmu->stats.zaps++;
	}
}

void derived_zap(struct derived *d, struct mmu *mmu, uint32_t ppn, bool only_write,
		 enum large_cause cause)
{
	zap_large(d, mmu, ppn, only_write, cause);
	for (uint32_t n = d->leaves[ppn], next; n; n = next) {
		uint32_t where = d->node[n].where;
		uint64_t *w = &d->table[where >> 9]->word[where & (PT_WORDS - 1)];
		next = d->node[n].next;
		if (!only_write) {
			derived_clear(d, mmu, where >> 9, where & (PT_WORDS - 1), cause);
			mmu->stats.zaps++;
		} else if (*w & DW_W) {
			*w &= ~DW_W;
			*d->table[where >> 9]->version = ++d->versions;
			derived_unload(d, mmu, where >> 9, where & (PT_WORDS - 1));
		}
	}
}

void derived_gathered(struct derived *d, struct mmu *mmu, uint32_t ppn)
{
	for (uint32_t n = d->leaves[ppn], next; n; n = next) {
		uint32_t table = d->node[n].where >> 9;
		next = d->node[n].next;
		if (d->table[table]->splinter)
			derived_drop(d, mmu, table);
	}
}
