/* What the translation modes share; for pmap/ and its tests. */
#ifndef BALLAST_PMAP_MMU_PRIVATE_H
#define BALLAST_PMAP_MMU_PRIVATE_H

#include "pmap/mmu.h"

extern const struct translation translation_flat, translation_ept, translation_shadow,
	translation_direct, translation_nested;

extern const struct stat_row mmu_stat_rows[];

/* ---- the guest's dimension -------------------------------------------------- */

struct guest_walk {
	enum pt_why why;
	unsigned level;	       /* of the leaf, or where it ended */
	const uint32_t *table; /* [level] PPNs on the way */
	gpte_t *word;	       /* the leaf, if PT_MAPPED */
	struct pt_page *page;  /* where it lies */
	unsigned rights;       /* PT_R_* */
	uint32_t ppn;	       /* of the page, if PT_MAPPED */
	struct pt_path path;   /* what table points into, where no memo served */
};

/* As guest_walk(), where the region does not know its last-level table. */
void guest_walk_slow(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, bool write,
		     struct guest_walk *g);

/*
 * The guest's tables, as they are now: the same as pt_walk(), by the region's memo
 * where it holds. The memo is of the tables above the last level and is good
 * until a word of any of those changes, so that nothing stale is ever seen.
 */
static inline void guest_walk(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, bool write,
			      struct guest_walk *g)
{
	if (unlikely(r->memo_gen != mmu->tables.upper_gen)) {
		guest_walk_slow(mmu, r, vpn, write, g);
		return;
	}
	gpte_t *word = &r->pt->word[vpn & (PT_WORDS - 1)], w = *word;
	g->level = 1;
	g->table = r->table;
	if (unlikely(!(w & GPTE_P) || gpte_reserved(w, 1))) {
		g->why = w & GPTE_P ? PT_RESERVED : PT_ABSENT;
		return;
	}
	g->rights = r->upper_rights & gpte_rights(w);
	if (unlikely((write && !(g->rights & PT_R_W)) || (mmu->user && !(g->rights & PT_R_U)))) {
		g->why = PT_DENIED;
		return;
	}
	g->rights |= w & GPTE_G ? PT_R_G : 0;
	uint64_t ppn = gpte_ppn(w);
	g->why = likely(pt_memory(&mmu->tables, ppn)) ? PT_MAPPED : PT_OUTSIDE;
	g->ppn = (uint32_t)ppn;
	g->word = word;
	g->page = r->pt;
}

/*
 * Accessed and dirty bits of the leaf, as the processor sets them; above it they
 * are set by the walk that makes the memo. True if the leaf is dirty then.
 */
static inline bool guest_mark(struct mmu *mmu, const struct guest_walk *g, bool write)
{
	gpte_t w = *g->word, after = w | GPTE_A | (write ? GPTE_D : 0);
	if (unlikely(after != w)) {
		*g->word = after;
		*g->page->version = ++mmu->tables.versions;
	}
	return after & GPTE_D;
}

int mmu_guest_fault(struct mmu *mmu, const struct guest_walk *g, uint64_t vpn, bool write,
		    struct mmu_fault *fault);

/*
 * The walk caches of the guest's dimension: the level of the first table that
 * must be read, 4 if none is known. The walk then goes down to `level`, and what
 * it saw is cached.
 */
unsigned walk_from_slow(struct mmu *mmu, struct tlb_region *r, uint64_t vpn);

static inline unsigned walk_from(struct mmu *mmu, struct tlb_region *r, uint64_t vpn,
				 unsigned level)
{
	return level == 1 && tlb_pde_holds(&mmu->tlb, r) ? 1 : walk_from_slow(mmu, r, vpn);
}

/* Whether such a walk would begin at level 2 at most, as far as the last one knows. */
static inline bool walk_from_known(const struct mmu *mmu, const struct tlb_region *r)
{
	return r->pdpte_seen == mmu->pdpte.changes;
}

void walk_filled(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, unsigned from,
		 unsigned level);

/* ---- the host's dimension --------------------------------------------------- */

/* Makes the page resident with the right; 0 or -errno. */
MUST_CHECK static inline int mmu_ensure(struct mmu *mmu, uint32_t ppn, enum access access,
					struct err *err)
{
	if (likely(mmu->pmap->pte[ppn] >> access & 1))
		return 0;
	return pmap_fault(mmu->pmap, (ppn_t){ppn}, access, err);
}

/* A table's page: any frame will do, since a walk is not a touch by the guest. */
MUST_CHECK static inline int mmu_ensure_table(struct mmu *mmu, uint32_t ppn, struct err *err)
{
	if (likely(pte_resident(mmu->pmap->pte[ppn])))
		return 0;
	return pmap_fault(mmu->pmap, (ppn_t){ppn}, ACCESS_READ, err);
}

/* ---- mappings of 2 MiB ---------------------------------------------------------- */

/* Why the page, changed by the host, has lost its place. */
enum large_cause large_cause_of(const struct mmu *mmu, uint32_t ppn);

