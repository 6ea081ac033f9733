/*
 * A model of translation lookaside buffers that costs a processor's time by the
 * miss, not by the search.
 *
 * Two levels of set-associative arrays, the first split by page size or not, as
 * a job says. Replacement is bit-PLRU: a bit a way, set by use, all others
 * cleared when all would be set; the victim is the first way without. (No maker
 * publishes its own; this one approximates LRU as they all do.)
 *
 * The state is exact, yet nothing is searched. Every virtual page that was
 * translated has a record, found by address, which says in which way of its set it
 * was put last; it lies there if that way bears its number. So a lookup is two
 * loads, whatever the associativity, and who is evicted is not told. Flushes are
 * counted, and what is of an earlier count is empty: flushing takes no time either.
 * A record stays when it is evicted, and may serve for another walk (tlb_knows()).
 * A region, the records of 2 MiB, is given up only when none of its records lies in
 * an array, of which there is always one: there are more regions than entries. One
 * VM, one thread.
 */
#ifndef BALLAST_PMAP_TLB_H
#define BALLAST_PMAP_TLB_H

#include "core/types.h"
#include "pmap/pt.h"
#include "pmap/slab.h"

#include <stdio.h>

/* What a reference may do by this translation: 1 << (access | TLB_KERNEL if not by the user). */
enum tlb_allow { TLB_KERNEL = 2 };

struct tlb_rec {
	uint32_t ppn, mpn; /* of a large one: of its first page */
	uint16_t gen;	   /* flush count of its class when it went into an array */
	uint8_t way[2]; /* of the first and second level, from 1, where it was put: tlb_holds() */
	uint8_t allow;	/* 1 << tlb_allow */
	uint8_t rights; /* PT_R_* that the guest gives, and TLB_HOST_W: as digests see them */
	bool large;
	uint8_t known; /* what is known of a walk: see tlb_knows() */
};

#define TLB_HOST_W 16 /* in rights: the host lets the page be written */

enum tlb_class { TLB_LOCAL, TLB_GLOBAL, TLB_CLASSES };

#define TLB_GLOBAL_ROOT ((UINT64_C(1) << 37) - 1)     /* for the root, in a key: global pages */
#define TLB_NO_KEY	((TLB_GLOBAL_ROOT - 1) << 27) /* roots are shorter */

struct tlb_region {
	/* What each miss needs, in one cache line. */
	uint64_t ready;	  /* the mode's: upper tables and walk caches as they were at that count */
	uint64_t key;	  /* root << 27 | VPN >> 9 */
	uint64_t version; /* of the last-level table whose words the records remember */
	const uint64_t *version_at; /* where it stands; of the mode's tables, not the guest's */
	uint64_t pde_until; /* of fills of the walk cache, in which the last-level table stays */
	uint32_t id;	    /* tlb_id() of its first record */
	uint32_t table_ppn; /* ept: of the last-level table, while it is ready */
	uint8_t tag;	    /* what its records know bears it, in bits 2-7 */
	bool beside;   /* a TLB may hold these pages otherwise: by a large record, as global ones */
	bool led;      /* a walk came through the tables above, since they are what they are */
	uint8_t class; /* enum tlb_class */
	unsigned derived_rights;
	/*
	 * What a walk through the upper levels found, good while the store's
	 * upper_gen is memo_gen: the last level, and what leads there.
	 */
	uint64_t memo_gen;
	struct pt_page *pt;
	uint64_t pdpte_seen;  /* the count of the walk cache above it, when that was seen to hold */
	uint64_t derived_gen; /* shadow, direct: what follows is good while it is this */
	const struct dtable *derived_table; /* their last level */
	uint32_t table[PT_LEVELS + 1];	    /* PPNs of the tables on the way, by level */
	uint32_t upper_rights;
	uint32_t derived;
	bool fractured;		 /* small records stand for a part of a large page of the guest */
	struct tlb_region *next; /* of the hash chain */
	struct tlb_region *older, *newer; /* all regions, by age */
	uint64_t held;			  /* the discard that found a record of it in an array */
	struct tlb_rec large;
	struct tlb_rec rec[PT_LARGE] __attribute__((aligned(64)));
};

