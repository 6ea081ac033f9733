/*
 * What the host does to one page reaches the TLB in each mode, and no more than it
 * must: by address where tables are the VMM's own, all of it where the architecture
 * has no narrower way.
 */
#include "mmu.h"

#define PAGES 2000
#define VPN   (UINT64_C(4) << 27 | UINT64_C(141) << 18 | UINT64_C(43) << 9 | 64)
#define FIRST 1500 /* page of VPN */
#define N     8
#define HIT   3 /* whose page the host changes */

static const struct test_shape shape = {.frames = PAGES, .scan = "sequential"};

#define EACH_MODE(i) for (size_t i = 0; translations[i]; (i)++)

/* Whether the processor walks tables that the VMM made, VPN to MPN. */
static bool by_address(const struct test_mmu *m)
{
	return strcmp(m->mmu->mode->policy.name, "shadow") == 0 ||
	       strcmp(m->mmu->mode->policy.name, "direct") == 0;
}

static void all(struct test_mmu *m, enum access access, unsigned but)
{
	struct mmu_fault fault;
	ppn_t ppn;

	for (unsigned i = 0; i < N; i++) {
		if (i == but)
			continue;
		CU_ASSERT_EQUAL_FATAL(test_ref(m, VPN + i, access, &ppn, &fault), 0);
		CU_ASSERT_EQUAL(ppn.n, FIRST + i);
	}
}

/* Eight pages in the TLB, writable; that of HIT is the one used longest ago. */
static void open_mode(struct test_mmu *m, size_t mode)
{
	struct mmu_fault fault;
	ppn_t ppn;

	test_mmu_open(m, translations[mode]->name, PAGES, NULL, shape);
	test_root(m);
	for (uint32_t i = 0; i < N; i++)
		test_map(m, VPN + i, FIRST + i, RWU);
	for (uint32_t i = 1; i < m->next; i++)
		m->vm->pmap->pte[i] |= PTE_PINNED; /* tables */
	CU_ASSERT_EQUAL_FATAL(test_ref(m, VPN + HIT, ACCESS_WRITE, &ppn, &fault), 0);
	all(m, ACCESS_WRITE, HIT);
	const uint64_t misses = m->mmu->stats.tlb_misses;
	all(m, ACCESS_WRITE, HIT);
	if (!m->mmu->mode->no_tlb)
		CU_ASSERT_EQUAL(m->mmu->stats.tlb_misses, misses);
}

struct event {
	const char *name;
	void (*happens)(struct test_mmu *m, ppn_t ppn);
	bool again; /* the page's next write is an exit where it was one before: not in ept's log */
};

static void sampled(struct test_mmu *m, ppn_t ppn)
{
	pmap_sample(m->vm->pmap, ppn);
}

static void given_up(struct test_mmu *m, ppn_t ppn)
{
	pmap_drop(m->vm->pmap, ppn);
}

static void moved(struct test_mmu *m, ppn_t ppn)
{
	pmap_move(m->vm->pmap, ppn, machine_take(m->t.m));
}

/* It and a page that no TLB knows get one frame. */
static void shared(struct test_mmu *m, ppn_t ppn)
{
	test_fill(m->vm, 600, 77);
	test_fill(m->vm, ppn.n, 77);
	for (unsigned i = 0; i < 2; i++)
		sharing_scan(m->t.sharing, m->vm, PAGES);
	CU_ASSERT_EQUAL(pte_state(test_entry(m->vm, ppn.n)), PAGE_SHARED);
}

static void swapped(struct test_mmu *m, ppn_t ppn)
{
	const struct host *h = m->t.host;
	struct err err;

	CU_ASSERT_EQUAL(
		h->reclaimer[0].reclaimer->reclaim(h->reclaimer[0].ctx, 1, m->vm, m->vm, &err), 1);
	CU_ASSERT_EQUAL(pte_state(test_entry(m->vm, ppn.n)), PAGE_SWAPPED);
}

static void logged(struct test_mmu *m, ppn_t ppn)
{
	CU_ASSERT_EQUAL(pmap_harvest_dirty(m->vm->pmap, ppn, 1, NULL, NULL), 1);
	CU_ASSERT_EQUAL(pmap_harvest_dirty(m->vm->pmap, ppn, 1, NULL, NULL), 0);
}

static void harvested(struct test_mmu *m, ppn_t ppn)
{
	CU_ASSERT_EQUAL(pmap_harvest_accessed(m->vm->pmap, ppn, 1, NULL, NULL), 1);
}

static const struct event events[] = {
	{"sampled", sampled, true},	 {"given up", given_up, true}, {"moved", moved, true},
	{"shared", shared, true},	 {"swapped", swapped, true},   {"logged", logged, false},
	{"harvested", harvested, false},
};

/*
 * The other seven pages: 0 misses where the page was flushed by its address, seven
 * where everything was. The page itself: a miss, and an exit unless the processor
 * sets the bit that was cleared by itself, as by EPT's accessed and dirty bits.
 */
