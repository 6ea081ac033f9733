#include "guest.h"

static int schedule(struct gos *g, const char *text, struct load_step **steps, size_t *n)
{
	struct load_opts o = test_load("toucher");
	struct err err = {0};
	int rc = opt_set(opt_find(&workload_section, "schedule"), &o, text, &err);

	if (rc == 0)
		rc = load_schedule(g, o.schedule, steps, n);
	opt_release(&workload_section, &o);
	return rc;
}

static void schedules(void)
{
	static const char *const bad[] = {"",
					  "30s",
					  ":1mb",
					  "30s:",
					  "5s:1mb, 5s:2mb",
					  "5s:1mb, 1s:2mb",
					  "x:1mb",
					  "1s:x",
					  "000000000000000000000000000000000000000000000001s:1mb"};
	struct test_guest t;
	struct load_step *steps;
	size_t n;

	guest_new(&t, (struct guest_shape){0});
	CU_ASSERT_EQUAL_FATAL(schedule(t.g, "0:1kb, 30s:50mb, 2min:0", &steps, &n), 0);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(steps[0].at_ns, 0);
	CU_ASSERT_EQUAL(steps[0].pages, 1);
	CU_ASSERT_EQUAL(steps[1].at_ns, UINT64_C(30000000000));
	CU_ASSERT_EQUAL(steps[1].pages, 12800);
	CU_ASSERT_EQUAL(steps[2].pages, 0);
	free(steps);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		t.g->err = (struct err){0};
		CU_ASSERT(schedule(t.g, bad[i], &steps, &n) < 0);
		CU_ASSERT(test_one_line(&t.g->err));
		CU_ASSERT_EQUAL(t.g->err.exit_code, 2);
	}
	guest_free(&t);
}

static void durations(void)
{
	struct load_opts o = test_load("idle");
	struct load_ref load = {"i", &o};
	struct test_guest t;
	struct err err = {0};

	CU_ASSERT(guest_open(&t, (struct guest_shape){.loads = &load, .n = 1}, &err) < 0);
	CU_ASSERT(test_one_line(&err));
	test_host_free(&t.t);
	o.duration = 7000000000;
	o.start = 2000000000;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1, .boot_ns = 1000000000});
	CU_ASSERT_EQUAL(load_start_ns(t.g, &o), 3000000000);
	CU_ASSERT_EQUAL(load_end_ns(t.g, &o), 10000000000);
	CU_ASSERT_EQUAL(gos_progress(t.g).total, 10000000000);
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT_EQUAL(t.vm->time_ns / 1000000000, 10);
	CU_ASSERT_EQUAL(gos_progress(t.g).done, 10000000000);
	guest_free(&t);
}

TESTS("traces/guest_load", {"schedules", schedules}, {"durations", durations})
