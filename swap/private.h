/* For swap/ and its tests. */
#ifndef BALLAST_SWAP_PRIVATE_H
#define BALLAST_SWAP_PRIVATE_H

#include "swap/victim.h"

extern const struct victim victim_random, victim_clock, victim_lru, victim_fifo, victim_wsclock,
	victim_s3fifo;
extern const struct victim victim_none;

/*
 * Lists of frames: doubly linked through two arrays indexed by MPN, for
 * policies that keep an order of arrival. One array pair serves several lists,
 * a frame is on at most one.
 */
struct frame_links {
	uint32_t *next, *prev; /* [frames] */
	uint32_t frames;
};

struct frame_list {
	uint32_t head, tail; /* MPNs, UINT32_MAX when empty; head is the oldest */
	uint32_t n;
};

#define FRAME_LIST_EMPTY ((struct frame_list){UINT32_MAX, UINT32_MAX, 0})

MUST_CHECK int frame_links_init(struct frame_links *links, struct meter *meter, uint32_t frames);
void frame_links_fini(struct frame_links *links, struct meter *meter);
void frame_list_append(struct frame_links *links, struct frame_list *list, mpn_t mpn);
void frame_list_remove(struct frame_links *links, struct frame_list *list, mpn_t mpn);

/*
 * The swap area: which slots are taken, and what is in them.
 *
 * Slots are handed out in clusters of 64 neighbours, so that pages evicted
 * together lie together and are written in sequence; when no cluster is wholly
 * free the next one with room serves. taken == bits set in the map.
 */
struct area {
	uint64_t *map;	    /* a bit per slot: taken */
	uint64_t *occupied; /* a bit per cluster: some slot taken */
	uint64_t *full;	    /* a bit per cluster: every slot taken */
	uint32_t slots, clusters;
	uint64_t taken;	  /* slots */
	uint32_t empty;	  /* clusters without a taken slot */
	uint32_t cluster; /* the one being filled */
	int fd;		  /* -1 without bytes */
	const struct os_io *io;
	uint64_t *sum; /* XXH64 per slot, with bytes */
	bool kept;     /* the sums are another's memory */
	uint64_t *ids; /* content id per slot, without; NULL until one is not 0 */
	struct meter *meter;
};

#define SLOT_NONE UINT32_MAX

/* dir NULL: no file, content ids only. */
MUST_CHECK int area_init(struct area *area, struct meter *meter, uint32_t slots, const char *dir,
			 const struct os_io *io, struct err *err);
void area_fini(struct area *area);
void area_keep(struct area *area, int fd, uint64_t *sums); /* as swap_keep() */

/* The next free slot; SLOT_NONE when every slot is taken. */
uint32_t area_take_elsewhere(struct area *area);

static inline uint32_t area_take(struct area *area)
{
	uint64_t *word = &area->map[area->cluster];

	/* Only where this neither begins nor fills a cluster do the summaries stay. */
	if (unlikely(*word == 0 || !(~*word & (~*word - 1))))
		return area_take_elsewhere(area);
	unsigned bit = (unsigned)__builtin_ctzll(~*word);
	*word |= UINT64_C(1) << bit;
	area->taken++;
	return area->cluster * 64 + bit;
}

/* Takes that slot; false if there is none or it is taken. */
bool area_claim(struct area *area, uint32_t slot);

void area_put(struct area *area, uint32_t slot);
bool area_taken(const struct area *area, uint32_t slot);

/*
 * n pages' bytes into neighbouring slots, which nobody else uses: written, 0 or
 * -errno; and checksummed, in either order.
 */
MUST_CHECK int area_write(const struct area *area, uint32_t slot, uint32_t n, const uint8_t *bytes);
void area_seal(const struct area *area, uint32_t slot, uint32_t n, const uint8_t *bytes);

/* Moves a frame's page into a slot and back. 0, or -errno with a message. */
MUST_CHECK int area_store(struct area *area, uint32_t slot, const struct machine *m, mpn_t mpn,
			  struct err *err);
MUST_CHECK int area_load(struct area *area, uint32_t slot, struct machine *m, mpn_t mpn,
			 struct err *err);

