#include "pmap/derived.h"

#include "pmap/large.h"
#include "pmap/mmu_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EMULATED	2 /* of resolve(): *walk is there, for this once */
#define WHERE(table, i) ((table) << 9 | (i))
#define PATHS_MOST	64 /* words to follow up to find where a page is seen; more: all is flushed */

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

/* ---- lists of words --------------------------------------------------------- */

/* False without memory. */
static bool node_add(struct derived *d, uint32_t *head, uint32_t where)
{
	uint32_t n = d->node_free;

	if (n) {
		d->node_free = d->node[n].next;
	} else {
		if (d->nodes >= d->node_room) {
			uint32_t room = d->node_room ? 2 * d->node_room : 1024;
			struct dnode *list = realloc(d->node, room * sizeof *list);
			if (!list)
				return false;
			d->node = list;
			d->node_room = room;
		}
		n = d->nodes++;
	}
	d->node[n] = (struct dnode){where, *head};
	*head = n;
	return true;
}

static void node_remove(struct derived *d, uint32_t *head, uint32_t where)
{
	while (*head && d->node[*head].where != where)
		head = &d->node[*head].next;
	uint32_t n = *head;
	if (!n)
		return;
	*head = d->node[n].next;
	d->node[n].next = d->node_free;
	d->node_free = n;
}

/* ---- words -------------------------------------------------------------------- */

/*
 * Takes what a table translates at vpn, an address below it, out of the TLB, in each
 * space that leads there. False: there are more paths than it pays to follow.
 */
static bool unload_by(const struct derived *d, struct mmu *mmu, uint32_t table, uint64_t vpn,
		      unsigned *left)
{
	const struct dtable *t = d->table[table];

	if (!*left)
		return false;
	--*left;
	if (t->level == PT_LEVELS) {
		mmu_drop_page(mmu, t->page | (uint64_t)t->view << 32, vpn);
		mmu->stats.zap_pages++;
		return true;
	}
	for (uint32_t n = t->parents; n; n = d->node[n].next) {
		uint32_t where = d->node[n].where;
		uint64_t i = where & (PT_WORDS - 1);
		if (!unload_by(d, mmu, where >> 9, vpn | i << 9 * t->level, left))
			return false;
	}
	return true;
}

void derived_flush(struct derived *d, struct mmu *mmu)
{
	mmu_zap_all(mmu);
	d->loose = false;
}

/* What word i of a table translates leaves the TLB. */
static void unload(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i)
{
	uint64_t vpn = (uint64_t)i << 9 * (d->table[table]->level - 1);
	unsigned left = PATHS_MOST;

	if (d->loose || !unload_by(d, mmu, table, vpn, &left))
		derived_flush(d, mmu);
}

/* Empties a word, whatever it says. A splinter goes with the word that points to it. */
static void clear(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i,
		  enum large_cause cause)
{
	struct dtable *t = d->table[table];
	uint64_t w = t->word[i];

	if (!(w & DW_P))
		return;
	t->word[i] = 0;
	if (derived_is_leaf(t)) {
		*t->version = ++d->versions;
		node_remove(d, &d->leaves[t->ppn[i]], WHERE(table, i));
		unload(d, mmu, table, i); /* while it can be found */
		return;
	}
	d->gen++;
	if (w & DW_PS) {
		node_remove(d, &d->large[t->ppn[i] / PT_LARGE], WHERE(table, i));
		d->broken[t->ppn[i] / PT_LARGE] = true;
		d->larges--;
		large_broken(mmu, cause);
		unload(d, mmu, table, i);
		return;
	}
	d->loose = true;
	struct dtable *child = d->table[derived_child(w)];
	node_remove(d, &child->parents, WHERE(table, i));
	if (child->splinter)
		derived_drop(d, mmu, derived_child(w));
}

/*
 * A leaf that maps ppn by the guest's word, now. The page is resident. In a shadow
 * a write must come here first while the guest's word is not dirty; in direct the
 * processor sets that bit itself.
 */
