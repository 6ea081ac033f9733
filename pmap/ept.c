/*
 * ept: the processor walks the guest's tables and, for each address that it finds
 * there, a table of PPN to MPN (Intel SDM vol. 3C, chapter 29; Bhargava et al.,
 * "Accelerating two-dimensional page walks", ASPLOS 2008).
 *
 * A guest's physical addresses are dense, so that the tables of a level are laid
 * out in a row: the radix tree's index is the PPN itself.
 */
#include "pmap/large.h"
#include "pmap/mmu_run.h"

#include <errno.h>
#include <stdlib.h>

int ept_init(struct ept *e, struct mmu *mmu)
{
	struct meter *meter = &mmu->pmap->vm->host->meter;
	uint32_t pages = mmu->pmap->pages;

	*e = (struct ept){
		.pages = pages,
		.dirs = (uint32_t)(((uint64_t)pages + PT_LARGE - 1) / PT_LARGE),
		.entries = (uint32_t)mmu->opts.pde_cache,
		.nested_entries = (uint32_t)mmu->opts.nested_tlb,
	};
	e->next = e->nested_next = 1;
	e->l3.changes = 1;
	e->l3.n = e->l4.n = (uint32_t)mmu->opts.pdpte_cache;
	e->leaf = meter_alloc(meter, pages * sizeof *e->leaf);
	e->dir = meter_alloc(meter, e->dirs * sizeof *e->dir);
	if (e->nested_entries)
		e->until = meter_alloc(meter, pages * sizeof *e->until);
	if (e->leaf && e->dir && (e->until || !e->nested_entries))
		return 0;
	ept_fini(e, mmu);
	return -ENOMEM;
}

void ept_fini(struct ept *e, struct mmu *mmu)
{
	struct meter *meter = &mmu->pmap->vm->host->meter;

	meter_free(meter, e->leaf, e->pages * sizeof *e->leaf);
	meter_free(meter, e->until, e->pages * sizeof *e->until);
	meter_free(meter, e->dir, e->dirs * sizeof *e->dir);
}

void ept_zap_all(struct ept *e, struct mmu *mmu)
{
	if (!mmu_zap_all(mmu))
		return;
	e->next += e->entries; /* as if so many fills had come that nothing stays */
	e->nested_next += e->nested_entries;
	cache_flush(&e->l3);
	cache_flush(&e->l4);
}

void ept_map(struct ept *e, struct mmu *mmu, uint32_t ppn)
{
	struct ept_dir *d = &e->dir[ppn / PT_LARGE];
	pte_t p = mmu->pmap->pte[ppn];
	/* Without R the page is sampled: a walk may use it, a touch must come to the pmap. */
	uint64_t flags =
		EPT_R | (p & PTE_R ? EPT_X : 0) | (pte_state(p) == PAGE_PRIVATE ? EPT_W : 0);

	if (!(e->leaf[ppn] & EPT_R))
		d->present++;
	e->leaf[ppn] =
		(e->leaf[ppn] & (EPT_A | EPT_D)) | (uint64_t)pte_value(p) << PAGE_SHIFT | flags;
	if (mmu->opts.large && pte_value(p) % PT_LARGE == ppn % PT_LARGE)
		ept_gather(e, mmu, ppn);
}

void ept_gather(struct ept *e, struct mmu *mmu, uint32_t ppn)
{
	struct ept_dir *d = &e->dir[ppn / PT_LARGE];
	const uint32_t base = ppn & ~(PT_LARGE - 1);

	if (d->word || !d->present || !large_whole(mmu->pmap, (ppn_t){ppn}))
		return;
	d->word = (uint64_t)pte_value(mmu->pmap->pte[base]) << PAGE_SHIFT | EPT_LARGE | EPT_R |
		  EPT_W | EPT_X;
	for (uint32_t i = base; i < base + PT_LARGE; i++) {
		d->word |= e->leaf[i] & (EPT_A | EPT_D);
		e->leaf[i] = 0;
	}
	d->present = 0;
	d->l3_seen = 0;
	large_made(mmu, d->broken);
}

/* 2 MiB become 512 leaves. */
static void break_large(struct ept *e, struct mmu *mmu, uint32_t ppn, enum large_cause cause)
{
	struct ept_dir *d = &e->dir[ppn / PT_LARGE];
	uint32_t base = ppn & ~(PT_LARGE - 1);

	for (uint32_t i = 0; i < PT_LARGE; i++)
		e->leaf[base + i] = (d->word & ~EPT_LARGE) + ((uint64_t)i << PAGE_SHIFT);
	d->word = 0;
	d->present = PT_LARGE;
	d->broken = true;
	large_broken(mmu, cause);
}

