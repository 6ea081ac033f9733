/*
 * The virtual memory management unit of a VM: from the guest's virtual addresses
 * to machine memory, in one of five ways.
 *
 *   flat    the guest's tables and the pmap are walked in software: the truth
 *   shadow  the VMM keeps tables of its own, VPN to MPN, behind the guest's back
 *   ept     the processor walks two tables: the guest's, and one of PPN to MPN
 *   direct  the guest's tables hold MPNs and change by calls that are checked (Xen)
 *   nested  a hypervisor in the guest: its EPT, shadowed by one of ours
 *
 * All see the same guest tables (pmap/pt.h) and the same pmap, and must give the
 * same answer for each reference: the digest hashes PPN, MPN and rights of all.
 * That works because nothing that a mode does reaches the pmap but the fault that
 * the reference itself needs. So what the modes keep for themselves is counted and
 * takes no machine frames; costs are counted too, and move the VM's clock only if
 * asked (mmu.charge); and a guest's own kernel pins its table pages, since a walk
 * that faulted on one would do so at other references in each mode.
 *
 * Whoever changes a pmap entry says so (pmap_changed()), and the mode takes out
 * what it made from it. One VM, one thread.
 */
#ifndef BALLAST_PMAP_MMU_H
#define BALLAST_PMAP_MMU_H

#include "core/oracle.h"
#include "pmap/pmap.h"
#include "pmap/pt.h"
#include "pmap/tlb.h"

/* mmu { } of a job file. -1 in what a preset gives: as it says. */
struct mmu_opts {
	const struct policy *preset; /* of mmu_presets[] */
	int64_t l1_entries, l1_ways, l1_large_entries, l1_large_ways, l2_entries, l2_ways;
	int64_t pde_cache, pdpte_cache, nested_tlb;
	int64_t asids;
	int64_t l2_hit, walk_ref; /* cycles */
	/* cycles */
	int64_t guest_fault, exit, hidden_fault, ept_fault, pt_write, resync, mode_switch;
	int64_t hypercall, update, l1_exits;
	int64_t batch;	      /* updates that a hypercall takes */
	int64_t shadow_pages; /* most that shadows may take; 0: no limit */
	bool large;	      /* 2 MiB at once where frames lie in a row */
	bool split;	      /* shadow: user and kernel tables apart */
	bool unsync;	      /* shadow: last-level tables may be out of sync until a flush */
	bool charge;	      /* costs move the VM's clock */
	double ghz;
};

extern const struct opt_section mmu_section;

/* Sizes and latencies of a processor that exists, with their source in help. */
struct mmu_preset {
	struct policy policy;
	struct mmu_opts opts; /* only what a preset gives */
};

extern const struct policy *const mmu_presets[]; /* skylake, zen2 */

/* Why a mapping of 2 MiB was broken into small ones. */
enum large_cause {
	CAUSE_SHARED,
	CAUSE_SWAPPED,
	CAUSE_SAMPLED,
	CAUSE_BALLOONED,
	CAUSE_HARVESTED, /* its dirty or accessed bits */
	CAUSE_MOVED,
	CAUSE_DROPPED, /* it holds nothing any more */
	CAUSE_TABLE,   /* shadow, direct: one of the pages is a table now, or those above changed */
	LARGE_CAUSES
};

struct mmu_stats {
	uint64_t tlb_l2_hits, tlb_misses, tlb_flushes;
	uint64_t walk_refs;	/* memory references by walks */
	uint64_t guest_faults;	/* page faults that the guest's kernel gets */
	uint64_t exits;		/* all that follow, to the VMM and back */
	uint64_t hidden_faults; /* shadow, direct: faults that the guest never learns of */
	uint64_t true_faults;	/* those that came to the VMM first */
	uint64_t ept_faults;
	uint64_t pt_writes; /* trapped writes to tables */
	uint64_t flush_exits, root_exits;
	uint64_t mode_switches; /* between user and kernel shadows: no exit each, but a cost */
	uint64_t hypercalls, updates;
	uint64_t l1_exits; /* nested: those of the guest's hypervisor, part of exits */
	uint64_t resyncs;
	uint64_t refused;		     /* requests of the guest that would break its bounds */
	uint64_t mmio;			     /* references to what is no memory */
	uint64_t zaps;			     /* entries taken out since the host changed a page */
	uint64_t zap_pages;		     /* translations flushed singly, since tables changed */
	uint64_t zap_flushes;		     /* flushes of all TLBs, since tables changed */
	uint64_t evicted;		     /* shadow tables, for the limit */
	uint64_t large_maps, large_breaks;   /* of 2 MiB in the mode's own tables */
	uint64_t large_again;		     /* of maps: where one was broken before */
	uint64_t large_broken[LARGE_CAUSES]; /* their sum is large_breaks */
	uint64_t table_pages, guest_tables;  /* gauges: of the mode; of the guest */
	uint64_t cycles;		     /* all of this, by the options */
	double cycles_per_ref;
};

