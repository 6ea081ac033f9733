/* A hypervisor in the guest: exits are multiplied at first touch, and walks are those of EPT. */
#include "mmu.h"

#define PAGES 2000
#define VPN   (UINT64_C(4) << 27 | UINT64_C(141) << 18 | UINT64_C(43) << 9 | 393)

static const struct test_shape shape = {.frames = PAGES};

/*
 * The page and its four tables are five pages that the merged table lacks. Each is
 * an exit to us, which is handed to the inner hypervisor (12 exits of its own),
 * and a second one, since our table lacks it still: 5 * (1 + 12 + 1) = 70.
 */
static void exits_multiply(void)
{
	struct mmu_opts opts = test_mmu_opts();
	struct test_mmu m;

	opts.l1_exits = 12;
	opts.pde_cache = opts.pdpte_cache = opts.nested_tlb = 0;
	test_mmu_open(&m, "nested", PAGES, &opts, shape);
	test_root(&m);
	test_map(&m, VPN, 1500, RWU);
	test_walk_refs(&m, VPN, ACCESS_WRITE);
	CU_ASSERT_EQUAL(m.mmu->stats.exits, 70);
	CU_ASSERT_EQUAL(m.mmu->stats.l1_exits, 60);
	/* The host takes the page away: the inner hypervisor has it still, one exit brings it back.
	 */
	pmap_sample(m.vm->pmap, (ppn_t){1500});
	test_walk_refs(&m, VPN, ACCESS_WRITE);
	CU_ASSERT_EQUAL(m.mmu->stats.exits, 71);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	/* A cold walk is one in two dimensions: 24. */
	struct err err;
	CU_ASSERT_EQUAL_FATAL(mmu_flush_page(m.mmu, VPN, &err), 0);
	CU_ASSERT_EQUAL(test_walk_refs(&m, VPN, ACCESS_WRITE), 24);
	test_mmu_close(&m);
}

TESTS("pmap/nested", {"exits multiply", exits_multiply})
