/* Guests whose tables and requests are drawn at random; and the worst that come to mind, by hand.
 */
#include "mmu.h"

#include "core/rng.h"
#include "mmu_hostile.h"

#define RUNS (1500 / TEST_SCALE)

static void random_guests(void)
{
	uint8_t data[3000];
	struct rng rng;

	rng_init(&rng, test_seed(31), "hostile", 0);
	for (unsigned i = 0; i < RUNS; i++) {
		for (size_t j = 0; j < sizeof data; j++)
			data[j] = (uint8_t)rng_u64(&rng);
		hostile_run(data, sizeof data);
	}
	CU_ASSERT(true);
}

#define EACH_MODE(m) for (size_t m = 0; translations[m]; (m)++)

static struct test_shape shape = {.frames = 600};

static void open_mode(struct test_mmu *m, size_t mode)
{
	test_mmu_open(m, translations[mode]->name, 512, NULL, shape);
	test_root(m);
}

/* Where direct refuses to make it, there is nothing to walk through. */
static bool word(struct test_mmu *m, uint32_t table, unsigned i, gpte_t w)
{
	struct err err;
	int rc = mmu_pt_write(m->mmu, (ppn_t){table}, i, w, &err);

	CU_ASSERT(rc == 0 || (rc == -EPERM && m->mmu->stats.refused));
	return rc == 0;
}

/* A root that is all four levels and the page: a write to the page is one to the tables. */
static void a_root_that_points_to_itself(void)
{
	const uint64_t vpn = UINT64_C(5) << 27 | UINT64_C(5) << 18 | UINT64_C(5) << 9 | 5;

	EACH_MODE(i)
	{
		struct mmu_fault fault;
		struct test_mmu m;
		ppn_t ppn;

		open_mode(&m, i);
		if (word(&m, m.root, 5, gpte_make(m.root, RWU))) {
			for (int n = 0; n < 3; n++) {
				CU_ASSERT_EQUAL(test_ref(&m, vpn, ACCESS_READ, &ppn, &fault), 0);
				CU_ASSERT_EQUAL(test_ref(&m, vpn, ACCESS_WRITE, &ppn, &fault), 0);
				CU_ASSERT_EQUAL(ppn.n, m.root);
			}
		} else {
			CU_ASSERT_STRING_EQUAL(translations[i]->name, "direct");
		}
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		test_mmu_close(&m);
	}
}

static void tables_and_pages_outside_memory(void)
{
	static const uint64_t outside[] = {512, 511, 600, UINT32_MAX, (UINT64_C(1) << 34) - 1};

	EACH_MODE(i)
	{
		struct mmu_fault fault;
		struct test_mmu m;
		ppn_t ppn;

		open_mode(&m, i);
		CU_ASSERT_EQUAL_FATAL(mmu_hole(m.mmu, 511, 1), 0);
		for (size_t j = 0; j < ARRAY_LEN(outside); j++) {
			uint32_t pt = test_walk_to(&m, 0, 1);
			word(&m, pt, 0, gpte_make(outside[j], RWU));
			CU_ASSERT_EQUAL(test_ref(&m, 0, ACCESS_WRITE, &ppn, &fault), MMU_FAULT);
			uint32_t dir = test_walk_to(&m, 512, 2);
			word(&m, dir, 1, gpte_make(outside[j], RWU));
			CU_ASSERT_EQUAL(test_ref(&m, 512, ACCESS_READ, &ppn, &fault), MMU_FAULT);
		}
		CU_ASSERT(m.mmu->stats.mmio > 0 || m.mmu->stats.refused > 0);
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		test_mmu_close(&m);
	}
}

/* A page that went to the balloon comes back when a table names it; as a table too. */
static void pages_that_were_given_up(void)
{
	EACH_MODE(i)
	{
		struct mmu_fault fault;
		struct test_mmu m;
		ppn_t ppn;

		open_mode(&m, i);
		test_map(&m, 7, 300, RWU);
		test_walk_refs(&m, 7, ACCESS_WRITE);
		uint32_t pt = test_walk_to(&m, 7, 1);
		pmap_drop(m.vm->pmap, (ppn_t){300});
		pmap_drop(m.vm->pmap, (ppn_t){pt});
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		CU_ASSERT_EQUAL(test_ref(&m, 7, ACCESS_READ, &ppn, &fault), 0);
		CU_ASSERT_EQUAL(ppn.n, 300);
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		test_mmu_close(&m);
	}
}