#define MMU_PDPTES_MAX 64

/* A small fully associative walk cache, a FIFO: 0 is no key. */
struct walk_cache {
	uint64_t key[MMU_PDPTES_MAX];
	uint32_t n, next;
	uint64_t changes; /* of what it holds, from 1 */
};

struct translation;

#define MMU_ASIDS_MAX 4096

/* References in a row: words with the VPN from this bit on, bit 0 of a write, else zeros. */
#define MMU_REF_SHIFT 28

/*
 * What is fetched ahead for a row: FAR references before its turn, by its address, the
 * record of one; NEAR before it, when that has come, what the record says is needed too.
 */
#define MMU_FAR	 24
#define MMU_NEAR 10
#define MMU_RING 64 /* a power of two above MMU_FAR */

struct tlb_region;

struct mmu_row {
	const uint64_t *ref;
	size_t at, end;	  /* the next one, and how far the row may go now */
	size_t words;	  /* that can be fetched for; what is no reference does no harm */
	size_t far, near; /* up to where it was */
	uint64_t writes;  /* of those that were done, added up */
	struct tlb_region
		*region[MMU_RING]; /* of those at % MMU_RING that are fetched; or others */
};

/*
 * References that a TLB serves, or a walk that was made before (tlb_knows()): all is done
 * that mmu_ref() would do, up to row->end or to one that is none of these.
 */
typedef void mmu_run_fn(struct mmu *mmu, struct mmu_row *row);

struct mmu {
	struct pmap *pmap;
	const struct translation *mode;
	mmu_run_fn *run;	/* the mode's, or NULL */
	void *state;		/* likewise */
	const uint64_t *by_ppn; /* [pages] what it will look up by PPN, or NULL */
	bool strict;		/* the guest flushes whatever it changes: audits hold it to that */
	struct pt_store tables;
	struct tlb tlb;
	struct walk_cache pdpte, pml4e; /* of the guest's dimension */
	uint64_t root;			/* PPN of the table in CR3 */
	uint64_t space;			/* root, and the view if the mode has several: TLB tag */
	bool user;			/* the processor is in user mode */
	bool loaded;			/* something was translated since the last zap flush */
	struct oracle *oracle;		/* told of what pages are made to hold; or NULL */
	struct mmu_opts opts;		/* resolved */
	uint64_t *asid;			/* [opts.asids] spaces, last used first */
	uint64_t digest, refs;
	struct mmu_stats stats;
};

/* What a guest's kernel is told of a fault, as by CR2 and the error code. */
struct mmu_fault {
	uint64_t vpn;
	enum pt_why why;
	unsigned level;
	bool write, user;
};

#define MMU_FAULT 1 /* the guest's kernel must act */

/* What a walk found for a reference that may go ahead. */
struct mmu_walk {
	uint32_t ppn, mpn;
	uint8_t rights; /* PT_R_* and TLB_HOST_W */
	bool dirty;	/* writes may go ahead without another walk */
	bool large;	/* the TLB may hold all 2 MiB */
	bool part;	/* of a large page of the guest, which the TLB holds in parts */
	bool again;	/* the same again would find the same, and have nothing to set */
};

