/* Tables of results: values from rows, means without failures, points.csv. */
#include "experiments/sweep_table.h"

#include "test.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/ballast-table-XXXXXX", path[64];
static struct plan *plan;

static void setup(void)
{
	static const char *const vary[] = {"swap.victim=lru,clock", "gen.g.alpha=0.1,0.99"};
	struct plan_args args = {.job = path, .vary = vary, .varied = 2, .seeds = 2};

	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof path, "%s/x.job", dir);
	FILE *f = fopen(path, "w");
	if (!f || fputs("gen g { }\nvm a { gen = g }\n", f) < 0 || fclose(f) ||
	    plan_new(&args, &plan, NULL))
		abort();
}

/* Runs 0 to 6 of 8: run r has r + 10 faults; 3 failed, with a summary all the same. */
static struct sweep_db *fill(void)
{
	struct sweep_db *db;

	if (sweep_db_create(dir, plan, &db, NULL))
		abort();
	for (uint64_t run = 0; run < 7; run++) {
		struct record r = {.run = run, .failed = run == 3};
		r.summary = json_pack("{s:{s:i}, s:{s:{s:i}}}", "host", "free", 5, "vm", "a",
				      "faults", (int)run + 10);
		if (sweep_db_put(db, plan, &r, NULL))
			abort();
		record_release(&r);
	}
	return db;
}

static void means(void)
{
	struct metrics metrics = {0}, wrong = {0};
	struct table t;
	struct err err = {0};
	char line[400];

	CU_ASSERT_EQUAL(metrics_add(&metrics, "vm.a.faults", &err), 0);
	CU_ASSERT_EQUAL(metrics_place(&metrics, "host.free", &err), 1);
	CU_ASSERT_EQUAL(metrics_place(&metrics, "vm.a.faults", &err), 0);
	struct sweep_db *db = fill();
	CU_ASSERT_EQUAL_FATAL(table_load(db, plan, &metrics, &t, &err), 0);
	CU_ASSERT(t.done == 6 && t.failed == 1);
	CU_ASSERT(table_mean(&t, 0, 0).mean == 10.5 && table_mean(&t, 0, 0).n == 2);
	CU_ASSERT(table_mean(&t, 0, 1).mean == 12 && table_mean(&t, 0, 1).n == 1);
	CU_ASSERT(table_values(&t, 0, 3)[0] == 16 && isnan(table_values(&t, 0, 3)[1]));
	CU_ASSERT_EQUAL(table_csv(&t, dir, &err), 0);
	json_t *json = table_json(&t);
	CU_ASSERT_EQUAL(json_array_size(json), 4);
	json_decref(json);
	table_release(&t);
	CU_ASSERT_EQUAL(metrics_add(&wrong, "vm.a.fault", &err), 0);
	CU_ASSERT_NOT_EQUAL(table_load(db, plan, &wrong, &t, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "did you mean 'faults'"));
	sweep_db_close(db);

	snprintf(path, sizeof path, "%s/points.csv", dir);
	FILE *in = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	CU_ASSERT(fgets(line, sizeof line, in) &&
		  strncmp(line, "swap.victim,gen.g.alpha,n,", 26) == 0);
	/* t(0.975, 1) = 12.7062, sd = sqrt(1/2): 10.5 -+ 6.3531 */
	CU_ASSERT(fgets(line, sizeof line, in) &&
		  strncmp(line, "lru,0.1,2,10.5,0.7071067812,4.1468976", 37) == 0);
	CU_ASSERT(fgets(line, sizeof line, in) && strcmp(line, "lru,0.99,1,12,,,,5,,,\n") == 0);
	fclose(in);
}

static void cleanup(void)
{
	char command[100];

	plan_free(plan);
	snprintf(command, sizeof command, "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

TESTS("experiments/sweep_table", {"setup", setup}, {"means", means}, {"cleanup", cleanup})
