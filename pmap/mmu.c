#include "pmap/mmu_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct policy *const translations[] = {
	&translation_flat.policy,   &translation_shadow.policy, &translation_ept.policy,
	&translation_direct.policy, &translation_nested.policy, NULL,
};

#define STAT(field) offsetof(struct mmu, stats.field)

#define BROKEN(cause, name, why)                                                                   \
	{                                                                                          \
		name, STAT_COUNTER, "1", STAT(large_broken[cause]), false, "of large_breaks: " why \
	}

static const struct stat_row mmu_stat_rows[] = {
	{"tlb_l2_hits", STAT_COUNTER, "1", STAT(tlb_l2_hits), false,
	 "references that the first-level TLB missed and the second had"},
	{"tlb_misses", STAT_COUNTER, "1", STAT(tlb_misses), true,
	 "references that no TLB had: walks"},
	{"tlb_flushes", STAT_COUNTER, "1", STAT(tlb_flushes), false,
	 "flushes of more than a page, by guest or VMM"},
	{"walk_refs", STAT_COUNTER, "1", STAT(walk_refs), true, "references to memory by walks"},
	{"guest_faults", STAT_COUNTER, "1", STAT(guest_faults), true,
	 "page faults that the guest's kernel got"},
	{"exits", STAT_COUNTER, "1", STAT(exits), true, "exits to the VMM and back, of all kinds"},
	{"hidden_faults", STAT_COUNTER, "1", STAT(hidden_faults), false,
	 "exits: faults on the VMM's tables that the guest never learns of"},
	{"true_faults", STAT_COUNTER, "1", STAT(true_faults), false,
	 "exits: the guest's own page faults, passed on to it"},
	{"ept_faults", STAT_COUNTER, "1", STAT(ept_faults), false,
	 "exits: a page that the table of PPN to MPN lacks"},
	{"pt_writes", STAT_COUNTER, "1", STAT(pt_writes), false,
	 "exits: writes to a guest's table that was write-protected"},
	{"flush_exits", STAT_COUNTER, "1", STAT(flush_exits), false,
	 "exits: the guest flushed a page or a space"},
	{"root_exits", STAT_COUNTER, "1", STAT(root_exits), false, "exits: the guest loaded CR3"},
	{"mode_switches", STAT_COUNTER, "1", STAT(mode_switches), false,
	 "changes between user and kernel tables"},
	{"hypercalls", STAT_COUNTER, "1", STAT(hypercalls), false,
	 "requests of the guest, by batch"},
	{"updates", STAT_COUNTER, "1", STAT(updates), false,
	 "updates of tables that were requested"},
	{"l1_exits", STAT_COUNTER, "1", STAT(l1_exits), false,
	 "exits: those that the guest's own hypervisor causes"},
	{"resyncs", STAT_COUNTER, "1", STAT(resyncs), false,
	 "tables that were out of sync and were compared"},
	{"refused", STAT_COUNTER, "1", STAT(refused), false,
	 "requests that would have broken the guest's bounds"},
	{"mmio", STAT_COUNTER, "1", STAT(mmio), false, "references to what is no memory"},
	{"zaps", STAT_COUNTER, "1", STAT(zaps), false,
	 "entries of the VMM's tables taken out since the host changed a page"},
	{"zap_pages", STAT_COUNTER, "1", STAT(zap_pages), false,
	 "translations flushed one by one since the VMM changed its tables"},
	{"zap_flushes", STAT_COUNTER, "1", STAT(zap_flushes), false,
	 "flushes of all TLBs since it did"},
	{"shadow_evicted", STAT_COUNTER, "1", STAT(evicted), false,
	 "shadow tables given up for mmu.shadow_pages"},
	{"large_maps", STAT_COUNTER, "1", STAT(large_maps), false, "mappings of 2 MiB made"},
	{"large_breaks", STAT_COUNTER, "1", STAT(large_breaks), false,
	 "mappings of 2 MiB broken into small ones"},
	{"large_again", STAT_COUNTER, "1", STAT(large_again), false,
	 "mappings of 2 MiB made where one had been broken"},
	BROKEN(CAUSE_SHARED, "large_broken_share", "since a page was shared"),
	BROKEN(CAUSE_SWAPPED, "large_broken_swap", "since a page was swapped out"),
	BROKEN(CAUSE_SAMPLED, "large_broken_sample", "since a page was sampled"),
	BROKEN(CAUSE_BALLOONED, "large_broken_balloon", "since a page went to the balloon"),
	BROKEN(CAUSE_HARVESTED, "large_broken_log",
	       "since a page's dirty or accessed bit was harvested"),
	BROKEN(CAUSE_MOVED, "large_broken_move", "since a page was moved to another frame"),
	BROKEN(CAUSE_DROPPED, "large_broken_drop", "since a page holds nothing any more"),
	BROKEN(CAUSE_TABLE, "large_broken_table",
	       "since a page is a table now, or the tables above it changed (shadow, direct)"),
	{"table_pages", STAT_GAUGE, "pages", STAT(table_pages), true, "the VMM's tables"},
	{"guest_tables", STAT_GAUGE, "pages", STAT(guest_tables), true, "the guest's tables"},
	{"translation_cycles", STAT_COUNTER, "cycles", STAT(cycles), true,
	 "what all of this cost, by the options of mmu"},
	{"cycles_per_ref", STAT_REAL, "cycles", STAT(cycles_per_ref), false,
	 "the same, by the reference"},
	{NULL},
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

/* ---- walks --------------------------------------------------------------------- */

void guest_walk_slow(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, bool write,
		     struct guest_walk *g)
{
	struct pt_path *path = &g->path;

	pt_walk(&mmu->tables, (uint32_t)mmu->root, vpn, write, mmu->user, path);
	g->why = path->why;
	g->level = path->level;
	g->table = path->table;
	g->rights = path->rights;
	g->ppn = path->ppn;
	if (path->why != PT_MAPPED)
		return;
	for (unsigned level = PT_LEVELS; level > path->level; level--) {
		gpte_t *w = &pt_page(&mmu->tables, path->table[level])->word[pt_index(vpn, level)];
		*w |= GPTE_A;
	}
	struct pt_page *p = pt_page(&mmu->tables, path->table[path->level]);
	g->word = &p->word[pt_index(vpn, path->level)];
	g->page = p;
	if (path->level > 1)
		return;
	unsigned rights = PT_R_ALL;
	for (unsigned level = PT_LEVELS; level > 1; level--)
		rights &= gpte_rights(path->word[level]);
	if (r->pt != p || r->upper_rights != rights ||
	    memcmp(r->table, path->table, sizeof r->table) != 0) {
		tlb_forget(r);
		r->led = false;
	}
	r->memo_gen = mmu->tables.upper_gen;
	r->pt = p;
	memcpy(r->table, path->table, sizeof r->table);
	r->upper_rights = rights;
}

int mmu_guest_fault(struct mmu *mmu, const struct guest_walk *g, uint64_t vpn, bool write,
		    struct mmu_fault *fault)
{
	*fault = (struct mmu_fault){vpn, g->why, g->level, write, mmu->user};
	mmu->stats.guest_faults++;
	mmu->stats.mmio += g->why == PT_OUTSIDE;
	return MMU_FAULT;
}

void cache_flush(struct walk_cache *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		c->key[i] = 0;
	c->changes++;
}

static uint64_t pdpte_key(const struct mmu *mmu, uint64_t vpn)
{
	return mmu->space << 18 | vpn >> 18;
}

static uint64_t pml4e_key(const struct mmu *mmu, uint64_t vpn)
{
	return mmu->space << 9 | vpn >> 27;
}

unsigned walk_from_slow(struct mmu *mmu, struct tlb_region *r, uint64_t vpn)
{
	if (cache_has(&mmu->pdpte, pdpte_key(mmu, vpn))) {
		r->pdpte_seen = mmu->pdpte.changes;
		return 2;
	}
	return cache_has(&mmu->pml4e, pml4e_key(mmu, vpn)) ? 3 : 4;
}

void walk_filled(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, unsigned from, unsigned level)
{
	if (from > 1 && level == 1)
		tlb_pde_fill(&mmu->tlb, r);
	if (from > 2)
		cache_put(&mmu->pdpte, pdpte_key(mmu, vpn));
	if (from > 3)
		cache_put(&mmu->pml4e, pml4e_key(mmu, vpn));
}

static void flush_caches(struct mmu *mmu)
{
	cache_flush(&mmu->pdpte);
	cache_flush(&mmu->pml4e);
}

void mmu_flush_all(struct mmu *mmu)
{
	mmu->stats.tlb_flushes++;
	tlb_flush_all(&mmu->tlb);
	flush_caches(mmu);
}

bool mmu_zap_all(struct mmu *mmu)
{
	if (!mmu->loaded)
		return false;
	mmu->loaded = false;
	mmu->stats.zap_flushes++;
	mmu_flush_all(mmu);
	return true;
}

void mmu_drop_page(struct mmu *mmu, uint64_t space, uint64_t vpn)
{
	tlb_flush_page(&mmu->tlb, space, vpn);
	flush_caches(mmu);
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

/* ---- what the guest does ----------------------------------------------------------- */

int mmu_hole(struct mmu *mmu, uint32_t first, uint32_t pages)
{
	struct pt_store *s = &mmu->tables;

	if (s->holes == PT_HOLES_MAX || first >= s->pages || pages > s->pages - first)
		return -EINVAL;
	s->hole[s->holes++] = (struct pt_hole){first, pages};
	return 0;
}

int mmu_pt_write(struct mmu *mmu, ppn_t table, unsigned i, gpte_t word, struct err *err)
{
	if (i >= PT_WORDS || !pt_memory(&mmu->tables, table.n))
		return -EFAULT;
	int rc = pmap_touch(mmu->pmap, table, ACCESS_WRITE, err);
	if (rc == 0 && mmu->mode->pt_write)
		rc = mmu->mode->pt_write(mmu, table, i, word, err);
	if (rc)
		return rc;
	if (pt_write(&mmu->tables, table, i, word))
		return err_run(err, ENOMEM, "no memory for a guest's page tables");
	if (mmu->mode->pt_written)
		mmu->mode->pt_written(mmu, table, i);
	return 0;
}

int mmu_pt_pin(struct mmu *mmu, ppn_t ppn, unsigned level, struct err *err)
{
	if (level < 1 || level > PT_LEVELS || !pt_memory(&mmu->tables, ppn.n))
		return -EFAULT;
	return mmu->mode->pin ? mmu->mode->pin(mmu, ppn, level, err) : 0;
}

int mmu_pt_unpin(struct mmu *mmu, ppn_t ppn, struct err *err)
{
	if (!pt_memory(&mmu->tables, ppn.n))
		return -EFAULT;
	int rc = 0;
	if (mmu->mode->unpin)
		rc = mmu->mode->unpin(mmu, ppn, err);
	else if (mmu->mode->data_write) /* what a VMM sees of it: the page is data from now on */
		rc = mmu->mode->data_write(mmu, ppn);
	if (rc == 0)
		pt_forget(&mmu->tables, ppn);
	return rc;
}

int mmu_touch(struct mmu *mmu, ppn_t ppn, enum access access, struct err *err)
{
	if (!pt_memory(&mmu->tables, ppn.n))
		return -EFAULT;
	int rc = access == ACCESS_WRITE && mmu->mode->data_write ? mmu->mode->data_write(mmu, ppn)
								 : 0;
	return rc ? rc : pmap_touch(mmu->pmap, ppn, access, err);
}

int mmu_set_content(struct mmu *mmu, ppn_t ppn, uint64_t id, struct err *err)
{
	int rc = mmu_touch(mmu, ppn, ACCESS_WRITE, err);

	if (rc == 0)
		rc = pmap_set_content(mmu->pmap, ppn, id, err);
	if (rc == 0 && mmu->oracle && oracle_write(mmu->oracle, mmu->pmap->vm, ppn, id))
		rc = err_run(err, ENOMEM, "no memory for the content oracle");
	return rc;
}

int mmu_copy(struct mmu *mmu, ppn_t to, ppn_t from, struct err *err)
{
	struct pmap *pmap = mmu->pmap;
	struct machine *m = &pmap->vm->host->machine;

	/* Each may cost the other its frame: where there are two, this ends soon. */
	for (int tries = 0; tries < 64; tries++) {
		int rc = mmu_touch(mmu, from, ACCESS_READ, err);
		if (rc == 0)
			rc = mmu_touch(mmu, to, ACCESS_WRITE, err);
		if (rc)
			return rc;
		pte_t f = pmap->pte[from.n];
		if (!pte_resident(f))
			continue;
		m->backing->copy(m, pte_mpn(pmap->pte[to.n]), pte_mpn(f));
		if (!(f & PTE_UNNAMED))
			pmap->pte[to.n] &= ~PTE_UNNAMED;
		if (mmu->oracle && oracle_copy(mmu->oracle, pmap->vm, to, from))
			return err_run(err, ENOMEM, "no memory for the content oracle");
		return 0;
	}
	return err_run(err, ENOMEM, "a guest's page cannot be copied: the host needs more frames");
}

/* The TLB's tag of what comes now. Without one to spare, the longest unused gives its own up. */
static void take_asid(struct mmu *mmu)
{
	uint64_t n = (uint64_t)mmu->opts.asids, i = 0;

	if (n == 0) {
		mmu->stats.tlb_flushes++;
		tlb_flush_local(&mmu->tlb);
		flush_caches(mmu);
		return;
	}
	while (i < n && mmu->asid[i] != mmu->space)
		i++;
	if (i == n && mmu->asid[--i] != TLB_GLOBAL_ROOT) {
		mmu->stats.tlb_flushes++;
		tlb_flush_root(&mmu->tlb, mmu->asid[i]);
		flush_caches(mmu);
	}
	memmove(mmu->asid + 1, mmu->asid, i * sizeof *mmu->asid);
	mmu->asid[0] = mmu->space;
}

void mmu_set_space(struct mmu *mmu, unsigned view)
{
	uint64_t space = mmu->root | (uint64_t)view << 32;

	if (space == mmu->space && mmu->opts.asids)
		return;
	mmu->space = space;
	take_asid(mmu);
}

int mmu_load_root(struct mmu *mmu, uint64_t root, struct err *err)
{
	uint64_t before = mmu->root;

	if (!pt_memory(&mmu->tables, root))
		return -EFAULT;
	mmu->root = root;
	int rc = mmu->mode->load_root ? mmu->mode->load_root(mmu, err) : 0;
	if (rc) {
		mmu->root = before;
		return rc;
	}
	mmu_set_space(mmu, (unsigned)(mmu->space >> 32));
	return 0;
}

int mmu_flush_page(struct mmu *mmu, uint64_t vpn, struct err *err)
{
	int rc = mmu->mode->flush_page ? mmu->mode->flush_page(mmu, vpn, err) : 0;

	for (uint64_t view = 0; rc == 0 && view < MMU_VIEWS; view++)
		tlb_flush_page(&mmu->tlb, mmu->root | view << 32, vpn);
	flush_caches(mmu);
	return rc;
}

int mmu_flush_space(struct mmu *mmu, uint64_t root, struct err *err)
{
	int rc = mmu->mode->flush_space ? mmu->mode->flush_space(mmu, root, err) : 0;

	if (rc)
		return rc;
	mmu->stats.tlb_flushes++;
	for (uint64_t view = 0; view < MMU_VIEWS; view++) {
		tlb_flush_root(&mmu->tlb, root | view << 32);
		for (int64_t i = 0; i < mmu->opts.asids; i++) {
			if (mmu->asid[i] == (root | view << 32) && mmu->asid[i] != mmu->space)
				mmu->asid[i] = TLB_GLOBAL_ROOT;
		}
	}
	flush_caches(mmu);
	return 0;
}

void mmu_set_user(struct mmu *mmu, bool user)
{
	if (mmu->user == user)
		return;
	mmu->user = user;
	if (mmu->mode->set_mode)
		mmu->mode->set_mode(mmu);
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

uint64_t mmu_cycles(const struct mmu *mmu)
{
	const struct mmu_stats *s = &mmu->stats;
	const struct mmu_opts *o = &mmu->opts;
	const struct {
		uint64_t n;
		int64_t cost;
	} what[] = {
		{s->tlb_l2_hits, o->l2_hit},
		{s->walk_refs, o->walk_ref},
		{s->guest_faults, o->guest_fault},
		{s->exits, o->exit},
		{s->hidden_faults, o->hidden_fault},
		{s->true_faults, o->hidden_fault},
		{s->ept_faults, o->ept_fault},
		{s->pt_writes, o->pt_write},
		{s->resyncs, o->resync},
		{s->mode_switches, o->mode_switch},
		{s->hypercalls, o->hypercall},
		{s->updates, o->update},
	};
	uint64_t cycles = 0;

	for (size_t i = 0; i < ARRAY_LEN(what); i++)
		cycles += what[i].n * (uint64_t)what[i].cost;
	return cycles;
}

void mmu_refresh(struct mmu *mmu)
{
	struct mmu_stats *s = &mmu->stats;

	if (mmu->mode->refresh)
		mmu->mode->refresh(mmu);
	s->guest_tables = mmu->tables.used - 1;
	s->cycles = mmu_cycles(mmu);
	s->cycles_per_ref = mmu->refs ? (double)s->cycles / (double)mmu->refs : 0;
}

struct audit {
	const struct mmu *mmu;
	FILE *out;
	size_t bad;
};

/* What a TLB says, against the pmap and, of a guest that flushes, against its tables. */
static void audit_record(void *arg, const struct tlb_region *r, const struct tlb_rec *rec,
			 uint64_t vpn, bool large)
{
	struct audit *a = arg;
	const struct mmu *mmu = a->mmu;
	uint32_t root = (uint32_t)(r->class == TLB_GLOBAL ? mmu->root : r->key >> 27);
	bool writes = rec->allow & (1u << ACCESS_WRITE | 1u << (ACCESS_WRITE | TLB_KERNEL));
	struct pt_path path;

	for (unsigned i = 0; i < (large ? PT_LARGE : 1); i++) {
		pte_t p = mmu->pmap->pte[rec->ppn + i];
		bool host = pte_resident(p) && pte_value(p) == rec->mpn + i && (p & PTE_R) &&
			    (!writes || (p & PTE_W));
		pt_walk(&mmu->tables, root, vpn + i, writes, false, &path);
		bool guest = !mmu->strict || (path.why == PT_MAPPED && path.ppn == rec->ppn + i &&
					      !(rec->rights & ~(path.rights | TLB_HOST_W)));
		if (host && guest)
			continue;
		fprintf(a->out, "mmu: vm %s: a TLB has page %llx at %u in frame %u%s, %s say not\n",
			mmu->pmap->vm->name, (unsigned long long)vpn + i, rec->ppn + i,
			rec->mpn + i, writes ? ", writable" : "",
			host ? "the guest's tables" : "the pmap's entries");
		a->bad++;
	}
}

size_t mmu_audit(struct mmu *mmu, FILE *out)
{
	struct audit a = {mmu, out, 0};

	if (!mmu)
		return 0;
	a.bad = tlb_audit(&mmu->tlb, out);
	tlb_each(&mmu->tlb, audit_record, &a);
	return a.bad + (mmu->mode->audit ? mmu->mode->audit(mmu, out) : 0);
}

/* ---- flat ---------------------------------------------------------------------------- */

static int flat_walk(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access,
		     struct mmu_walk *walk, struct mmu_fault *fault, struct err *err)
{
	const bool write = access == ACCESS_WRITE;
	struct guest_walk g;

	guest_walk(mmu, r, vpn, write, &g);
	if (unlikely(g.why != PT_MAPPED))
		return mmu_guest_fault(mmu, &g, vpn, write, fault);
	int rc = mmu_ensure(mmu, g.ppn, access, err);
	if (unlikely(rc))
		return rc;
	guest_mark(mmu, &g, write);
	pte_t p = mmu->pmap->pte[g.ppn];
	walk->ppn = g.ppn;
	walk->mpn = pte_value(p);
	walk->rights = (uint8_t)(g.rights | (p & PTE_W ? TLB_HOST_W : 0));
	return 0;
}

const struct translation translation_flat = {
	.policy = {"flat", "no model of how: guest addresses are PPNs, or are walked in software"},
	.no_tlb = true,
	.walk = flat_walk,
};
