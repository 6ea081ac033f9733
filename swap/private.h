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

/* Moves a frame's page into a slot and back. 0, or -errno with a message. */
MUST_CHECK int area_store(struct area *area, uint32_t slot, const struct machine *m, mpn_t mpn,
			  struct err *err);
MUST_CHECK int area_load(struct area *area, uint32_t slot, struct machine *m, mpn_t mpn,
			 struct err *err);

/* Neither bytes nor content ids exist: there is nothing to move. */
static inline bool area_bare(const struct area *area, const struct machine *m)
{
	return (area->fd < 0) & !area->ids & !m->ids;
}

#endif
