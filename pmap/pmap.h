/*
 * The pmap: for each VM, what every PPN is and where it is.
 *
 * One 64-bit entry a page in a flat array that costs only what is touched
 * (Waldspurger 2002, section 2). The mechanism alone edits it; a policy peeks.
 * The pmap does not know that swapping, sharing or ballooning exist: it knows
 * states, and for each state that it cannot resolve itself a handler.
 *
 *   63          32 31   27 26   24 23       16 15         2 1 0
 *   +-------------+-------+-------+-----------+------------+-+-+
 *   | MPN or slot | note  | state | flags     | always 0   |W|R|
 *   +-------------+-------+-------+-----------+------------+-+-+
 *
 * R and W lie where the kinds of a record point: a reference of kind k may go
 * ahead without the manager iff bit k is set. Kinds that are not plain reads
 * or writes point at bits 2..15, which are always 0, and so take the slow way
 * with the same test.
 *
 * A touch that hits sets ACCESSED, a write also all of PTE_STORE. Each bit has
 * one reader, which clears it: ACCESSED the samplers, DIRTY swap (against its
 * copy of the page), CHANGED and RECENT sharing (against its hash; between its
 * visits), LOGGED the dirty log (migration), UNNAMED whoever gives the frame a
 * content id. A first frame comes CHANGED; the note is its reader's. All but
 * DIRTY outlive the frame: they stay while a page is swapped out. What victim
 * policies know of use is kept by frame (machine.used, machine.stamp): it dies
 * with the frame, and a hand that sweeps the frames finds it in order. SAMPLED
 * takes R and W from a page, whatever it becomes, until its next touch, which
 * therefore comes here (section 5.3). One host, one thread.
 */
#ifndef BALLAST_PMAP_PMAP_H
#define BALLAST_PMAP_PMAP_H

#include "core/host.h"

typedef uint64_t pte_t;

enum access { ACCESS_READ = 0, ACCESS_WRITE = 1 };

#define PTE_R	     (UINT64_C(1) << ACCESS_READ)
#define PTE_W	     (UINT64_C(1) << ACCESS_WRITE)
#define PTE_ACCESSED (UINT64_C(1) << 16)
#define PTE_SAMPLED                                                                                \
	(UINT64_C(1) << 17) /* its next touch is reported; neither R nor W till then               \
			     */
#define PTE_DIRTY   (UINT64_C(1) << 18)
#define PTE_CHANGED (UINT64_C(1) << 19)
#define PTE_LOGGED  (UINT64_C(1) << 20)
#define PTE_PINNED  (UINT64_C(1) << 21) /* must keep its frame: no victim */
#define PTE_UNNAMED (UINT64_C(1) << 22) /* written with who knows what: its content id is void */
#define PTE_RECENT  (UINT64_C(1) << 23)

#define PTE_NOTE_SHIFT 27
#define PTE_NOTE_MASK  (UINT64_C(31) << PTE_NOTE_SHIFT)

#define PTE_STORE   (PTE_DIRTY | PTE_CHANGED | PTE_LOGGED | PTE_UNNAMED | PTE_RECENT)
#define PTE_LASTING (PTE_ACCESSED | PTE_SAMPLED | (PTE_STORE & ~PTE_DIRTY) | PTE_NOTE_MASK)

/* What a PPN is. Closed: every switch over it names all. */
enum page_state {
	PAGE_UNBACKED = 0, /* never touched, or dropped: reads as zero */
	PAGE_PRIVATE,	   /* value = MPN of a frame of its own */
	PAGE_SHARED,	   /* value = MPN of a read-only frame */
	PAGE_SWAPPED,	   /* value = slot of the swap area */
	PAGE_COMPRESSED,   /* value = slot of the compression tier */
	PAGE_BALLOONED,	   /* given up by the guest */
	PAGE_TRANSIT,	   /* value = MPN of its frame, whose bytes are being moved elsewhere */
	PAGE_STATES
};

#define PTE_STATE_SHIFT 24
#define PTE_STATE_MASK	(UINT64_C(7) << PTE_STATE_SHIFT)
#define PTE_VALUE_SHIFT 32

