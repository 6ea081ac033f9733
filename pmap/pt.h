/*
 * A guest's page tables: x86-64 four-level radix trees in guest-physical pages.
 *
 * Format: Intel SDM vol. 3A, section 4.5 (4-level paging), with 4 KiB and 2 MiB
 * leaves; a processor without 1 GiB pages, whose physical addresses have 46
 * bits. A word whose reserved bits are set faults, as does one that points
 * outside the guest's memory: a guest can write any word anywhere.
 *
 * The words are kept here by PPN, beside the frames, and that is enough: what a
 * page of the guest reads as depends on its PPN alone. Swapping and sharing move
 * a page to another frame and must not change what it reads as, so a store by
 * PPN needs no news of them, and works where frames have no bytes (backing =
 * ids). A page that was never written to as a table reads as zeros here: no
 * entry of it is present. The store grows by a page for each table page that the
 * guest makes, so never beyond its memory. One VM, one thread.
 */
#ifndef BALLAST_PMAP_PT_H
#define BALLAST_PMAP_PT_H

#include "core/meter.h"
#include "core/types.h"
#include "pmap/slab.h"

typedef uint64_t gpte_t; /* a word of a guest's page table */

#define GPTE_P	  (UINT64_C(1) << 0)
#define GPTE_W	  (UINT64_C(1) << 1)
#define GPTE_U	  (UINT64_C(1) << 2)
#define GPTE_A	  (UINT64_C(1) << 5)
#define GPTE_D	  (UINT64_C(1) << 6)
#define GPTE_PS	  (UINT64_C(1) << 7) /* level 2: a leaf of 2 MiB */
#define GPTE_G	  (UINT64_C(1) << 8)
#define GPTE_SOFT (UINT64_C(7) << 9) /* the guest's own use */
#define GPTE_NX	  (UINT64_C(1) << 63)

#define PT_WORDS     512u /* of a table */
#define PT_LEVELS    4
#define PT_LARGE     512u /* pages of a 2 MiB leaf */
#define PT_PHYS_BITS 46
#define PT_ADDR	     (((UINT64_C(1) << PT_PHYS_BITS) - 1) & ~(uint64_t)(PAGE_SIZE - 1))
#define PT_BEYOND    (((UINT64_C(1) << 52) - 1) & ~((UINT64_C(1) << PT_PHYS_BITS) - 1))
#define PT_VPN_BITS  36
#define PT_KERNEL    (UINT64_C(1) << 35) /* VPNs from here on are the guest kernel's half */

static inline gpte_t gpte_make(uint64_t ppn, gpte_t flags)
{
	return ppn << PAGE_SHIFT | flags;
}

/* May lie outside the guest's memory. */
static inline uint64_t gpte_ppn(gpte_t w)
{
	return (w & PT_ADDR) >> PAGE_SHIFT;
}

/* Index into the table of a level, 4 (root) to 1. */
static inline unsigned pt_index(uint64_t vpn, unsigned level)
{
	return (unsigned)(vpn >> (9 * (level - 1))) & (PT_WORDS - 1);
}

static inline bool gpte_leaf(gpte_t w, unsigned level)
{
	return level == 1 || (level == 2 && (w & GPTE_PS));
}

/* Reserved bits of a present word: beyond physical addresses, PS above, low bits of a 2 MiB leaf */
static inline bool gpte_reserved(gpte_t w, unsigned level)
{
	if (w & PT_BEYOND)
		return true;
	if (level > 2)
		return w & GPTE_PS;
	return level == 2 && (w & GPTE_PS) && (w & ((PT_LARGE - 1) & ~1u) << PAGE_SHIFT);
}

/* What a reference may do there, accumulated over the levels. */
enum pt_rights { PT_R_W = 1, PT_R_U = 2, PT_R_X = 4, PT_R_G = 8 };

#define PT_R_ALL (PT_R_W | PT_R_U | PT_R_X)

