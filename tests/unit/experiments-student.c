/* Student's t against printed tables and hand-worked samples. */
#include "experiments/student.h"

#include "test.h"

#include <math.h>

#define NEAR(a, b, within) CU_ASSERT_DOUBLE_EQUAL(a, b, within)

/* The two-sided 95 % and 99 % columns of any printed t table. */
static void quantiles(void)
{
	static const struct {
		double df, t975, t995;
	} rows[] = {{1, 12.7062, 63.6567}, {2, 4.3027, 9.9248},	   {3, 3.1824, 5.8409},
		    {4, 2.7764, 4.6041},   {9, 2.2622, 3.2498},	   {29, 2.0452, 2.7564},
		    {60, 2.0003, 2.6603},  {1000, 1.9623, 2.5808}, {1e6, 1.9600, 2.5758}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		NEAR(student_quantile(0.975, rows[i].df), rows[i].t975, 6e-5);
		NEAR(student_quantile(0.995, rows[i].df), rows[i].t995, 6e-5);
		NEAR(student_quantile(0.025, rows[i].df), -rows[i].t975, 6e-5);
	}
}

/* One and two degrees of freedom have closed forms. */
static void closed_forms(void)
{
	for (int i = -80; i <= 80; i++) {
		double t = 0.37 * i;
		NEAR(student_cdf(t, 1), 0.5 + atan(t) / M_PI, 1e-12);
		NEAR(student_cdf(t, 2), 0.5 + t / (2 * sqrt(2 + t * t)), 1e-12);
	}
	NEAR(student_cdf(0, 7), 0.5, 1e-15);
}

/* 2, 4, 4, 4, 5, 5, 7, 9: mean 5, squares 32, so sd = sqrt(32 / 7); t(0.975, 7) = 2.3646. */
static void means(void)
{
	static const double x[] = {2, 4, NAN, 4, 4, 5, 5, 7, 9};
	struct mean m = mean_of(x, 9);

	CU_ASSERT_EQUAL(m.n, 8);
	NEAR(m.mean, 5, 1e-12);
	NEAR(m.sd, sqrt(32.0 / 7), 1e-12);
	NEAR(m.half, 2.3646 * sqrt(32.0 / 7 / 8), 1e-4);
	m = mean_of(x, 1);
	CU_ASSERT(m.n == 1 && m.mean == 2 && isnan(m.sd) && isnan(m.half));
	m = mean_of(x + 2, 1);
	CU_ASSERT(m.n == 0 && isnan(m.mean));
	m = mean_of(x + 3, 2);
	CU_ASSERT(m.n == 2 && m.mean == 4 && m.sd == 0 && m.half == 0);
}

/*
 * Differences 1, 2, 3, 4, 5: mean 3, sd sqrt(2.5), t = 3 / (sqrt(2.5) / sqrt(5)) = 4.2426
 * with 4 degrees of freedom: p = 0.01324 (by the closed form for 4 degrees).
 */
static void pairs(void)
{
	static const double a[] = {10, 20, 30, NAN, 40, 50}, b[] = {11, 22, 33, 7, 44, 55};
	struct paired p = paired_of(a, b, 6);
	double t = 3 / sqrt(0.5), u = t / sqrt(4 + t * t);

	CU_ASSERT_EQUAL(p.diff.n, 5);
	NEAR(p.diff.mean, 3, 1e-12);
	NEAR(p.mean_a, 30, 1e-12);
	NEAR(p.diff.half, 2.7764 * sqrt(0.5), 1e-4);
	NEAR(p.p, 1 - (1.5 * u - 0.5 * u * u * u), 1e-9);
	CU_ASSERT(p.plus == 5 && p.minus == 0);
	NEAR(p.sign_p, 2.0 / 32, 1e-12);
	/* What the draws have in common cancels. */
	p = paired_of(b, a, 6);
	NEAR(p.diff.mean, -3, 1e-12);
	CU_ASSERT(p.plus == 0 && p.minus == 5);
	p = paired_of(a, a, 6);
	CU_ASSERT(p.diff.mean == 0 && p.p == 1 && p.sign_p == 1);
}

/* 3 of 10 one way: 2 * (1 + 10 + 45 + 120) / 1024. */
static void signs(void)
{
	double a[10] = {0}, b[10];

	for (int i = 0; i < 10; i++)
		b[i] = i < 3 ? -1 - i : 1 + i;
	struct paired p = paired_of(a, b, 10);
	CU_ASSERT(p.plus == 7 && p.minus == 3);
	NEAR(p.sign_p, 352.0 / 1024, 1e-12);
}

TESTS("experiments/student", {"quantiles", quantiles}, {"closed forms", closed_forms},
      {"means", means}, {"pairs", pairs}, {"signs", signs})
