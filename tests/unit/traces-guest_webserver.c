#include "guest.h"

static struct load_opts small(void)
{
	struct load_opts o = test_load("webserver");

	o.clients = 10;
	o.file_set = 8 << 20;
	o.file_size = 16 * 1024;
	o.rounds = 2000 / 10;
	return o;
}

/* So many requests, each a file and a line of the log; what fits in memory is read once. */
static void work(void)
{
	struct load_opts o = small();
	struct load_ref load = {"w", &o};
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT_EQUAL(t.g->stats.ops, 2000);
	CU_ASSERT_EQUAL(t.g->stats.bytes, 2000 * 16384);
	CU_ASSERT_EQUAL(t.g->stats.hits + t.g->stats.misses, 2000 * 4);
	CU_ASSERT_EQUAL(t.g->stats.misses % 4, 0);
	CU_ASSERT_EQUAL(t.g->stats.misses, t.g->stats.disk_read);
	CU_ASSERT(t.g->stats.misses < 2048 && t.g->stats.misses > 400);
	/* The files read, and 2000 / 32 pages of log. */
	CU_ASSERT_EQUAL(t.g->stats.cached, t.g->stats.misses + 63);
	guest_free(&t);
}

/* The steeper the law, the more is found in a cache that is too small. */
static void popularity(void)
{
	const double alpha[] = {0, 0.8, 1.6};
	uint64_t misses[3];

	for (int i = 0; i < 3; i++) {
		struct load_opts o = small();
		struct load_ref load = {"w", &o};
		struct test_guest t;

		o.file_set = 64 << 20;
		o.alpha = alpha[i];
		guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
		CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
		misses[i] = t.g->stats.misses;
		guest_free(&t);
	}
	CU_ASSERT(misses[0] > misses[1] && misses[1] > 2 * misses[2]);
}

/* Clients that think for 100 ms each, on average, for 10 s. */
static void thinking(void)
{
	struct load_opts o = small();
	struct load_ref load = {"w", &o};
	struct test_guest t;

	o.think = 100000000;
	o.duration = UINT64_C(10000000000);
	o.file_set = o.file_size;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT(t.g->stats.ops > 900 && t.g->stats.ops < 1100);
	guest_free(&t);
}

TESTS("traces/guest_webserver", {"work", work}, {"popularity", popularity}, {"thinking", thinking})