bool ept_unmap(struct ept *e, struct mmu *mmu, uint32_t ppn)
{
	struct ept_dir *d = &e->dir[ppn / PT_LARGE];

	if (d->word)
		break_large(e, mmu, ppn, large_cause_of(mmu, ppn));
	uint64_t was = e->leaf[ppn];
	if (!(was & EPT_R))
		return false;
	e->leaf[ppn] = 0;
	d->present--;
	mmu->stats.zaps++;
	return was & EPT_A;
}

bool ept_clean(struct ept *e, struct mmu *mmu, uint32_t ppn)
{
	if (e->dir[ppn / PT_LARGE].word)
		break_large(e, mmu, ppn, CAUSE_HARVESTED);
	uint64_t was = e->leaf[ppn] & (EPT_A | EPT_D);
	e->leaf[ppn] &= ~was;
	return was;
}

uint64_t ept_tables(const struct ept *e)
{
	uint64_t tables = 1, l3 = UINT64_MAX, l4 = UINT64_MAX;

	for (uint32_t i = 0; i < e->dirs; i++) {
		if (!e->dir[i].word && !e->dir[i].present)
			continue;
		tables += e->dir[i].present != 0;
		tables += i >> 9 != l3;
		tables += i >> 18 != l4;
		l3 = i >> 9;
		l4 = i >> 18;
	}
	return tables;
}

/* References to the upper tables, down to where the dir's entry is read. */
static uint64_t upper_refs(struct ept *e, uint32_t ppn)
{
	uint64_t l3 = ppn >> 18, l4 = ppn >> 27, refs;

	if (cache_has(&e->l3, l3))
		return 1;
	refs = cache_has(&e->l4, l4) ? 2 : 3;
	cache_put(&e->l3, l3);
	cache_put(&e->l4, l4);
	return refs;
}

static inline bool dir_holds(const struct ept *e, const struct ept_dir *d)
{
	return d->until >= e->next;
}

static inline bool nested_holds(const struct ept *e, uint32_t ppn)
{
	return e->nested_entries && e->until[ppn] >= e->nested_next;
}

/* Translates one PPN; adds its references. False: a violation. */
static inline bool nested(struct ept *e, uint32_t ppn, uint64_t need, uint64_t *refs)
{
	const bool write = need & EPT_W;
	struct ept_dir *d = &e->dir[ppn / PT_LARGE];
	uint64_t *w = d->word ? &d->word : &e->leaf[ppn];
	uint64_t set = EPT_A | (write ? EPT_D : 0);

	if (nested_holds(e, ppn) && (*w & (need | set)) == (need | set))
		return true;
	if (dir_holds(e, d) && !d->word) {
		*refs += 1;
	} else {
		*refs += upper_refs(e, ppn);
		if (!d->word && d->present) {
			*refs += 1;
			if (e->entries)
				d->until = e->next++ + e->entries;
		}
	}
	if (unlikely(d->l3_seen != e->l3.changes) && !d->word && cache_has(&e->l3, ppn >> 18))
		d->l3_seen = e->l3.changes;
	if (unlikely((*w & need) != need))
		return false;
	if ((*w & set) != set)
		*w |= set;
	if (e->nested_entries)
		e->until[ppn] = e->nested_next++ + e->nested_entries;
	return true;
}

int ept_walk_by(struct mmu *mmu, struct ept *e, ept_violation_fn *violation, struct tlb_region *r,
		uint64_t vpn, enum access access, struct mmu_walk *walk, struct mmu_fault *fault,
		struct err *err)
{
	const bool write = access == ACCESS_WRITE;
	const uint64_t need = EPT_R | EPT_X | (write ? EPT_W : 0);
	struct guest_walk g;
	uint64_t refs = 0;
	int rc = 0;

