/*
 * What lies in the ways of a TLB's arrays: by number, the record and its region; and each way
 * in turn, for those who look through all. For tlb*.c alone.
 */
#ifndef BALLAST_PMAP_TLB_WAYS_H
#define BALLAST_PMAP_TLB_WAYS_H

#include "pmap/tlb.h"

static inline struct tlb_region *tlb_region_of(const struct tlb *t, uint32_t id)
{
	return t->region[id >> TLB_ID_SHIFT];
}

static inline bool tlb_is_large(uint32_t id)
{
	return id & PT_LARGE;
}

static inline struct tlb_rec *tlb_rec_of(const struct tlb *t, uint32_t id)
{
	struct tlb_region *r = tlb_region_of(t, id);

	return tlb_is_large(id) ? &r->large : &r->rec[id & (PT_LARGE - 1)];
}

/* The first page that it translates. */
static inline uint64_t tlb_vpn_of(const struct tlb *t, uint32_t id)
{
	const uint64_t first = (tlb_region_of(t, id)->key & ((UINT64_C(1) << 27) - 1)) << 9;

	return tlb_is_large(id) ? first : first + (id & (PT_LARGE - 1));
}

/* Whether what the way bears is there: it was put there, and not flushed since. */
static inline bool tlb_way_bears(const struct tlb *t, const struct tlb_array *a, uint32_t id,
				 unsigned way)
{
	if (!id)
		return false;
	const struct tlb_rec *rec = tlb_rec_of(t, id);
	return rec->gen == t->gen[tlb_region_of(t, id)->class] && rec->way[a->level] == way + 1;
}

/* Each way of each array in turn: the place of the number that it bears. NULL: no more. */
struct tlb_ways {
	struct tlb_array *array[3];
	uint32_t i, set;
	unsigned way;
};

static inline struct tlb_ways tlb_ways(struct tlb *t)
{
	return (struct tlb_ways){{&t->l1, &t->large, &t->l2}};
}

static inline uint32_t *tlb_next_way(struct tlb_ways *w)
{
	while (w->i < ARRAY_LEN(w->array)) {
		struct tlb_array *a = w->array[w->i];
		if (w->set == a->sets) {
			w->set = 0;
			w->i++;
		} else if (w->way == a->ways) {
			w->way = 0;
			w->set++;
		} else {
			return &tlb_set(a, w->set)->at[1 + w->way++];
		}
	}
	return NULL;
}

/* Whether the way that came last holds something. */
static inline bool tlb_way_holds(const struct tlb *t, const struct tlb_ways *w, const uint32_t *at)
{
	return tlb_way_bears(t, w->array[w->i], *at, w->way - 1);
}

#endif