extern const char *const page_state_names[PAGE_STATES];

static inline enum page_state pte_state(pte_t e)
{
	return (enum page_state)((e & PTE_STATE_MASK) >> PTE_STATE_SHIFT);
}

static inline uint32_t pte_value(pte_t e)
{
	return (uint32_t)(e >> PTE_VALUE_SHIFT);
}

static inline mpn_t pte_mpn(pte_t e)
{
	return (mpn_t){pte_value(e)};
}

static inline bool pte_resident(pte_t e)
{
	return pte_state(e) == PAGE_PRIVATE || pte_state(e) == PAGE_SHARED;
}

static inline pte_t pte_make(enum page_state state, uint32_t value, pte_t flags)
{
	return (pte_t)value << PTE_VALUE_SHIFT | (pte_t)state << PTE_STATE_SHIFT | flags;
}

/* The rights go to an entry unless it is sampled. */
static inline pte_t pte_allow(pte_t e, pte_t rights)
{
	return e & PTE_SAMPLED ? e : e | rights;
}

struct pmap_stats {
	uint64_t faults;     /* touches of a page without a frame */
	uint64_t zero_fills; /* of them, first touches: a zeroed frame was handed out */
};

struct mmu;
struct large;

struct pmap {
	pte_t *pte;	 /* [pages] */
	struct mmu *mmu; /* NULL: flat, nobody keeps what the entries say */
	/* Of large pages (pmap/large.h), by stretch of 512 pages; each NULL where nobody asks: */
	uint16_t *row;	     /* pages from its first on that are known to lie in a row */
	uint32_t *home;	     /* its run, from 1; 0: none yet, UINT32_MAX: there was none */
	struct large *large; /* the part */
	bool told;	     /* of what changes: the MMU, or rows */
	uint32_t pages;
	pte_t blind; /* PTE_STORE if the guest's writes are not all seen: set, it stays set */
	struct vm *vm;
	const struct pmap_part *part;
	/*
	 * Optional, for a guest that runs by itself: the page is sampled now, so
	 * its next touch must come to pmap_fault().
	 */
	void (*hide)(void *ctx, ppn_t ppn);
	void *hide_ctx;
	uint64_t count[PAGE_STATES]; /* PPNs per state; the sum is pages */
	struct pmap_stats stats;
};

/* How a part answers for the pages of one state. */
struct page_handler {
	/*
	 * Makes the page resident with the right that the access needs, by
	 * pmap_map_private() or another mechanism call. 0 or -errno, which
	 * stops the VM.
	 */
	int (*fault)(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access, struct err *err);
	/* Frees what the entry's value stands for; the pmap sets the new state. */
	void (*drop)(void *ctx, struct pmap *pmap, ppn_t ppn);
	void *ctx;
	/*
	 * Optional: the entry was found as it is (pmap_adopt()). Takes what its
	 * value stands for; 0, or -errno with a message.
	 */
	int (*adopt)(void *ctx, struct pmap *pmap, ppn_t ppn, struct err *err);
	/*
	 * Of PAGE_SHARED: the page's contents are elsewhere, and its entry, that was
	 * `was`, says so already. As drop: frees what that stood for, which is in
	 * this order so that a manager may be killed at any moment.
	 */
	void (*left)(void *ctx, struct pmap *pmap, pte_t was);
};

/* Where entries lie that must outlive the host: already filled, or zeroed. */
struct pte_store {
	pte_t *(*entries)(void *ctx, const struct vm *vm); /* [vm->pages], or NULL */
	void *ctx;
};

/*
 * Told of the first touch of a sampled page, which is no longer sampled then,
 * when the page is there. minor: being sampled was all that the touch failed
 * for. It must not sample that page again, or the touch would never succeed.
 */
struct sample_watch {
	void (*touched)(void *ctx, struct pmap *pmap, ppn_t ppn, bool minor);
	void *ctx;
};

/* Told of each transfer by a device, when the page is there with the right that it needs. */
struct dma_watch {
	void (*transfer)(void *ctx, struct pmap *pmap, ppn_t ppn);
	void *ctx;
};

