/* An MMU, made and gone; and a reference that goes by it. */
#include "pmap/mmu_private.h"

#include <errno.h>
#include <stdlib.h>

const struct policy *const translations[] = {
	&translation_flat.policy,   &translation_shadow.policy, &translation_ept.policy,
	&translation_direct.policy, &translation_nested.policy, NULL,
};

static int64_t given(int64_t own, int64_t preset)
{
	return own < 0 ? preset : own;
}

static void resolve(struct mmu_opts *o)
{
	const struct mmu_opts *p = &((const struct mmu_preset *)o->preset)->opts;

	o->l1_entries = given(o->l1_entries, p->l1_entries);
	o->l1_ways = given(o->l1_ways, p->l1_ways);
	o->l1_large_entries = given(o->l1_large_entries, p->l1_large_entries);
	o->l1_large_ways = given(o->l1_large_ways, p->l1_large_ways);
	o->l2_entries = given(o->l2_entries, p->l2_entries);
	o->l2_ways = given(o->l2_ways, p->l2_ways);
	o->pde_cache = given(o->pde_cache, p->pde_cache);
	o->pdpte_cache = given(o->pdpte_cache, p->pdpte_cache);
	o->nested_tlb = given(o->nested_tlb, p->nested_tlb);
	o->asids = given(o->asids, p->asids);
	o->l2_hit = given(o->l2_hit, p->l2_hit);
}

static int open_tlb(struct mmu *mmu, struct err *err)
{
	const struct mmu_opts *o = &mmu->opts;
	struct tlb_shape shape = {
		.l1_entries = (uint32_t)o->l1_entries,
		.l1_ways = (uint32_t)o->l1_ways,
		.large_entries = (uint32_t)o->l1_large_entries,
		.large_ways = (uint32_t)o->l1_large_ways,
		.l2_entries = (uint32_t)o->l2_entries,
		.l2_ways = (uint32_t)o->l2_ways,
		.pde_entries = (uint32_t)o->pde_cache,
	};
	const char *wrong = tlb_shape_check(&shape);

	if (wrong)
		return err_input(err, "mmu: %s", wrong);
	mmu->pdpte.n = mmu->pml4e.n = (uint32_t)o->pdpte_cache;
	mmu->pdpte.changes = 1;
	if (tlb_init(&mmu->tlb, &shape, &mmu->pmap->vm->host->meter))
		return err_run(err, ENOMEM, "no memory for a TLB");
	return 0;
}

int mmu_new(struct pmap *pmap, const struct policy *mode, const struct mmu_opts *opts,
	    struct mmu **out, struct err *err)
{
	struct mmu *mmu = calloc(1, sizeof *mmu);

	if (!mmu)
		return err_run(err, ENOMEM, "no memory for an MMU");
	mmu->pmap = pmap;
	mmu->opts = *opts;
	resolve(&mmu->opts);
	int rc = open_tlb(mmu, err);
	if (rc) {
		free(mmu);
		return rc;
	}
	mmu->mode = (const struct translation *)mode; /* its first member */
	mmu->run = mmu->tlb.l2.sets ? mmu->mode->run : NULL;
	mmu->asid = calloc((size_t)mmu->opts.asids + 1, sizeof *mmu->asid);
	if (!mmu->asid || (mmu->opts.large && pmap_rows(pmap)) ||
	    pt_store_init(&mmu->tables, pmap->pages, &pmap->vm->host->meter) ||
	    (mmu->mode->open && mmu->mode->open(mmu))) {
		mmu->mode = NULL; /* it has closed itself */
		mmu_free(mmu);
		return err_run(err, ENOMEM, "no memory for the %s of %u pages", mode->name,
			       pmap->pages);
	}
	for (int64_t i = 0; i < mmu->opts.asids; i++)
		mmu->asid[i] = TLB_GLOBAL_ROOT; /* none */
	mmu->root = mmu->space = 0;
	stat_bind(&pmap->vm->stats, mmu_stat_rows, mmu);
	pmap->mmu = mmu;
	pmap->told = true;
	*out = mmu;
	return 0;
}

void mmu_free(struct mmu *mmu)
{
	if (!mmu)
		return;
	if (mmu->mode && mmu->mode->close)
		mmu->mode->close(mmu);
	mmu->pmap->mmu = NULL;
	pt_store_fini(&mmu->tables);
	tlb_fini(&mmu->tlb);
	free(mmu->asid);
	free(mmu);
}

/* ---- a reference ----------------------------------------------------------------- */

static inline bool allows(const struct mmu *mmu, const struct tlb_rec *rec, enum access access)
{
	return rec->allow >> (access | (mmu->user ? 0 : TLB_KERNEL)) & 1;
}

/*
 * A record that one of the levels holds: found there, or in the second level and
 * put into the first. One that does not allow the access is dropped, as by a
 * processor before it walks.
 */
