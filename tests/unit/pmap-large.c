/* Stretches in a row, who ends that, the 2 MiB mappings of each mode, and the collapser. */
#include "mmu.h"

#include "core/runs.h"
#include "sharing/private.h"

#define PAGES  2048
#define FRAMES 4096
#define BASE   512
#define VPN    (UINT64_C(4) << 27 | UINT64_C(141) << 18 | UINT64_C(43) << 9)

#define EACH_MODE(i) for (size_t i = 0; translations[i]; (i)++)

static struct test_shape shape(const char *frames)
{
	return (struct test_shape){
		.frames = FRAMES, .scan = "sequential", .large = frames, .collapse_ns = 1000};
}

static void turn(struct test_host *t, unsigned n)
{
	while (n--)
		clock_run_until(&t->host->clock, t->host->clock.now_ns + 1000);
}

/* Pages come to their own place; a stretch is whole with the last of them. */
static void pages_find_their_place(void)
{
	struct test_host t;

	test_host_new(&t, shape("reserve"));
	struct vm *vm = test_vm(&t, "a", PAGES);
	test_hit(vm, BASE + 17, ACCESS_WRITE);
	uint32_t first = pte_value(test_entry(vm, BASE + 17)) - 17;
	CU_ASSERT_EQUAL(first % 512, 0);
	for (uint32_t i = BASE + 511; i >= BASE; i--) {
		CU_ASSERT_FALSE(i != BASE + 16 && large_whole(vm->pmap, (ppn_t){BASE}));
		test_hit(vm, i, ACCESS_WRITE);
		CU_ASSERT_EQUAL(pte_value(test_entry(vm, i)), first + i - BASE);
	}
	CU_ASSERT(large_whole(vm->pmap, (ppn_t){BASE}) && large_whole(vm->pmap, (ppn_t){BASE + 5}));
	CU_ASSERT_FALSE(large_whole(vm->pmap, (ppn_t){0}));
	pmap_sample(vm->pmap, (ppn_t){BASE + 100});
	CU_ASSERT_FALSE(large_whole(vm->pmap, (ppn_t){BASE}));
	test_hit(vm, BASE + 100, ACCESS_READ);
	CU_ASSERT(large_whole(vm->pmap, (ppn_t){BASE}));
	/* A page that comes back finds its place free. */
	pmap_drop(vm->pmap, (ppn_t){BASE + 9});
	CU_ASSERT_FALSE(large_whole(vm->pmap, (ppn_t){BASE}));
	test_hit(vm, BASE + 9, ACCESS_WRITE);
	CU_ASSERT(large_whole(vm->pmap, (ppn_t){BASE}));
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "large_reserved"), 1);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* With fill all 512 come at once, each zeroed and paid for; not beyond the VM's end or max. */
static void a_stretch_is_filled(void)
{
	struct test_host t;

	test_host_new(&t, shape("fill"));
	struct vm *vm = test_vm(&t, "a", PAGES + 100), *small = test_vm(&t, "b", PAGES);
	uint64_t before = vm->time_ns;
	test_hit(vm, BASE + 3, ACCESS_READ);
	CU_ASSERT(large_whole(vm->pmap, (ppn_t){BASE}));
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_PRIVATE], 512);
	CU_ASSERT_EQUAL(vm->pmap->stats.zero_fills, 1);
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "large_filled"), 511);
	CU_ASSERT_EQUAL(vm->time_ns - before, 1000 + 512 * 300);
	test_hit(vm, PAGES + 3, ACCESS_READ);
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_PRIVATE], 513);
	small->max = 511;
	test_hit(small, 0, ACCESS_READ);
	CU_ASSERT_EQUAL(small->pmap->count[PAGE_PRIVATE], 1);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* Harvested, a stretch is small until the collapser has come by twice. */
static void a_log_is_of_small_pages(void)
{
	struct test_host t;

	test_host_new(&t, shape("fill"));
	struct vm *vm = test_vm(&t, "a", PAGES);
	CU_ASSERT_EQUAL_FATAL(pmap_rows(vm->pmap), 0);
	test_hit(vm, BASE, ACCESS_WRITE);
	CU_ASSERT(large_whole(vm->pmap, (ppn_t){BASE}));
	CU_ASSERT_EQUAL(pmap_harvest_dirty(vm->pmap, (ppn_t){BASE}, 512, NULL, NULL), 1);
	CU_ASSERT_FALSE(large_whole(vm->pmap, (ppn_t){BASE}));
	pmap_sample(vm->pmap, (ppn_t){BASE + 1});
	pmap_unsample(vm->pmap, (ppn_t){BASE + 1});
	turn(&t, 1);
	CU_ASSERT_FALSE(large_whole(vm->pmap, (ppn_t){BASE}));
	turn(&t, 1);
	CU_ASSERT(large_whole(vm->pmap, (ppn_t){BASE}));
	test_host_free(&t);
}

