#include "guest.h"

static struct gproc *proc(struct test_guest *t)
{
	struct gproc *p;

	CU_ASSERT_EQUAL_FATAL(proc_new(t->g, &p), 0);
	return p;
}

/* A read of what was never written costs no memory but the tables'; a write does. */
static void first_touch(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.backing = "ram", .oracle = true});
	struct gproc *p = proc(&t);
	CU_ASSERT_EQUAL(proc_touch(p, 7, ACCESS_READ), 0);
	CU_ASSERT_EQUAL(proc_touch(p, 8, ACCESS_READ), 0);
	CU_ASSERT_EQUAL(t.g->stats.tables, 4);
	CU_ASSERT_EQUAL(t.g->stats.anon, 0);
	CU_ASSERT_EQUAL(*proc_entry(p, 7) >> GPTE_SHIFT, t.g->zero_page);
	CU_ASSERT(test_reads_as(t.vm, t.g->zero_page, 0));
	CU_ASSERT_EQUAL(proc_touch(p, 7, ACCESS_WRITE), 0);
	CU_ASSERT_EQUAL(t.g->stats.anon, 1);
	CU_ASSERT_EQUAL(p->resident, 1);
	CU_ASSERT(*proc_entry(p, 7) & GPTE_DIRTY);
	CU_ASSERT_EQUAL(*proc_entry(p, 8) >> GPTE_SHIFT, t.g->zero_page);
	guest_free(&t);
}

/* Four levels of 512, made as they are needed; 36 bits of page number. */
static void tables(void)
{
	struct test_guest t;
	const uint64_t far[] = {511, 512, UINT64_C(1) << 18, (UINT64_C(1) << 36) - 1};
	const uint64_t count[] = {4, 5, 7, 10};

	guest_new(&t, (struct guest_shape){0});
	struct gproc *p = proc(&t);
	uint32_t before = pages_free(t.g);
	for (size_t i = 0; i < ARRAY_LEN(far); i++) {
		CU_ASSERT_EQUAL(proc_touch(p, far[i], ACCESS_WRITE), 0);
		CU_ASSERT_EQUAL(t.g->stats.tables, count[i]);
	}
	CU_ASSERT_PTR_NULL(proc_entry(p, 1 << 20));
	/* Two leaf tables that fall on the same place of the cache. */
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(proc_touch(p, 5, ACCESS_WRITE), 0);
		CU_ASSERT_EQUAL(proc_touch(p, 5 + TABLE_CACHE * TABLE_ENTRIES, ACCESS_WRITE), 0);
	}
	CU_ASSERT_EQUAL(p->resident, 6);
	proc_exit(p);
	CU_ASSERT_EQUAL(pages_free(t.g), before);
	CU_ASSERT_EQUAL(t.g->stats.tables, 0);
	guest_free(&t);
}

static void unmap(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gproc *p = proc(&t);
	for (uint64_t i = 500; i < 530; i++)
		CU_ASSERT_EQUAL(proc_touch(p, i, ACCESS_WRITE), 0);
	reclaim(t.g, 5); /* 500 to 504 */
	CU_ASSERT_EQUAL(p->swapped, 5);
	proc_unmap(p, 502, 20);
	CU_ASSERT_EQUAL(p->swapped, 2);
	CU_ASSERT_EQUAL(p->resident, 8);
	CU_ASSERT_EQUAL(t.g->swap.used, 2);
	proc_unmap(p, 100000, UINT64_C(1) << 30); /* nothing there */
	CU_ASSERT_EQUAL(*proc_entry(p, 510), 0);
	CU_ASSERT_EQUAL(proc_touch(p, 510, ACCESS_WRITE), 0);
	CU_ASSERT_EQUAL(p->resident, 9);
	guest_free(&t);
}

/* What comes back from swap is what went there. */
static void contents(void)
{
	struct test_guest t;
	uint64_t id[20];

	guest_new(&t, (struct guest_shape){.backing = "ram", .oracle = true});
	struct gproc *p = proc(&t);
	for (uint64_t i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(proc_touch(p, i, ACCESS_WRITE), 0);
		id[i] = t.g->content_of[*proc_entry(p, i) >> GPTE_SHIFT];
	}
	reclaim(t.g, 20);
	t.vm->time_ns += UINT64_C(1000000000);
	reclaim_reap(t.g);
	CU_ASSERT_EQUAL(t.g->stats.anon, 0);
	for (uint64_t i = 20; i-- > 0;) {
		CU_ASSERT_EQUAL(proc_touch(p, i, ACCESS_READ), 0);
		CU_ASSERT(test_reads_as(t.vm, (uint32_t)(*proc_entry(p, i) >> GPTE_SHIFT), id[i]));
	}
	guest_free(&t);
}

/* With the area more than half full, a page that comes back gives up its slot. */
static void slots_given_up(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.swap_pages = 16});
	struct gproc *p = proc(&t);
	for (uint64_t i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(proc_touch(p, i, ACCESS_WRITE), 0);
	reclaim(t.g, 10);
	t.vm->time_ns += UINT64_C(1000000000);
	reclaim_reap(t.g);
	CU_ASSERT_EQUAL(t.g->swap.used, 10);
	for (uint64_t i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(proc_touch(p, i, ACCESS_READ), 0);
	CU_ASSERT_EQUAL(t.g->swap.used, 8);
	guest_free(&t);
}

TESTS("traces/guest_mm", {"first touch", first_touch}, {"tables", tables}, {"unmap", unmap},
      {"contents over swap", contents}, {"slots given up", slots_given_up})
