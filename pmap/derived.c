#include "pmap/derived.h"

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
	if (direct) {
		d->type = meter_alloc(meter, pages);
		d->refs = meter_alloc(meter, pages * sizeof *d->refs);
		d->writable = meter_alloc(meter, pages * sizeof *d->writable);
	}
	if (d->leaves && d->made && (!direct || (d->type && d->refs && d->writable)))
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
	meter_free(meter, d->type, pages);
	meter_free(meter, d->refs, pages * sizeof *d->refs);
	meter_free(meter, d->writable, pages * sizeof *d->writable);
	slab_fini(&d->slab);
	free(d->table);
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

static bool is_leaf(const struct dtable *t)
{
	return t->level == 1;
}

static uint32_t child_of(uint64_t w)
{
	return (uint32_t)(w >> PAGE_SHIFT);
}

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
	unsigned left = PATHS_MOST;

	if (d->loose || !unload_by(d, mmu, table, i, &left))
		derived_flush(d, mmu);
}

/* Empties a word, whatever it says. A splinter goes with the word that points to it. */
static void clear(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i)
{
	struct dtable *t = d->table[table];
	uint64_t w = t->word[i];

	if (!(w & DW_P))
		return;
	t->word[i] = 0;
	if (is_leaf(t)) {
		t->version = ++d->versions;
		node_remove(d, &d->leaves[t->ppn[i]], WHERE(table, i));
		unload(d, mmu, table, i); /* while it can be found */
		return;
	}
	d->gen++;
	d->loose = true;
	struct dtable *child = d->table[child_of(w)];
	node_remove(d, &child->parents, WHERE(table, i));
	if (child->splinter)
		derived_drop(d, mmu, child_of(w));
}

static bool protected(const struct derived *d, uint32_t ppn)
{
	if (d->direct)
		return d->type[ppn] != 0;
	for (uint32_t t = d->made[ppn]; t; t = d->table[t]->next) {
		if (!d->table[t]->unsync)
			return true;
	}
	return false;
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

	if ((g & GPTE_W) && (p & PTE_W) && (d->direct || (g & GPTE_D)) && !protected(d, ppn))
		w |= DW_W;
	if (t->word[i] & DW_P && t->ppn[i] != ppn)
		clear(d, mmu, table, i);
	if (!(t->word[i] & DW_P) && !node_add(d, &d->leaves[ppn], WHERE(table, i)))
		return false;
	bool less = t->word[i] & ~w & DW_W;
	if (t->word[i] & DW_P && t->word[i] != w)
		t->version = ++d->versions;
	t->word[i] = w;
	t->ppn[i] = ppn;
	if (less)
		unload(d, mmu, table, i);
	return true;
}

static bool set_child(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		      uint32_t child)
{
	struct dtable *t = d->table[table];
	uint64_t rights = (uint64_t)gpte_rights(g) << DW_R_AT;

	if (t->word[i] & DW_P && child_of(t->word[i]) != child)
		clear(d, mmu, table, i);
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

/* An empty table, of no role yet. 0 without memory. */
static uint32_t new_table(struct derived *d)
{
	uint32_t n = d->free;
	struct dtable *t = slab_take(&d->slab);

	if (!t)
		return 0;
	if (n) {
		d->free = (uint32_t)(uintptr_t)d->table[n];
	} else {
		if (d->tables >= d->room) {
			uint32_t room = d->room ? 2 * d->room : 64;
			struct dtable **list = room <= UINT32_MAX >> 9
						       ? realloc(d->table, room * sizeof(*list))
						       : NULL;
			if (!list) {
				slab_give(&d->slab, t);
				return 0;
			}
			d->table = list;
			d->room = room;
		}
		n = d->tables++;
	}
	d->table[n] = t;
	t->version = ++d->versions;
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
		clear(d, mmu, table, i);
	if (!t->splinter) {
		uint32_t *p = &d->made[t->page];
		while (*p != table)
			p = &d->table[*p]->next;
		*p = t->next;
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
	if (first) /* a table from now on: leaves that let it be written lose that */
		derived_zap(d, mmu, page, true);
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

	if (!is_leaf(t) || !usable(t, g) || !page_ready(mmu, ppn) ||
	    (!d->direct && !(g & GPTE_A)) || !set_leaf(d, mmu, table, i, g, (uint32_t)ppn))
		clear(d, mmu, table, i);
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
	derived_zap(d, mmu, page, true);
}

void derived_zap(struct derived *d, struct mmu *mmu, uint32_t ppn, bool only_write)
{
	for (uint32_t n = d->leaves[ppn], next; n; n = next) {
		uint32_t where = d->node[n].where;
		uint64_t *w = &d->table[where >> 9]->word[where & (PT_WORDS - 1)];
		next = d->node[n].next;
		if (!only_write) {
			clear(d, mmu, where >> 9, where & (PT_WORDS - 1));
			mmu->stats.zaps++;
		} else if (*w & DW_W) {
			*w &= ~DW_W;
			d->table[where >> 9]->version = ++d->versions;
			unload(d, mmu, where >> 9, where & (PT_WORDS - 1));
		}
	}
}

/* ---- walks -------------------------------------------------------------------------- */

/* The last-level table of a page, by the words above it; 0 where one is missing. */
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
		table = child_of(w);
	}
	return table;
}