/* A set: what each reference reads and writes of it, in one cache line up to 12 ways. */
struct tlb_set {
	uint64_t used;	/* bit-PLRU: a bit a way */
	uint32_t whole; /* the count of flushes, if every way holds something as of then; or 0 */
	uint32_t at[];	/* [1 + ways] tlb_id() of what lies there, 0: nothing; at[0] is no way */
};

struct tlb_set_more {
	uint64_t full; /* ways that hold something, as of flushes */
	uint64_t flushes;
};

/* One array of one level and size, or of one level and both sizes. */
struct tlb_array {
	uint32_t sets, ways;
	uint64_t all;		   /* a bit for each way */
	uint64_t keep;		   /* the same; 0 of a single way, which is never noted as used */
	unsigned level;		   /* 0 or 1 */
	uint32_t stride;	   /* bytes from set to set */
	size_t bytes;		   /* of all sets */
	uint8_t *set;		   /* [sets] struct tlb_set: tlb_set() */
	struct tlb_set_more *more; /* [sets] */
};

/* Sizes in entries; ways 0: fully associative. */
struct tlb_shape {
	uint32_t l1_entries, l1_ways;
	uint32_t large_entries, large_ways; /* 0: large pages lie among the small */
	uint32_t l2_entries, l2_ways;	    /* both sizes; 0: no second level */
	uint32_t pde_entries;		    /* last-level tables whose addresses are cached */
};

#define TLB_WAYS_MAX	64
#define TLB_ENTRIES_MAX 8192
#define TLB_MEMO	4096

struct tlb {
	struct tlb_array l1, large, l2;
	uint16_t gen[TLB_CLASSES]; /* flushes of the class, plus 1 */
	uint64_t
		flushes; /* of either: sets find by it that they are out of date. Low half: not 0 */
	struct tlb_region *memo[TLB_MEMO]; /* the last region used, by key; or none */
	struct tlb_region *none;	   /* one of no key */
	struct tlb_region **chain;	   /* [chains] */
	struct tlb_region **region;	   /* [1 + regions_max] by the index in their ids, from 1 */
	uint32_t chains;		   /* a power of two */
	uint32_t regions, regions_max;
	uint32_t spare; /* an index that was given up, or 0 */
	struct tlb_region *oldest, *newest;
	struct slab slab; /* of regions */
	uint64_t discards;
	uint32_t globals; /* regions of class TLB_GLOBAL */
	/* The walk cache of last-level tables, a FIFO: the count of fills, and how many one stays
	 */
	uint64_t pde_next;
	uint32_t pde_entries;
};

/* Whether the walk cache knows where the region's last-level table is. */
static inline bool tlb_pde_holds(const struct tlb *t, const struct tlb_region *r)
{
	return r->pde_until >= t->pde_next;
}

static inline void tlb_pde_fill(struct tlb *t, struct tlb_region *r)
{
	r->pde_until = t->pde_next++ + t->pde_entries;
}

/* As if so many fills had come that nothing stays. */
static inline void tlb_pde_flush(struct tlb *t)
{
	t->pde_next += t->pde_entries;
}

/* The shape is checked by tlb_shape_check(). -ENOMEM only. */
MUST_CHECK int tlb_init(struct tlb *t, const struct tlb_shape *shape, struct meter *meter);

/* NULL, or what is wrong with it. */
const char *tlb_shape_check(const struct tlb_shape *shape);
void tlb_fini(struct tlb *t);

static inline uint64_t tlb_key(uint64_t root, uint64_t vpn)
{
	return root << 27 | vpn >> 9;
}

static inline uint32_t tlb_memo_of(uint64_t key)
{
	return (uint32_t)(key ^ key >> 27) & (TLB_MEMO - 1);
}

/* The region if there is one, or NULL. */
struct tlb_region *tlb_find_slow(struct tlb *t, uint64_t key);

static inline struct tlb_region *tlb_find(struct tlb *t, uint64_t key)
{
	struct tlb_region *r = t->memo[tlb_memo_of(key)];

	return likely(r->key == key) ? r : tlb_find_slow(t, key);
}

/* The same, made where it is missing. NULL without memory. */
struct tlb_region *tlb_region(struct tlb *t, uint64_t key, enum tlb_class class);

/* The array of a record. */
static inline struct tlb_array *tlb_array_of(struct tlb *t, bool large, unsigned level)
{
	return level ? &t->l2 : large && t->large.sets ? &t->large : &t->l1;
}