/* The pmaps of one host: a part of it, and the handlers of its states. */
struct pmap_part {
	struct host *host;
	pte_t **pte; /* [vms] each VM's entries, by id */
	struct page_handler handler[PAGE_STATES];
	struct sample_watch sample; /* at most one; touched may be NULL */
	struct dma_watch dma;	    /* likewise */
	struct pte_store store;	    /* entries NULL: the host's own memory */
};

MUST_CHECK int pmap_part_new(struct host *host, struct pmap_part **part);
void pmap_handle(struct pmap_part *part, enum page_state state, const struct page_handler *handler);

/* The entry, unchanged by looking. ppn < pages. */
static inline pte_t pmap_peek(const struct pmap *pmap, ppn_t ppn)
{
	return pmap->pte[ppn.n];
}

/* Makes a page resident with the right that the access needs. 0 or -errno, nothing changed. */
int pmap_fault(struct pmap *pmap, ppn_t ppn, enum access access, struct err *err);

/* What a reference does to an entry that allows it. */
static inline pte_t pte_referenced(pte_t e, enum access access)
{
	return e | PTE_ACCESSED | (access == ACCESS_WRITE ? PTE_STORE : 0);
}

/*
 * One reference by the guest: may hand out a frame, unshare, swap in. ppn <
 * pages. Returns 0 with the page resident, its bits set, or -errno with the
 * entry unchanged.
 */
MUST_CHECK static inline int pmap_touch(struct pmap *pmap, ppn_t ppn, enum access access,
					struct err *err)
{
	if (unlikely(!((pmap->pte[ppn.n] >> access) & 1))) {
		int rc = pmap_fault(pmap, ppn, access, err);
		if (rc)
			return rc;
	}
	pte_t e = pmap->pte[ppn.n];
	pmap->pte[ppn.n] = pte_referenced(e, access);
	machine_use(&pmap->vm->host->machine, pte_mpn(e));
	return 0;
}

/*
 * To be called by whoever changes where a page is, or takes a right from it, after
 * the change: tables and TLBs made from the entry are out of date.
 */
void pmap_tell(struct pmap *pmap, ppn_t ppn);

static inline void pmap_changed(struct pmap *pmap, ppn_t ppn)
{
	if (unlikely(pmap->told))
		pmap_tell(pmap, ppn);
}

/* The VM's pages in stretches of 512, the last perhaps a shorter one. */
static inline uint32_t pmap_stretches(const struct pmap *pmap)
{
	return (uint32_t)(((uint64_t)pmap->pages + 511) / 512);
}

/* Keeps rows from now on; 0 or -ENOMEM. */
MUST_CHECK int pmap_rows(struct pmap *pmap);

/*
 * A frame for that page, as host_take_frame(): one in its place, where frames of large
 * pages lie in a row.
 */
MUST_CHECK int large_take(struct pmap *pmap, ppn_t ppn, mpn_t *mpn, struct err *err);

MUST_CHECK static inline int pmap_take_frame(struct pmap *pmap, ppn_t ppn, mpn_t *mpn,
					     struct err *err)
{
	if (unlikely(pmap->home != NULL))
		return large_take(pmap, ppn, mpn, err);
	return host_take_frame(pmap->vm->host, pmap->vm, mpn, err);
}

/* The same by a device: ACCESS_WRITE if it writes memory. */
MUST_CHECK int pmap_dma(struct pmap *pmap, ppn_t ppn, enum access access, struct err *err);

/* Mechanism calls: entry, counts and frame table change together. Inline, as above. */

/* A page without a frame, of that state, becomes PRIVATE in a taken frame. */
static inline void pmap_map_private(struct pmap *pmap, ppn_t ppn, mpn_t mpn, enum page_state was)
{
	pte_t kept = pmap->pte[ppn.n] & PTE_LASTING;

	pmap->count[was]--;
	pmap->count[PAGE_PRIVATE]++;
	pmap->pte[ppn.n] = pte_make(PAGE_PRIVATE, mpn.n, pte_allow(kept, PTE_R | PTE_W));
	machine_own(&pmap->vm->host->machine, mpn, pmap->vm->id, ppn);
}

