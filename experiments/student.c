#include "experiments/student.h"

#include <math.h>

#define STEPS_MAX 500 /* of the continued fraction, which converges in about sqrt(max(a, b)) */

static double log_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign);
}

/* The m-th coefficient of the continued fraction (DLMF 8.17.23), from 1. */
static double coefficient(unsigned i, double a, double b, double x)
{
	unsigned half = i / 2;
	double m = half;

	if (i % 2 == 0)
		return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
	return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
}

/* 1 + d1/(1 + d2/(1 + ..)) by Lentz's method; quick where x < (a + 1) / (a + b + 2). */
static double fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double f = 1, c = 1, d = 0;

	for (unsigned i = 1; i <= STEPS_MAX; i++) {
		double k = coefficient(i, a, b, x);
		d = 1 + k * d;
		c = 1 + k / c;
		d = 1 / (d == 0 ? tiny : d);
		c = c == 0 ? tiny : c;
		f *= c * d;
		if (fabs(c * d - 1) < 1e-15)
			break;
	}
	return f;
}

/* The regularised incomplete beta function I_x(a, b). */
static double beta_part(double a, double b, double x)
{
	if (x <= 0 || x >= 1)
		return x <= 0 ? 0 : 1;
	if (x > (a + 1) / (a + b + 2))
		return 1 - beta_part(b, a, 1 - x);
	double log_front = a * log(x) + b * log1p(-x) - log(a) + log_gamma(a + b) - log_gamma(a) -
			   log_gamma(b);
	return exp(log_front) / fraction(a, b, x);
}

double student_cdf(double t, double df)
{
	double tail = 0.5 * beta_part(df / 2, 0.5, df / (df + t * t));

	return t > 0 ? 1 - tail : tail;
}

double student_quantile(double p, double df)
{
	double low = -1, high = 1;

	while (student_cdf(low, df) > p)
		low *= 2;
	while (student_cdf(high, df) < p)
		high *= 2;
	for (int i = 0; i < 200 && high - low > 1e-14 * fmax(fabs(low), fabs(high)); i++) {
		double middle = 0.5 * (low + high);
		if (student_cdf(middle, df) < p)
			low = middle;
		else
			high = middle;
	}
	return 0.5 * (low + high);
}

static void finish(struct mean *m, double squares)
{
	m->sd = m->half = NAN;
	if (m->n < 2)
		return;
	m->sd = sqrt(squares / (double)(m->n - 1));
	m->half = m->sd == 0 ? 0
			     : student_quantile(0.975, (double)(m->n - 1)) * m->sd /
				       sqrt((double)m->n);
}

struct mean mean_of(const double *x, size_t n)
{
	struct mean m = {.mean = NAN};
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++) {
		if (isnan(x[i]))
			continue;
		sum += x[i];
		m.n++;
	}
	if (m.n)
		m.mean = sum / (double)m.n;
	for (size_t i = 0; i < n; i++) {
		if (!isnan(x[i]))
			squares += (x[i] - m.mean) * (x[i] - m.mean);
	}
	finish(&m, squares);
	return m;
}

double sign_test(size_t plus, size_t minus)
{
	size_t n = plus + minus, few = plus < minus ? plus : minus;
	double p = 0;

	for (size_t i = 0; i <= few; i++)
		p += exp(log_gamma((double)n + 1) - log_gamma((double)i + 1) -
			 log_gamma((double)(n - i) + 1) - (double)n * M_LN2);
	return fmin(1, 2 * p);
}

static double t_test(const struct mean *diff)
{
	if (diff->n < 2)
		return NAN;
	if (diff->sd == 0)
		return diff->mean == 0 ? 1 : 0;
	double t = diff->mean / (diff->sd / sqrt((double)diff->n));
	return 2 * student_cdf(-fabs(t), (double)(diff->n - 1));
}

struct paired paired_of(const double *a, const double *b, size_t n)
{
	struct paired p = {.diff.mean = NAN, .mean_a = NAN};
	double sum = 0, sum_a = 0, squares = 0;

	for (size_t i = 0; i < n; i++) {
		double d = b[i] - a[i];
		if (isnan(d))
			continue;
		sum += d;
		sum_a += a[i];
		p.diff.n++;
		p.plus += d > 0;
		p.minus += d < 0;
	}
	if (p.diff.n) {
		p.diff.mean = sum / (double)p.diff.n;
		p.mean_a = sum_a / (double)p.diff.n;
	}
	for (size_t i = 0; i < n; i++) {
		double d = b[i] - a[i] - p.diff.mean;
		if (!isnan(d))
			squares += d * d;
	}
	finish(&p.diff, squares);
	p.p = t_test(&p.diff);
	p.sign_p = sign_test(p.plus, p.minus);
	return p;
}
