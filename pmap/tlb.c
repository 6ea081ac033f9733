#include "pmap/tlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool array_fits(uint32_t entries, uint32_t ways)
{
	uint32_t w = ways ? ways : entries;

	if (!entries)
		return true;
	return entries <= TLB_ENTRIES_MAX && w <= TLB_WAYS_MAX && entries % w == 0 &&
	       ((entries / w) & (entries / w - 1)) == 0;
}

const char *tlb_shape_check(const struct tlb_shape *s)
{
	if (!s->l1_entries)
		return "l1_entries must be at least 1";
	if (!array_fits(s->l1_entries, s->l1_ways))
		return "l1_entries / l1_ways must be a power of two, l1_ways at most 64";
	if (!array_fits(s->large_entries, s->large_ways))
		return "l1_large_entries / l1_large_ways must be a power of two, the ways at most "
		       "64";
	if (!array_fits(s->l2_entries, s->l2_ways))
		return "l2_entries / l2_ways must be a power of two, l2_ways at most 64";
	return NULL;
}

static int array_init(struct tlb_array *a, uint32_t entries, uint32_t ways, unsigned level)
{
	*a = (struct tlb_array){.level = level};
	if (!entries)
		return 0;
	a->ways = ways ? ways : entries;
	a->sets = entries / a->ways;
	a->all = UINT64_MAX >> (64 - a->ways);
	a->keep = a->ways > 1 ? a->all : 0;
	a->set = calloc(a->sets, sizeof *a->set);
	a->slot = calloc(entries, sizeof *a->slot);
	if (!a->set || !a->slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->sets; i++)
		a->set[i].slot = &a->slot[i * a->ways];
	return 0;
}

int tlb_init(struct tlb *t, const struct tlb_shape *s, struct meter *meter)
{
	uint32_t entries = s->l1_entries + s->large_entries + s->l2_entries;

	*t = (struct tlb){.gen = {1, 1}, .flushes = 1, .pde_entries = s->pde_entries};
	slab_init(&t->slab, sizeof(struct tlb_region), meter);
	t->pde_next = t->pde_floor = s->pde_entries + 1u;
	t->regions_max = 2048 + 2 * (entries + s->pde_entries);
	for (t->chains = 1; t->chains < t->regions_max; t->chains *= 2)
		;
	t->chain = calloc(t->chains, sizeof(*t->chain));
	t->none = slab_take(&t->slab);
	for (size_t i = 0; i < TLB_MEMO; i++)
		t->memo[i] = t->none;
	if (t->none)
		t->none->key = UINT64_MAX;
	if (t->chain && t->none && array_init(&t->l1, s->l1_entries, s->l1_ways, 0) == 0 &&
	    array_init(&t->large, s->large_entries, s->large_ways, 0) == 0 &&
	    array_init(&t->l2, s->l2_entries, s->l2_ways, 1) == 0)
		return 0;
	tlb_fini(t);
	return -ENOMEM;
}

static void array_fini(struct tlb_array *a)
{
	free(a->set);
	free(a->slot);
}

void tlb_fini(struct tlb *t)
{
	slab_fini(&t->slab);
	free(t->chain);
	array_fini(&t->l1);
	array_fini(&t->large);
	array_fini(&t->l2);
	*t = (struct tlb){0};
}

/* ---- regions -------------------------------------------------------------- */

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

/* Whose record it is, by the record's place there. */
static struct tlb_region *slot_region(const struct tlb_slot *s)
{
	size_t offset = s->of.place == PT_LARGE ? offsetof(struct tlb_region, large)
						: offsetof(struct tlb_region, rec) +
							  s->of.place * sizeof(struct tlb_rec);

	return (struct tlb_region *)((uint8_t *)s->rec - offset);
}

