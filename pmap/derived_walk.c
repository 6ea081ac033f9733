/* Walks by derived tables: the processor's, and what an exit makes for the next. */
#include "pmap/derived.h"

#include "pmap/large.h"
#include "pmap/mmu_run.h"

#include <errno.h>

#define EMULATED 2 /* of resolve(): *walk is there, for this once */

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
	uint32_t n = derived_new_table(d);

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
	derived_make_room(d, mmu);
	uint32_t table = derived_make(d, mmu, path->table[PT_LEVELS], PT_LEVELS, view);

	for (unsigned level = PT_LEVELS; table && level > 1; level--) {
		unsigned i = pt_index(vpn, level);
		uint64_t w = d->table[table]->word[i];
		bool large = level == path->level;
		if (large && may_be_large(d, mmu, path->ppn))
			return derived_set_large(d, mmu, table, i,
						 pt_read(&mmu->tables, (ppn_t){path->table[2]}, i),
						 path->ppn & ~(PT_LARGE - 1));
		uint32_t child = (w & DW_P) && !(w & DW_PS) ? derived_child(w) : 0;
		if (!child)
			child = large ? new_splinter(d, path->ppn & ~(PT_LARGE - 1))
				      : derived_make(d, mmu, path->table[level - 1], level - 1,
						     view);
		if (!child || !derived_set_child(d, mmu, table, i, path->word[level], child))
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
	if (!derived_set_leaf(d, mmu, table, pt_index(vpn, 1), g, path->ppn))
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