	for (;;) {
		guest_walk(mmu, r, vpn, write, &g);
		const unsigned from = walk_from(mmu, r, vpn, g.level);
		unsigned level = from;
		bool missing = false;
		for (; level >= g.level; level--) {
			/* Where a walk cache knows the first table, it knows its frame. */
			if ((level < from || from == PT_LEVELS) &&
			    unlikely(missing = !nested(e, g.table[level], EPT_R, &refs)))
				break;
			refs++;
		}
		if (unlikely(missing)) {
			rc = violation(mmu, g.table[level], true, ACCESS_READ, err);
		} else if (unlikely(g.why != PT_MAPPED)) {
			rc = mmu_guest_fault(mmu, &g, vpn, write, fault);
		} else {
			walk_filled(mmu, r, vpn, from, g.level);
			r->led |= from > 1 && g.level == 1;
			if (likely(nested(e, g.ppn, need, &refs)))
				break;
			rc = violation(mmu, g.ppn, false, access, err);
		}
		if (unlikely(rc)) {
			mmu->stats.walk_refs += refs;
			return rc;
		}
	}
	mmu->stats.walk_refs += refs;
	const struct ept_dir *d = &e->dir[g.ppn / PT_LARGE];
	uint64_t w = d->word ? d->word : e->leaf[g.ppn];
	if (g.level == 1)
		tlb_see_version(r, g.page->version);
	walk->dirty = guest_mark(mmu, &g, write);
	if (g.level == 1)
		r->version = *g.page->version; /* it is this word alone that the mark changed */
	walk->again = g.level == 1 && r->led;
	walk->large = d->word && g.level == 2;
	walk->part = g.level == 2 && !walk->large;
	walk->ppn = g.ppn;
	walk->mpn = ept_mpn(w) + (d->word ? g.ppn % PT_LARGE : 0);
	walk->rights = (uint8_t)(g.rights | (w & EPT_W ? TLB_HOST_W : 0));
	return 0;
}

/* ---- walks that are made again --------------------------------------------------- */

/* What a row of references needs of the table, read once. */
struct again {
	struct mmu *mmu;
	struct ept *e;
	struct ept_dir *dir;
	uint64_t sum, l3;
	struct mmu_fifo dirs, nested;
	uint64_t *until; /* of the nested TLB, or NULL */
};

/*
 * Whether a walk in the region would begin at the last level or the one above it, by
 * tables as they were, and translate the last one's PPN by upper tables that are cached.
 * All that this depends on is counted, up alone: so it holds while the sum is the same.
 */
static __attribute__((noinline)) bool ready(const struct mmu *mmu, const struct ept *e,
					    struct tlb_region *r, uint64_t sum)
{
	if (r->memo_gen != mmu->tables.upper_gen || r->version_at != r->pt->version ||
	    !walk_from_known(mmu, r) || e->dir[r->pt->ppn / PT_LARGE].l3_seen != e->l3.changes)
		return false;
	r->table_ppn = r->pt->ppn;
	r->ready = sum;
	return true;
}

/*
 * What a walk takes, if it is made, to translate a PPN whose leaf needs no change, where
 * the upper tables are cached. Whether the dir is, and whether the walk comes by here,
 * are as good as random: so there is no branch on either.
 */
static inline __attribute__((always_inline)) uint64_t
nested_again(struct again *a, struct ept_dir *d, uint32_t ppn, uint64_t made)
{
	if (a->until) /* what the nested TLB has takes no reference */
		made = mmu_fifo_fill(&a->nested, &a->until[ppn], made);
	return -made - mmu_fifo_fill(&a->dirs, &d->until, made);
}

/* As ept_walk_by(), for a walk that begins at the last level or the one above it. */
static inline __attribute__((always_inline)) bool walk_again(void *mode, struct mmu_walks *w,
							     struct tlb_region *r,
							     const struct tlb_rec *rec,
							     uint64_t made)
{
	struct again *a = mode;
	struct ept_dir *d = &a->dir[rec->ppn / PT_LARGE];

	if (unlikely(d->l3_seen != a->l3 ||
		     (r->ready != a->sum && !ready(a->mmu, a->e, r, a->sum))))
		return false;
	const uint64_t above = mmu_fifo_fill(&w->pde, &r->pde_until, made); /* the last table's */
	w->refs += nested_again(a, &a->dir[r->table_ppn / PT_LARGE], r->table_ppn, above);
	w->refs += nested_again(a, d, rec->ppn, made);
	w->refs -= made + above;
	return true;
}

