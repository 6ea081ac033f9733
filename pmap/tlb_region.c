/* Regions of a TLB's records: found, made, and given up for others. */
#include "pmap/tlb_ways.h"

static struct tlb_region **chain_of(const struct tlb *t, uint64_t key)
{
	return &t->chain[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (t->chains - 1)];
}

struct tlb_region *tlb_find_slow(struct tlb *t, uint64_t key)
{
	struct tlb_region *r = *chain_of(t, key);

	while (r && r->key != key)
		r = r->next;
	if (r)
		t->memo[tlb_memo_of(key)] = r;
	return r;
}

static void age_remove(struct tlb *t, struct tlb_region *r)
{
	*(r->older ? &r->older->newer : &t->oldest) = r->newer;
	*(r->newer ? &r->newer->older : &t->newest) = r->older;
}

static void age_append(struct tlb *t, struct tlb_region *r)
{
	r->older = t->newest;
	r->newer = NULL;
	*(t->newest ? &t->newest->newer : &t->oldest) = r;
	t->newest = r;
}

/*
 * Marks the regions that have a record in some array. What does not hold is emptied, so that
 * no way bears a number of a region that goes.
 */
static void mark_held(struct tlb *t)
{
	struct tlb_ways w = tlb_ways(t);

	t->discards++;
	for (uint32_t *at; (at = tlb_next_way(&w));) {
		if (tlb_way_holds(t, &w, at))
			tlb_region_of(t, *at)->held = t->discards;
		else
			*at = 0;
	}
}

/*
 * Gives up the oldest region that nothing lies in. There is one: regions_max sees to
 * it. Who is held is looked up at each time, since keeping count would cost each miss.
 */
static void discard(struct tlb *t)
{
	struct tlb_region *r = t->oldest, **p;

	mark_held(t);
	while (r->held == t->discards || tlb_pde_holds(t, r)) {
		age_remove(t, r);
		age_append(t, r);
		r = t->oldest;
	}
	for (p = chain_of(t, r->key); *p != r; p = &(*p)->next)
		;
	*p = r->next;
	age_remove(t, r);
	if (t->memo[tlb_memo_of(r->key)] == r)
		t->memo[tlb_memo_of(r->key)] = t->none;
	t->globals -= r->class == TLB_GLOBAL;
	t->spare = r->id >> TLB_ID_SHIFT;
	t->region[t->spare] = NULL;
	t->regions--;
	r->key = TLB_NO_KEY; /* a row may still point to it; the slab writes before this */
	slab_give(&t->slab, r);
}

/* A new region, in no list yet: pages that are global and not are not known of. */
static void meet_globals(struct tlb *t, struct tlb_region *r)
{
	const uint64_t pages = (UINT64_C(1) << 27) - 1;

	if (r->class == TLB_LOCAL) {
		r->beside = t->globals && tlb_find(t, TLB_GLOBAL_ROOT << 27 | (r->key & pages));
		return;
	}
	for (struct tlb_region *other = t->oldest; other; other = other->newer) {
		if (((other->key ^ r->key) & pages) == 0)
			tlb_hold_beside(other);
	}
}

struct tlb_region *tlb_region(struct tlb *t, uint64_t key, enum tlb_class class)
{
	struct tlb_region *r = tlb_find(t, key);

	if (likely(r))
		return r;
	if (t->regions == t->regions_max)
		discard(t);
	r = slab_take(&t->slab);
	if (!r)
		return NULL;
	r->key = key;
	r->class = (uint8_t) class;
	const uint32_t index = t->spare ? t->spare : t->regions + 1;
	t->spare = 0;
	t->region[index] = r;
	r->id = index << TLB_ID_SHIFT;
	r->version_at = &r->version;
	meet_globals(t, r);
	r->next = *chain_of(t, key);
	*chain_of(t, key) = r;
	age_append(t, r);
	t->regions++;
	t->globals += class == TLB_GLOBAL;
	t->memo[tlb_memo_of(key)] = r;
	return r;
}
