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

#define LINE 64

static int array_init(struct tlb_array *a, uint32_t entries, uint32_t ways, unsigned level)
{
	*a = (struct tlb_array){.level = level};
	if (!entries)
		return 0;
	a->ways = ways ? ways : entries;
	a->sets = entries / a->ways;
	a->all = UINT64_MAX >> (64 - a->ways);
	a->keep = a->ways > 1 ? a->all : 0;
	/* A power of two up to a line, then whole lines: no set lies in more than it must. */
	size_t bytes = offsetof(struct tlb_set, at) + (1 + a->ways) * sizeof(uint32_t);
	for (a->stride = 32; a->stride < LINE && a->stride < bytes; a->stride *= 2)
		;
	if (a->stride < bytes)
		a->stride = (uint32_t)(bytes + LINE - 1) & ~(LINE - 1u);
	a->bytes = ((size_t)a->sets * a->stride + LINE - 1) & ~(size_t)(LINE - 1);
	a->set = aligned_alloc(LINE, a->bytes);
	a->more = calloc(a->sets, sizeof *a->more);
	if (!a->set || !a->more)
		return -ENOMEM;
	memset(a->set, 0, a->bytes);
	return 0;
}

int tlb_init(struct tlb *t, const struct tlb_shape *s, struct meter *meter)
{
	uint32_t entries = s->l1_entries + s->large_entries + s->l2_entries;

	*t = (struct tlb){
		.gen = {1, 1}, .flushes = 1, .pde_next = 1, .pde_entries = s->pde_entries};
	slab_init(&t->slab, sizeof(struct tlb_region), meter);
	t->regions_max = 2048 + 2 * (entries + s->pde_entries);
	for (t->chains = 1; t->chains < t->regions_max; t->chains *= 2)
		;
	t->chain = calloc(t->chains, sizeof(*t->chain));
	t->region = calloc(t->regions_max + 1, sizeof(*t->region));
	t->none = slab_take(&t->slab);
	for (size_t i = 0; i < TLB_MEMO; i++)
		t->memo[i] = t->none;
	if (t->none)
		t->none->key = TLB_NO_KEY;
	if (t->chain && t->region && t->none &&
	    array_init(&t->l1, s->l1_entries, s->l1_ways, 0) == 0 &&
	    array_init(&t->large, s->large_entries, s->large_ways, 0) == 0 &&
	    array_init(&t->l2, s->l2_entries, s->l2_ways, 1) == 0)
		return 0;
	tlb_fini(t);
	return -ENOMEM;
}

static void array_fini(struct tlb_array *a)
{
	free(a->set);
	free(a->more);
}

