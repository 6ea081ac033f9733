/* Shadow tables: one-dimensional walks, hidden and true faults, traps, views, limits. */
#include "mmu.h"

#define PAGES 2000
#define VPN   (UINT64_C(4) << 27 | UINT64_C(141) << 18 | UINT64_C(43) << 9 | 393)

static const struct test_shape shape = {.frames = PAGES};

static void open_with(struct test_mmu *m, const struct mmu_opts *opts)
{
	test_mmu_open(m, "shadow", PAGES, opts, shape);
	test_root(m);
	test_map(m, VPN, 1500, RWU);
}

static struct mmu_opts one_view(void)
{
	struct mmu_opts opts = test_mmu_opts();

	opts.split = false;
	return opts;
}

/*
 * The processor reads four words, as of a guest without a VMM. Warm, INVLPG empties
 * walk caches: 4 again; the page beside it: its last-level table is known: 1; the
 * next 2 MiB: the table above is: 2; the next 1 GiB: 3; the next 512 GiB: 4.
 */
static void walks_are_native(void)
{
	static const uint64_t beside[] = {1, 512, 1 << 18, 1 << 27};
	struct mmu_opts opts = one_view();
	struct test_mmu m;
	struct err err;

	open_with(&m, &opts);
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		test_map(&m, VPN + beside[i], 1501 + (uint32_t)i, RWU);
		test_walk_refs(&m, VPN + beside[i], ACCESS_READ); /* hidden faults */
	}
	test_walk_refs(&m, VPN, ACCESS_READ);
	for (int round = 0; round < 2; round++) {
		CU_ASSERT_EQUAL_FATAL(mmu_flush_space(m.mmu, m.root, &err), 0);
		CU_ASSERT_EQUAL_FATAL(mmu_flush_page(m.mmu, VPN, &err), 0);
		CU_ASSERT_EQUAL(test_walk_refs(&m, VPN, ACCESS_READ), 4);
		for (uint64_t i = 0; i < ARRAY_LEN(beside); i++)
			CU_ASSERT_EQUAL(test_walk_refs(&m, VPN + beside[i], ACCESS_READ), i + 1);
	}
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	test_mmu_close(&m);
}

/* Each a fault to the processor; the guest learns of those that its own tables make. */
static void hidden_and_true_faults(void)
{
	struct mmu_opts opts = one_view();
	struct mmu_fault fault;
	struct test_mmu m;
	ppn_t ppn;

	open_with(&m, &opts);
	const struct mmu_stats *s = &m.mmu->stats;
	test_walk_refs(&m, VPN, ACCESS_READ);
	CU_ASSERT_EQUAL(s->hidden_faults, 1);
	test_walk_refs(&m, VPN,
		       ACCESS_WRITE); /* the guest's word was clean: seen, and made dirty */
	CU_ASSERT_EQUAL(s->hidden_faults, 2);
	CU_ASSERT(pt_read(&m.mmu->tables, (ppn_t){test_walk_to(&m, VPN, 1)}, 393) & GPTE_D);
	test_walk_refs(&m, VPN, ACCESS_WRITE);
	CU_ASSERT_EQUAL(s->hidden_faults, 2);
	CU_ASSERT_EQUAL(test_ref(&m, VPN + 1, ACCESS_READ, &ppn, &fault), MMU_FAULT);
	CU_ASSERT_EQUAL(fault.why, PT_ABSENT);
	CU_ASSERT_EQUAL(fault.level, 1);
	CU_ASSERT_EQUAL(s->true_faults, 1);
	CU_ASSERT_EQUAL(s->guest_faults, 1);
	CU_ASSERT_EQUAL(s->exits, 4); /* the load of CR3 too */
	test_mmu_close(&m);
}

/* A write to a table that is shadowed is an exit and is mirrored; to any other page it is none. */
static void writes_to_tables_are_traps(void)
{
	struct mmu_opts opts = one_view();
	struct mmu_fault fault;
	struct test_mmu m;
	struct err err;
	ppn_t ppn;

	open_with(&m, &opts);
	const struct mmu_stats *s = &m.mmu->stats;
	CU_ASSERT_EQUAL(s->pt_writes, 0);
	test_walk_refs(&m, VPN, ACCESS_WRITE);
	test_hit(m.vm, 1501, ACCESS_WRITE);
	test_map(&m, VPN + 1, 1501, RWU | GPTE_A | GPTE_D);
	CU_ASSERT_EQUAL(s->pt_writes, 1);
	uint64_t hidden = s->hidden_faults;
	test_walk_refs(&m, VPN + 1, ACCESS_WRITE); /* the mirror had it */
	CU_ASSERT_EQUAL(s->hidden_faults, hidden);
	test_map(&m, VPN, 1500, GPTE_P | GPTE_U); /* now read-only */
	CU_ASSERT_EQUAL_FATAL(mmu_flush_page(m.mmu, VPN, &err), 0);
	CU_ASSERT_EQUAL(test_ref(&m, VPN, ACCESS_WRITE, &ppn, &fault), MMU_FAULT);
	CU_ASSERT_EQUAL(fault.why, PT_DENIED);
	CU_ASSERT_EQUAL(s->pt_writes, 2);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	/* Data where the table was: it is shadowed no more, and writes are free. */
	uint32_t pt = test_walk_to(&m, VPN, 1);
	CU_ASSERT_EQUAL(mmu_touch(m.mmu, (ppn_t){pt}, ACCESS_WRITE, &err), 0);
	CU_ASSERT_EQUAL(s->pt_writes, 3);
	CU_ASSERT_EQUAL(mmu_touch(m.mmu, (ppn_t){pt}, ACCESS_WRITE, &err), 0);
	CU_ASSERT_EQUAL(s->pt_writes, 3);
	test_mmu_close(&m);
}

