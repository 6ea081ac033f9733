/* The arrays of a TLB: what goes in, and what flushes take out. */
#include "pmap/tlb_ways.h"

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

/* ---- arrays --------------------------------------------------------------- */

/* Flushes passed the set by: its ways are looked at again. */
static void refresh(const struct tlb *t, struct tlb_array *a, uint32_t set)
{
	struct tlb_set *s = tlb_set(a, set);
	struct tlb_set_more *more = &a->more[set];

	more->full = 0;
	for (uint32_t w = 0; w < a->ways; w++) {
		if (tlb_way_bears(t, a, s->at[1 + w], w))
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
	struct tlb_ways w = tlb_ways(t);
	for (uint32_t *at; (at = tlb_next_way(&w));) {
		if (*at && tlb_region_of(t, *at)->class == TLB_LOCAL)
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
	struct tlb_ways w = tlb_ways(t);

	for (uint32_t *at; (at = tlb_next_way(&w));) {
		if (tlb_way_holds(t, &w, at) && tlb_region_of(t, *at)->key >> 27 == root)
			tlb_drop(t, tlb_region_of(t, *at), tlb_rec_of(t, *at));
	}
	tlb_pde_flush(t);
}

void tlb_each(struct tlb *t,
	      void (*fn)(void *arg, const struct tlb_region *r, const struct tlb_rec *rec,
			 uint64_t vpn, bool large),
	      void *arg)
{
	struct tlb_ways w = tlb_ways(t);

	for (const uint32_t *at; (at = tlb_next_way(&w));) {
		if (tlb_way_holds(t, &w, at))
			fn(arg, tlb_region_of(t, *at), tlb_rec_of(t, *at), tlb_vpn_of(t, *at),
			   tlb_is_large(*at));
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
			if (full == tlb_way_bears(t, a, id, w) &&
			    (!full ||
			     tlb_set_of(a, tlb_region_of(t, id), tlb_rec_of(t, id)) == set))
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