/* A translation mode. Hooks may be NULL but for walk. */
struct translation {
	struct policy policy;
	bool no_tlb; /* every reference walks */
	int (*open)(struct mmu *mmu);
	void (*close)(struct mmu *mmu);
	/*
	 * The TLB missed: translates, and makes the page resident with the right
	 * that the access needs. 0 and *walk; MMU_FAULT and *fault; or -errno.
	 * r is the region of the page, in the current space.
	 */
	int (*walk)(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access,
		    struct mmu_walk *walk, struct mmu_fault *fault, struct err *err);
	/* Optional. Not called where there is no second-level TLB. */
	mmu_run_fn *run;
	/* The host moved the page or took rights from it. */
	void (*changed)(struct mmu *mmu, ppn_t ppn);
	/* A harvest cleared the page's accessed or dirty bit. */
	void (*cleaned)(struct mmu *mmu, ppn_t ppn, bool dirty);
	/* The stretch is whole (pmap/large.h), by the host's doing: small mappings may become one.
	 */
	void (*gathered)(struct mmu *mmu, ppn_t ppn);
	/* Before the guest writes a word of a page: 0, or -errno and it does not. And after. */
	int (*pt_write)(struct mmu *mmu, ppn_t table, unsigned i, gpte_t word, struct err *err);
	void (*pt_written)(struct mmu *mmu, ppn_t table, unsigned i);
	/* The guest writes data to a page, not by pt_write. */
	int (*data_write)(struct mmu *mmu, ppn_t ppn); /* 0 or -EPERM */
	/* A page is, or ceases to be, a table: only a guest that knows of its VMM says so. */
	int (*pin)(struct mmu *mmu, ppn_t ppn, unsigned level, struct err *err);
	int (*unpin)(struct mmu *mmu, ppn_t ppn, struct err *err);
	int (*load_root)(struct mmu *mmu, struct err *err);
	int (*flush_page)(struct mmu *mmu, uint64_t vpn, struct err *err);
	int (*flush_space)(struct mmu *mmu, uint64_t root, struct err *err);
	void (*set_mode)(struct mmu *mmu);
	void (*commit)(struct mmu *mmu); /* what was put off must be done now */
	size_t (*audit)(struct mmu *mmu, FILE *out);
	void (*refresh)(struct mmu *mmu); /* stats.table_pages */
};

extern const struct policy *const translations[]; /* flat shadow ept direct nested */

/* Gives a VM without one an MMU; it goes with the VM. */
MUST_CHECK int mmu_new(struct pmap *pmap, const struct policy *mode, const struct mmu_opts *opts,
		       struct mmu **mmu, struct err *err);
void mmu_free(struct mmu *mmu);

/* ---- what the guest does ---------------------------------------------------- */

/* Guest-physical pages without memory. At most PT_HOLES_MAX; before the first reference. */
MUST_CHECK int mmu_hole(struct mmu *mmu, uint32_t first, uint32_t pages);

/*
 * Writes a word of a table, or of any page. -EPERM: refused. -EFAULT: no memory of
 * the guest. Others stop the VM.
 */
MUST_CHECK int mmu_pt_write(struct mmu *mmu, ppn_t table, unsigned i, gpte_t word, struct err *err);

/*
 * direct: the same with a machine page in the word, as a guest that knows them would
 * ask. -EPERM unless it is the guest's own and nobody else's.
 */
MUST_CHECK int mmu_update(struct mmu *mmu, ppn_t table, unsigned i, gpte_t word, struct err *err);

/* Says that a page, all zero, is to be a table of that level, or is a table no more. */
MUST_CHECK int mmu_pt_pin(struct mmu *mmu, ppn_t ppn, unsigned level, struct err *err);
MUST_CHECK int mmu_pt_unpin(struct mmu *mmu, ppn_t ppn, struct err *err);

/* The guest's kernel touches a page by its own mapping of all memory: no walk is counted. */
MUST_CHECK int mmu_touch(struct mmu *mmu, ppn_t ppn, enum access access, struct err *err);

/* The same for the whole page: what a content id stands for, or what another holds. */
MUST_CHECK int mmu_set_content(struct mmu *mmu, ppn_t ppn, uint64_t id, struct err *err);
MUST_CHECK int mmu_copy(struct mmu *mmu, ppn_t to, ppn_t from, struct err *err);

/* CR3: -EFAULT unless it is memory of the guest; -EPERM: refused. */
MUST_CHECK int mmu_load_root(struct mmu *mmu, uint64_t root, struct err *err);

