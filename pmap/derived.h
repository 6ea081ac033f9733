/*
 * Tables of MPNs made from a guest's tables: what `shadow` keeps behind the
 * guest's back, and what in `direct` are the guest's tables as the processor
 * reads them.
 *
 * A derived table stands for one page of the guest in one role (level, view). Its
 * words are filled in when they are needed or, where the guest's word and the page
 * are such that the processor could use it at once, when the guest writes. Two
 * lists find what must go: for each PPN, the leaves that map it (the host moved
 * the page), and for each table, the words that point to it (it is given up). So
 * the words never say more than guest's tables and pmap do, which the audit
 * checks word by word.
 *
 * A large leaf of the guest becomes one of ours where the host's frames lie in a row
 * (pmap/large.h) and none of the pages is a table; else 512 small ones, a splinter.
 */
#ifndef BALLAST_PMAP_DERIVED_H
#define BALLAST_PMAP_DERIVED_H

#include "pmap/mmu_private.h"

#define DW_P	 (UINT64_C(1) << 0)
#define DW_W	 (UINT64_C(1) << 1)
#define DW_PS	 (UINT64_C(1) << 7) /* level 2: a leaf of 2 MiB */
#define DW_R_AT	 52		    /* PT_R_* that the guest's own word gives */
#define DW_HOSTW (UINT64_C(1) << 56)

struct dtable {
	uint64_t word[PT_WORDS]; /* MPN of a page, or number of a derived table */
	uint32_t ppn[PT_WORDS];	 /* of leaves; of a large one, the first page */
	uint32_t page;		 /* whose words it is made from; of a splinter, its first page */
	uint64_t *version; /* of a last level: another number when a word that was there changes */
	uint8_t level, view;
	bool splinter; /* 512 small leaves for one large one of the guest */
	bool unsync;   /* the guest may write to the page, and has */
	bool used;
	uint32_t next;	  /* of the same page */
	uint32_t parents; /* words that point here */
	uint32_t older, newer;
};

struct dnode {
	uint32_t where; /* table << 9 | word */
	uint32_t next;
};

struct derived {
	bool direct;
	struct dtable **table; /* [room] table[0] unused */
	uint64_t **version;    /* [room] where its version stands */
	uint32_t tables, room, live, free;
	struct slab slab;
	struct cells cells; /* of versions */
	struct dnode *node; /* node[0] unused */
	uint32_t nodes, node_room, node_free;
	uint32_t *leaves; /* [pages] nodes of leaves that map the page */
	uint32_t *made;	  /* [pages] tables made from the page, through next */
	uint32_t oldest, newest;
	uint32_t unsynced; /* tables */
	uint64_t gen;	   /* grows when a word above the last level, or a table, goes */
	uint64_t versions; /* of tables: the last that was given out */
	/* Leaves of 2 MiB, by stretch: the words, pages that are tables, whether one was broken. */
	uint32_t *large;
	uint16_t *tables_in;
	bool *broken;
	uint64_t larges;
	bool loose; /* a TLB may hold what no path through the tables leads to */
	/* direct: */
	uint8_t *type;	    /* [pages] level of a table that is pinned, or 0 */
	uint32_t *refs;	    /* [pages] of a table: words that point to it */
	uint32_t *writable; /* [pages] words of tables that let the page be written */
	uint32_t pending;   /* updates that wait for a hypercall */
};

static inline bool derived_is_leaf(const struct dtable *t)
{
	return t->level == 1;
}

/* The table that a word above the last level points to. */
static inline uint32_t derived_child(uint64_t w)
{
	return (uint32_t)(w >> PAGE_SHIFT);
}

/* Whether the page is a table that the guest may not write to. */
static inline bool derived_protected(const struct derived *d, uint32_t ppn)
{
	if (d->direct)
		return d->type[ppn] != 0;
	for (uint32_t t = d->made[ppn]; t; t = d->table[t]->next) {
		if (!d->table[t]->unsync)
			return true;
	}
	return false;
}

MUST_CHECK int derived_init(struct derived *d, struct mmu *mmu, bool direct);
void derived_fini(struct derived *d, struct mmu *mmu);

/* The table of that role, or 0. */
uint32_t derived_find(const struct derived *d, uint32_t page, unsigned level, unsigned view);

/* The same, made where it is missing; 0 without memory. */
uint32_t derived_make(struct derived *d, struct mmu *mmu, uint32_t page, unsigned level,
		      unsigned view);

/* Gives one table up, or all that were made from a page. */
void derived_drop(struct derived *d, struct mmu *mmu, uint32_t table);
void derived_drop_page(struct derived *d, struct mmu *mmu, uint32_t page);

/* The guest wrote word i of the page: its tables follow. */
void derived_follow(struct derived *d, struct mmu *mmu, uint32_t page, unsigned i);

/* Compares every word of a page's tables with what the guest's words say now. */
void derived_resync(struct derived *d, struct mmu *mmu, uint32_t page);

/*
 * Takes the page out of all leaves, or only the right to write, and of the TLB what
 * they translate: the leaves say at which addresses, by the words that lead to them.
 */
void derived_zap(struct derived *d, struct mmu *mmu, uint32_t ppn, bool only_write,
		 enum large_cause cause);

/* The stretch is whole: what stands for its pages in small leaves goes, and comes as one. */
void derived_gathered(struct derived *d, struct mmu *mmu, uint32_t ppn);

/* Flushes all: tables went, and what was translated by them is not looked for. */
void derived_flush(struct derived *d, struct mmu *mmu);

/* One walk of the processor. fault() is an exit; it fills in what is missing, or says why not. */
int derived_walk(struct mmu *mmu, struct derived *d, struct tlb_region *r, uint64_t vpn,
		 enum access access, struct mmu_walk *walk, struct mmu_fault *fault,
		 struct err *err);

mmu_run_fn derived_run; /* struct translation's run() */

/* ---- for derived*.c alone -------------------------------------------------------- */

/* Takes the node that says `where`, a word, out of a list. */
void derived_node_remove(struct derived *d, uint32_t *head, uint32_t where);

/* Empties a word, whatever it says; what word i of a table translates leaves the TLB. */
void derived_clear(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i,
		   enum large_cause cause);
void derived_unload(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i);

/* Fills word i of a table from the guest's, g. False without memory. */
bool derived_set_leaf(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		      uint32_t ppn);
bool derived_set_large(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		       uint32_t base);
bool derived_set_child(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		       uint32_t child);

/* An empty table, of no role yet: 0 without memory. Shadows beyond the limit go. */
uint32_t derived_new_table(struct derived *d);
void derived_make_room(struct derived *d, struct mmu *mmu);

size_t derived_audit(const struct derived *d, struct mmu *mmu, FILE *out);

#endif