static int deflate(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access, struct err *err)
{
	(void)ctx;
	(void)access;
	return pmap_zero_fill(pmap, ppn, err);
}

/* The same of pages that are in the balloon: each use pops it, as a page or as a table. */
static void pages_in_the_balloon(void)
{
	EACH_MODE(i)
	{
		struct mmu_fault fault;
		struct test_mmu m;
		ppn_t ppn;

		open_mode(&m, i);
		pmap_handle(m.t.pmaps, PAGE_BALLOONED, &(struct page_handler){.fault = deflate});
		test_map(&m, 7, 300, RWU);
		test_walk_refs(&m, 7, ACCESS_WRITE);
		uint32_t pt = test_walk_to(&m, 7, 1);
		pmap_give_up(m.vm->pmap, (ppn_t){300});
		pmap_give_up(m.vm->pmap, (ppn_t){pt});
		pmap_give_up(m.vm->pmap, (ppn_t){m.root});
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		CU_ASSERT_EQUAL(test_ref(&m, 7, ACCESS_READ, &ppn, &fault), 0);
		CU_ASSERT_EQUAL(ppn.n, 300);
		CU_ASSERT_EQUAL(pte_state(test_entry(m.vm, 300)), PAGE_PRIVATE);
		/* A table that it never wrote to, in the balloon, named by a word of another. */
		pmap_give_up(m.vm->pmap, (ppn_t){301});
		word(&m, test_walk_to(&m, 512, 2), 1, gpte_make(301, RWU));
		CU_ASSERT_EQUAL(test_ref(&m, 512, ACCESS_READ, &ppn, &fault), MMU_FAULT);
		CU_ASSERT_EQUAL(test_audit(&m.t), 0);
		test_mmu_close(&m);
	}
}

/*
 * Reserved bits at each level: the guest's own fault, whatever lies below; direct
 * refuses the word, so that nothing is there.
 */
static void reserved_bits(void)
{
	static const struct {
		unsigned level;
		gpte_t bits;
	} bad[] = {
		{1, UINT64_C(1) << 51},
		{2, UINT64_C(1) << 46},
		{3, UINT64_C(1) << 51},
		{3, GPTE_PS},
		{4, GPTE_PS},
		{4, UINT64_C(1) << 46},
		{2, GPTE_PS | PAGE_SIZE},
	};

	EACH_MODE(i)
	{
		for (size_t j = 0; j < ARRAY_LEN(bad); j++) {
			const unsigned level = bad[j].level, at = pt_index(7, level);
			struct mmu_fault fault;
			struct test_mmu m;
			ppn_t ppn;

			open_mode(&m, i);
			test_map(&m, 7, 256, RWU);
			uint32_t table = test_walk_to(&m, 7, level);
			gpte_t good = pt_read(&m.mmu->tables, (ppn_t){table}, at);
			bool done = word(&m, table, at, good | bad[j].bits);
			CU_ASSERT_EQUAL(done, strcmp(translations[i]->name, "direct") != 0);
			int rc = test_ref(&m, 7, ACCESS_READ, &ppn, &fault);
			CU_ASSERT_EQUAL(rc, done ? MMU_FAULT : 0);
			if (done) {
				CU_ASSERT_EQUAL(fault.why, PT_RESERVED);
				CU_ASSERT_EQUAL(fault.level, level);
			}
			word(&m, table, at, good);
			CU_ASSERT_EQUAL(test_ref(&m, 7, ACCESS_READ, &ppn, &fault), 0);
			CU_ASSERT_EQUAL(test_audit(&m.t), 0);
			test_mmu_close(&m);
		}
	}
}

