/* Plans: the numbering of runs, seeds, what is told and read back, what tells two apart. */
#include "experiments/sweep_plan.h"

#include "experiments/kinds.h"
#include "experiments/sections.h"
#include "test.h"

#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/ballast-plan-XXXXXX", job_path[64], trace_path[64];

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static void put_job(void)
{
	put(job_path, "gen g { seed = 100 }\ngen h { }\nvm a { gen = g }\nvm b { gen = h }\n");
}

static const char *const vary[] = {"swap.victim=lru,clock", "host.memory=1mb:3mb:1mb"};

static struct plan *make(const struct plan_args *args)
{
	struct plan *plan = NULL;
	struct err err = {0};

	if (plan_new(args, &plan, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	return plan;
}

static struct plan_args standard(void)
{
	return (struct plan_args){.job = job_path, .vary = vary, .varied = 2, .seeds = 4};
}

static int64_t seed_of(struct job *job, const char *key)
{
	const struct opt *opt;
	const void *options;

	return job_key_find(job, key, &opt, &options)
		       ? *(const int64_t *)((const char *)options + opt->offset)
		       : -1;
}

/* The last axis is fastest; the seeds of a point lie together. */
static void numbering(void)
{
	struct plan_args args = standard();
	struct plan *plan = make(&args);
	char text[100];

	CU_ASSERT_EQUAL(plan->points, 6);
	CU_ASSERT_EQUAL(plan->runs, 24);
	plan_point_text(plan, plan_point(plan, 4 * 4 + 2), text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "swap.victim=clock host.memory=2mb");
	CU_ASSERT_EQUAL(plan_seed(plan, 4 * 4 + 2), 3);
	plan_point_text(plan, 0, text, 10);
	CU_ASSERT_EQUAL(strlen(text), 9);
	json_t *point = plan_point_json(plan, 4);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(point, "host.memory")), 2 << 20);
	json_decref(point);
	plan_free(plan);
}

/* Seed k adds k - 1 to every seed but those pinned or varied. */
static void seeds(void)
{
	static const char *const pin[] = {"gen.h.seed"};
	static const char *const with_seed[] = {"gen.g.seed=7,8"};
	struct plan_args args = standard();

	args.pin = pin;
	args.pins = 1;
	struct plan *plan = make(&args);
	CU_ASSERT_EQUAL(plan_apply(plan, 2, plan->job, NULL), 0);
	CU_ASSERT_EQUAL(seed_of(plan->job, "host.seed"), 3);
	CU_ASSERT_EQUAL(seed_of(plan->job, "gen.g.seed"), 102);
	CU_ASSERT_EQUAL(seed_of(plan->job, "gen.h.seed"), 1);
	plan_free(plan);
	args = (struct plan_args){.job = job_path, .vary = with_seed, .varied = 1, .seeds = 2};
	plan = make(&args);
	CU_ASSERT_EQUAL(plan_apply(plan, 3, plan->job, NULL), 0);
	CU_ASSERT_EQUAL(seed_of(plan->job, "gen.g.seed"), 8);
	CU_ASSERT_EQUAL(seed_of(plan->job, "gen.h.seed"), 2);
	plan_free(plan);
}