/* Moved out of its place a page is moved back; what has no place gets another run. */
static void the_collapser(void)
{
	struct test_host t;

	test_host_new(&t, shape("reserve"));
	struct vm *vm = test_vm(&t, "a", PAGES);
	for (uint32_t i = 0; i < 512; i++)
		test_fill(vm, BASE + i, 1000 + i);
	uint32_t first = pte_value(test_entry(vm, BASE));
	pmap_move(vm->pmap, (ppn_t){BASE + 44}, machine_take(t.m));
	uint64_t before = vm->time_ns;
	turn(&t, 1);
	CU_ASSERT(large_whole(vm->pmap, (ppn_t){BASE}));
	CU_ASSERT_EQUAL(pte_value(test_entry(vm, BASE + 44)), first + 44);
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "large_moved"), 1);
	CU_ASSERT_EQUAL(vm->time_ns - before, 500);
	/* Its place is taken meanwhile: all 512 go to another run. */
	pmap_move(vm->pmap, (ppn_t){BASE + 44}, machine_take(t.m));
	mpn_t gone = runs_take_at(t.m, first / 512, 44);
	machine_own_overhead(t.m, gone);
	turn(&t, 1);
	CU_ASSERT(large_whole(vm->pmap, (ppn_t){BASE}));
	CU_ASSERT_NOT_EQUAL(pte_value(test_entry(vm, BASE)), first);
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "large_moved"), 1 + 512);
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "large_collapsed"), 2);
	CU_ASSERT_EQUAL(t.m->runs->run[first / 512].free, 511);
	/* A page that must keep its frame keeps its stretch where it is. */
	pmap_move(vm->pmap, (ppn_t){BASE + 1}, machine_take(t.m));
	vm->pmap->pte[BASE + 1] |= PTE_PINNED;
	turn(&t, 3);
	CU_ASSERT_FALSE(large_whole(vm->pmap, (ppn_t){BASE}));
	/* The first run, and the one that the stretch went to: none for pages that must stay. */
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "large_reserved"), 2);
	machine_put_overhead(t.m, gone);
	for (uint32_t i = 0; i < 512; i++)
		CU_ASSERT(test_reads_as(vm, BASE + i, 1000 + i));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

static void sampled(struct test_mmu *m, ppn_t ppn)
{
	pmap_sample(m->vm->pmap, ppn);
}

static void dropped(struct test_mmu *m, ppn_t ppn)
{
	pmap_drop(m->vm->pmap, ppn);
}

static int deflate(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access, struct err *err)
{
	(void)ctx;
	(void)access;
	return pmap_zero_fill(pmap, ppn, err);
}

static void ballooned(struct test_mmu *m, ppn_t ppn)
{
	pmap_handle(m->t.pmaps, PAGE_BALLOONED, &(struct page_handler){.fault = deflate});
	pmap_give_up(m->vm->pmap, ppn);
}

static void moved(struct test_mmu *m, ppn_t ppn)
{
	pmap_move(m->vm->pmap, ppn, machine_take(m->t.m));
}

static void shared(struct test_mmu *m, ppn_t ppn)
{
	test_fill(m->vm, 3, 77); /* of a stretch of its own */
	test_fill(m->vm, ppn.n, 77);
	for (uint32_t p = 0; p < PAGES; p++)
		if (p != 3 && p != ppn.n)
			m->vm->pmap->pte[p] &= ~PTE_CHANGED; /* nobody looks at the others */
	for (unsigned i = 0; i < 2; i++)
		sharing_scan(m->t.sharing, m->vm, PAGES);
	CU_ASSERT_EQUAL(pte_state(test_entry(m->vm, ppn.n)), PAGE_SHARED);
}

static void swapped(struct test_mmu *m, ppn_t ppn)
{
	const struct host *h = m->t.host;
	struct err err;

	for (uint32_t p = 0; p < PAGES; p++)
		if (p != ppn.n && pte_resident(test_entry(m->vm, p)))
			test_hit(m->vm, p, ACCESS_READ);
	CU_ASSERT_EQUAL(
		h->reclaimer[0].reclaimer->reclaim(h->reclaimer[0].ctx, 1, m->vm, m->vm, &err), 1);
	CU_ASSERT_EQUAL(pte_state(test_entry(m->vm, ppn.n)), PAGE_SWAPPED);
}