/*
 * A PRIVATE page loses its frame and gets another state and value. The frame,
 * which is returned, is taken and nobody's: to own anew or to machine_untake().
 * For whoever watches the frames (swap): the watcher is not told.
 */
static inline mpn_t pmap_unmap_private(struct pmap *pmap, ppn_t ppn, enum page_state state,
				       uint32_t value)
{
	pte_t e = pmap->pte[ppn.n];

	pmap->count[PAGE_PRIVATE]--;
	pmap->count[state]++;
	pmap->pte[ppn.n] = pte_make(state, value, e & PTE_LASTING);
	machine_disown(&pmap->vm->host->machine, pte_mpn(e));
	pmap_changed(pmap, ppn);
	return pte_mpn(e);
}

/*
 * A PRIVATE page is about to leave its frame, which it keeps for now: it is
 * TRANSIT, and no victim. A touch, or whoever gives up, takes that back; or the
 * page leaves for another state and value, and its frame is taken and nobody's.
 * Neither watcher nor backing is told.
 */
void pmap_begin_transit(struct pmap *pmap, ppn_t ppn);
void pmap_end_transit(struct pmap *pmap, ppn_t ppn);
mpn_t pmap_leave(struct pmap *pmap, ppn_t ppn, enum page_state state, uint32_t value);

/* A PRIVATE page moves to another frame, which is taken, contents and all; its own is freed. */
void pmap_move(struct pmap *pmap, ppn_t ppn, mpn_t to);

/*
 * A PRIVATE page becomes SHARED, read-only, in frame mpn: its own, which then
 * is a shared one, or another shared frame, and its own is freed. Counting the
 * frame's references is the caller's.
 */
void pmap_map_shared(struct pmap *pmap, ppn_t ppn, mpn_t mpn);

/*
 * A SHARED page becomes PRIVATE: in a taken frame, or in its shared one, whose
 * last page it is. References are the caller's again.
 */
void pmap_break_shared(struct pmap *pmap, ppn_t ppn, mpn_t mpn);

/* A SHARED page gives its frame up, through the handler's left, for another state and value. */
void pmap_unmap_shared(struct pmap *pmap, ppn_t ppn, enum page_state state, uint32_t value);

/*
 * Samples a page, in whatever state: it stays so, through swapping, sharing and
 * dropping, until its next touch or until the sample is taken back. Neither
 * call is a touch; each changes nothing where it has been made already.
 */
void pmap_sample(struct pmap *pmap, ppn_t ppn);
void pmap_unsample(struct pmap *pmap, ppn_t ppn);

/*
 * The entries of all VMs, from a store, are taken for true: each page gets its
 * frame, shared frame or slot, on a host that has handed out none. -errno leaves
 * the host good for host_free() alone.
 */
MUST_CHECK int pmap_adopt(struct host *host, struct err *err);

/* Forgets the page: it reads as zero from now on. Whatever it held is freed. */
void pmap_drop(struct pmap *pmap, ppn_t ppn);

/* The same, and the page becomes BALLOONED, which the handler of that state answers for. */
void pmap_give_up(struct pmap *pmap, ppn_t ppn);

/*
 * For handlers: a page without contents, UNBACKED or BALLOONED, becomes PRIVATE
 * in a zeroed frame. 0 or -errno, nothing changed.
 */
MUST_CHECK int pmap_zero_fill(struct pmap *pmap, ppn_t ppn, struct err *err);

/* Makes the whole page hold what a content id stands for, as a write by the guest. */
MUST_CHECK int pmap_set_content(struct pmap *pmap, ppn_t ppn, uint64_t id, struct err *err);

/*
 * The dirty log: calls fn for each page in [first, first + n) written since the
 * last harvest and clears its LOGGED bit. Returns how many there were.
 */
uint32_t pmap_harvest_dirty(struct pmap *pmap, ppn_t first, uint32_t n,
			    void (*fn)(void *arg, ppn_t ppn), void *arg);

/* The same for pages touched since the last harvest (ACCESSED). */
uint32_t pmap_harvest_accessed(struct pmap *pmap, ppn_t first, uint32_t n,
			       void (*fn)(void *arg, ppn_t ppn), void *arg);

#endif
