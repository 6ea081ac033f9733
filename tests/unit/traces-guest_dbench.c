#include "guest.h"

static struct load_opts small(void)
{
	struct load_opts o = test_load("dbench");

	o.clients = 4;
	o.file_set = 256 * 1024;
	o.file_size = 64 * 1024;
	o.request = 32 * 1024;
	o.reads = 2;
	o.memory = 4 * PAGE_SIZE;
	return o;
}

/* Each client writes 8 requests of 8 pages and reads two after each. */
static void work(void)
{
	struct load_opts o = small();
	struct load_ref load = {"d", &o};
	struct test_guest t;

	o.rounds = 3;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
	uint32_t before = pages_free(t.g);
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT_EQUAL(t.g->stats.ops, 3 * 4 * 24);
	CU_ASSERT_EQUAL(t.g->stats.bytes, 3 * 4 * 24 * 32768);
	CU_ASSERT_EQUAL(t.g->stats.hits, 3 * 4 * 16 * 8);
	CU_ASSERT_EQUAL(t.g->stats.misses, 0);
	CU_ASSERT_EQUAL(t.g->stats.cached, 0);
	CU_ASSERT_EQUAL(t.g->stats.minor_faults, 16);
	CU_ASSERT_EQUAL(t.g->stats.anon, 0);
	CU_ASSERT_EQUAL(t.g->stats.tables, 0);
	CU_ASSERT_EQUAL(pages_free(t.g), before);
	/* In memory it takes the processor's time alone. */
	uint64_t cpu = t.g->stats.bytes / PAGE_SIZE * o.page_time;
	CU_ASSERT(t.vm->time_ns >= cpu && t.vm->time_ns < cpu + cpu / 20);
	guest_free(&t);
}

/* Files that outgrow memory: reads miss, changes are written, and it takes longer. */
static void beyond_memory(void)
{
	struct load_opts o = small();
	struct load_ref load = {"d", &o};
	struct test_guest t;

	o.file_set = 12 << 20;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT_EQUAL(t.g->stats.hits + t.g->stats.misses, 4 * 3072 * 2);
	CU_ASSERT(t.g->stats.misses > 1000);
	CU_ASSERT(t.g->stats.disk_write > 4 * 3072 - 8192);
	CU_ASSERT_EQUAL(t.g->stats.swap_out, 0);
	guest_free(&t);
}

static void too_many_files(void)
{
	struct load_opts o = small();
	struct load_ref load = {"d", &o};
	struct test_guest t;
	struct err err = {0};

	o.file_set = UINT64_C(1) << 30;
	o.file_size = 4096;
	CU_ASSERT(guest_open(&t, (struct guest_shape){.loads = &load, .n = 1}, &err) < 0);
	CU_ASSERT(test_one_line(&err));
	CU_ASSERT_EQUAL(err.exit_code, 2);
	test_host_free(&t.t);
}

TESTS("traces/guest_dbench", {"work", work}, {"beyond memory", beyond_memory},
      {"too many files", too_many_files})
