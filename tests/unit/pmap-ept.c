/* The two-dimensional walk, whose references are counted here by hand. */
#include "mmu.h"

#define PAGES 4096
#define VPN   (UINT64_C(4) << 27 | UINT64_C(141) << 18 | UINT64_C(43) << 9 | 393)
#define FREE  2000 /* the PPN of a page that VPN + 1 maps in every rig */

static const struct test_shape shape = {.frames = PAGES};

static struct mmu_opts plain(void)
{
	struct mmu_opts opts = test_mmu_opts();

	opts.large = false;
	opts.nested_tlb = 0;
	return opts;
}

/* Every page in its frame, PPN n in MPN n, so that 2 MiB may be mapped at once. */
static void touch_all(struct test_mmu *m)
{
	for (uint32_t i = 0; i < PAGES; i++)
		test_hit(m->vm, i, ACCESS_WRITE);
}

static void open_rig(struct test_mmu *m, const struct mmu_opts *opts)
{
	test_mmu_open(m, "ept", PAGES, opts, shape);
	touch_all(m);
	test_root(m);
	test_map(m, VPN, 1500, RWU);
	test_map(m, VPN + 1, FREE, RWU);
}

/*
 * INVEPT, and no more: a page that its EPT maps is sampled, and let be again. The
 * guest's walk caches and TLBs go with it, since they hold what was translated.
 */
static void cold(struct test_mmu *m)
{
	test_walk_refs(m, VPN + 1, ACCESS_READ);
	pmap_sample(m->vm->pmap, (ppn_t){FREE});
	pmap_unsample(m->vm->pmap, (ppn_t){FREE});
}

/*
 * Cold, each of the guest's four tables has an address that takes a walk of four
 * before it can be read, and so does the page itself: 4 * (4 + 1) + 4 = 24. Where
 * there are walk caches, empty at first, they serve the same walk: the first table
 * costs 4 + 1 and the others, whose PPNs have the same last-level table of the EPT,
 * 1 + 1 each; the page's has another, which the level above knows: 2. In all 13.
 */
static void a_cold_walk_takes_24(void)
{
	struct mmu_opts opts = plain();
	struct test_mmu m;

	open_rig(&m, &opts);
	test_walk_refs(&m, VPN, ACCESS_READ); /* fills the EPT, by violations */
	cold(&m);
	CU_ASSERT_EQUAL(test_walk_refs(&m, VPN, ACCESS_READ), 13);
	test_mmu_close(&m);
	opts.pde_cache = opts.pdpte_cache = 0;
	open_rig(&m, &opts);
	test_walk_refs(&m, VPN, ACCESS_READ);
	cold(&m);
	CU_ASSERT_EQUAL(test_walk_refs(&m, VPN, ACCESS_READ), 24);
	CU_ASSERT_EQUAL(test_walk_refs(&m, VPN, ACCESS_READ), 0); /* the TLB has it */
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	test_mmu_close(&m);
}

/*
 * Warm, with the last-level table of the EPT known for all PPNs below 512, where
 * the guest's tables lie, and for those of the page's 2 MiB:
 *   INVLPG  the guest's walk caches are empty: 4 * (1 + 1) + 1 = 9
 *   the page beside: its last-level table is known with its frame: 1 + 1 = 2
 *   the next 2 MiB: the table above is: 1, then (1 + 1), then 1: 4
 *   the next 1 GiB: the one above that: 1 + (1 + 1) + (1 + 1) + 1 = 6
 *   the next 512 GiB: nothing: 9 again
 * All pages lie in the PPNs of one table of the EPT, which is warm.
 */