/* Marks the regions that have a record in some array. */
static void mark_held(struct tlb *t)
{
	struct tlb_array *arrays[] = {&t->l1, &t->large, &t->l2};

	t->discards++;
	for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
		for (uint32_t j = 0; j < arrays[i]->sets * arrays[i]->ways; j++) {
			const struct tlb_slot *s = &arrays[i]->slot[j];
			if (s->rec && s->of.gen == t->gen[s->of.class])
				slot_region(s)->held = t->discards;
		}
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
	t->regions--;
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

/* ---- arrays --------------------------------------------------------------- */

static inline bool slot_holds(const struct tlb *t, const struct tlb_slot *s)
{
	return s->rec && s->of.gen == t->gen[s->of.class];
}

/* Flushes passed the set by: its ways are looked at again. */
static void refresh(const struct tlb *t, struct tlb_array *a, uint32_t set)
{
	struct tlb_set *s = &a->set[set];

	s->full = 0;
	for (uint32_t w = 0; w < a->ways; w++) {
		struct tlb_slot *slot = &a->slot[set * a->ways + w];
		if (slot_holds(t, slot))
			s->full |= UINT64_C(1) << w;
		else
			slot->rec = NULL;
	}
	s->used &= s->full;
	s->flushes = t->flushes;
	s->whole = s->full == a->all ? t->flushes : 0;
}

static inline uint32_t set_of(const struct tlb_array *a, const struct tlb_region *r,
			      const struct tlb_rec *rec, uint64_t vpn)
{
	return (uint32_t)(rec == &r->large ? vpn >> 9 : vpn) & (a->sets - 1);
}

static void fill(struct tlb *t, struct tlb_array *a, struct tlb_region *r, struct tlb_rec *rec,
		 uint32_t set, uint32_t place, unsigned level)
{
	struct tlb_set *s = &a->set[set];

	if (s->flushes != t->flushes)
		refresh(t, a, set);
	const uint64_t empty = ~s->full & a->all, choice = empty ? empty : ~s->used & a->all;
	const unsigned way =
		(unsigned)__builtin_ctzll(choice); /* some way is not used: tlb_used() */
	struct tlb_slot *slot = &s->slot[way];
	if (!empty)
		slot->rec->way[level] = 0;
	*slot = (struct tlb_slot){rec, {(uint16_t)place, t->gen[r->class], r->class}};
	rec->way[level] = (uint8_t)(way + 1);
	s->full |= UINT64_C(1) << way;
	s->whole = s->full == a->all ? t->flushes : 0;
	tlb_used(a, set, way);
}

/* Ways that are of an earlier flush are none, and what was known is not. */
static inline void now(const struct tlb *t, const struct tlb_region *r, struct tlb_rec *rec)
{
	if (rec->gen != t->gen[r->class]) {
		rec->gen = t->gen[r->class];
		rec->way[0] = rec->way[1] = 0;
		rec->known = 0;
	}
}

void tlb_fill(struct tlb *t, struct tlb_region *r, struct tlb_rec *rec, uint64_t vpn,
	      unsigned level)
{
	struct tlb_array *a = tlb_array_of(t, rec == &r->large, level);

	if (!a->sets)
		return;
	now(t, r, rec);
	fill(t, a, r, rec, set_of(a, r, rec, vpn),
	     rec == &r->large ? PT_LARGE : (uint32_t)vpn & (PT_LARGE - 1), level);
}

void tlb_fill_small(struct tlb *t, struct tlb_region *r, struct tlb_rec *rec, uint64_t vpn)
{
	const uint32_t place = (uint32_t)vpn & (PT_LARGE - 1);

	now(t, r, rec);
	if (likely(t->l2.sets))
		fill(t, &t->l2, r, rec, (uint32_t)vpn & (t->l2.sets - 1), place, 1);
	fill(t, &t->l1, r, rec, (uint32_t)vpn & (t->l1.sets - 1), place, 0);
}

void tlb_forget(struct tlb_region *r)
{
	r->tag += 4;
	if (r->tag)
		return;
	/* The tags come round: whatever bears an old one must go, before it looks new again. */
	for (unsigned i = 0; i < PT_LARGE; i++)
		r->rec[i].known = 0;
}

void tlb_hold_beside(struct tlb_region *r)
{
	if (!r->beside)
		tlb_forget(r);
	r->beside = true;
}

void tlb_drop(struct tlb *t, struct tlb_region *r, struct tlb_rec *rec, uint64_t vpn)
{
	for (unsigned level = 0; level < 2; level++) {
		if (!tlb_holds(t, r, rec, level))
			continue;
		struct tlb_array *a = tlb_array_of(t, rec == &r->large, level);
		uint32_t set = set_of(a, r, rec, vpn);
		unsigned way = rec->way[level] - 1u;
		a->slot[set * a->ways + way].rec = NULL;
		a->set[set].whole = 0;
		a->set[set].full &= ~(UINT64_C(1) << way);
		a->set[set].used &= ~(UINT64_C(1) << way);
	}
	rec->way[0] = rec->way[1] = 0;
}

static void drop_page(struct tlb *t, uint64_t key, uint64_t vpn)
{
	struct tlb_region *r = tlb_find(t, key);

	if (!r)
		return;
	/* INVLPG takes out a large page whole, in however many parts it is held. */
	for (unsigned i = 0; r->fractured && i < PT_LARGE; i++)
		tlb_drop(t, r, &r->rec[i], (vpn & ~(uint64_t)(PT_LARGE - 1)) + i);
	r->fractured = false;
	tlb_drop(t, r, &r->rec[vpn & (PT_LARGE - 1)], vpn);
	tlb_drop(t, r, &r->large, vpn);
}

void tlb_flush_page(struct tlb *t, uint64_t root, uint64_t vpn)
{
	drop_page(t, tlb_key(root, vpn), vpn);
	if (t->globals)
		drop_page(t, tlb_key(TLB_GLOBAL_ROOT, vpn), vpn);
	t->pde_floor = t->pde_next;
}

/* The region's records are in no array, and know nothing. */
static void empty_region(struct tlb_region *r)
{
	r->large.way[0] = r->large.way[1] = 0;
	for (unsigned i = 0; i < PT_LARGE; i++)
		r->rec[i].way[0] = r->rec[i].way[1] = r->rec[i].known = 0;
}

/* The count comes round: whatever bears an old one must go, before it looks new again. */
static void renew(struct tlb *t)
{
	struct tlb_array *arrays[] = {&t->l1, &t->large, &t->l2};

	for (struct tlb_region *r = t->oldest; r; r = r->newer)
		empty_region(r);
	for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
		struct tlb_array *a = arrays[i];
		for (uint32_t j = 0; j < a->sets * a->ways; j++)
			a->slot[j].rec = NULL;
		for (uint32_t j = 0; j < a->sets; j++)
			a->set[j] = (struct tlb_set){.slot = a->set[j].slot};
	}
	t->gen[TLB_LOCAL] = t->gen[TLB_GLOBAL] = 1;
}

