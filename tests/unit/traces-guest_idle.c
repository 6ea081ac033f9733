#include "guest.h"

#define S UINT64_C(1000000000)

/* Holds what it should, and goes through the active part once a period. */
static void idle(void)
{
	struct load_opts o = test_load("idle");
	struct load_ref load = {"i", &o};
	struct test_guest t;

	o.memory = 1000 * PAGE_SIZE;
	o.active = 100 * PAGE_SIZE;
	o.duration = 60 * S;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
	guest_run(&t, 20 * S + S / 2);
	CU_ASSERT_EQUAL(t.g->stats.anon, 1000);
	uint64_t refs = t.g->stats.refs;
	for (uint32_t i = 0; i < 8192; i++)
		t.vm->pmap->pte[i] &= ~PTE_ACCESSED;
	guest_run(&t, 30 * S + S / 2);
	CU_ASSERT_EQUAL(t.g->stats.refs - refs, 10 * 100);
	uint32_t seen = pmap_harvest_accessed(t.vm->pmap, (ppn_t){0}, 8192, NULL, NULL);
	CU_ASSERT_EQUAL(seen, 100);
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT_EQUAL(t.g->stats.anon, 0);
	guest_free(&t);
}

/* Grows and shrinks at the times that it was told. */
static void toucher(void)
{
	char *steps[] = {"5s:4mb", "10s:8mb", "15s:2mb", "20s:0", NULL};
	static const uint64_t pages[] = {0, 1024, 2048, 512, 0};
	struct load_opts o = test_load("toucher");
	struct load_ref load = {"t", &o};
	struct test_guest t;

	o.schedule = steps;
	o.duration = 30 * S;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1, .boot_ns = S});
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		guest_run(&t, (5 * i + 3) * S);
		uint64_t refs = t.g->stats.refs;
		CU_ASSERT_EQUAL(t.g->stats.anon, pages[i]);
		guest_run(&t, (5 * i + 5) * S);
		CU_ASSERT_EQUAL(t.g->stats.refs - refs, 2 * pages[i]);
	}
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	guest_free(&t);
}

/* A schedule of what is active, of what is held all the while. */
static void scheduled(void)
{
	char *steps[] = {"10s:200kb", "20s:40kb", NULL};
	struct load_opts o = test_load("idle");
	struct load_ref load = {"i", &o};
	struct test_guest t;

	o.memory = 100 * PAGE_SIZE;
	o.active = 20 * PAGE_SIZE;
	o.schedule = steps;
	o.duration = 30 * S;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
	static const uint64_t active[] = {20, 50, 10};
	for (size_t i = 0; i < 3; i++) {
		guest_run(&t, (10 * i + 3) * S);
		uint64_t refs = t.g->stats.refs;
		guest_run(&t, (10 * i + 8) * S);
		CU_ASSERT_EQUAL(t.g->stats.refs - refs, 5 * active[i]);
		CU_ASSERT_EQUAL(t.g->stats.anon, 100);
	}
	guest_free(&t);
}

/* A pool that grows with its queries, from the disk, and stays. */
static void database(void)
{
	char *steps[] = {"10s:2mb", "20s:400kb", NULL};
	struct load_opts o = test_load("database");
	struct load_ref load = {"d", &o};
	struct test_guest t;

	o.memory = 0;
	o.active = 0;
	o.schedule = steps;
	o.duration = 30 * S;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
	guest_run(&t, 9 * S);
	CU_ASSERT_EQUAL(t.g->stats.anon, 0);
	guest_run(&t, 19 * S);
	CU_ASSERT_EQUAL(t.g->stats.anon, 512);
	CU_ASSERT_EQUAL(t.g->stats.disk_read, 512);
	CU_ASSERT_EQUAL(t.g->stats.seeks, 1);
	CU_ASSERT_EQUAL(t.g->stats.bytes, 2 << 20);
	CU_ASSERT_EQUAL(t.g->stats.cached, 0);
	guest_run(&t, 29 * S);
	CU_ASSERT_EQUAL(t.g->stats.anon, 512);
	CU_ASSERT_EQUAL(t.g->stats.disk_read, 512);
	guest_free(&t);
}

TESTS("traces/guest_idle", {"scheduled", scheduled}, {"database", database}, {"idle", idle},
      {"toucher", toucher})
