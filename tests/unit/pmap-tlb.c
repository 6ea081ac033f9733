/* The TLB model against one that searches: tags in arrays, and bit-PLRU by the book. */
#include "test.h"

#include "core/rng.h"
#include "pmap/tlb.h"

#include <string.h>

/* ---- the slow twin ---------------------------------------------------------- */

struct twin_way {
	bool valid, used, large, global;
	uint64_t root, page; /* VPN, or VPN >> 9 */
};

struct twin_array {
	unsigned sets, ways;
	struct twin_way way[256];
};

static struct twin_way *twin_set(struct twin_array *a, uint64_t page)
{
	return &a->way[(page & (a->sets - 1)) * a->ways];
}

static void twin_use(struct twin_array *a, struct twin_way *set, unsigned w)
{
	bool all = true;

	set[w].used = true;
	for (unsigned i = 0; i < a->ways; i++)
		all &= set[i].used;
	for (unsigned i = 0; all && i < a->ways; i++)
		set[i].used = i == w;
}

static struct twin_way *twin_find(struct twin_array *a, uint64_t root, uint64_t page, bool large,
				  bool global)
{
	struct twin_way *set = twin_set(a, page);

	for (unsigned i = 0; i < a->ways; i++) {
		if (set[i].valid && set[i].large == large && set[i].global == global &&
		    set[i].page == page && (global || set[i].root == root))
			return &set[i];
	}
	return NULL;
}

static void twin_fill(struct twin_array *a, uint64_t root, uint64_t page, bool large, bool global)
{
	struct twin_way *set = twin_set(a, page);
	unsigned w = 0;

	if (!a->sets)
		return;
	while (w < a->ways && set[w].valid)
		w++;
	if (w == a->ways) {
		for (w = 0; w + 1 < a->ways && set[w].used; w++)
			;
		if (set[w].used)
			w = 0;
	}
	set[w] = (struct twin_way){true, false, large, global, root, page};
	twin_use(a, set, w);
}

static void twin_flush(struct twin_array *a, bool globals, bool one, uint64_t root)
{
	for (unsigned i = 0; i < a->sets * a->ways; i++) {
		struct twin_way *w = &a->way[i];
		if (w->valid && (globals || !w->global) && (!one || w->root == root))
			w->valid = w->used = false;
	}
}

static void twin_drop(struct twin_array *a, uint64_t root, uint64_t page, bool large)
{
	for (unsigned i = 0; i < a->sets * a->ways; i++) {
		struct twin_way *w = &a->way[i];
		if (w->valid && w->large == large && w->page == page &&
		    (w->global || w->root == root))
			w->valid = w->used = false;
	}
}

/* ---- side by side -------------------------------------------------------------- */

struct pair {
	struct tlb t;
	struct twin_array l1, large, l2;
	uint64_t hits[3];
};

static struct twin_array *twin_of(struct pair *p, bool large, unsigned level)
{
	return level ? &p->l2 : large && p->large.sets ? &p->large : &p->l1;
}

/* One lookup with what follows: L1, else L2 into L1, else into both. */
static void lookup(struct pair *p, uint64_t root, uint64_t vpn, bool large, bool global)
{
	uint64_t page = large ? vpn >> 9 : vpn;
	uint64_t key = tlb_key(global ? TLB_GLOBAL_ROOT : root, vpn);
	struct tlb_region *r = tlb_region(&p->t, key, global ? TLB_GLOBAL : TLB_LOCAL);
	struct tlb_rec *rec = large ? &r->large : &r->rec[vpn & 511];
	unsigned mine = tlb_holds(&p->t, r, rec, 0) ? 0 : tlb_holds(&p->t, r, rec, 1) ? 1 : 2;
	struct twin_array *first = twin_of(p, large, 0);
	struct twin_way *w = twin_find(first, root, page, large, global);
	unsigned his = w ? 0 : p->l2.sets && twin_find(&p->l2, root, page, large, global) ? 1 : 2;

	CU_ASSERT_EQUAL_FATAL(mine, his);
	p->hits[mine]++;
	if (mine < 2) {
		struct tlb_array *a = tlb_array_of(&p->t, large, mine);
		tlb_used(a, (uint32_t)page & (a->sets - 1), rec->way[mine] - 1u);
		struct twin_array *b = twin_of(p, large, his);
		struct twin_way *set = twin_set(b, page);
		twin_use(b, set, (unsigned)(twin_find(b, root, page, large, global) - set));
	} else {
		tlb_fill(&p->t, r, rec, 1);
		twin_fill(&p->l2, root, page, large, global);
	}
	if (mine > 0) {
		tlb_fill(&p->t, r, rec, 0);
		twin_fill(first, root, page, large, global);
	}
}

