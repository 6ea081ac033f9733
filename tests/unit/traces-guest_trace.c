#include "guest.h"
#include "traces.h"

#define TICK 1000

static struct words script;

static void add(enum rec_kind kind, uint64_t page, uint64_t delta)
{
	rec_t w = rec_make(kind, page, delta);

	words_add(&script, &w, 1);
}

static void add_wide(enum rec_kind kind, uint64_t page, uint64_t operand)
{
	rec_t w[2] = {rec_make(kind, page, 0), operand};

	words_add(&script, w, 2);
}

/* Writes the script, runs it in a guest and forgets it. */
static int play_in(struct test_guest *t, uint32_t tick_ns, struct load_opts *o, struct err *err)
{
	const struct trace_info info = {.space = TRACE_VPN, .vms = 1, .tick_ns = tick_ns};
	struct load_ref load = {"t", o};

	*o = test_load("trace");
	o->trace = (char *)test_path("t.bt");
	CU_ASSERT_EQUAL_FATAL(words_write(&script, o->trace, "bt", &info, err), 0);
	words_free(&script);
	return guest_open(t, (struct guest_shape){.loads = &load, .n = 1}, err);
}

static int play(struct test_guest *t, struct load_opts *o, struct err *err)
{
	return play_in(t, TICK, o, err);
}

/* What a step returns at the end, with its message. */
static int play_on(struct test_guest *t, struct err *err)
{
	int rc = 0;

	while (rc == 0)
		rc = gos_guest.step(t->g, t->vm, HOST_TIME_MAX, err);
	return rc;
}

/* Memory by process, zero pages at reads, files through the cache, time by deltas. */
static void kinds(void)
{
	struct load_opts o;
	struct test_guest t;
	struct err err = {0};

	for (uint64_t v = 0; v < 10; v++)
		add(REC_WRITE, v, 0);
	add(REC_READ, 100, 0);
	add(REC_SWITCH, 7, 0);
	for (uint64_t v = 0; v < 5; v++)
		add(REC_WRITE, v, 0);
	add(REC_SWITCH, 0, 0);
	add(REC_READ, 3, 50);
	add_wide(REC_UNMAP, 8, 100);
	add_wide(REC_WRITE_ID, 20, 99);
	add_wide(REC_FILE_READ, 0, 1234);
	add_wide(REC_FILE_READ, 0, 1234);
	add_wide(REC_FILE_WRITE, 5, 1234);
	add_wide(REC_MAP, 0, 5);
	add_wide(REC_DMA, 0, 1);
	add(REC_SLEEP, 3000000, 0);
	add(REC_READ, 100, 0);
	CU_ASSERT_EQUAL_FATAL(play(&t, &o, &err), 0);
	while (t.vm->time_ns < 2000000000)
		CU_ASSERT_EQUAL_FATAL(gos_guest.step(t.g, t.vm, 2000000000, &err), 0);
	CU_ASSERT_EQUAL(t.g->stats.anon, 10 + 5 - 2 + 1);
	CU_ASSERT_EQUAL(t.g->stats.tables, 8);
	CU_ASSERT_EQUAL(t.g->stats.hits, 1);
	CU_ASSERT_EQUAL(t.g->stats.misses, 1);
	CU_ASSERT_EQUAL(t.g->stats.cached, 2);
	CU_ASSERT_EQUAL(t.g->stats.dirty, 1);
	CU_ASSERT_EQUAL(play_on(&t, &err), STEP_ENDED);
	CU_ASSERT(t.vm->time_ns >= 3000000000 && t.vm->time_ns < 3100000000);
	CU_ASSERT_EQUAL(t.g->stats.anon, 0);
	CU_ASSERT_EQUAL(t.g->stats.tables, 0);
	guest_free(&t);
}

static void refused(void (*make)(void))
{
	struct load_opts o;
	struct test_guest t;
	struct err err = {0};

	make();
	CU_ASSERT_EQUAL_FATAL(play(&t, &o, &err), 0);
	CU_ASSERT(play_on(&t, &err) < 0);
	CU_ASSERT(test_one_line(&err));
	CU_ASSERT_EQUAL(err.exit_code, 2);
	test_host_free(&t.t);
}

static void many_spaces(void)
{
	for (uint64_t i = 0; i < 300; i++)
		add(REC_SWITCH, i, 0);
}

static void many_files(void)
{
	for (uint64_t i = 0; i < 300; i++)
		add_wide(REC_FILE_WRITE, 0, i);
}

static void long_file(void)
{
	add_wide(REC_FILE_READ, 1 << 20, 1);
}

static void hostile(void)
{
	refused(many_spaces);
	refused(many_files);
	refused(long_file);
}

/* More page tables than there is memory for: the guest is out of memory, and says so. */
static void far_pages(void)
{
	struct load_opts o;
	struct test_guest t;
	struct err err = {0};

	for (uint64_t i = 0; i < 20000; i++)
		add(REC_WRITE, i << 20, 0);
	CU_ASSERT_EQUAL_FATAL(play(&t, &o, &err), 0);
	CU_ASSERT(play_on(&t, &err) < 0);
	CU_ASSERT(test_one_line(&err));
	CU_ASSERT_EQUAL(err.exit_code, 1);
	test_host_free(&t.t);
}

/* Times that add up to more than 64 bits hold do not turn the guest's clock back. */
static void endless_time(void)
{
	struct load_opts o;
	struct test_guest t;
	struct err err = {0};

	for (int i = 0; i < 300; i++)
		add(REC_WRITE, 1, REC_DELTA_MAX);
	CU_ASSERT_EQUAL_FATAL(play_in(&t, UINT32_MAX, &o, &err), 0);
	CU_ASSERT(guest_run(&t, HOST_TIME_MAX) >= 0);
	CU_ASSERT(t.vm->time_ns >= HOST_TIME_MAX && t.vm->time_ns < 2 * HOST_TIME_MAX);
	guest_free(&t);
}

static void no_trace(void)
{
	struct load_opts o = test_load("trace");
	struct load_ref load = {"t", &o};
	struct test_guest t;
	struct err err = {0};

	CU_ASSERT(guest_open(&t, (struct guest_shape){.loads = &load, .n = 1}, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	test_host_free(&t.t);
}

TESTS("traces/guest_trace", {"kinds", kinds}, {"hostile", hostile}, {"far pages", far_pages},
      {"endless time", endless_time}, {"no trace", no_trace})
