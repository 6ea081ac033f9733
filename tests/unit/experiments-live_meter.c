/* What a guest's log becomes: statistics of its VM. */
#include "experiments/live_meter.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scene {
	struct vm vm;
	struct live_vm live;
	struct live_meter meter;
	char log[64];
	uint64_t now_ns;
};

static void scene_open(struct scene *s)
{
	memset(s, 0, sizeof *s);
	s->live.vm = &s->vm;
	snprintf(s->log, sizeof s->log, "/tmp/meter.%d", (int)getpid());
	unlink(s->log);
	meter_bind(&s->meter, &s->live);
}

static void scene_close(struct scene *s)
{
	meter_close(&s->meter);
	unlink(s->log);
}

/* The guest writes; the meter reads a second later. */
static void writes(struct scene *s, const char *text)
{
	FILE *f = fopen(s->log, "a");

	CU_ASSERT_FATAL(f != NULL);
	fputs(text, f);
	fclose(f);
	s->now_ns += UINT64_C(1000000000);
	meter_read(&s->meter, s->log, &s->live, s->now_ns);
}

static double value(const struct scene *s, const char *name)
{
	const struct stat_row *row;
	const void *where;

	if (!stat_find(&s->vm.stats, name, &row, &where)) {
		printf("  no statistic %s\n", name);
		return -1;
	}
	return row->kind == STAT_REAL ? *(const double *)where : (double)*(const uint64_t *)where;
}

static json_t *told(const struct scene *s)
{
	json_t *summary = json_object();

	meter_tell(&s->meter, summary);
	return summary;
}

static void test_rates(void)
{
	struct scene s;

	scene_open(&s);
	meter_read(&s.meter, s.log, &s.live, 1); /* there is no log yet */
	CU_ASSERT_EQUAL(value(&s, "ops"), 0);
	writes(&s, "booting\n@ballast kv t=1.000 ops=500 done=500 steal_ms=0\n");
	CU_ASSERT_EQUAL(value(&s, "ops"), 500);
	CU_ASSERT_DOUBLE_EQUAL(value(&s, "ops_per_s"), 500, 1e-9);
	/* The guest stood still for a second: half the rate. A line is in two pieces. */
	writes(&s, "@ballast kv t=3.000 ops=500 do");
	CU_ASSERT_EQUAL(value(&s, "ops"), 500);
	writes(&s, "ne=1000 steal_ms=0\n");
	CU_ASSERT_EQUAL(value(&s, "ops"), 1000);
	CU_ASSERT_DOUBLE_EQUAL(value(&s, "ops_per_s"), 250, 1e-9);
	/* A line that is lost loses nothing of done. */
	writes(&s, "@ballast kv t=5.000 ops=100 done=1600 steal_ms=0\n");
	CU_ASSERT_EQUAL(value(&s, "ops"), 1600);
	CU_ASSERT_EQUAL(value(&s, "damaged_lines"), 0);
	writes(&s, "@ballast kv t=5.000 ops=-1 done=9 steal_ms=0\n@ballast\n@ballast x\n");
	CU_ASSERT_EQUAL(value(&s, "ops"), 1600);
	CU_ASSERT(value(&s, "damaged_lines") >= 2);
	scene_close(&s);
}

static void test_programs(void)
{
	struct scene s;

	scene_open(&s);
	writes(&s, "@ballast toucher t=1.000 ops=10 done=10 steal_ms=0 size_kb=2048\n"
		   "@ballast kv t=1.000 ops=5 done=5 steal_ms=0\n");
	CU_ASSERT_DOUBLE_EQUAL(value(&s, "ops_per_s"), 15, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(value(&s, "touched_mb"), 2, 1e-9);
	writes(&s, "@ballast toucher t=2.000 ops=20 done=30 steal_ms=0 size_kb=1024\n");
	CU_ASSERT_DOUBLE_EQUAL(value(&s, "ops_per_s"), 25, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(value(&s, "touched_mb"), 1, 1e-9);
	writes(&s, "@ballast toucher end bad=0\n");
	CU_ASSERT_DOUBLE_EQUAL(value(&s, "ops_per_s"), 5, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(value(&s, "touched_mb"), 0, 1e-9);
	CU_ASSERT_EQUAL(value(&s, "ops"), 35);
	scene_close(&s);
}

/* Nobody has looked for wrong pages until a program says so. */
static void test_bad(void)
{
	struct scene s;

	scene_open(&s);
	json_t *summary = told(&s);
	CU_ASSERT(json_is_null(json_object_get(summary, "bad")));
	json_decref(summary);
	writes(&s, "@ballast verify end bad=0 ops=70\n");
	summary = told(&s);
	CU_ASSERT(json_is_integer(json_object_get(summary, "bad")));
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(summary, "bad")), 0);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(summary, "ops")), 70);
	json_decref(summary);
	writes(&s, "@ballast other end bad=3\n");
	CU_ASSERT_EQUAL(value(&s, "bad"), 3);
	scene_close(&s);
}

/* More programs than are told apart: those beyond are left out, nothing else. */
static void test_many(void)
{
	struct scene s;
	char line[80];

	scene_open(&s);
	for (int i = 0; i < METER_PROGRAMS + 3; i++) {
		snprintf(line, sizeof line, "@ballast p%d t=1.000 ops=1 done=1 steal_ms=0\n", i);
		writes(&s, line);
	}
	CU_ASSERT_EQUAL(value(&s, "ops"), METER_PROGRAMS);
	scene_close(&s);
}

TESTS("experiments/live_meter", {"rates by the guest's clock", test_rates},
      {"several programs", test_programs}, {"wrong results", test_bad},
      {"too many programs", test_many})