void ept_run_by(struct mmu *mmu, struct ept *e, struct mmu_row *row)
{
	struct again a = {
		.mmu = mmu,
		.e = e,
		.dir = e->dir,
		.sum = mmu->tables.upper_gen + mmu->pdpte.changes + e->l3.changes,
		.l3 = e->l3.changes,
		.dirs = {e->next, e->entries},
	};

	if (likely(!e->nested_entries)) {
		mmu_run_by(mmu, row, &a, walk_again);
		e->next = a.dirs.next;
		return;
	}
	a.until = e->until;
	a.nested = (struct mmu_fifo){e->nested_next, e->nested_entries};
	mmu_run_by(mmu, row, &a, walk_again);
	e->next = a.dirs.next;
	e->nested_next = a.nested.next;
}

/* ---- the mode ----------------------------------------------------------------- */

static int ept_open(struct mmu *mmu)
{
	struct ept *e = calloc(1, sizeof *e);

	if (!e)
		return -ENOMEM;
	int rc = ept_init(e, mmu);
	if (rc) {
		free(e);
		return rc;
	}
	mmu->state = e;
	mmu->by_ppn = e->leaf;
	return 0;
}

static void ept_close(struct mmu *mmu)
{
	struct ept *e = mmu->state;

	ept_fini(e, mmu);
	free(e);
}

static int violation(struct mmu *mmu, uint32_t ppn, bool table, enum access access, struct err *err)
{
	mmu->stats.exits++;
	mmu->stats.ept_faults++;
	int rc = table ? mmu_ensure_table(mmu, ppn, err) : mmu_ensure(mmu, ppn, access, err);
	if (rc == 0)
		ept_map(mmu->state, mmu, ppn);
	return rc;
}

static int ept_walk(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access,
		    struct mmu_walk *walk, struct mmu_fault *fault, struct err *err)
{
	return ept_walk_by(mmu, mmu->state, violation, r, vpn, access, walk, fault, err);
}

static void ept_run(struct mmu *mmu, struct mmu_row *row)
{
	ept_run_by(mmu, mmu->state, row);
}

static void ept_changed(struct mmu *mmu, ppn_t ppn)
{
	struct ept *e = mmu->state;

	if (ept_unmap(e, mmu, ppn.n))
		ept_zap_all(e, mmu);
}

static void ept_cleaned(struct mmu *mmu, ppn_t ppn, bool dirty)
{
	struct ept *e = mmu->state;

	(void)dirty;
	if (ept_clean(e, mmu, ppn.n))
		ept_zap_all(e, mmu);
}

static void ept_gathered(struct mmu *mmu, ppn_t ppn)
{
	ept_gather(mmu->state, mmu, ppn.n);
}

size_t ept_audit_table(const struct ept *e, const struct mmu *mmu, FILE *out)
{
	uint64_t large = 0;
	size_t bad = 0;

	for (uint32_t i = 0; i < e->dirs; i++) {
		uint32_t present = 0;
		large += e->dir[i].word != 0;
		for (uint32_t p = i * PT_LARGE; p < e->pages && p < (i + 1) * PT_LARGE; p++) {
			const struct ept_dir *d = &e->dir[i];
			uint64_t w = d->word ? d->word + ((uint64_t)(p % PT_LARGE) << PAGE_SHIFT)
					     : e->leaf[p];
			pte_t pte = mmu->pmap->pte[p];
			present += e->leaf[p] & EPT_R;
			if (!(w & EPT_R) || (pte_resident(pte) && pte_value(pte) == ept_mpn(w) &&
					     (!(w & EPT_W) || pte_state(pte) == PAGE_PRIVATE)))
				continue;
			fprintf(out, "ept: vm %s page %u is said to be in frame %u%s\n",
				mmu->pmap->vm->name, p, ept_mpn(w), w & EPT_W ? ", writable" : "");
			bad++;
		}
		if (present != e->dir[i].present) {
			fprintf(out, "ept: vm %s table %u has %u leaves, %u counted\n",
				mmu->pmap->vm->name, i, e->dir[i].present, present);
			bad++;
		}
	}
	return bad + large_audit(mmu, large, out);
}

static size_t ept_audit(struct mmu *mmu, FILE *out)
{
	return ept_audit_table(mmu->state, mmu, out);
}

static void ept_refresh(struct mmu *mmu)
{
	mmu->stats.table_pages = ept_tables(mmu->state);
}

const struct translation translation_ept = {
	.policy = {"ept", "the processor walks the guest's tables and a table of PPN to MPN"},
	.open = ept_open,
	.close = ept_close,
	.walk = ept_walk,
	.run = ept_run,
	.changed = ept_changed,
	.cleaned = ept_cleaned,
	.gathered = ept_gathered,
	.audit = ept_audit,
	.refresh = ept_refresh,
};