/* direct: what would break out. */
static void requests_that_are_refused(void)
{
	struct mmu_fault fault;
	struct test_mmu m;
	struct err err;
	ppn_t ppn;

	test_mmu_open(&m, "direct", 512, NULL, shape);
	test_root(&m);
	struct vm *other = test_vm(&m.t, "b", 64);
	test_hit(other, 3, ACCESS_WRITE);
	uint32_t foreign = pte_value(test_entry(other, 3));
	uint32_t pt = test_walk_to(&m, 0, 1);
	test_hit(m.vm, 200, ACCESS_WRITE);
	uint32_t own = pte_value(test_entry(m.vm, 200));
	uint64_t refused = m.mmu->stats.refused;
	/* Another VM's frame, a free one, one beyond the machine. */
	CU_ASSERT_EQUAL(mmu_update(m.mmu, (ppn_t){pt}, 0, gpte_make(foreign, RWU), &err), -EPERM);
	CU_ASSERT_EQUAL(mmu_update(m.mmu, (ppn_t){pt}, 0, gpte_make(599, RWU), &err), -EPERM);
	CU_ASSERT_EQUAL(mmu_update(m.mmu, (ppn_t){pt}, 0, gpte_make(1u << 30, RWU), &err), -EPERM);
	/* A table, writable: any of them; read-only it may be seen. */
	for (uint32_t table = m.root; table <= pt; table++)
		CU_ASSERT_EQUAL(mmu_pt_write(m.mmu, (ppn_t){pt}, 1, gpte_make(table, RWU), &err),
				-EPERM);
	CU_ASSERT_EQUAL(mmu_pt_write(m.mmu, (ppn_t){pt}, 1, gpte_make(pt, GPTE_P | GPTE_U), &err),
			0);
	CU_ASSERT_EQUAL(test_ref(&m, 1, ACCESS_READ, &ppn, &fault), 0);
	CU_ASSERT_EQUAL(test_ref(&m, 1, ACCESS_WRITE, &ppn, &fault), MMU_FAULT);
	/* A page that is writable somewhere, as a table; a table as data; a root of no level. */
	CU_ASSERT_EQUAL(mmu_update(m.mmu, (ppn_t){pt}, 0, gpte_make(own, RWU), &err), 0);
	CU_ASSERT_EQUAL(mmu_pt_pin(m.mmu, (ppn_t){200}, 1, &err), -EPERM);
	CU_ASSERT_EQUAL(mmu_touch(m.mmu, (ppn_t){pt}, ACCESS_WRITE, &err), -EPERM);
	CU_ASSERT_EQUAL(mmu_load_root(m.mmu, pt, &err), -EPERM);
	CU_ASSERT_EQUAL(mmu_load_root(m.mmu, 4000, &err), -EFAULT);
	/* A table that is in use, as one of another level, or as none. */
	CU_ASSERT_EQUAL(mmu_pt_pin(m.mmu, (ppn_t){pt}, 2, &err), -EPERM);
	CU_ASSERT_EQUAL(mmu_pt_unpin(m.mmu, (ppn_t){pt}, &err), -EPERM);
	CU_ASSERT_EQUAL(mmu_pt_unpin(m.mmu, (ppn_t){m.root}, &err), -EPERM);
	/* A table two levels down. */
	CU_ASSERT_EQUAL(mmu_pt_write(m.mmu, (ppn_t){m.root}, 9, gpte_make(pt, RWU), &err), -EPERM);
	CU_ASSERT(m.mmu->stats.refused >= refused + 13);
	CU_ASSERT_EQUAL(test_ref(&m, 0, ACCESS_WRITE, &ppn, &fault), 0);
	CU_ASSERT_EQUAL(ppn.n, 200);
	CU_ASSERT_EQUAL(test_audit(&m.t), 0);
	test_mmu_close(&m);
}

/* Inputs of the fuzzer that once left a count wrong. */
static void found_guests(void)
{
	/* shadow, split, out of sync: what a table translated stayed in the TLB */
	static const uint8_t itself[] = {
		0x01, 0x06, 0x00, 0x00, 0x11, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x31, 0x00, 0x02, 0xbc, 0x01, 0x06, 0x00, 0x00, 0x11, 0x00, 0x00,
		0xa2, 0x00, 0x00, 0x00, 0x00, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x31, 0x00, 0x02, 0xbc, 0x5c, 0xc0, 0x5c, 0x40};

	hostile_run(itself, sizeof itself);
}

TESTS("hostile guests", {"random guests", random_guests}, {"found guests", found_guests},
      {"a root that points to itself", a_root_that_points_to_itself},
      {"tables and pages outside memory", tables_and_pages_outside_memory},
      {"pages that were given up", pages_that_were_given_up},
      {"pages in the balloon", pages_in_the_balloon}, {"reserved bits", reserved_bits},
      {"requests that are refused", requests_that_are_refused})