static void logged(struct test_mmu *m, ppn_t ppn)
{
	CU_ASSERT_EQUAL(pmap_harvest_dirty(m->vm->pmap, ppn, 1, NULL, NULL), 1);
}

/* The page becomes a table: no shadow may let it be written. EPT does not mind. */
static void made_a_table(struct test_mmu *m, ppn_t ppn)
{
	test_word(m, test_walk_to(m, VPN + 1024, 2), pt_index(VPN + 1024, 2),
		  gpte_make(ppn.n, GPTE_P | GPTE_U));
	test_word(m, ppn.n, pt_index(VPN + 1024, 1), gpte_make(3, GPTE_P | GPTE_U));
	test_walk_refs(m, VPN + 1024, ACCESS_READ);
}

static const struct {
	const char *name;
	void (*happens)(struct test_mmu *m, ppn_t ppn);
	enum large_cause cause;
} events[] = {
	{"sampled", sampled, CAUSE_SAMPLED},
	{"dropped", dropped, CAUSE_DROPPED},
	{"moved", moved, CAUSE_MOVED},
	{"shared", shared, CAUSE_SHARED},
	{"swapped", swapped, CAUSE_SWAPPED},
	{"logged", logged, CAUSE_HARVESTED},
	{"ballooned", ballooned, CAUSE_BALLOONED},
};

/* A guest's 2 MiB over the host's: one entry of the TLB, and of the mode's tables. */
static void open_mode(struct test_mmu *m, size_t mode)
{
	struct mmu_opts opts = test_mmu_opts();

	opts.large = true;
	opts.split = false;
	test_mmu_open(m, translations[mode]->name, PAGES, &opts, shape("reserve"));
	test_root(m);
	for (uint32_t i = 0; i < 512; i++)
		test_fill(m->vm, BASE + i, 1000 + i);
	test_map_large(m, VPN, BASE, RWU);
	test_walk_refs(m, VPN, ACCESS_WRITE);
	if (m->mmu->mode->no_tlb)
		return;
	CU_ASSERT_EQUAL(m->mmu->stats.large_maps, 1);
	CU_ASSERT_EQUAL(test_walk_refs(m, VPN + 511, ACCESS_WRITE), 0);
}

/* Whether the next page of the stretch hits by what another's walk brought in. */
static bool one_entry(struct test_mmu *m)
{
	struct err err;

	CU_ASSERT_EQUAL_FATAL(mmu_flush_page(m->mmu, VPN, &err), 0);
	test_walk_refs(m, VPN + 100, ACCESS_WRITE);
	return test_walk_refs(m, VPN + 101, ACCESS_WRITE) == 0;
}

/*
 * Each event breaks the mapping, once, and is counted so; after it the page is where
 * the pmap says. When the page is back, or the collapser has been by, it is one again.
 */
static void each_cause_in_each_mode(void)
{
	const ppn_t hit = {BASE + 44};

	EACH_MODE(i)
	{
		for (size_t e = 0; e < ARRAY_LEN(events); e++) {
			struct test_mmu m;
			unsigned bad = CU_get_number_of_failures();
			open_mode(&m, i);
			test_walk_refs(&m, VPN + 44, ACCESS_WRITE);
			events[e].happens(&m, hit);
			const struct mmu_stats *s = &m.mmu->stats;
			CU_ASSERT_EQUAL(test_audit(&m.t), 0);
			if (!m.mmu->mode->no_tlb) {
				CU_ASSERT_EQUAL(s->large_breaks, 1);
				CU_ASSERT_EQUAL(s->large_broken[events[e].cause], 1);
				CU_ASSERT_FALSE(one_entry(&m));
			}
			test_walk_refs(&m, VPN + 44, ACCESS_WRITE);
			turn(&m.t, 3);
			test_walk_refs(&m, VPN + 45, ACCESS_WRITE);
			if (!m.mmu->mode->no_tlb) {
				CU_ASSERT(one_entry(&m));
				CU_ASSERT_EQUAL(s->large_maps, 2);
				CU_ASSERT_EQUAL(s->large_again, 1);
			}
			CU_ASSERT_EQUAL(test_audit(&m.t), 0);
			if (CU_get_number_of_failures() != bad)
				printf("  %s, %s\n", translations[i]->name, events[e].name);
			test_mmu_close(&m);
		}
	}
}