static void check(struct test_mmu *m, const struct event *e)
{
	const struct mmu_stats *s = &m->mmu->stats;
	const uint64_t misses = s->tlb_misses, pages = s->zap_pages, flushes = s->zap_flushes;
	struct mmu_fault fault;
	ppn_t ppn;

	e->happens(m, (ppn_t){FIRST + HIT});
	CU_ASSERT_EQUAL(test_audit(&m->t), 0);
	if (m->mmu->mode->no_tlb)
		return;
	const bool narrow = by_address(m);
	/* A page that is shared is scanned, then shared: one change. */
	CU_ASSERT_EQUAL(s->zap_pages - pages, narrow ? 1 : 0);
	CU_ASSERT_EQUAL(s->zap_flushes - flushes, narrow ? 0 : 1);
	all(m, ACCESS_WRITE, HIT);
	CU_ASSERT_EQUAL(s->tlb_misses - misses, narrow ? 0 : N - 1);
	const uint64_t exits = s->exits, before = s->tlb_misses;
	CU_ASSERT_EQUAL_FATAL(test_ref(m, VPN + HIT, ACCESS_WRITE, &ppn, &fault), 0);
	CU_ASSERT_EQUAL(s->tlb_misses, before + 1);
	CU_ASSERT_EQUAL(s->exits > exits, e->again || narrow);
	CU_ASSERT(test_entry(m->vm, FIRST + HIT) & PTE_LOGGED);
	CU_ASSERT_EQUAL(test_audit(&m->t), 0);
}

static void each_event_in_each_mode(void)
{
	EACH_MODE(i)
	{
		for (size_t e = 0; e < ARRAY_LEN(events); e++) {
			struct test_mmu m;
			unsigned bad = CU_get_number_of_failures();
			open_mode(&m, i);
			check(&m, &events[e]);
			if (CU_get_number_of_failures() != bad)
				printf("  %s, %s\n", translations[i]->name, events[e].name);
			test_mmu_close(&m);
		}
	}
}

/* Many pages at once: one flush before the guest goes on, where it is of everything. */
static void one_flush_for_many(void)
{
	EACH_MODE(i)
	{
		struct test_mmu m;

		open_mode(&m, i);
		for (uint32_t p = 0; p < N; p++)
			pmap_sample(m.vm->pmap, (ppn_t){FIRST + p});
		CU_ASSERT_EQUAL(m.mmu->stats.zap_flushes,
				m.mmu->mode->no_tlb || by_address(&m) ? 0 : 1);
		CU_ASSERT_EQUAL(m.mmu->stats.zap_pages, by_address(&m) ? N : 0);
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		test_mmu_close(&m);
	}
}

/* A page that is seen at two addresses and in two spaces leaves the TLB at all of them. */
static void each_address_of_a_page(void)
{
	static const char *const modes[] = {"shadow", "direct"};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct test_mmu m;
		struct err err;

		test_mmu_open(&m, modes[i], PAGES, NULL, shape);
		test_root(&m);
		uint32_t first = m.root;
		test_map(&m, VPN, FIRST, RWU);
		test_map(&m, VPN + 5, FIRST, RWU);
		test_map(&m, VPN + 6, FIRST + 1, RWU);
		test_walk_refs(&m, VPN, ACCESS_WRITE);
		test_walk_refs(&m, VPN + 5, ACCESS_WRITE);
		test_walk_refs(&m, VPN + 6, ACCESS_WRITE);
		test_root(&m);
		test_map(&m, 9, FIRST, RWU);
		test_walk_refs(&m, 9, ACCESS_WRITE);
		pmap_move(m.vm->pmap, (ppn_t){FIRST}, machine_take(m.t.m));
		CU_ASSERT_EQUAL(m.mmu->stats.zaps, 3);
		CU_ASSERT_EQUAL(m.mmu->stats.zap_pages, 3);
		CU_ASSERT_EQUAL(m.mmu->stats.zap_flushes, 0);
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		uint64_t misses = m.mmu->stats.tlb_misses;
		test_walk_refs(&m, 9, ACCESS_WRITE);
		CU_ASSERT_EQUAL_FATAL(mmu_load_root(m.mmu, first, &err), 0);
		test_walk_refs(&m, VPN, ACCESS_WRITE);
		test_walk_refs(&m, VPN + 5, ACCESS_WRITE);
		CU_ASSERT_EQUAL(m.mmu->stats.tlb_misses, misses + 3);
		test_walk_refs(&m, VPN + 6, ACCESS_WRITE);
		CU_ASSERT_EQUAL(m.mmu->stats.tlb_misses, misses + 3);
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		test_mmu_close(&m);
	}
}

/* A guest that takes a page out of its tables and does not flush: the VMM's flush covers it. */
static void a_guest_that_does_not_flush(void)
{
	EACH_MODE(i)
	{
		struct test_mmu m;

		open_mode(&m, i);
		test_map(&m, VPN + HIT, 0, 0);
		pmap_drop(m.vm->pmap, (ppn_t){FIRST + HIT});
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		/* The table above, too. */
		test_word(&m, test_walk_to(&m, VPN, 2), pt_index(VPN, 2), 0);
		pmap_drop(m.vm->pmap, (ppn_t){FIRST + 1});
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		/* And a right alone, before the page becomes a table. */
		test_map(&m, 700, FIRST + 20, RWU);
		test_walk_refs(&m, 700, ACCESS_WRITE);
		test_map(&m, 700, FIRST + 20, GPTE_P | GPTE_U);
		pmap_sample(m.vm->pmap, (ppn_t){FIRST + 20});
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		test_mmu_close(&m);
	}
}

TESTS("zaps", {"each event in each mode", each_event_in_each_mode},
      {"one flush for many", one_flush_for_many},
      {"each address of a page", each_address_of_a_page},
      {"a guest that does not flush", a_guest_that_does_not_flush})
