/* Answers out of results: figures in their places, what holds, what was not asked. */
#include "experiments/sweep_answer.h"

#include "test.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/ballast-answer-XXXXXX", path[64];
static struct plan *plan;
static struct sweep_db *db;

/* Run r has 10 + r faults; run 7 of 8 is not done, run 6 failed. Means: 10.5 12.5 14.5 and none. */
static void setup(void)
{
	static const char *const vary[] = {"swap.victim=lru,clock", "host.memory=1mb,2mb"};
	struct plan_args args = {.job = path, .vary = vary, .varied = 2, .seeds = 2};

	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof path, "%s/x.job", dir);
	FILE *f = fopen(path, "w");
	if (!f || fputs("gen g { }\nvm a { gen = g }\n", f) < 0 || fclose(f) ||
	    plan_new(&args, &plan, NULL) || sweep_db_create(dir, plan, &db, NULL))
		abort();
	for (uint64_t run = 0; run < 7; run++) {
		struct record r = {.run = run, .failed = run == 6};
		r.summary = json_pack("{s:{s:i}, s:{s:{s:i}}}", "host", "free", 5, "vm", "a",
				      "faults", (int)run + 10);
		if (sweep_db_put(db, plan, &r, NULL))
			abort();
		record_release(&r);
	}
}

static void cleanup(void)
{
	char command[100];

	sweep_db_close(db);
	plan_free(plan);
	snprintf(command, sizeof command, "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* An entry whose answer is one statement. */
static json_t *entry_of(const char *say, const char *a, const char *b, const char *expect)
{
	json_t *entry = json_pack("{s:s, s:[s, s], s:[s, s], s:[{s:s, s:{s:s, s:s}, s:s}]}", "name",
				  "x", "vary", "swap.victim=lru,fifo", "host.memory=1mb:3mb:1mb",
				  "metrics", "vm.a.faults", "host.free", "answer", "say", say,
				  "with", "a", a, "b", b, "expect", expect);

	if (!entry)
		abort();
	return entry;
}

static void says(const char *a, const char *b, const char *expect, const char *text, int holds)
{
	json_t *entry = entry_of("{a} and {b}, {a}.", a, b, expect), *told = NULL;
	struct err err = {0};

	CU_ASSERT_EQUAL(answer_tell(entry, db, plan, &told, &err), 0);
	const json_t *one = json_array_get(told, 0);
	const char *got = json_string_value(json_object_get(one, "text"));
	const json_t *o = json_object_get(one, "holds");
	if (err.exit_code || !text != !got || (text && strcmp(text, got) != 0))
		printf("  %s: %s %s\n", a, got ? got : "nothing", err.msg);
	CU_ASSERT(!text == !got && (!text || (got && strcmp(text, got) == 0)));
	CU_ASSERT(text ? json_is_boolean(o) && json_is_true(o) == holds : json_is_null(o));
	json_decref(told);
	json_decref(entry);
}

static void figures(void)
{
	says("at('vm.a.faults', 'swap.victim=lru', 'host.memory=1mb')",
	     "at('vm.a.faults', 'host.memory=2mb', 'swap.victim=lru')", "a < b",
	     "10.5 and 12.5, 10.5.", true);
	says("at('vm.a.faults', 'swap.victim=clock', 'host.memory=1mb') / 2", "1", "a > 100",
	     "7.25 and 1, 7.25.", false);
	says("SELECT \"swap.victim\" FROM points WHERE \"host.memory\" = 1048576 "
	     "ORDER BY \"vm.a.faults\" DESC LIMIT 1",
	     "SELECT count(*) FROM runs", "a = 'clock'", "clock and 6, clock.", true);
	says("SELECT sum(l.\"vm.a.faults\" < c.\"vm.a.faults\") FROM runs l JOIN runs c "
	     "USING (\"host.memory\", seed) WHERE l.\"swap.victim\" = 'lru' AND "
	     "c.\"swap.victim\" = 'clock'",
	     "SELECT max(seed) FROM runs", "a = 2", "2 and 2, 2.", true);
}

/* Points that failed, that the sweep does not have, or that are not one. */
static void not_asked(void)
{
	says("at('vm.a.faults', 'swap.victim=clock', 'host.memory=2mb')", "1", "b = 1", NULL, 0);
	says("at('vm.a.faults', 'swap.victim=fifo', 'host.memory=1mb')", "1", "b = 1", NULL, 0);
	says("at('vm.a.faults', 'swap.victim=lru')", "1", "b = 1", NULL, 0);
	says("1", "1", "NULL", NULL, 0);

	json_t *entry = entry_of("{a}", "1", "1", "1"), *told = NULL;
	struct err err = {0};
	json_array_append_new(json_object_get(entry, "vary"), json_string("tax.rate=0,0.5"));
	CU_ASSERT_EQUAL(answer_tell(entry, db, plan, &told, &err), 0);
	CU_ASSERT(json_array_size(told) == 1 &&
		  json_is_null(json_object_get(json_array_get(told, 0), "holds")));
	json_decref(told);
	json_array_remove(json_object_get(entry, "vary"), 2);
	json_array_append_new(json_object_get(entry, "metrics"), json_string("host.no_such"));
	CU_ASSERT_EQUAL(answer_tell(entry, db, plan, &told, &err), 0);
	CU_ASSERT(json_array_size(told) == 1 &&
		  json_is_null(json_object_get(json_array_get(told, 0), "text")));
	json_decref(told);
	json_decref(entry);
}

static void refuses(const char *say, const char *a, const char *expect, const char *why)
{
	json_t *entry = entry_of(say, a, "1", expect), *told = NULL;
	struct err err = {0};

	CU_ASSERT_EQUAL(answer_tell(entry, db, plan, &told, &err), -EUCLEAN);
	if (!strstr(err.msg, why))
		printf("  %s\n", err.msg);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, why));
	CU_ASSERT_PTR_NULL(told);
	json_decref(entry);
}