void tlb_flush_local(struct tlb *t)
{
	t->flushes++;
	t->pde_floor = t->pde_next;
	if (t->gen[TLB_LOCAL] < UINT16_MAX) {
		t->gen[TLB_LOCAL]++;
		return;
	}
	/* Global ones must stay: only what is local loses its count. */
	for (struct tlb_region *r = t->oldest; r; r = r->newer) {
		if (r->class != TLB_GLOBAL)
			empty_region(r);
	}
	struct tlb_array *arrays[] = {&t->l1, &t->large, &t->l2};
	for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
		for (uint32_t j = 0; j < arrays[i]->sets * arrays[i]->ways; j++) {
			if (arrays[i]->slot[j].of.class == TLB_LOCAL)
				arrays[i]->slot[j].rec = NULL;
		}
	}
	t->gen[TLB_LOCAL] = 1;
}

void tlb_flush_all(struct tlb *t)
{
	t->flushes++;
	t->pde_floor = t->pde_next;
	if (t->gen[TLB_LOCAL] == UINT16_MAX || t->gen[TLB_GLOBAL] == UINT16_MAX) {
		renew(t);
		return;
	}
	t->gen[TLB_LOCAL]++;
	t->gen[TLB_GLOBAL]++;
}

/* The page that a slot translates: from the region's key and the record's place in it. */
static uint64_t slot_vpn(const struct tlb_slot *s)
{
	uint64_t first = (slot_region(s)->key & ((UINT64_C(1) << 27) - 1)) << 9;

	return s->of.place == PT_LARGE ? first : first + s->of.place;
}