static inline bool try_record(struct mmu *mmu, struct tlb_region *r, struct tlb_rec *rec,
			      enum access access)
{
	struct tlb *t = &mmu->tlb;
	const bool first = tlb_holds(t, r, rec, 0);
	if (!first && !tlb_holds(t, r, rec, 1))
		return false;
	if (!allows(mmu, rec, access)) {
		tlb_drop(t, r, rec);
		return false;
	}
	struct tlb_array *a = tlb_array_of(t, rec == &r->large, first ? 0 : 1);
	tlb_used(a, tlb_set_of(a, r, rec), rec->way[first ? 0 : 1] - 1u);
	if (first)
		return true;
	mmu->stats.tlb_l2_hits++;
	tlb_fill(t, r, rec, 0);
	return true;
}

/* Whatever a TLB holds for the page, of both sizes and classes. NULL: nothing. */
static struct tlb_rec *try_global(struct mmu *mmu, uint64_t vpn, enum access access)
{
	struct tlb_region *r = tlb_find(&mmu->tlb, tlb_key(TLB_GLOBAL_ROOT, vpn));

	if (r && try_record(mmu, r, &r->rec[vpn & (PT_LARGE - 1)], access))
		return &r->rec[vpn & (PT_LARGE - 1)];
	if (r && try_record(mmu, r, &r->large, access))
		return &r->large;
	return NULL;
}

/* A translation goes into the record of its size and class, and into both levels. */
static inline int put(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access,
		      const struct mmu_walk *w, struct err *err)
{
	struct tlb *t = &mmu->tlb;
	unsigned first = w->large ? w->ppn & (PT_LARGE - 1) : 0;
	bool again = w->again;

	if (unlikely(w->rights & PT_R_G)) {
		again = false;
		r = tlb_region(t, tlb_key(TLB_GLOBAL_ROOT, vpn), TLB_GLOBAL);
		if (!r)
			return err_run(err, ENOMEM, "no memory for a TLB");
	}
	struct tlb_rec *rec = w->large ? &r->large : &r->rec[vpn & (PT_LARGE - 1)];
	r->fractured |= w->part;
	bool writable = w->dirty && (w->rights & PT_R_W) && (w->rights & TLB_HOST_W);
	unsigned kernel = 1u | (unsigned)writable << 1;
	rec->ppn = w->ppn - first;
	rec->mpn = w->mpn - first;
	rec->rights = w->rights;
	rec->large = w->large;
	rec->allow = (uint8_t)(kernel << TLB_KERNEL | (w->rights & PT_R_U ? kernel : 0));
	if (likely(!w->large)) {
		tlb_fill_small(t, r, rec);
		tlb_note(r, rec, access, again);
		return 0;
	}
	tlb_hold_beside(r);
	tlb_fill(t, r, rec, 1);
	tlb_fill(t, r, rec, 0);
	return 0;
}

bool mmu_run_one(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access)
{
	const uint64_t ref = vpn << MMU_REF_SHIFT | access;
	struct mmu_row row;

	row.ref = &ref;
	row.at = row.far = row.near = 0;
	row.end = row.words = 1;
	row.region[0] = r;
	mmu->run(mmu, &row);
	return row.at;
}

int mmu_miss(struct mmu *mmu, uint64_t vpn, enum access access, ppn_t *ppn, struct mmu_fault *fault,
	     struct err *err)
{
	struct tlb *t = &mmu->tlb;
	struct tlb_rec *rec;
	struct mmu_walk w = {0};

	if (mmu->mode->commit)
		mmu->mode->commit(mmu);
	struct tlb_region *r = tlb_region(t, tlb_key(mmu->space, vpn), TLB_LOCAL);
	if (unlikely(!r))
		return err_run(err, ENOMEM, "no memory for a TLB");
	if (!mmu->mode->no_tlb) {
		rec = &r->rec[vpn & (PT_LARGE - 1)];
		if (!try_record(mmu, r, rec, access)) {
			rec = &r->large;
			if (!try_record(mmu, r, rec, access))
				rec = t->globals ? try_global(mmu, vpn, access) : NULL;
		}
		if (rec) {
			unsigned i = rec->large ? vpn & (PT_LARGE - 1) : 0;
			ppn->n = rec->ppn + i;
			mmu_done(mmu, rec->ppn + i, rec->mpn + i, rec->rights, access);
			return 0;
		}
		mmu->stats.tlb_misses++;
	}
	mmu->loaded = true; /* a flush amid the walk does not know what comes of it */
	int rc = mmu->mode->walk(mmu, r, vpn, access, &w, fault, err);
	mmu->loaded = true;
	if (rc == 0 && !mmu->mode->no_tlb)
		rc = put(mmu, r, vpn, access, &w, err);
	if (unlikely(rc))
		return rc;
	ppn->n = w.ppn;
	mmu_done(mmu, w.ppn, w.mpn, w.rights, access);
	return 0;
}

/* ---- what the host does -------------------------------------------------------------- */

void mmu_changed(struct mmu *mmu, ppn_t ppn)
{
	if (mmu->mode->changed)
		mmu->mode->changed(mmu, ppn);
}

void mmu_cleaned(struct mmu *mmu, ppn_t ppn, bool dirty)
{
	if (mmu->mode->cleaned)
		mmu->mode->cleaned(mmu, ppn, dirty);
}
