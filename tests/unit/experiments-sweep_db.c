/* results.sqlite: rows that come back, files that are not ours, a newer layout, a lock, a full
 * disk. */
#include "experiments/sweep_db.h"

#include "test.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[] = "/tmp/ballast-db-XXXXXX", job_path[64], db_path[64];
static struct plan *plan;

static void put_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static void setup(void)
{
	static const char *const vary[] = {"swap.victim=lru,clock", "swap.read_time=1ms,2ms",
					   "gen.g.alpha=0.1,0.7"};
	struct plan_args args = {.job = job_path, .vary = vary, .varied = 3, .seeds = 2};

	if (!mkdtemp(dir))
		abort();
	snprintf(job_path, sizeof job_path, "%s/x.job", dir);
	snprintf(db_path, sizeof db_path, "%s/results.sqlite", dir);
	put_text(job_path, "gen g { }\nvm a { gen = g }\n");
	if (plan_new(&args, &plan, NULL))
		abort();
}

/* What another program sees. */
static void sql(const char *text, const char *expected)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	const char *got = NULL;

	CU_ASSERT_EQUAL(sqlite3_open(db_path, &db), SQLITE_OK);
	CU_ASSERT_EQUAL_FATAL(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		got = (const char *)sqlite3_column_text(st, 0);
	if (expected && (!got || strcmp(got, expected) != 0))
		printf("  %s: %s, not %s\n", text, got ? got : "nothing", expected);
	CU_ASSERT(!expected || (got && strcmp(got, expected) == 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
}

static struct record result(uint64_t run, int faults)
{
	struct record r = {.run = run, .cpu_ns = 1500000000, .wall_ns = 2000000000, .node = "here"};

	r.summary = json_pack("{s:{s:i}, s:{s:{s:i}}}", "host", "time_ns", 7, "vm", "a-1", "faults",
			      faults);
	return r;
}

struct seen {
	uint64_t runs[8];
	int faults[8];
	size_t n;
};

static int see(void *arg, const struct record *row, struct err *err)
{
	struct seen *s = arg;
	int faults = -1;

	(void)err;
	if (row->summary)
		(void)!json_unpack(row->summary, "{s:{s:{s:i}}}", "vm", "a-1", "faults", &faults);
	s->runs[s->n] = row->run;
	s->faults[s->n++] = row->failed ? -2 : faults;
	return 0;
}

static void put(struct sweep_db *db, struct record r)
{
	struct err err = {0};

	CU_ASSERT_EQUAL(sweep_db_put(db, plan, &r, &err), 0);
	if (err.exit_code)
		printf("  %s\n", err.msg);
	record_release(&r);
}

static void rows(void)
{
	struct sweep_db *db;
	struct record lost;
	struct seen seen = {0};
	struct err err = {0};

	CU_ASSERT_FALSE(sweep_db_there(dir));
	CU_ASSERT_NOT_EQUAL(sweep_db_open(dir, true, &db, &err), 0);
	CU_ASSERT_EQUAL_FATAL(sweep_db_create(dir, plan, &db, &err), 0);
	put(db, result(13, 40));
	put(db, result(2, 30));
	record_lost(5, &lost, "it %s", "died");
	put(db, lost);
	CU_ASSERT_EQUAL(sweep_db_each(db, true, see, &seen, &err), 0);
	CU_ASSERT(seen.n == 3 && seen.runs[0] == 2 && seen.runs[1] == 5 && seen.runs[2] == 13);
	CU_ASSERT(seen.faults[0] == 30 && seen.faults[1] == -2 && seen.faults[2] == 40);
	put(db, result(5, 50)); /* a second try takes the place of the first */
	json_t *told = sweep_db_plan(db, &err);
	CU_ASSERT(json_equal(told, plan->told));
	json_decref(told);
	sweep_db_close(db);
	CU_ASSERT(sweep_db_there(dir));
	CU_ASSERT_NOT_EQUAL(sweep_db_create(dir, plan, &db, &err), 0);
}

/* Run 13 is seed 2 of point 6: clock, 2 ms, 0.1. */
static void others_read_it(void)
{
	sql("SELECT point || ' ' || seed || ' ' || \"swap.victim\" || ' ' || \"swap.read_time\""
	    " || ' ' || \"gen.g.alpha\" || ' ' || state FROM runs WHERE run = 13",
	    "6 2 clock 2000000 0.1 done");
	sql("SELECT value FROM stats WHERE run = 13 AND name = 'vm.a-1.faults'", "40");
	sql("SELECT cpu_s || ' ' || wall_s || ' ' || node FROM timing WHERE run = 2",
	    "1.5 2.0 here");
	sql("SELECT count(*) FROM runs WHERE state = 'failed'", "0");
	sql("SELECT group_concat(key || ' ' || type || ' ' || unit) FROM axes",
	    "swap.victim text ,swap.read_time time ns,gen.g.alpha number 1");
	sql("PRAGMA journal_mode", "delete");
}

static void refuses(const char *says, int exit_code)
{
	struct sweep_db *db;
	struct err err = {0};

	CU_ASSERT_NOT_EQUAL(sweep_db_open(dir, true, &db, &err), 0);
	CU_ASSERT_EQUAL(err.exit_code, exit_code);
	if (!strstr(err.msg, says)) {
		printf("  %s\n", err.msg);
		CU_FAIL("what is said");
	}
}

static void not_ours(void)
{
	sql("PRAGMA user_version = 2", NULL);
	refuses("newer version of ballast", 2);
	sql("PRAGMA user_version = 1", NULL);
	sql("PRAGMA application_id = 77", NULL);
	refuses("is not the result of a sweep", 2);
	put_text(db_path,
		 "this is a text file, which is a little longer than a header of SQLite is,"
		 " so that nobody takes it for an empty one .........................");
	refuses("damaged, or no SQLite file", 1);
	unlink(db_path);
	put_text(db_path, "");
	refuses("begin the sweep again", 2);
}

/* A file at its limit: what was told finished is there. */
static void full(void)
{
	struct rlimit old, few = {0};
	struct sweep_db *db;
	struct err err = {0};
	struct seen seen = {0};
	int rc = 0;

	CU_ASSERT_EQUAL_FATAL(sweep_db_create(dir, plan, &db, &err), 0);
	put(db, result(0, 10));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	few = (struct rlimit){4096, old.rlim_max};
	setrlimit(RLIMIT_FSIZE, &few);
	for (uint64_t run = 1; rc == 0 && run < 8; run++) {
		struct record r = result(run, 10);
		json_object_set_new(r.summary, "pad", json_stringn(dir, 20));
		rc = sweep_db_put(db, plan, &r, &err);
		record_release(&r);
	}
	setrlimit(RLIMIT_FSIZE, &old);
	CU_ASSERT_NOT_EQUAL(rc, 0);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "finished runs are kept"));
	sweep_db_close(db);
	CU_ASSERT_EQUAL_FATAL(sweep_db_open(dir, true, &db, &err), 0);
	CU_ASSERT_EQUAL(sweep_db_each(db, true, see, &seen, &err), 0);
	CU_ASSERT(seen.n >= 1 && seen.faults[0] == 10);
	put(db, result(7, 10));
	sweep_db_close(db);
}

static void cleanup(void)
{
	char command[100];

	plan_free(plan);
	snprintf(command, sizeof command, "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

TESTS("experiments/sweep_db", {"setup", setup}, {"rows", rows}, {"others read it", others_read_it},
      {"not ours", not_ours}, {"full", full}, {"cleanup", cleanup})