static void mistakes(void)
{
	refuses("{c}", "1", "1", "names a figure that is not there");
	refuses("{a", "1", "1", "names a figure that is not there");
	refuses("{a}", "at('vm.a.fautls')", "1", "at() of what is no metric");
	refuses("{a}", "SELECT \"vm.a.fautls\" FROM points", "1", "no such column");
	refuses("{a}", "1", "a <", "syntax error");
}

/* The entries that come with the program: each compiles, is judged, and asks what it can. */
static void shipped(void)
{
	json_t *all = json_load_file("experiments/sweeps/sweeps.json", 0, NULL);

	CU_ASSERT(json_array_size(all) >= 7);
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *entry = json_array_get(all, i),
			     *axes = json_object_get(entry, "vary");
		const char *vary[4], *job = json_string_value(json_object_get(entry, "job"));
		char folder[] = "/tmp/ballast-answer-XXXXXX", from[96], command[64];
		struct plan_args args = {.job = from, .vary = vary, .seeds = 1};
		struct plan *own;
		struct sweep_db *empty;
		struct err err = {0};
		json_t *told = NULL;

		snprintf(from, sizeof from, "experiments/sweeps/%s", job);
		for (; args.varied < json_array_size(axes) && args.varied < 4; args.varied++)
			vary[args.varied] = json_string_value(json_array_get(axes, args.varied));
		CU_ASSERT_EQUAL_FATAL(plan_new(&args, &own, &err), 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
		CU_ASSERT_EQUAL_FATAL(sweep_db_create(folder, own, &empty, &err), 0);
		CU_ASSERT_EQUAL(answer_tell(entry, empty, own, &told, &err), 0);
		if (err.exit_code)
			printf("  %s\n", err.msg);
		CU_ASSERT(json_array_size(told) >= 2);
		for (size_t k = 0; k < json_array_size(told); k++)
			CU_ASSERT(json_is_null(json_object_get(json_array_get(told, k), "holds")));
		json_decref(told);
		sweep_db_close(empty);
		plan_free(own);
		snprintf(command, sizeof command, "rm -r %s", folder);
		CU_ASSERT_EQUAL(system(command), 0);
	}
	json_decref(all);
}

TESTS("experiments/sweep_answer", {"setup", setup}, {"figures", figures}, {"not asked", not_asked},
      {"mistakes", mistakes}, {"shipped", shipped}, {"cleanup", cleanup})