static bool set_leaf(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		     uint32_t ppn)
{
	struct dtable *t = d->table[table];
	pte_t p = mmu->pmap->pte[ppn];
	uint64_t w = DW_P | (uint64_t)pte_value(p) << PAGE_SHIFT |
		     (uint64_t)gpte_rights(g) << DW_R_AT | (p & PTE_W ? DW_HOSTW : 0);

	if ((g & GPTE_W) && (p & PTE_W) && (d->direct || (g & GPTE_D)) &&
	    !derived_protected(d, ppn))
		w |= DW_W;
	if (t->word[i] & DW_P && t->ppn[i] != ppn)
		clear(d, mmu, table, i, CAUSE_TABLE);
	if (!(t->word[i] & DW_P) && !node_add(d, &d->leaves[ppn], WHERE(table, i)))
		return false;
	bool less = t->word[i] & ~w & DW_W;
	if (t->word[i] & DW_P && t->word[i] != w)
		*t->version = ++d->versions;
	t->word[i] = w;
	t->ppn[i] = ppn;
	if (less)
		unload(d, mmu, table, i);
	return true;
}

/* The same for 2 MiB from page base on, of a stretch that is whole. */
static bool set_large(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		      uint32_t base)
{
	struct dtable *t = d->table[table];
	uint64_t w = DW_P | DW_PS | DW_HOSTW |
		     (uint64_t)pte_value(mmu->pmap->pte[base]) << PAGE_SHIFT |
		     (uint64_t)gpte_rights(g) << DW_R_AT;

	if ((g & GPTE_W) && (d->direct || (g & GPTE_D)))
		w |= DW_W;
	if (t->word[i] & DW_P && (!(t->word[i] & DW_PS) || t->ppn[i] != base))
		clear(d, mmu, table, i, CAUSE_TABLE);
	if (!(t->word[i] & DW_P)) {
		if (!node_add(d, &d->large[base / PT_LARGE], WHERE(table, i)))
			return false;
		large_made(mmu, d->broken[base / PT_LARGE]);
		d->larges++;
	}
	bool less = t->word[i] & ~w & DW_W;
	t->word[i] = w;
	t->ppn[i] = base;
	if (less)
		unload(d, mmu, table, i);
	return true;
}

static bool set_child(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		      uint32_t child)
{
	struct dtable *t = d->table[table];
	uint64_t rights = (uint64_t)gpte_rights(g) << DW_R_AT;

	if (t->word[i] & DW_P && (t->word[i] & DW_PS || derived_child(t->word[i]) != child))
		clear(d, mmu, table, i, CAUSE_TABLE);
	if (!(t->word[i] & DW_P) && !node_add(d, &d->table[child]->parents, WHERE(table, i)))
		return false;
	t->word[i] = DW_P | (uint64_t)child << PAGE_SHIFT | rights;
	return true;
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
	uint64_t **version = realloc(d->version, room * sizeof(*version));
	if (!version)
		return false;
	d->version = version;
	uint64_t *cells = cells_add(&d->cells, room - d->room);
	if (!cells)
		return false;
	for (uint32_t i = d->room; i < room; i++)
		version[i] = cells++;
	d->room = room;
	return true;
}