/* A mode made one, where it had broken one before or not; or broke one. */
void large_made(struct mmu *mmu, bool again);
void large_broken(struct mmu *mmu, enum large_cause cause);

/* Whether what is found is what is counted; the number of violations. */
size_t large_audit(const struct mmu *mmu, uint64_t found, FILE *out);

/* ---- walk caches ------------------------------------------------------------- */

static inline bool cache_has(const struct walk_cache *c, uint64_t key)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->key[i] == key + 1)
			return true;
	}
	return false;
}

static inline void cache_put(struct walk_cache *c, uint64_t key)
{
	if (!c->n || cache_has(c, key))
		return;
	c->changes++;
	c->key[c->next] = key + 1;
	c->next = c->next + 1 < c->n ? c->next + 1 : 0;
}

void cache_flush(struct walk_cache *c);

/* All walk caches of the guest's dimension; these and all TLBs of the VM. */
void mmu_flush_caches(struct mmu *mmu);
void mmu_flush_all(struct mmu *mmu);

/*
 * The same since the host changed a page. False: nothing was translated since the last
 * time, so that there is nothing to flush; a VMM does it once, before the guest goes on.
 */
bool mmu_zap_all(struct mmu *mmu);

/* The translation of one page in one space, and all walk caches: INVLPG, or INVVPID by address. */
void mmu_drop_page(struct mmu *mmu, uint64_t space, uint64_t vpn);

#define MMU_VIEWS 2 /* of an address space: 0 all of it, 1 as user mode sees it */

/* The current root, seen in that view, is what translates now: takes a TLB tag. */
void mmu_set_space(struct mmu *mmu, unsigned view);

/* ---- the table of PPN to MPN (ept, nested) ------------------------------------ */

#define EPT_R	  (UINT64_C(1) << 0)
#define EPT_W	  (UINT64_C(1) << 1)
#define EPT_X	  (UINT64_C(1) << 2) /* for us: the guest may touch it, not only its walks */
#define EPT_LARGE (UINT64_C(1) << 7)
#define EPT_A	  (UINT64_C(1) << 8)
#define EPT_D	  (UINT64_C(1) << 9)

static inline uint32_t ept_mpn(uint64_t w)
{
	return (uint32_t)(w >> PAGE_SHIFT);
}

/* A second-level entry with its table of leaves, which lie in a row for all. */
struct ept_dir {
	uint64_t word;	  /* a leaf of 2 MiB, or 0 */
	uint64_t until;	  /* of fills of the walk cache, in which it stays there */
	uint64_t l3_seen; /* without a word: l3's changes, when that was seen to hold what is above
			   */
	uint16_t present; /* leaves */
	bool broken;	  /* a leaf of 2 MiB was */
};

struct ept {
	uint64_t *leaf;	 /* [pages] */
	uint64_t *until; /* [pages] likewise, in the nested TLB; NULL without one */
	struct ept_dir *dir;
	uint32_t pages, dirs;
	uint64_t next; /* the count of fills of the walk cache of dirs */
	uint64_t nested_next;
	uint32_t entries, nested_entries;
	struct walk_cache l3, l4;
};

MUST_CHECK int ept_init(struct ept *e, struct mmu *mmu);
void ept_fini(struct ept *e, struct mmu *mmu);

/*
 * INVEPT: all that was translated by the table. There is no narrower one: entries that a
 * TLB made of both dimensions bear no guest-physical address (Intel SDM vol. 3C, section
 * 29.4.3), and those made of this one alone cannot be named singly.
 */
void ept_zap_all(struct ept *e, struct mmu *mmu);

/* The leaf of a page that is resident; 2 MiB at once where the frames allow it. */
void ept_map(struct ept *e, struct mmu *mmu, uint32_t ppn);

/* Takes the page's leaf out. Whether a TLB may hold something of it. */
bool ept_unmap(struct ept *e, struct mmu *mmu, uint32_t ppn);

/* Makes small leaves one of 2 MiB where the frames allow it. */
void ept_gather(struct ept *e, struct mmu *mmu, uint32_t ppn);

/* Clears its accessed and dirty bits. Whether a TLB may know of them. */
bool ept_clean(struct ept *e, struct mmu *mmu, uint32_t ppn);

uint64_t ept_tables(const struct ept *e);
size_t ept_audit_table(const struct ept *e, const struct mmu *mmu, FILE *out);

/* The two-dimensional walk. violation() resolves a missing or read-only leaf. */
typedef int ept_violation_fn(struct mmu *mmu, uint32_t ppn, bool table, enum access access,
			     struct err *err);
int ept_walk_by(struct mmu *mmu, struct ept *e, ept_violation_fn *violation, struct tlb_region *r,
		uint64_t vpn, enum access access, struct mmu_walk *walk, struct mmu_fault *fault,
		struct err *err);

/* The rows of references that the table serves (mmu_run_fn). */
void ept_run_by(struct mmu *mmu, struct ept *e, struct mmu_row *row);

#endif
