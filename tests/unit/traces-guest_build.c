#include "guest.h"

/* Six files by two compilers: what each needs comes and goes, headers and objects stay. */
static void work(void)
{
	struct load_opts o = test_load("kernel-build");
	struct load_ref load = {"k", &o};
	struct test_guest t;

	o.clients = 2;
	o.rounds = 6;
	o.file_set = 1 << 20;
	o.file_size = 40 * 1024;
	o.memory = 2 << 20;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT_EQUAL(t.g->stats.ops, 6);
	CU_ASSERT_EQUAL(t.g->stats.hits + t.g->stats.misses, 6 * 64 * 4);
	CU_ASSERT_EQUAL(t.g->stats.disk_read, t.g->stats.misses);
	CU_ASSERT(t.g->stats.misses <= 256);
	CU_ASSERT_EQUAL(t.g->stats.minor_faults, 6 * 512);
	CU_ASSERT_EQUAL(t.g->stats.anon, 0);
	CU_ASSERT_EQUAL(t.g->stats.tables, 0);
	CU_ASSERT_EQUAL(t.g->stats.cached, t.g->stats.misses + 6 * 10);
	CU_ASSERT_EQUAL(t.g->stats.dirty, 6 * 10);
	guest_free(&t);
}

static void no_headers(void)
{
	struct load_opts o = test_load("kernel-build");
	struct load_ref load = {"k", &o};
	struct test_guest t;
	struct err err = {0};

	o.file_set = UINT64_C(1) << 36;
	CU_ASSERT(guest_open(&t, (struct guest_shape){.loads = &load, .n = 1}, &err) < 0);
	CU_ASSERT(test_one_line(&err));
	CU_ASSERT_EQUAL(err.exit_code, 2);
	test_host_free(&t.t);
}

TESTS("traces/guest_build", {"work", work}, {"too many headers", no_headers})