static void walk_caches(void)
{
	struct mmu_opts opts = plain();
	struct test_mmu m;
	struct err err;

	open_rig(&m, &opts);
	test_map(&m, VPN + 2, 1501, RWU);
	test_map(&m, VPN + 512, 1502, RWU);
	test_map(&m, VPN + (1 << 18), 1503, RWU);
	test_map(&m, VPN + (1 << 27), 1504, RWU);
	for (int round = 0; round < 2; round++) { /* the first one fills the EPT */
		bool counts = round == 1;
		if (counts)
			cold(&m);
		test_walk_refs(&m, VPN, ACCESS_READ);
		CU_ASSERT_EQUAL_FATAL(mmu_flush_page(m.mmu, VPN, &err), 0);
		uint64_t refs = test_walk_refs(&m, VPN, ACCESS_READ);
		CU_ASSERT(!counts || refs == 9);
		refs = test_walk_refs(&m, VPN + 2, ACCESS_READ);
		CU_ASSERT(!counts || refs == 2);
		refs = test_walk_refs(&m, VPN + 512, ACCESS_READ);
		CU_ASSERT(!counts || refs == 4);
		refs = test_walk_refs(&m, VPN + (1 << 18), ACCESS_READ);
		CU_ASSERT(!counts || refs == 6);
		refs = test_walk_refs(&m, VPN + (1 << 27), ACCESS_READ);
		CU_ASSERT(!counts || refs == 9);
	}
	test_mmu_close(&m);
}

/*
 * Without any walk cache each walk is a cold one; with a nested TLB alone, a walk
 * after INVLPG reads the guest's four words and no more.
 */
static void without_caches_and_with_a_nested_tlb(void)
{
	struct mmu_opts opts = plain();
	struct test_mmu m;
	struct err err;

	opts.pde_cache = opts.pdpte_cache = 0;
	open_rig(&m, &opts);
	test_walk_refs(&m, VPN, ACCESS_READ);
	CU_ASSERT_EQUAL_FATAL(mmu_flush_page(m.mmu, VPN, &err), 0);
	CU_ASSERT_EQUAL(test_walk_refs(&m, VPN, ACCESS_READ), 24);
	test_mmu_close(&m);
	opts.nested_tlb = 16;
	open_rig(&m, &opts);
	test_walk_refs(&m, VPN, ACCESS_READ);
	CU_ASSERT_EQUAL_FATAL(mmu_flush_page(m.mmu, VPN, &err), 0);
	CU_ASSERT_EQUAL(test_walk_refs(&m, VPN, ACCESS_READ), 4);
	test_mmu_close(&m);
}

/* Both 2 MiB: 3 * (3 + 1) + 3 = 15. The guest's alone: 3 * (4 + 1) + 4 = 19. The EPT's: 4 * 4 + 3
 */
static void large_pages(void)
{
	static const struct {
		bool guest, host;
		uint64_t refs;
	} cases[] = {{true, true, 15}, {true, false, 19}, {false, true, 19}, {false, false, 24}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mmu_opts opts = plain();
		struct test_mmu m;
		struct err err;
		uint64_t vpn = VPN & ~UINT64_C(511);

		opts.large = cases[i].host;
		opts.pde_cache = opts.pdpte_cache = 0;
		test_mmu_open(&m, "ept", PAGES, &opts, shape);
		touch_all(&m);
		test_root(&m);
		if (cases[i].guest)
			test_map_large(&m, vpn, 1024, RWU);
		else
			test_map(&m, vpn, 1024, RWU);
		test_walk_refs(&m, vpn, ACCESS_WRITE);
		CU_ASSERT_EQUAL(m.mmu->stats.large_maps, cases[i].host ? 2 : 0);
		CU_ASSERT_EQUAL_FATAL(mmu_flush_page(m.mmu, vpn, &err), 0);
		CU_ASSERT_EQUAL(test_walk_refs(&m, vpn, ACCESS_WRITE), cases[i].refs);
		/* A TLB entry for all 2 MiB only where both are: the next page then hits. */
		if (!cases[i].guest)
			test_map(&m, vpn + 1, 1025, RWU);
		uint64_t refs = test_walk_refs(&m, vpn + 1, ACCESS_WRITE);
		CU_ASSERT_EQUAL(refs == 0, cases[i].guest && cases[i].host);
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		test_mmu_close(&m);
	}
}