void tlb_fini(struct tlb *t)
{
	slab_fini(&t->slab);
	free(t->chain);
	free(t->region);
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

/* ---- numbers of records ----------------------------------------------------- */

static struct tlb_region *region_of(const struct tlb *t, uint32_t id)
{
	return t->region[id >> TLB_ID_SHIFT];
}

static bool is_large(uint32_t id)
{
	return id & PT_LARGE;
}

static struct tlb_rec *rec_of(const struct tlb *t, uint32_t id)
{
	struct tlb_region *r = region_of(t, id);

	return is_large(id) ? &r->large : &r->rec[id & (PT_LARGE - 1)];
}

/* The first page that it translates. */
static uint64_t vpn_of(const struct tlb *t, uint32_t id)
{
	const uint64_t first = (region_of(t, id)->key & ((UINT64_C(1) << 27) - 1)) << 9;

	return is_large(id) ? first : first + (id & (PT_LARGE - 1));
}

/* Whether what the way bears is there: it was put there, and not flushed since. */
static inline bool way_holds(const struct tlb *t, const struct tlb_array *a, uint32_t id,
			     unsigned way)
{
	if (!id)
		return false;
	const struct tlb_rec *rec = rec_of(t, id);
	return rec->gen == t->gen[region_of(t, id)->class] && rec->way[a->level] == way + 1;
}

/* ---- what lies in the arrays -------------------------------------------------- */

/* Each way of each array in turn: the place of the number that it bears. NULL: no more. */
struct ways {
	struct tlb_array *array[3];
	uint32_t i, set;
	unsigned way;
};

static struct ways all_ways(struct tlb *t)
{
	return (struct ways){{&t->l1, &t->large, &t->l2}};
}

static uint32_t *next_way(struct ways *w)
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
static bool holds(const struct tlb *t, const struct ways *w, const uint32_t *at)
{
	return way_holds(t, w->array[w->i], *at, w->way - 1);
}

/*
 * Marks the regions that have a record in some array. What does not hold is emptied, so that
 * no way bears a number of a region that goes.
 */
static void mark_held(struct tlb *t)
{
	struct ways w = all_ways(t);

	t->discards++;
	for (uint32_t *at; (at = next_way(&w));) {
		if (holds(t, &w, at))
			region_of(t, *at)->held = t->discards;
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

/* ---- arrays --------------------------------------------------------------- */

/* Flushes passed the set by: its ways are looked at again. */
static void refresh(const struct tlb *t, struct tlb_array *a, uint32_t set)
{
	struct tlb_set *s = tlb_set(a, set);
	struct tlb_set_more *more = &a->more[set];

	more->full = 0;
	for (uint32_t w = 0; w < a->ways; w++) {
		if (way_holds(t, a, s->at[1 + w], w))
			more->full |= UINT64_C(1) << w;
		else
			s->at[1 + w] = 0;
	}
	s->used &= more->full;
	more->flushes = t->flushes;
	s->whole = more->full == a->all ? (uint32_t)t->flushes : 0;
}

bool tlb_holds(struct tlb *t, const struct tlb_region *r, const struct tlb_rec *rec, unsigned level)
{
	const struct tlb_array *a = tlb_array_of(t, rec == &r->large, level);

	return a->sets && rec->gen == t->gen[r->class] &&
	       tlb_set(a, tlb_set_of(a, r, rec))->at[rec->way[level]] == tlb_id(r, rec);
}

static void fill(struct tlb *t, struct tlb_array *a, const struct tlb_region *r,
		 struct tlb_rec *rec)
{
	const uint32_t set = tlb_set_of(a, r, rec);
	struct tlb_set *s = tlb_set(a, set);
	struct tlb_set_more *more = &a->more[set];

	if (more->flushes != t->flushes)
		refresh(t, a, set);
	const uint64_t empty = ~more->full & a->all, choice = empty ? empty : ~s->used & a->all;
	const unsigned way =
		(unsigned)__builtin_ctzll(choice); /* some way is not used: tlb_used() */
	s->at[1 + way] = tlb_id(r, rec);
	rec->way[a->level] = (uint8_t)(way + 1);
	more->full |= UINT64_C(1) << way;
	s->whole = more->full == a->all ? (uint32_t)t->flushes : 0;
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

void tlb_fill(struct tlb *t, struct tlb_region *r, struct tlb_rec *rec, unsigned level)
{
	struct tlb_array *a = tlb_array_of(t, rec == &r->large, level);

	if (!a->sets)
		return;
	now(t, r, rec);
	fill(t, a, r, rec);
}

void tlb_fill_small(struct tlb *t, struct tlb_region *r, struct tlb_rec *rec)
{
	now(t, r, rec);
	if (likely(t->l2.sets))
		fill(t, &t->l2, r, rec);
	fill(t, &t->l1, r, rec);
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

void tlb_drop(struct tlb *t, struct tlb_region *r, struct tlb_rec *rec)
{
	for (unsigned level = 0; level < 2; level++) {
		if (!tlb_holds(t, r, rec, level))
			continue;
		struct tlb_array *a = tlb_array_of(t, rec == &r->large, level);
		const uint32_t set = tlb_set_of(a, r, rec);
		struct tlb_set *s = tlb_set(a, set);
		const uint64_t bit = UINT64_C(1) << (rec->way[level] - 1);
		s->at[rec->way[level]] = 0;
		s->whole = 0;
		s->used &= ~bit;
		a->more[set].full &= ~bit;
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
		tlb_drop(t, r, &r->rec[i]);
	r->fractured = false;
	tlb_drop(t, r, &r->rec[vpn & (PT_LARGE - 1)]);
	tlb_drop(t, r, &r->large);
}

void tlb_flush_page(struct tlb *t, uint64_t root, uint64_t vpn)
{
	drop_page(t, tlb_key(root, vpn), vpn);
	if (t->globals)
		drop_page(t, tlb_key(TLB_GLOBAL_ROOT, vpn), vpn);
	tlb_pde_flush(t);
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
		if (!arrays[i]->sets)
			continue;
		memset(arrays[i]->set, 0, arrays[i]->bytes);
		memset(arrays[i]->more, 0, arrays[i]->sets * sizeof *arrays[i]->more);
	}
	t->gen[TLB_LOCAL] = t->gen[TLB_GLOBAL] = 1;
}

/* One flush more. Sets bear 32 bits of the count: what they say is void when these come round. */
static void count_flush(struct tlb *t)
{
	struct tlb_array *arrays[] = {&t->l1, &t->large, &t->l2};

	tlb_pde_flush(t);
	t->flushes++;
	if ((uint32_t)t->flushes)
		return;
	t->flushes++;
	for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
		for (uint32_t set = 0; set < arrays[i]->sets; set++)
			tlb_set(arrays[i], set)->whole = 0;
	}
}

void tlb_flush_local(struct tlb *t)
{
	count_flush(t);
	if (t->gen[TLB_LOCAL] < UINT16_MAX) {
		t->gen[TLB_LOCAL]++;
		return;
	}
	/* Global ones must stay: only what is local loses its count. */
	for (struct tlb_region *r = t->oldest; r; r = r->newer) {
		if (r->class != TLB_GLOBAL)
			empty_region(r);
	}
	struct ways w = all_ways(t);
	for (uint32_t *at; (at = next_way(&w));) {
		if (*at && region_of(t, *at)->class == TLB_LOCAL)
			*at = 0;
	}
	t->gen[TLB_LOCAL] = 1;
}

void tlb_flush_all(struct tlb *t)
{
	count_flush(t);
	if (t->gen[TLB_LOCAL] == UINT16_MAX || t->gen[TLB_GLOBAL] == UINT16_MAX) {
		renew(t);
		return;
	}
	t->gen[TLB_LOCAL]++;
	t->gen[TLB_GLOBAL]++;
}

void tlb_flush_root(struct tlb *t, uint64_t root)
{
	struct ways w = all_ways(t);

	for (uint32_t *at; (at = next_way(&w));) {
		if (holds(t, &w, at) && region_of(t, *at)->key >> 27 == root)
			tlb_drop(t, region_of(t, *at), rec_of(t, *at));
	}
	tlb_pde_flush(t);
}

void tlb_each(struct tlb *t,
	      void (*fn)(void *arg, const struct tlb_region *r, const struct tlb_rec *rec,
			 uint64_t vpn, bool large),
	      void *arg)
{
	struct ways w = all_ways(t);

	for (const uint32_t *at; (at = next_way(&w));) {
		if (holds(t, &w, at))
			fn(arg, region_of(t, *at), rec_of(t, *at), vpn_of(t, *at), is_large(*at));
	}
}

/* ---- audit ------------------------------------------------------------------ */

/* Adds the ways that hold something; the number of those that do not agree with their record. */
static size_t audit_array(struct tlb *t, struct tlb_array *a, uint64_t *ways, FILE *out)
{
	size_t bad = 0;

	for (uint32_t set = 0; set < a->sets; set++) {
		if (a->more[set].flushes != t->flushes)
			refresh(t, a, set);
		*ways += (uint64_t)__builtin_popcountll(a->more[set].full);
		for (uint32_t w = 0; w < a->ways; w++) {
			const uint32_t id = tlb_set(a, set)->at[1 + w];
			const bool full = a->more[set].full >> w & 1;
			if (full == way_holds(t, a, id, w) &&
			    (!full || tlb_set_of(a, region_of(t, id), rec_of(t, id)) == set))
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
	size_t bad = audit_array(t, &t->l1, &ways, out) + audit_array(t, &t->large, &ways, out) +
		     audit_array(t, &t->l2, &ways, out);

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