/* An empty table, of no role yet. 0 without memory. */
static uint32_t new_table(struct derived *d)
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
		node_remove(d, &t->parents, where);
	}
	for (unsigned i = 0; i < PT_WORDS; i++)
		clear(d, mmu, table, i, CAUSE_TABLE);
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
static void make_room(struct derived *d, struct mmu *mmu)
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
	n = new_table(d);
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
	    (!d->direct && !(g & GPTE_A)) || !set_leaf(d, mmu, table, i, g, (uint32_t)ppn))
		clear(d, mmu, table, i, CAUSE_TABLE);
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
		clear(d, mmu, where >> 9, where & (PT_WORDS - 1), cause);
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
			clear(d, mmu, where >> 9, where & (PT_WORDS - 1), cause);
			mmu->stats.zaps++;
		} else if (*w & DW_W) {
			*w &= ~DW_W;
			*d->table[where >> 9]->version = ++d->versions;
			unload(d, mmu, where >> 9, where & (PT_WORDS - 1));
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

/* ---- walks -------------------------------------------------------------------------- */

/* The table of a page's leaf, of level 1 or 2, by the words above it; 0 where one is missing. */
static uint32_t descend(const struct derived *d, const struct mmu *mmu, uint64_t vpn, unsigned view,
			unsigned *level, unsigned *rights)
{
	uint32_t table = derived_find(d, (uint32_t)mmu->root, PT_LEVELS, view);

	*rights = PT_R_ALL;
	for (*level = PT_LEVELS; table && *level > 1; --*level) {
		uint64_t w = d->table[table]->word[pt_index(vpn, *level)];
		if (!(w & DW_P))
			return 0;
		*rights &= (unsigned)(w >> DW_R_AT) & PT_R_ALL;
		if (w & DW_PS)
			return table;
		table = derived_child(w);
	}
	return table;
}

/* Whether the region's records go by the words of its table as they are. */
static inline bool knows_table(const struct derived *d, const struct tlb_region *r)
{
	return r->derived_gen == d->gen && r->version == *r->version_at;
}

/* A splinter: leaves of its own for a large leaf of the guest. */
static uint32_t new_splinter(struct derived *d, uint32_t base)
{
	uint32_t n = new_table(d);

	if (n) {
		d->table[n]->page = base;
		d->table[n]->level = 1;
		d->table[n]->splinter = true;
	}
	return n;
}

static bool may_be_large(const struct derived *d, const struct mmu *mmu, uint32_t ppn)
{
	return mmu->opts.large && !d->tables_in[ppn / PT_LARGE] &&
	       large_whole(mmu->pmap, (ppn_t){ppn});
}

/* Makes the words on the way to a page that the guest maps by g, and its leaf. */
static bool fill(struct derived *d, struct mmu *mmu, struct tlb_region *r,
		 const struct pt_path *path, uint64_t vpn, unsigned view)
{
	make_room(d, mmu);
	uint32_t table = derived_make(d, mmu, path->table[PT_LEVELS], PT_LEVELS, view);

	for (unsigned level = PT_LEVELS; table && level > 1; level--) {
		unsigned i = pt_index(vpn, level);
		uint64_t w = d->table[table]->word[i];
		bool large = level == path->level;
		if (large && may_be_large(d, mmu, path->ppn))
			return set_large(d, mmu, table, i,
					 pt_read(&mmu->tables, (ppn_t){path->table[2]}, i),
					 path->ppn & ~(PT_LARGE - 1));
		uint32_t child = (w & DW_P) && !(w & DW_PS) ? derived_child(w) : 0;
		if (!child)
			child = large ? new_splinter(d, path->ppn & ~(PT_LARGE - 1))
				      : derived_make(d, mmu, path->table[level - 1], level - 1,
						     view);
		if (!child || !set_child(d, mmu, table, i, path->word[level], child))
			return false;
		table = child;
	}
	gpte_t g = pt_read(&mmu->tables, (ppn_t){path->table[path->level]},
			   pt_index(vpn, path->level));
	if (!table)
		return false;
	/* The region's records know the table's words: of this one theirs will be filled anew. */
	const struct dtable *t = d->table[table];
	bool known = knows_table(d, r) && r->derived_table == t;
	if (!set_leaf(d, mmu, table, pt_index(vpn, 1), g, path->ppn))
		return false;
	if (known)
		r->version = *t->version;
	return true;
}

/* The processor found no word that allows the access: an exit. */
static int resolve(struct mmu *mmu, struct derived *d, struct tlb_region *r, uint64_t vpn,
		   enum access access, unsigned view, struct mmu_walk *walk,
		   struct mmu_fault *fault, struct err *err)
{
	const bool write = access == ACCESS_WRITE;
	struct guest_walk g;
	struct pt_path path;

	mmu->stats.exits++;
	guest_walk(mmu, r, vpn, write, &g);
	if (g.why != PT_MAPPED) {
		mmu->stats.true_faults++;
		return mmu_guest_fault(mmu, &g, vpn, write, fault);
	}
	mmu->stats.hidden_faults++;
	int rc = mmu_ensure(mmu, g.ppn, access, err);
	if (rc)
		return rc;
	guest_mark(mmu, &g, write);
	/* Data where a table was shadowed: it is no table any more. */
	if (write && !d->direct && derived_protected(d, g.ppn)) {
		derived_drop_page(d, mmu, g.ppn);
		derived_flush(d, mmu);
	}
	pt_walk(&mmu->tables, (uint32_t)mmu->root, vpn, write, mmu->user, &path);
	if (!fill(d, mmu, r, &path, vpn, view))
		return err_run(err, ENOMEM, "no memory for shadow tables");
	if (!write || d->direct || !derived_protected(d, g.ppn))
		return 0;
	/* A table that is on the way to itself: the write is emulated, each time. */
	pte_t p = mmu->pmap->pte[g.ppn];
	mmu->stats.pt_writes++;
	*walk = (struct mmu_walk){.ppn = g.ppn, .mpn = pte_value(p), .part = g.level == 2};
	walk->rights = (uint8_t)(g.rights | (p & PTE_W ? TLB_HOST_W : 0));
	return EMULATED;
}

/* A large leaf, if it allows the access. */
static bool walk_large(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, bool write,
		       const struct dtable *t, unsigned rights, struct mmu_walk *walk)
{
	const unsigned from = walk_from(mmu, r, vpn, 2), i = pt_index(vpn, 2);
	const uint64_t w = t->word[i];

	mmu->stats.walk_refs += from - 2 + 1;
	walk_filled(mmu, r, vpn, from, 2);
	if ((mmu->user && !(rights & PT_R_U)) || (write && !((w & DW_W) && (rights & PT_R_W))))
		return false;
	*walk = (struct mmu_walk){
		.ppn = t->ppn[i] + (vpn & (PT_LARGE - 1)),
		.mpn = (uint32_t)(w >> PAGE_SHIFT) + (vpn & (PT_LARGE - 1)),
		.rights = (uint8_t)(rights | TLB_HOST_W),
		.dirty = w & DW_W,
		.large = true,
	};
	return true;
}

/* The same by the region's last-level table, if it is known. */
static inline bool walk_small(struct mmu *mmu, const struct derived *d, struct tlb_region *r,
			      uint64_t vpn, bool write, unsigned level, struct mmu_walk *walk)
{
	const unsigned i = vpn & (PT_WORDS - 1), from = walk_from(mmu, r, vpn, 1);

	mmu->stats.walk_refs += from >= level ? from - level + 1 : 0;
	if (unlikely(!r->derived_gen))
		return false;
	const struct dtable *t = d->table[r->derived];
	r->derived_table = t;
	if (mmu->run)
		tlb_see_version(r, t->version);
	uint64_t w = t->word[i];
	unsigned rights = (unsigned)(w >> DW_R_AT) & r->derived_rights;
	walk_filled(mmu, r, vpn, from, 1);
	if (unlikely(!(w & DW_P) || (mmu->user && !(rights & PT_R_U)) ||
		     (write && !((w & DW_W) && (rights & PT_R_W)))))
		return false;
	walk->ppn = t->ppn[i];
	walk->mpn = (uint32_t)(w >> PAGE_SHIFT);
	walk->rights = (uint8_t)(rights | (w & DW_HOSTW ? TLB_HOST_W : 0));
	walk->dirty = w & DW_W;
	walk->part = t->splinter;
	walk->again = !t->splinter;
	return true;
}

int derived_walk(struct mmu *mmu, struct derived *d, struct tlb_region *r, uint64_t vpn,
		 enum access access, struct mmu_walk *walk, struct mmu_fault *fault,
		 struct err *err)
{
	const unsigned view = (unsigned)(mmu->space >> 32);
	const bool write = access == ACCESS_WRITE;

	for (;;) {
		uint32_t large = 0;
		unsigned level = 1;
		if (unlikely(r->derived_gen != d->gen)) {
			const unsigned rights = r->derived_rights;
			r->derived = descend(d, mmu, vpn, view, &level, &r->derived_rights);
			large = level == 2 ? r->derived : 0;
			r->derived_gen = r->derived && !large ? d->gen : 0;
			if (r->derived_rights != rights)
				tlb_forget(r);
		}
		if (likely(!large) ? walk_small(mmu, d, r, vpn, write, level, walk)
				   : walk_large(mmu, r, vpn, write, d->table[large],
						r->derived_rights, walk))
			return 0;
		int rc = resolve(mmu, d, r, vpn, access, view, walk, fault, err);
		if (rc)
			return rc == EMULATED ? 0 : rc;
	}
}

struct again {
	const struct mmu *mmu;
	uint64_t gen, sum;
};

static inline __attribute__((always_inline)) bool walk_again(void *mode, struct mmu_walks *w,
							     struct tlb_region *r,
							     const struct tlb_rec *rec,
							     uint64_t made)
{
	const struct again *a = mode;

	(void)rec;
	/* Tables as they were, and a walk cache that knows where the one above the last is. */
	if (unlikely(r->ready != a->sum)) {
		if (r->derived_gen != a->gen)
			return false;
		if (walk_from_known(a->mmu, r))
			r->ready = a->sum;
		else if (r->pde_until < w->pde.next)
			return false;
	}
	w->refs -= made + mmu_fifo_fill(&w->pde, &r->pde_until, made);
	return true;
}

void derived_run(struct mmu *mmu, struct mmu_row *row)
{
	const struct derived *d = mmu->state;
	struct again a = {mmu, d->gen, d->gen + mmu->pdpte.changes};

	mmu_run_by(mmu, row, &a, walk_again);
}