/* With unsync the second write to a last-level table is free, and the next flush compares. */
static void tables_out_of_sync(void)
{
	struct mmu_opts opts = one_view();
	struct test_mmu m;
	struct err err;
	ppn_t ppn;
	struct mmu_fault fault;

	opts.unsync = true;
	open_with(&m, &opts);
	const struct mmu_stats *s = &m.mmu->stats;
	test_walk_refs(&m, VPN, ACCESS_WRITE);
	for (unsigned i = 1; i < 20; i++)
		test_map(&m, VPN + i, 1500 + i, RWU);
	CU_ASSERT_EQUAL(s->pt_writes, 1);
	test_map(&m, VPN, 0, 0);
	CU_ASSERT_EQUAL(s->resyncs, 0);
	CU_ASSERT_EQUAL_FATAL(mmu_flush_page(m.mmu, VPN, &err), 0);
	CU_ASSERT_EQUAL(s->resyncs, 1);
	CU_ASSERT_EQUAL(test_ref(&m, VPN, ACCESS_READ, &ppn, &fault), MMU_FAULT);
	test_map(&m, VPN, 1500, RWU); /* in sync again: a trap again */
	CU_ASSERT_EQUAL(s->pt_writes, 2);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	test_mmu_close(&m);
}

/* User mode has tables of its own, without the kernel's pages. */
static void user_and_kernel_views(void)
{
	struct mmu_opts opts = test_mmu_opts();
	struct mmu_fault fault;
	struct test_mmu m;
	ppn_t ppn;

	open_with(&m, &opts);
	test_map(&m, VPN + 1, 1501, GPTE_P | GPTE_W);
	test_walk_refs(&m, VPN, ACCESS_READ);
	test_walk_refs(&m, VPN + 1, ACCESS_READ); /* as the kernel */
	mmu_refresh(m.mmu);
	CU_ASSERT_EQUAL(m.mmu->stats.table_pages, 4);
	mmu_set_user(m.mmu, true);
	CU_ASSERT_EQUAL(m.mmu->stats.mode_switches, 1);
	CU_ASSERT_EQUAL(test_ref(&m, VPN + 1, ACCESS_READ, &ppn, &fault), MMU_FAULT);
	CU_ASSERT_EQUAL(fault.why, PT_DENIED);
	CU_ASSERT_EQUAL(test_ref(&m, VPN, ACCESS_READ, &ppn, &fault), 0);
	mmu_refresh(m.mmu);
	CU_ASSERT_EQUAL(m.mmu->stats.table_pages, 8);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	test_mmu_close(&m);
}

/* Roots stay when the guest leaves a space: coming back costs an exit, and no faults. */
static void roots_are_kept(void)
{
	struct mmu_opts opts = one_view();
	struct test_mmu m;
	struct err err;

	open_with(&m, &opts);
	test_walk_refs(&m, VPN, ACCESS_READ);
	uint32_t first = m.root;
	test_root(&m);
	test_map(&m, VPN, 1501, RWU);
	test_walk_refs(&m, VPN, ACCESS_READ);
	uint64_t hidden = m.mmu->stats.hidden_faults;
	CU_ASSERT_EQUAL_FATAL(mmu_load_root(m.mmu, first, &err), 0);
	test_walk_refs(&m, VPN, ACCESS_READ);
	CU_ASSERT_EQUAL(m.mmu->stats.hidden_faults, hidden);
	CU_ASSERT_EQUAL(m.mmu->stats.root_exits, 3);
	test_mmu_close(&m);
}

/*
 * Beyond the limit the oldest tables go, never the root in use: 12 spaces of four
 * tables each, of which 16 may be there. Each comes back as it was.
 */
static void shadows_under_a_limit(void)
{
	struct mmu_opts opts = one_view();
	uint32_t root[12];
	struct test_mmu m;
	struct err err;

	opts.shadow_pages = 16;
	test_mmu_open(&m, "shadow", PAGES, &opts, shape);
	for (uint32_t i = 0; i < ARRAY_LEN(root); i++) {
		test_root(&m);
		root[i] = m.root;
		test_map(&m, VPN, 1500 + i, RWU);
		test_walk_refs(&m, VPN, ACCESS_WRITE);
		mmu_refresh(m.mmu);
		CU_ASSERT(m.mmu->stats.table_pages <= 16 + 3);
	}
	CU_ASSERT(m.mmu->stats.evicted >= 4 * (12 - 5));
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < ARRAY_LEN(root); i++) {
			struct mmu_fault fault;
			ppn_t ppn;
			CU_ASSERT_EQUAL_FATAL(mmu_load_root(m.mmu, root[i], &err), 0);
			CU_ASSERT_EQUAL_FATAL(test_ref(&m, VPN, ACCESS_WRITE, &ppn, &fault), 0);
			CU_ASSERT_EQUAL(ppn.n, 1500 + i);
			CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		}
	}
	test_mmu_close(&m);
}

TESTS("pmap/shadow", {"walks are native", walks_are_native},
      {"hidden and true faults", hidden_and_true_faults},
      {"writes to tables are traps", writes_to_tables_are_traps},
      {"tables out of sync", tables_out_of_sync}, {"user and kernel views", user_and_kernel_views},
      {"roots are kept", roots_are_kept}, {"shadows under a limit", shadows_under_a_limit})