void tlb_flush_root(struct tlb *t, uint64_t root)
{
	struct tlb_array *arrays[] = {&t->l1, &t->large, &t->l2};

	for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
		for (uint32_t j = 0; j < arrays[i]->sets * arrays[i]->ways; j++) {
			struct tlb_slot *s = &arrays[i]->slot[j];
			if (slot_holds(t, s) && slot_region(s)->key >> 27 == root)
				tlb_drop(t, slot_region(s), s->rec, slot_vpn(s));
		}
	}
	t->pde_floor = t->pde_next;
}

void tlb_each(struct tlb *t,
	      void (*fn)(void *arg, const struct tlb_region *r, const struct tlb_rec *rec,
			 uint64_t vpn, bool large),
	      void *arg)
{
	struct tlb_array *arrays[] = {&t->l1, &t->large, &t->l2};

	for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
		for (uint32_t j = 0; j < arrays[i]->sets * arrays[i]->ways; j++) {
			const struct tlb_slot *s = &arrays[i]->slot[j];
			if (slot_holds(t, s))
				fn(arg, slot_region(s), s->rec, slot_vpn(s),
				   s->of.place == PT_LARGE);
		}
	}
}

static size_t audit_array(struct tlb *t, struct tlb_array *a, FILE *out)
{
	size_t bad = 0;

	for (uint32_t set = 0; set < a->sets; set++) {
		if (a->set[set].flushes != t->flushes)
			refresh(t, a, set);
		for (uint32_t w = 0; w < a->ways; w++) {
			const struct tlb_slot *s = &a->slot[set * a->ways + w];
			bool full = a->set[set].full >> w & 1;
			const struct tlb_region *r = full ? slot_region(s) : NULL;
			if (full == slot_holds(t, s) &&
			    (!full ||
			     (s->rec->way[a->level] == w + 1 && s->rec->gen == t->gen[r->class] &&
			      set_of(a, r, s->rec, slot_vpn(s)) == set)))
				continue;
			fprintf(out, "tlb: level %u set %u way %u and its record disagree\n",
				a->level + 1, set, w);
			bad++;
		}
	}
	return bad;
}

size_t tlb_audit(struct tlb *t, FILE *out)
{
	uint64_t ways = 0, held = 0;
	size_t bad = audit_array(t, &t->l1, out) + audit_array(t, &t->large, out) +
		     audit_array(t, &t->l2, out);
	struct tlb_array *arrays[] = {&t->l1, &t->large, &t->l2};

	for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
		for (uint32_t set = 0; set < arrays[i]->sets; set++)
			ways += (uint64_t)__builtin_popcountll(arrays[i]->set[set].full);
	}
	for (const struct tlb_region *r = t->oldest; r; r = r->newer) {
		for (unsigned i = 0; i <= PT_LARGE; i++) {
			const struct tlb_rec *rec = i < PT_LARGE ? &r->rec[i] : &r->large;
			held += tlb_holds(t, r, rec, 0);
			held += tlb_holds(t, r, rec, 1);
		}
	}
	if (ways != held) {
		fprintf(out, "tlb: %llu ways hold something, %llu records say so\n",
			(unsigned long long)ways, (unsigned long long)held);
		bad++;
	}
	return bad;
}