/* Sampling one page breaks 2 MiB into 512; its return makes them one again. */
static void large_pages_break_and_collapse(void)
{
	struct mmu_opts opts = plain();
	struct test_mmu m;
	uint64_t vpn = VPN & ~UINT64_C(511);

	opts.large = true;
	test_mmu_open(&m, "ept", PAGES, &opts, shape);
	touch_all(&m);
	test_root(&m);
	test_map_large(&m, vpn, 1024, RWU);
	test_walk_refs(&m, vpn, ACCESS_WRITE);
	CU_ASSERT_EQUAL(m.mmu->stats.large_maps, 2); /* and the one with the guest's tables */
	pmap_sample(m.vm->pmap, (ppn_t){1024 + 7});
	CU_ASSERT_EQUAL(m.mmu->stats.large_breaks, 1);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	CU_ASSERT_EQUAL(m.mmu->stats.zaps, 1);
	test_walk_refs(&m, vpn + 8, ACCESS_WRITE); /* there is a leaf for it */
	CU_ASSERT_EQUAL(m.mmu->stats.ept_faults, 2);
	test_walk_refs(&m, vpn + 7, ACCESS_WRITE); /* the touch that was waited for */
	CU_ASSERT_EQUAL(m.mmu->stats.ept_faults, 3);
	CU_ASSERT_EQUAL(m.mmu->stats.large_maps, 3);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	test_mmu_close(&m);
}

/* Accessed and dirty, in the guest's words and in the EPT's way to the harvests. */
static void accessed_and_dirty(void)
{
	struct mmu_opts opts = plain();
	struct test_mmu m;

	open_rig(&m, &opts);
	uint32_t pt = test_walk_to(&m, VPN, 1);
	test_walk_refs(&m, VPN, ACCESS_READ);
	gpte_t w = pt_read(&m.mmu->tables, (ppn_t){pt}, 393);
	CU_ASSERT_EQUAL(w & (GPTE_A | GPTE_D), GPTE_A);
	CU_ASSERT(pt_read(&m.mmu->tables, (ppn_t){m.root}, 4) & GPTE_A);
	uint64_t walks = m.mmu->stats.tlb_misses;
	test_walk_refs(&m, VPN, ACCESS_WRITE); /* the TLB's entry is clean: another walk */
	CU_ASSERT_EQUAL(m.mmu->stats.tlb_misses, walks + 1);
	w = pt_read(&m.mmu->tables, (ppn_t){pt}, 393);
	CU_ASSERT_EQUAL(w & (GPTE_A | GPTE_D), GPTE_A | GPTE_D);
	CU_ASSERT_EQUAL(test_walk_refs(&m, VPN, ACCESS_WRITE), 0);
	/* A harvest makes the next write walk again, so that it is seen. */
	CU_ASSERT(pmap_harvest_dirty(m.vm->pmap, (ppn_t){1500}, 1, NULL, NULL) == 1);
	CU_ASSERT(test_walk_refs(&m, VPN, ACCESS_WRITE) > 0);
	CU_ASSERT(pmap_harvest_dirty(m.vm->pmap, (ppn_t){1500}, 1, NULL, NULL) == 1);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	test_mmu_close(&m);
}

/* What the EPT says is compared with the pmap: a leaf left behind is found. */
static void the_audit_finds_a_stale_leaf(void)
{
	struct mmu_opts opts = plain();
	struct test_mmu m;

	open_rig(&m, &opts);
	test_walk_refs(&m, VPN, ACCESS_WRITE);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	m.vm->pmap->mmu = NULL; /* nobody is told */
	pmap_sample(m.vm->pmap, (ppn_t){1500});
	m.vm->pmap->mmu = m.mmu;
	CU_ASSERT(test_audit(&m.t) > 0);
	pmap_unsample(m.vm->pmap, (ppn_t){1500});
	m.vm->pmap->mmu = NULL;
	pmap_drop(m.vm->pmap, (ppn_t){1500});
	m.vm->pmap->mmu = m.mmu;
	CU_ASSERT(test_audit(&m.t) > 0);
	test_mmu_close(&m);
}

TESTS("pmap/ept", {"a cold walk takes 24", a_cold_walk_takes_24}, {"walk caches", walk_caches},
      {"without caches, and with a nested TLB", without_caches_and_with_a_nested_tlb},
      {"large pages", large_pages},
      {"large pages break and collapse", large_pages_break_and_collapse},
      {"accessed and dirty", accessed_and_dirty},
      {"the audit finds a stale leaf", the_audit_finds_a_stale_leaf})