static inline unsigned gpte_rights(gpte_t w)
{
	return (w & GPTE_W ? PT_R_W : 0) | (w & GPTE_U ? PT_R_U : 0) | (w & GPTE_NX ? 0 : PT_R_X);
}

/* Why a walk ended. */
enum pt_why {
	PT_MAPPED,
	PT_ABSENT,   /* a word is not present */
	PT_DENIED,   /* the rights do not suffice */
	PT_RESERVED, /* a word has reserved bits */
	PT_OUTSIDE,  /* a table, or the page, is no memory of the guest */
};

/* A stretch of guest-physical addresses without memory: devices. */
struct pt_hole {
	uint32_t first, pages;
};

#define PT_HOLES_MAX 8

struct pt_page {
	gpte_t word[PT_WORDS];
	/*
	 * Another number whenever a word that was present changes, and no other page's. It
	 * stands apart, close to those of other tables: whoever remembers words compares it
	 * at each reference.
	 */
	uint64_t *version;
	uint32_t ppn;
	bool upper; /* was walked through at a level above 1 */
};

struct pt_store {
	uint32_t *slot;	       /* [pages] index into page, 0: no table */
	struct pt_page **page; /* [room], page[0] unused; addresses stay */
	uint64_t **version;    /* [room] where the page's stands; NULL where none was yet */
	uint32_t used, room;   /* used - 1 tables, dense from page[1] on */
	uint32_t pages;	       /* of the VM */
	uint64_t upper_gen;    /* grows when a word of an upper table changes */
	uint64_t versions;     /* the last that was given out */
	struct pt_hole hole[PT_HOLES_MAX];
	unsigned holes;
	struct slab slab;   /* of pages */
	struct cells cells; /* of versions */
	struct meter *meter;
};

MUST_CHECK int pt_store_init(struct pt_store *s, uint32_t pages, struct meter *meter);
void pt_store_fini(struct pt_store *s);

/* Whether the PPN is memory of the guest. */
static inline bool pt_memory(const struct pt_store *s, uint64_t ppn)
{
	if (ppn >= s->pages)
		return false;
	for (unsigned i = 0; i < s->holes; i++) {
		if (ppn - s->hole[i].first < s->hole[i].pages)
			return false;
	}
	return true;
}

/* The table in a page of the guest, or NULL: it reads as zeros. */
static inline struct pt_page *pt_page(const struct pt_store *s, uint32_t ppn)
{
	uint32_t slot = s->slot[ppn];

	return slot ? s->page[slot] : NULL;
}

static inline gpte_t pt_read(const struct pt_store *s, ppn_t ppn, unsigned i)
{
	const struct pt_page *p = pt_page(s, ppn.n);

	return p ? p->word[i] : 0;
}

/* Writes a word of a page that is memory. 0 or -ENOMEM. */
MUST_CHECK int pt_write(struct pt_store *s, ppn_t ppn, unsigned i, gpte_t word);

/* The page's contents are forgotten: it reads as zeros. */
void pt_forget(struct pt_store *s, ppn_t ppn);

struct pt_path {
	enum pt_why why;
	unsigned level;	   /* of the leaf, or at which the walk ended */
	uint32_t table[5]; /* [level] PPNs, down to `level` */
	gpte_t word[5];	   /* [level] */
	unsigned rights;   /* PT_R_*, if PT_MAPPED or PT_DENIED */
	uint32_t ppn;	   /* of the page itself, if PT_MAPPED or PT_DENIED */
};

/*
 * Walks from the root, from scratch, and changes nothing: the truth that every
 * mode is compared with. For tables above level 1, `upper` is noted.
 */
void pt_walk(const struct pt_store *s, uint32_t root, uint64_t vpn, bool write, bool user,
	     struct pt_path *path);

/* A hash over every word of every table; in the order of PPNs. */
uint64_t pt_store_digest(const struct pt_store *s);

#endif