static void flush_something(struct pair *p, struct rng *rng, uint64_t root, uint64_t vpn)
{
	switch (rng_below(rng, 8)) {
	case 0:
		tlb_flush_all(&p->t);
		twin_flush(&p->l1, true, false, 0);
		twin_flush(&p->large, true, false, 0);
		twin_flush(&p->l2, true, false, 0);
		break;
	case 1:
		tlb_flush_local(&p->t);
		twin_flush(&p->l1, false, false, 0);
		twin_flush(&p->large, false, false, 0);
		twin_flush(&p->l2, false, false, 0);
		break;
	case 2:
		tlb_flush_root(&p->t, root);
		twin_flush(&p->l1, false, true, root);
		twin_flush(&p->large, false, true, root);
		twin_flush(&p->l2, false, true, root);
		break;
	default:
		tlb_flush_page(&p->t, root, vpn);
		for (int large = 0; large < 2; large++) {
			for (unsigned level = 0; level < 2; level++)
				twin_drop(twin_of(p, large, level), root, large ? vpn >> 9 : vpn,
					  large);
		}
	}
}

static void compare(struct tlb_shape shape, unsigned rounds, struct rng *rng)
{
	static struct pair p;
	static struct meter meter;
	unsigned w1 = shape.l1_ways ? shape.l1_ways : shape.l1_entries,
		 wl = shape.large_ways ? shape.large_ways : shape.large_entries,
		 w2 = shape.l2_ways ? shape.l2_ways : shape.l2_entries;

	memset(&p, 0, sizeof p);
	CU_ASSERT_PTR_NULL_FATAL(tlb_shape_check(&shape));
	CU_ASSERT_EQUAL_FATAL(tlb_init(&p.t, &shape, &meter), 0);
	p.l1.sets = shape.l1_entries / w1;
	p.l1.ways = w1;
	p.large.sets = wl ? shape.large_entries / wl : 0;
	p.large.ways = wl;
	p.l2.sets = w2 ? shape.l2_entries / w2 : 0;
	p.l2.ways = w2;
	for (unsigned i = 0; i < rounds; i++) {
		bool large = rng_below(rng, 4) == 0, global = rng_below(rng, 5) == 0;
		uint64_t root = 1 + rng_below(rng, 3);
		uint64_t vpn = rng_below(rng, 2) ? rng_below(rng, 100)
						 : rng_below(rng, 4) << 30 | rng_below(rng, 3000);
		lookup(&p, root, vpn, large, global);
		if (rng_below(rng, 200) == 0)
			flush_something(&p, rng, root, vpn);
		if (i % 4096 == 0)
			CU_ASSERT_EQUAL_FATAL(tlb_audit(&p.t, stdout), 0);
	}
	CU_ASSERT(p.hits[0] && p.hits[2] && (p.hits[1] || !w2));
	CU_ASSERT_EQUAL(tlb_audit(&p.t, stdout), 0);
	tlb_fini(&p.t);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

static void as_one_that_searches(void)
{
	static const struct tlb_shape shapes[] = {
		{64, 4, 32, 4, 192, 12, 4}, {16, 0, 0, 0, 64, 16, 0}, {1, 1, 1, 1, 0, 0, 1},
		{8, 2, 4, 0, 8, 1, 2},	    {64, 0, 0, 0, 0, 0, 0},   {12, 3, 5, 0, 24, 6, 64},
	};
	struct rng rng;

	rng_init(&rng, test_seed(7), "tlb", 0);
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		compare(shapes[i], 30000, &rng);
}

/* 2^16 flushes: the count that records bear comes round, and nothing old looks new. */
static void flush_counts_come_round(void)
{
	struct tlb_shape shape = {4, 2, 0, 0, 8, 4, 0};
	struct meter meter = {0};
	struct tlb t;

	CU_ASSERT_EQUAL_FATAL(tlb_init(&t, &shape, &meter), 0);
	t.flushes = UINT32_MAX - 100; /* of which sets bear 32 bits */
	struct tlb_region *local = tlb_region(&t, tlb_key(1, 5), TLB_LOCAL),
			  *global = tlb_region(&t, tlb_key(TLB_GLOBAL_ROOT, 6), TLB_GLOBAL);
	tlb_fill(&t, local, &local->rec[5], 0);
	tlb_fill(&t, global, &global->rec[6], 0);
	unsigned seen = 0;
	for (unsigned i = 0; i < 70000; i++) {
		tlb_flush_local(&t);
		seen += tlb_holds(&t, local, &local->rec[5], 0);
		seen += !tlb_holds(&t, global, &global->rec[6], 0);
	}
	CU_ASSERT_EQUAL(seen, 0);
	for (unsigned i = 0; i < 70000; i++) {
		tlb_flush_all(&t);
		seen += tlb_holds(&t, global, &global->rec[6], 0);
	}
	CU_ASSERT_EQUAL(seen, 0);
	CU_ASSERT_EQUAL(tlb_audit(&t, stdout), 0);
	tlb_fini(&t);
}

/* More stretches of addresses than regions are kept: those that lie in an array stay. */
static void regions_are_given_up_when_idle(void)
{
	struct tlb_shape shape = {4, 4, 0, 0, 0, 0, 2};
	struct meter meter = {0};
	struct tlb t;

	CU_ASSERT_EQUAL_FATAL(tlb_init(&t, &shape, &meter), 0);
	struct tlb_region *kept = tlb_region(&t, tlb_key(1, 0), TLB_LOCAL);
	tlb_fill(&t, kept, &kept->rec[0], 0);
	struct tlb_region *walked = tlb_region(&t, tlb_key(2, 0), TLB_LOCAL);
	tlb_pde_fill(&t, walked);
	for (uint64_t i = 1; i < 3 * (uint64_t)t.regions_max; i++)
		tlb_region(&t, tlb_key(1, i << 9), TLB_LOCAL);
	CU_ASSERT_EQUAL(t.regions, t.regions_max);
	CU_ASSERT_PTR_EQUAL(tlb_find(&t, tlb_key(1, 0)), kept);
	CU_ASSERT(tlb_holds(&t, kept, &kept->rec[0], 0));
	CU_ASSERT_PTR_EQUAL(tlb_find(&t, tlb_key(2, 0)), walked);
	CU_ASSERT(tlb_pde_holds(&t, walked));
	CU_ASSERT_EQUAL(tlb_audit(&t, stdout), 0);
	tlb_fini(&t);
}

/* The last page of all, as a global one, has a key of all ones: it is a page as others are. */
static void the_last_page_is_no_other(void)
{
	struct tlb_shape shape = {4, 2, 0, 0, 8, 4, 0};
	const uint64_t vpn = (UINT64_C(1) << PT_VPN_BITS) - 1;
	struct meter meter = {0};
	struct tlb t;

	CU_ASSERT_EQUAL_FATAL(tlb_init(&t, &shape, &meter), 0);
	CU_ASSERT_PTR_NULL(tlb_find(&t, tlb_key(TLB_GLOBAL_ROOT, vpn)));
	struct tlb_region *r = tlb_region(&t, tlb_key(TLB_GLOBAL_ROOT, vpn), TLB_GLOBAL);
	tlb_fill_small(&t, r, &r->rec[511]);
	CU_ASSERT(tlb_holds(&t, r, &r->rec[511], 0) && tlb_holds(&t, r, &r->rec[511], 1));
	CU_ASSERT_EQUAL(t.globals, 1);
	CU_ASSERT_EQUAL(tlb_audit(&t, stdout), 0);
	tlb_flush_page(&t, 1, vpn);
	CU_ASSERT(!tlb_holds(&t, r, &r->rec[511], 0));
	tlb_fini(&t);
}

static void shapes_that_cannot_be(void)
{
	static const struct tlb_shape bad[] = {
		{0, 0, 0, 0, 0, 0, 0},	 /* nothing */
		{96, 4, 0, 0, 0, 0, 0},	 /* 24 sets */
		{128, 0, 0, 0, 0, 0, 0}, /* 128 ways */
		{64, 5, 0, 0, 0, 0, 0},	 /* sets of 5 in 64 */
		{64, 4, 0, 0, 1536, 5, 0}, {64, 4, 3, 2, 0, 0, 0}, {16384, 4, 0, 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(tlb_shape_check(&bad[i]));
}

TESTS("pmap/tlb", {"as one that searches", as_one_that_searches},
      {"flush counts come round", flush_counts_come_round},
      {"regions are given up when idle", regions_are_given_up_when_idle},
      {"the last page is no other", the_last_page_is_no_other},
      {"shapes that cannot be", shapes_that_cannot_be})