static inline struct tlb_set *tlb_set(const struct tlb_array *a, uint32_t set)
{
	return (struct tlb_set *)(a->set + (size_t)set * a->stride);
}

#define TLB_ID_SHIFT 10 /* bits for the place in a region: PT_LARGE is the large record */

/* The record's number, among all: never 0. */
static inline uint32_t tlb_id(const struct tlb_region *r, const struct tlb_rec *rec)
{
	return r->id | (rec == &r->large ? PT_LARGE : (uint32_t)(rec - r->rec));
}

/* The set of that array that a record of the region belongs to. */
static inline uint32_t tlb_set_of(const struct tlb_array *a, const struct tlb_region *r,
				  const struct tlb_rec *rec)
{
	return (uint32_t)(rec == &r->large ? r->key : r->key << 9 | (uint64_t)(rec - r->rec)) &
	       (a->sets - 1);
}

/* Whether the record is in an array of that level. */
bool tlb_holds(struct tlb *t, const struct tlb_region *r, const struct tlb_rec *rec,
	       unsigned level);

/* One or the other, without a branch: processors guess wrong at what is as good as random. */
static inline uint64_t tlb_choose(bool first, uint64_t a, uint64_t b)
{
	const uint64_t mask = -(uint64_t)first;

	return b ^ ((a ^ b) & mask);
}

static inline void tlb_used(struct tlb_array *a, uint32_t set, unsigned way)
{
	struct tlb_set *s = tlb_set(a, set);
	uint64_t bit = UINT64_C(1) << way, used = s->used | bit;

	s->used = tlb_choose(used == a->all, bit & a->keep, used);
}

/* Puts a record into one level, where it is not, evicting whose turn it is. */
void tlb_fill(struct tlb *t, struct tlb_region *r, struct tlb_rec *rec, unsigned level);

/* A small record, in none of the levels, into both. */
void tlb_fill_small(struct tlb *t, struct tlb_region *r, struct tlb_rec *rec);

/*
 * Whether that access by a walk would find just what the record says, and set no bit
 * that is not set: it did before, and nothing that it went by has changed since. A flush
 * ends it, and so do a new tag for the region and a new version of its table.
 */
static inline bool tlb_knows(const struct tlb_region *r, const struct tlb_rec *rec, unsigned access)
{
	uint8_t known = rec->known ^ r->tag; /* 1 reads, 2 writes, if the tag is the same */

	return known < 4 && known >> access & 1;
}

/* A walk for that access has filled the record, and would again; or would not. */
static inline void tlb_note(const struct tlb_region *r, struct tlb_rec *rec, unsigned access,
			    bool again)
{
	uint8_t before = rec->known ^ r->tag;
	uint8_t known = (uint8_t)(1u << access | 1u | (before < 4 ? before : 0));

	rec->known = again && !r->beside ? r->tag | known : r->tag;
}

/* Nothing is known any more, for now or for good. */
void tlb_forget(struct tlb_region *r);
void tlb_hold_beside(struct tlb_region *r);

/* What the last-level table says is of the version that stands there. */
static inline void tlb_see_version(struct tlb_region *r, const uint64_t *at)
{
	if (unlikely(r->version != *at)) {
		tlb_forget(r);
		r->version = *at;
	}
	r->version_at = at;
}

/* Takes a record out of both levels. */
void tlb_drop(struct tlb *t, struct tlb_region *r, struct tlb_rec *rec);

/* INVLPG: what translates the page under that root, and globally. */
void tlb_flush_page(struct tlb *t, uint64_t root, uint64_t vpn);

void tlb_flush_local(struct tlb *t); /* all that is not global */
void tlb_flush_all(struct tlb *t);

/* All that is not global and of one root. */
void tlb_flush_root(struct tlb *t, uint64_t root);

/* Calls fn for every record that lies in an array; for audits. */
void tlb_each(struct tlb *t,
	      void (*fn)(void *arg, const struct tlb_region *r, const struct tlb_rec *rec,
			 uint64_t vpn, bool large),
	      void *arg);

/* Whether every way and record agree; the number of violations. */
size_t tlb_audit(struct tlb *t, FILE *out);

#endif