/* Whether the region's records go by the words of its table as they are. */
static inline bool knows_table(const struct derived *d, const struct tlb_region *r)
{
	return r->derived_gen == d->gen && r->version == r->derived_table->version;
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
		uint32_t child = w & DW_P ? child_of(w) : 0;
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
		r->version = t->version;
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
	if (write && !d->direct && protected(d, g.ppn)) {
		derived_drop_page(d, mmu, g.ppn);
		derived_flush(d, mmu);
	}
	pt_walk(&mmu->tables, (uint32_t)mmu->root, vpn, write, mmu->user, &path);
	if (!fill(d, mmu, r, &path, vpn, view))
		return err_run(err, ENOMEM, "no memory for shadow tables");
	if (!write || d->direct || !protected(d, g.ppn))
		return 0;
	/* A table that is on the way to itself: the write is emulated, each time. */
	pte_t p = mmu->pmap->pte[g.ppn];
	mmu->stats.pt_writes++;
	*walk = (struct mmu_walk){.ppn = g.ppn, .mpn = pte_value(p), .part = g.level == 2};
	walk->rights = (uint8_t)(g.rights | (p & PTE_W ? TLB_HOST_W : 0));
	return EMULATED;
}

int derived_walk(struct mmu *mmu, struct derived *d, struct tlb_region *r, uint64_t vpn,
		 enum access access, struct mmu_walk *walk, struct mmu_fault *fault,
		 struct err *err)
{
	const unsigned i = vpn & (PT_WORDS - 1), view = (unsigned)(mmu->space >> 32);
	const bool write = access == ACCESS_WRITE;

	for (;;) {
		unsigned level = 1, from = walk_from(mmu, r, vpn, 1);
		if (unlikely(r->derived_gen != d->gen)) {
			const unsigned rights = r->derived_rights;
			r->derived = descend(d, mmu, vpn, view, &level, &r->derived_rights);
			r->derived_gen = r->derived ? d->gen : 0;
			if (r->derived_rights != rights)
				tlb_forget(r);
		}
		mmu->stats.walk_refs += from >= level ? from - level + 1 : 0;
		if (likely(r->derived_gen)) {
			const struct dtable *t = d->table[r->derived];
			r->derived_table = t;
			tlb_see_version(r, t->version);
			uint64_t w = t->word[i];
			unsigned rights = (unsigned)(w >> DW_R_AT) & r->derived_rights;
			walk_filled(mmu, r, vpn, from, 1);
			if (likely((w & DW_P) && (!mmu->user || (rights & PT_R_U)) &&
				   (!write || ((w & DW_W) && (rights & PT_R_W))))) {
				walk->ppn = t->ppn[i];
				walk->mpn = (uint32_t)(w >> PAGE_SHIFT);
				walk->rights = (uint8_t)(rights | (w & DW_HOSTW ? TLB_HOST_W : 0));
				walk->dirty = w & DW_W;
				walk->part = t->splinter;
				walk->again = !t->splinter;
				return 0;
			}
		}
		int rc = resolve(mmu, d, r, vpn, access, view, walk, fault, err);
		if (rc)
			return rc == EMULATED ? 0 : rc;
	}
}

