/* Tables of curves: rows, means and bounds by hand, and a run that fills one. */
#include "test.h"

#include "experiments/curves.h"
#include "experiments/kinds.h"

#include <math.h>
#include <string.h>

#define MINUTE UINT64_C(60000000000)

static void test_rows(void)
{
	static const struct curve_of of[] = {{NULL, "free", 1}, {"a", "held", 1}};
	struct curves c = {.of = of, .columns = 2, .rows = 5, .step_ns = MINUTE};
	struct err err;

	CU_ASSERT_EQUAL_FATAL(curves_new(&c, &err), 0);
	for (size_t row = 0; row < 5; row++) {
		c.cell[2 * row] = (double)row;
		c.cell[2 * row + 1] = row < 2 ? NAN : 10.0 * (double)row;
	}
	CU_ASSERT_EQUAL(curves_minutes(&c, 0), 0.5);
	CU_ASSERT_EQUAL(curves_minutes(&c, 4), 4.5);
	CU_ASSERT_EQUAL(curves_row(&c, 0), 0);
	CU_ASSERT_EQUAL(curves_row(&c, 0.5), 0);
	CU_ASSERT_EQUAL(curves_row(&c, 0.51), 1);
	CU_ASSERT_EQUAL(curves_row(&c, 99), 5);
	CU_ASSERT_EQUAL(curves_cell(&c, 3, 1), 30);
	CU_ASSERT_EQUAL(curves_mean(&c, 0, 1, 4), 2);  /* rows 1 to 3 */
	CU_ASSERT_EQUAL(curves_mean(&c, 1, 0, 5), 30); /* those that it was there for */
	CU_ASSERT_EQUAL(curves_least(&c, 1, 0, 5), 20);
	CU_ASSERT_EQUAL(curves_most(&c, 1, 0, 4), 30);
	CU_ASSERT(isnan(curves_mean(&c, 1, 0, 2)));
	CU_ASSERT(isnan(curves_most(&c, 0, 4.6, 4.7)));
	curves_free(&c);
}

/* A VM of 100 pages, of which a page is touched each 10 ms for the first second. */
static void test_run(void)
{
	static const struct curve_of of[] = {
		{"a", "private", 1}, {NULL, "free", 100}, {"b", "private", 1}};
	struct curves c = {.of = of, .columns = 3, .rows = 3, .step_ns = 200000000};
	struct job *job;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(job_new(job_sections, &job), 0);
	CU_ASSERT_EQUAL_FATAL(job_parse(job,
					"host { frames = 200 thresholds = none }\n"
					"cost { ref = 10ms fault = 0 zero = 0 }\n"
					"gen g { law = sequential pages = 100 refs = 100 }\n"
					"vm a { gen = g memory = 400kb }\n",
					"test", &err),
			      0);
	CU_ASSERT_EQUAL_FATAL(curves_new(&c, &err), 0);
	CU_ASSERT_EQUAL_FATAL(curves_run(job, &c, &err), 0);
	for (size_t row = 0; row < 3; row++) { /* at 100, 300 and 500 ms */
		double touched = 10 + 20 * (double)row;
		CU_ASSERT_DOUBLE_EQUAL(curves_cell(&c, row, 0), touched, 1);
		CU_ASSERT_DOUBLE_EQUAL(curves_cell(&c, row, 1), 2 - touched / 100, 0.011);
		CU_ASSERT(isnan(curves_cell(&c, row, 2)));
	}
	CU_ASSERT_EQUAL(c.end[0], 100);
	c.rows = 6; /* the last row would come after the end */
	curves_free(&c);
	CU_ASSERT_EQUAL_FATAL(curves_new(&c, &err), 0);
	CU_ASSERT(curves_run(job, &c, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "rows"));
	curves_free(&c);
	job_free(job);
}

TESTS("experiments/curves", {"rows", test_rows}, {"run", test_run})