MUST_CHECK int mmu_flush_page(struct mmu *mmu, uint64_t vpn, struct err *err);	 /* INVLPG */
MUST_CHECK int mmu_flush_space(struct mmu *mmu, uint64_t root, struct err *err); /* INVPCID */
void mmu_set_user(struct mmu *mmu, bool user);

/* A reference that missed the first-level TLB. 0, MMU_FAULT or -errno. */
int mmu_miss(struct mmu *mmu, uint64_t vpn, enum access access, ppn_t *ppn, struct mmu_fault *fault,
	     struct err *err);

/* The digest after a reference. */
static inline uint64_t mmu_mix(uint64_t digest, uint32_t ppn, uint32_t mpn, unsigned rights)
{
	const uint64_t x = ((uint64_t)mpn << 32 | ppn) ^
			   (rights & (PT_R_ALL | TLB_HOST_W)) * UINT64_C(0xd6e8feb86659fd93);

	return ((digest << 5 | digest >> 59) ^ x) * UINT64_C(0x9e3779b97f4a7c15);
}

/* What a reference leaves behind in pmap, frame and digest. */
static inline void mmu_done(struct mmu *mmu, uint32_t ppn, uint32_t mpn, unsigned rights,
			    enum access access)
{
	pte_t e = mmu->pmap->pte[ppn], after = pte_referenced(e, access);

	if (unlikely(after != e))
		mmu->pmap->pte[ppn] = after;
	machine_use(&mmu->pmap->vm->host->machine, (mpn_t){mpn});
	mmu->digest = mmu_mix(mmu->digest, ppn, mpn, rights);
}

/* Whether the first-level TLB serves the reference: then it is noted there as used. */
static inline bool mmu_first(struct mmu *mmu, const struct tlb_region *r, const struct tlb_rec *rec,
			     uint64_t vpn, enum access access)
{
	struct tlb_array *a = &mmu->tlb.l1;
	const uint32_t set = (uint32_t)vpn & (a->sets - 1);

	if (unlikely(rec->gen != mmu->tlb.gen[TLB_LOCAL] ||
		     !(rec->allow >> (access | (mmu->user ? 0 : TLB_KERNEL)) & 1) ||
		     tlb_set(a, set)->at[rec->way[0]] != (r->id | (vpn & (PT_LARGE - 1)))))
		return false;
	tlb_used(a, set, rec->way[0] - 1u);
	return true;
}

/* The same where the mode has rows: whether it could be in one. */
bool mmu_run_one(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access);

/* A reference. *ppn is the page; 0, MMU_FAULT or -errno, nothing referenced. */
MUST_CHECK static inline int mmu_ref(struct mmu *mmu, uint64_t vpn, enum access access, ppn_t *ppn,
				     struct mmu_fault *fault, struct err *err)
{
	struct tlb_region *r = tlb_find(&mmu->tlb, tlb_key(mmu->space, vpn));
	const struct tlb_rec *rec = r ? &r->rec[vpn & (PT_LARGE - 1)] : NULL;

	if (rec && mmu->run && mmu_run_one(mmu, r, vpn, access)) {
		ppn->n = rec->ppn;
		return 0;
	}
	if (!rec || mmu->run || !mmu_first(mmu, r, rec, vpn, access))
		return mmu_miss(mmu, vpn, access, ppn, fault, err);
	ppn->n = rec->ppn;
	mmu_done(mmu, rec->ppn, rec->mpn, rec->rights, access);
	return 0;
}

/*
 * Two fetches ahead of a reference, of what it will need: by its address the region and
 * record, and, when that has come, what it says is needed besides. Neither changes
 * anything; so gcc would leave calls to them out, were they not always inlined. The
 * region is of another address, where the page has none, or space or regions change.
 */
static inline __attribute__((always_inline)) struct tlb_region *
mmu_fetch(const struct tlb *t, uint64_t space, uint64_t vpn)
{
	struct tlb_region *r = t->memo[tlb_memo_of(space | vpn >> 9)];

	__builtin_prefetch(&r->rec[vpn & (PT_LARGE - 1)], 1);
	return r;
}

