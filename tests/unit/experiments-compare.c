/* Comparing: points matched by what they are, pairs by seed, hand-worked differences. */
#include "experiments/compare.h"

#include "test.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static char job_path[] = "/tmp/ballast-compare-XXXXXX";
static struct metrics metrics = {.n = 1};

static struct plan *make(const char *a, const char *b, uint32_t seeds)
{
	const char *vary[] = {a, b};
	struct plan_args args = {.job = job_path, .vary = vary, .varied = 2, .seeds = seeds};
	struct plan *plan;

	if (plan_new(&args, &plan, NULL))
		abort();
	return plan;
}

struct rows {
	struct compared row[16];
	size_t n;
};

static void gather(void *arg, const struct compared *row)
{
	struct rows *r = arg;

	r->row[r->n++] = *row;
}

/* The other sweep has its axes the other way round, a value less, and a seed less. */
static void sweeps(void)
{
	struct plan *p = make("swap.victim=lru,clock", "host.memory=1mb,2mb", 3),
		    *q = make("host.memory=2mb", "swap.victim=clock,lru", 2);
	double a[12] = {1, 2, 3, 10, 20, 30, 4, 5, 6, 40, 50, 60}, b[4] = {44, 56, 11, NAN};
	struct table ta = {p, &metrics, a}, tb = {q, &metrics, b};
	struct arm arms[2] = {{"a", &ta, SIZE_MAX, 0}, {"b", &tb, SIZE_MAX, 0}};
	struct rows rows = {.n = 0};
	size_t missing;

	CU_ASSERT_EQUAL(compare_check(arms, 2, NULL), 0);
	compare_points(arms, 2, 0, gather, &rows, &missing);
	CU_ASSERT_EQUAL_FATAL(rows.n, 2);
	CU_ASSERT_EQUAL(missing, 2);
	CU_ASSERT(rows.row[0].point == 1 && rows.row[0].arm == 1);
	CU_ASSERT(rows.row[0].pairs.diff.n == 1 && rows.row[0].pairs.diff.mean == 1);
	CU_ASSERT(rows.row[1].point == 3 && rows.row[1].pairs.diff.n == 2);
	CU_ASSERT_DOUBLE_EQUAL(rows.row[1].pairs.diff.mean, 5, 1e-12); /* 4 and 6 */
	struct compared_all all = compare_all(arms, 1, 0);
	CU_ASSERT(all.pairs == 3 && all.plus == 3 && all.minus == 0);
	CU_ASSERT_DOUBLE_EQUAL(all.ratio, cbrt(1.1 * 1.1 * 1.12), 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(all.sign_p, 0.25, 1e-12);
	plan_free(p);
	plan_free(q);
}

/* The values of an axis as arms. */
static void by_axis(void)
{
	struct plan *p = make("swap.victim=lru,clock", "host.memory=1mb,2mb", 1);
	double a[4] = {1, 2, 5, 9};
	struct table t = {p, &metrics, a};
	struct arm arms[2] = {{"lru", &t, 0, 0}, {"clock", &t, 0, 1}};
	struct rows rows = {.n = 0};
	size_t missing;

	compare_points(arms, 2, 0, gather, &rows, &missing);
	CU_ASSERT(rows.n == 2 && missing == 0);
	CU_ASSERT(rows.row[0].point == 0 && rows.row[0].pairs.diff.mean == 4);
	CU_ASSERT(rows.row[1].point == 1 && rows.row[1].pairs.diff.mean == 7);
	plan_free(p);
}

static void unlike(void)
{
	struct plan *p = make("swap.victim=lru,clock", "host.memory=1mb,2mb", 1),
		    *q = make("swap.victim=lru,clock", "host.frames=10,20", 1),
		    *r = make("swap.victim=lru,clock", "host.seed=1,2", 1);
	struct table tp = {.plan = p}, tq = {.plan = q}, tr = {.plan = r};
	struct arm arms[2] = {{"p", &tp, SIZE_MAX, 0}, {"q", &tq, SIZE_MAX, 0}};
	struct err err = {0};

	CU_ASSERT_NOT_EQUAL(compare_check(arms, 2, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "p varies host.memory, and q does not"));
	arms[1].table = &tr;
	CU_ASSERT_NOT_EQUAL(compare_check(arms, 2, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "other seeds"));
	plan_free(p);
	plan_free(q);
	plan_free(r);
}

static void setup(void)
{
	int fd = mkstemp(job_path);

	CU_ASSERT(fd >= 0 && write(fd, "vm a { }\n", 9) == 9 && close(fd) == 0);
}

static void cleanup(void)
{
	unlink(job_path);
}

TESTS("experiments/compare", {"setup", setup}, {"sweeps", sweeps}, {"by axis", by_axis},
      {"unlike", unlike}, {"cleanup", cleanup})