static bool walk_again(struct mmu *mmu, void *tables, struct tlb_region *r,
		       const struct tlb_rec *rec, uint64_t vpn)
{
	(void)rec;
	if (unlikely(!knows_table(tables, r)))
		return false;
	const unsigned from = walk_from(mmu, r, vpn, 1);
	mmu->stats.walk_refs += from;
	walk_filled(mmu, r, vpn, from, 1);
	return true;
}

bool derived_again(struct mmu *mmu, struct tlb_region *r, struct tlb_rec *rec, uint64_t vpn,
		   enum access access)
{
	return mmu_again_by(mmu, mmu->state, r, rec, vpn, access, walk_again);
}

/* ---- audit ----------------------------------------------------------------------------- */

static size_t audit_leaf(const struct derived *d, struct mmu *mmu, const struct dtable *t,
			 unsigned i, FILE *out)
{
	uint64_t w = t->word[i];
	uint32_t ppn = t->ppn[i];
	pte_t p = mmu->pmap->pte[ppn];
	gpte_t g = t->splinter ? 0 : pt_read(&mmu->tables, (ppn_t){t->page}, i);
	bool host = (p & PTE_R) && pte_resident(p) && pte_value(p) == (uint32_t)(w >> PAGE_SHIFT) &&
		    (!(w & DW_W) || ((p & PTE_W) && !protected(d, ppn)));
	bool guest = t->splinter ? ppn == t->page + i
				 : t->unsync || ((g & GPTE_P) && gpte_ppn(g) == ppn &&
						 (!(w & DW_W) || (g & GPTE_W)));

	if (host && guest)
		return 0;
	fprintf(out, "%s: vm %s: a table made from page %u has page %u at word %u, %s says not\n",
		mmu->mode->policy.name, mmu->pmap->vm->name, t->page, ppn, i,
		host ? "the guest's" : "the pmap");
	return 1;
}

size_t derived_audit(const struct derived *d, struct mmu *mmu, FILE *out)
{
	uint64_t leaves = 0, nodes = 0;
	size_t bad = 0;

	for (uint32_t page = 0; page < mmu->pmap->pages; page++) {
		for (uint32_t n = d->leaves[page]; n; n = d->node[n].next) {
			uint32_t where = d->node[n].where;
			const struct dtable *t = d->table[where >> 9];
			nodes++;
			if ((t->word[where & 511] & DW_P) && t->ppn[where & 511] == page)
				continue;
			fprintf(out, "%s: vm %s: page %u is listed at a word that has it not\n",
				mmu->mode->policy.name, mmu->pmap->vm->name, page);
			bad++;
		}
		for (uint32_t t = d->made[page]; t; t = d->table[t]->next) {
			const struct dtable *table = d->table[t];
			for (unsigned i = 0; i < PT_WORDS; i++) {
				if (!(table->word[i] & DW_P))
					continue;
				const struct dtable *leaf = table;
				if (!is_leaf(table)) {
					leaf = d->table[child_of(table->word[i])];
					for (unsigned j = 0; leaf->splinter && j < PT_WORDS; j++) {
						if (leaf->word[j] & DW_P) {
							leaves++;
							bad += audit_leaf(d, mmu, leaf, j, out);
						}
					}
					continue;
				}
				leaves++;
				bad += audit_leaf(d, mmu, leaf, i, out);
			}
		}
	}
	if (leaves != nodes) {
		fprintf(out, "%s: vm %s: %llu leaves, %llu listed by their pages\n",
			mmu->mode->policy.name, mmu->pmap->vm->name, (unsigned long long)leaves,
			(unsigned long long)nodes);
		bad++;
	}
	return bad;
}