/* A plan read back gives every run the same job, and calls itself the same. */
static void told_and_read(void)
{
	static const char *const set[] = {"swap.read_time=1.5ms", "gen.h.alpha=0.3"};
	struct plan_args args = standard();
	struct plan *again;

	args.set = set;
	args.sets = 2;
	struct plan *plan = make(&args);
	CU_ASSERT_EQUAL_FATAL(plan_from(plan->told, &again, NULL), 0);
	CU_ASSERT_EQUAL(plan_same(plan->told, again->told, NULL), 0);
	CU_ASSERT_EQUAL(again->runs, 24);
	CU_ASSERT_EQUAL(plan_apply(plan, 13, plan->job, NULL), 0);
	CU_ASSERT_EQUAL(plan_apply(again, 13, again->job, NULL), 0);
	json_t *a = job_json(plan->job), *b = job_json(again->job);
	CU_ASSERT(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	plan_free(plan);
	plan_free(again);
}

static void differs(const struct plan_args *other, const char *says)
{
	struct plan_args args = standard();
	struct plan *a = make(&args), *b = make(other);
	struct err err = {0};

	CU_ASSERT_NOT_EQUAL(plan_same(a->told, b->told, &err), 0);
	if (!strstr(err.msg, says)) {
		printf("  %s\n", err.msg);
		CU_FAIL("what is said");
	}
	plan_free(a);
	plan_free(b);
}

static void differences(void)
{
	static const char *const set[] = {"swap.read_time=1ms"};
	static const char *const pin[] = {"host.seed"};
	static const char *const other[] = {"swap.victim=lru,fifo", "host.memory=1mb:3mb:1mb"};
	struct plan_args args = standard();

	args.set = set;
	args.sets = 1;
	differs(&args, "swap.read_time is the default there and 1ms here");
	args = standard();
	args.vary = other;
	differs(&args, "--vary 1 is swap.victim=lru,clock there and swap.victim=lru,fifo here");
	args = standard();
	args.varied = 1;
	differs(&args, "--vary 2 is host.memory=1mb,2mb,3mb there and none= here");
	args = standard();
	args.pin = pin;
	args.pins = 1;
	differs(&args, "other seeds are pinned");
}

/* Seeds may be more, as long as they can be counted; versions may not differ. */
static void seeds_and_versions(void)
{
	struct plan_args args = standard();
	struct plan *a = make(&args), *again;
	struct err err = {0};

	args.seeds = 5;
	struct plan *b = make(&args);
	CU_ASSERT_EQUAL(plan_same(a->told, b->told, &err), 0);
	CU_ASSERT_EQUAL(plan_same_version(a->told, &err), 0);
	json_object_set_new(a->told, "ballast", json_string("0.0.1"));
	CU_ASSERT_EQUAL(plan_same(a->told, b->told, &err), -EINVAL);
	CU_ASSERT_EQUAL(plan_same_version(a->told, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "it was begun by ballast 0.0.1, and this is "));
	json_object_set_new(json_object_get(b->told, "seed_keys"), "host.seed",
			    json_integer(INT64_MAX - 5));
	CU_ASSERT_EQUAL_FATAL(plan_from(b->told, &again, &err), 0);
	plan_free(again);
	json_object_set_new(b->told, "seeds", json_integer(6));
	CU_ASSERT_EQUAL(plan_from(b->told, &again, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "host.seed is too large to count up from"));
	plan_free(a);
	plan_free(b);
}

/* A trace that changes under a sweep is found; one that can be read once is refused. */
static void traces(void)
{
	static const char *const set[] = {"vm.c.trace=-"};
	static const char *const by_trace[] = {"vm.c.trace=gone.u32"};
	char job[64], assignment[100];
	struct plan_args args = {.job = job, .seeds = 1};
	struct err err = {0};
	struct plan *plan;

	snprintf(job, sizeof job, "%s/traced.job", dir);
	snprintf(assignment, sizeof assignment, "vm c { trace = \"%s\" }\n", trace_path);
	put(job, assignment);
	put(trace_path, "old!");
	plan = make(&args);
	CU_ASSERT_EQUAL(plan_check_traces(plan, &err), 0);
	put(trace_path, "new!");
	CU_ASSERT_NOT_EQUAL(plan_check_traces(plan, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "has changed"));
	args.set = (const char *const[]){"vm.c.trace=caf\xe9"};
	args.sets = 1;
	struct plan *none;
	CU_ASSERT_NOT_EQUAL(plan_new(&args, &none, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "vm.c.trace is no UTF-8"));
	plan_free(plan);
	json_t *moved = json_pack("{s:{s:s}}", "traces", "begun/elsewhere.u32", "0");
	CU_ASSERT_NOT_EQUAL(plan_check_traces(&(struct plan){.told = moved}, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "where the sweep was begun"));
	json_decref(moved);
	args.set = set;
	args.sets = 1;
	CU_ASSERT_NOT_EQUAL(plan_new(&args, &plan, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "read once"));
	args = (struct plan_args){.job = job, .vary = by_trace, .varied = 1, .seeds = 1};
	CU_ASSERT_NOT_EQUAL(plan_new(&args, &plan, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "gone.u32"));
}

static void refused(void)
{
	static const char *const cases[] = {"vm.a.memory=1mb", "vm.A.memory=2mb"};
	static const char *const twice[] = {"host.memory=1mb", "host.memory=2mb"};
	static const char *const pin[] = {"gen.g.alpha"};
	static const char *const big[] = {"gen.g.refs=1:10000:1", "gen.h.refs=1:10000:1"};
	struct plan_args args = standard();
	struct err err = {0};
	struct plan *plan;

	args.vary = twice;
	CU_ASSERT_NOT_EQUAL(plan_new(&args, &plan, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "varied twice"));
	put(job_path, "gen g { seed = 100 }\ngen h { }\nvm a { gen = g }\nvm A { gen = h }\n");
	args.vary = cases;
	CU_ASSERT_NOT_EQUAL(plan_new(&args, &plan, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "in case alone"));
	put_job();
	args = standard();
	args.pin = pin;
	args.pins = 1;
	CU_ASSERT_NOT_EQUAL(plan_new(&args, &plan, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no such seed"));
	args = standard();
	args.vary = big;
	CU_ASSERT_NOT_EQUAL(plan_new(&args, &plan, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "more than 10000000 runs"));
	json_t *bad = json_pack("{s:i, s:[s], s:{s:s}}", "seeds", 1, "titles", "vm a", "set",
				"host.nonsense", "1");
	CU_ASSERT_NOT_EQUAL(plan_from(bad, &plan, &err), 0);
	json_decref(bad);
	bad = json_object();
	CU_ASSERT_NOT_EQUAL(plan_from(bad, &plan, &err), 0);
	json_decref(bad);
}

static void setup(void)
{
	if (!mkdtemp(dir))
		abort();
	snprintf(job_path, sizeof job_path, "%s/x.job", dir);
	snprintf(trace_path, sizeof trace_path, "%s/x.u32", dir);
	put_job();
}

static void cleanup(void)
{
	char command[100];

	snprintf(command, sizeof command, "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

TESTS("experiments/sweep_plan", {"setup", setup}, {"numbering", numbering}, {"seeds", seeds},
      {"told and read", told_and_read}, {"differences", differences},
      {"seeds and versions", seeds_and_versions}, {"traces", traces}, {"refused", refused},
      {"cleanup", cleanup})