/* The bytes of a slot that is taken, in an area with a file; nothing changes. 0 or -errno. */
MUST_CHECK int area_peek(const struct area *area, uint32_t slot, uint8_t *page, struct err *err);

/* Neither bytes nor content ids exist: there is nothing to move. */
static inline bool area_bare(const struct area *area, const struct machine *m)
{
	return (area->fd < 0) & !area->ids & !m->ids;
}

/* Per VM. */
struct swap_vm {
	uint64_t ins, outs, writes;
};

struct swap {
	struct host *host;
	struct swap_opts opts;
	struct area area;
	struct batch *batch[2]; /* where pages leave in batches: one may be on its way meanwhile */
	uint32_t cluster;	/* neighbours that leave together */
	uint64_t retired;	/* slots taken for good: the disk failed there */
	uint32_t *copy;	    /* [frames] slot with a copy of the frame's page as read, + 1; 0 none */
	uint32_t copy_hand; /* frame at which the next search for copies to drop begins */
	const struct victim *victim;
	void *victim_state;
	struct swap_vm **vm; /* [vms] by VM id */
	size_t vms;
	size_t shared_vm;     /* where the next search for a shared page begins: a VM */
	uint32_t shared_page; /* and its page */
};

/*
 * Nothing to write or read: neither bytes nor content ids exist, or the page's
 * id is void and sharing is there, which goes by no id that is.
 */
static inline bool contents_void(const struct swap *s, pte_t e)
{
	const bool is_void = (s->area.fd < 0) & !!(e & PTE_UNNAMED) & !!s->host->screen.settle;

	return area_bare(&s->area, &s->host->machine) | is_void;
}

static inline bool swap_settled(const struct swap *s, mpn_t mpn)
{
	const struct frame f = s->host->machine.frame[mpn.n];
	const struct screen *screen = &s->host->screen;

	return screen->settle && screen->settle(screen->ctx, s->host->vm[f.vm], (ppn_t){f.ppn});
}

#define STORE_TRIES 3 /* slots tried for one page before the disk is given up */

/* page.c: slots, copies, and one page's way out and back. */

/* A slot for one more page, from those that frames keep copies in if need be; or SLOT_NONE. */
uint32_t swap_take_slot(struct swap *s);
int swap_area_full(const struct swap *s, struct err *err); /* says so, returns -ENOSPC */

/* The copy that the frame keeps, if it has one, is given up. */
void swap_copy_drop(struct swap *s, mpn_t mpn);

/* Writes the frame's page, whose entry is e, to some slot; on failure the page is as it was. */
MUST_CHECK int swap_store(struct swap *s, mpn_t mpn, pte_t e, uint32_t *slot, struct err *err);

/* As struct page_handler has them, for PAGE_SWAPPED. */
MUST_CHECK int swap_fault(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access,
			  struct err *err);
void swap_drop(void *ctx, struct pmap *pmap, ppn_t ppn);
MUST_CHECK int swap_adopt(void *ctx, struct pmap *pmap, ppn_t ppn, struct err *err);

/* As struct awaited has it: what lies in those slots is read into the system's memory. */
void swap_fetch(const void *ctx, const uint64_t *slot, uint32_t n);

/*
 * batch.c: many pages' way out.
 *
 * Victims are gathered with their neighbours, and each becomes TRANSIT and
 * keeps its frame; their guests are kept from writing, their bytes are read and
 * written in runs. Then each page that is still as it was leaves, and the
 * backing is told, in runs again. What is touched, dropped or evicted by others
 * in between is TRANSIT no more, and its slot is given back: what was written
 * there is nobody's. So the bytes may be moved while others enter the host
 * (struct breather). A page that cannot be written stays.
 */
bool batch_open(struct swap *s);
MUST_CHECK int batch_async(struct swap *s); /* as swap_async() */
void batch_close(struct swap *s);

/* As reclaimer.reclaim; *failed: some page could not be written, and err says why. */
uint32_t batch_reclaim(struct swap *s, uint32_t want, struct vm *only, struct vm *needy,
		       bool *failed, struct err *err);

/* As struct page_handler has them, for PAGE_TRANSIT. */
MUST_CHECK int batch_fault(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access,
			   struct err *err);
void batch_drop(void *ctx, struct pmap *pmap, ppn_t ppn);

#endif