/* The words of tables that a walk reads last. */
static inline __attribute__((always_inline)) void
mmu_fetch_words(const struct mmu *mmu, const struct tlb_region *r, uint64_t vpn)
{
	if (likely(r->memo_gen == mmu->tables.upper_gen))
		__builtin_prefetch(&r->pt->word[vpn & (PT_WORDS - 1)]);
	if (r->derived_table) { /* its words come first, then their PPNs */
		const uint64_t *word = (const uint64_t *)r->derived_table;
		__builtin_prefetch(&word[vpn & (PT_WORDS - 1)]);
		__builtin_prefetch((const uint32_t *)&word[PT_WORDS] + (vpn & (PT_WORDS - 1)));
	}
}

static inline __attribute__((always_inline)) void mmu_fetch_near(const struct mmu *mmu,
								 const struct tlb_region *r,
								 uint64_t vpn, const pte_t *pte,
								 uint16_t gen)
{
	const struct tlb_rec *rec = &r->rec[vpn & (PT_LARGE - 1)];
	const uint32_t ppn = rec->ppn; /* below pages, were it of another address */

	__builtin_prefetch(&pte[ppn], 1);
	if (likely(rec->gen == gen))
		return;
	/* It has been flushed since, and will be walked for, likely to where it was. */
	mmu_fetch_words(mmu, r, vpn);
	if (mmu->by_ppn)
		__builtin_prefetch(&mmu->by_ppn[ppn], 1);
}

/* The second where no walk is made again, after mmu_fetch_words(): what the guest's word says. */
static inline __attribute__((always_inline)) void
mmu_fetch_by_word(const struct mmu *mmu, const struct tlb_region *r, uint64_t vpn)
{
	if (unlikely(r->memo_gen != mmu->tables.upper_gen))
		return;
	const uint64_t ppn = gpte_ppn(r->pt->word[vpn & (PT_WORDS - 1)]);
	if (likely(ppn < mmu->pmap->pages))
		__builtin_prefetch(&mmu->pmap->pte[ppn], 1);
}

/* The first fetch of reference i of a row, and the second. */
static inline __attribute__((always_inline)) void mmu_fetch_far(const struct mmu *mmu,
								struct mmu_row *row, size_t i)
{
	const uint64_t vpn = row->ref[i] >> MMU_REF_SHIFT;
	struct tlb_region *r = mmu_fetch(&mmu->tlb, tlb_key(mmu->space, 0), vpn);

	row->region[i % MMU_RING] = r;
	if (!mmu->run)
		mmu_fetch_words(mmu, r, vpn);
}

static inline __attribute__((always_inline)) void
mmu_fetch_second(const struct mmu *mmu, const struct mmu_row *row, size_t i)
{
	const struct tlb_region *r = row->region[i % MMU_RING];

	if (mmu->run)
		mmu_fetch_near(mmu, r, row->ref[i] >> MMU_REF_SHIFT, mmu->pmap->pte,
			       mmu->tlb.gen[TLB_LOCAL]);
	else
		mmu_fetch_by_word(mmu, r, row->ref[i] >> MMU_REF_SHIFT);
}

/* Fetches what has not been, for the references before `until` and those that follow it. */
static inline void mmu_fetch_until(const struct mmu *mmu, struct mmu_row *row, size_t until)
{
	const size_t far = min_u64(until + MMU_FAR, row->words);
	const size_t near = min_u64(until + MMU_NEAR, row->words);

	for (row->far = max_u64(row->far, row->at); row->far < far; row->far++)
		mmu_fetch_far(mmu, row, row->far);
	for (row->near = max_u64(row->near, row->at); row->near < near; row->near++)
		mmu_fetch_second(mmu, row, row->near);
}

/* ---- what the host does ------------------------------------------------------ */

/* The host moved the page or took rights from it: pmap_changed() says so. */
void mmu_changed(struct mmu *mmu, ppn_t ppn);

/* The stretch of the page was made whole. NULL is fine. */
void mmu_gathered(struct mmu *mmu, ppn_t ppn);

/* A harvest cleared the page's dirty bit, or the accessed one. */
void mmu_cleaned(struct mmu *mmu, ppn_t ppn, bool dirty);

/* Recounts, and compares all that is kept with a walk from scratch. NULL is fine. */
size_t mmu_audit(struct mmu *mmu, FILE *out);

/* Cycles that all has cost so far. */
uint64_t mmu_cycles(const struct mmu *mmu);

/* Brings the gauges up to date. */
void mmu_refresh(struct mmu *mmu);

#endif