/* A table within it: shadow breaks it, ept does not; direct has refused by then. */
static void a_table_among_the_pages(void)
{
	struct test_mmu m;

	open_mode(&m, 1);
	CU_ASSERT_STRING_EQUAL(m.mmu->mode->policy.name, "shadow");
	made_a_table(&m, (ppn_t){BASE + 44});
	CU_ASSERT_EQUAL(m.mmu->stats.large_broken[CAUSE_TABLE], 1);
	CU_ASSERT_FALSE(one_entry(&m));
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	test_mmu_close(&m);
	open_mode(&m, 2);
	CU_ASSERT_STRING_EQUAL(m.mmu->mode->policy.name, "ept");
	made_a_table(&m, (ppn_t){BASE + 44});
	CU_ASSERT_EQUAL(m.mmu->stats.large_breaks, 0);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	test_mmu_close(&m);
}

/* A clean page is mapped read-only, 2 MiB at once; the first write makes all of it writable. */
static void a_clean_large_page(void)
{
	static const char *const modes[] = {"shadow", "ept", "direct", "nested"};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct mmu_opts opts = test_mmu_opts();
		struct test_mmu m;

		opts.large = true;
		test_mmu_open(&m, modes[i], PAGES, &opts, shape("fill"));
		test_root(&m);
		test_map_large(&m, VPN, BASE, RWU);
		test_walk_refs(&m, VPN + 5, ACCESS_READ);
		uint32_t dir = test_walk_to(&m, VPN, 2);
		CU_ASSERT_FALSE(pt_read(&m.mmu->tables, (ppn_t){dir}, pt_index(VPN, 2)) & GPTE_D);
		CU_ASSERT_EQUAL(test_walk_refs(&m, VPN + 6, ACCESS_READ), 0);
		uint64_t misses = m.mmu->stats.tlb_misses;
		test_walk_refs(&m, VPN + 6, ACCESS_WRITE);
		CU_ASSERT_EQUAL(m.mmu->stats.tlb_misses, misses + 1);
		CU_ASSERT(pt_read(&m.mmu->tables, (ppn_t){dir}, pt_index(VPN, 2)) & GPTE_D);
		CU_ASSERT_EQUAL(test_walk_refs(&m, VPN + 7, ACCESS_WRITE), 0);
		CU_ASSERT_EQUAL(
			m.mmu->stats.large_maps - m.mmu->stats.large_breaks,
			strcmp(modes[i], "shadow") != 0 && strcmp(modes[i], "direct") != 0 ? 2 : 1);
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		test_mmu_close(&m);
	}
}

/* Policies that leave large pages alone: neither shared nor sampled, until memory is short. */
static void policies_that_spare(void)
{
	struct test_host t;

	test_host_new(&t, shape("fill"));
	struct vm *vm = test_vm(&t, "a", PAGES);
	const struct policy *brk = test_policy(large_cares, "break", NULL),
			    *skip = test_policy(large_cares, "skip", NULL),
			    *low = test_policy(large_cares, "short", NULL);
	test_hit(vm, BASE, ACCESS_WRITE);
	CU_ASSERT_FALSE(large_spared(vm->pmap, (ppn_t){BASE + 1}, brk));
	CU_ASSERT(large_spared(vm->pmap, (ppn_t){BASE + 1}, skip));
	CU_ASSERT(large_spared(vm->pmap, (ppn_t){BASE + 1}, low));
	t.host->state = HOST_CLEAR;
	CU_ASSERT_FALSE(large_spared(vm->pmap, (ppn_t){BASE + 1}, low));
	t.host->state = HOST_HIGH;
	test_hit(vm, 3, ACCESS_WRITE);
	pmap_drop(vm->pmap, (ppn_t){4}); /* 511 zero pages in a stretch that is not whole */
	t.sharing->opts.large = skip;
	sharing_scan(t.sharing, vm, 4 * PAGES);
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_SHARED], 510);
	CU_ASSERT(large_whole(vm->pmap, (ppn_t){BASE}));
	t.sharing->opts.large = brk;
	sharing_scan(t.sharing, vm, 4 * PAGES);
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_SHARED], 510 + 511);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

TESTS("pmap/large", {"pages find their place", pages_find_their_place},
      {"a stretch is filled", a_stretch_is_filled},
      {"a log is of small pages", a_log_is_of_small_pages}, {"the collapser", the_collapser},
      {"each cause in each mode", each_cause_in_each_mode},
      {"a table among the pages", a_table_among_the_pages},
      {"a clean large page", a_clean_large_page}, {"policies that spare", policies_that_spare})
