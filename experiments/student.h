/*
 * Means with their uncertainty, from a handful of seeds.
 *
 * With n runs the mean lies, with 95 % confidence, within t(0.975, n - 1) *
 * sd / sqrt(n) of what more runs would give (Student, "The Probable Error of
 * a Mean", Biometrika 1908). Two policies that saw the same draws are compared
 * by their differences seed for seed: what the draws have in common cancels,
 * so a difference shows that two separate intervals would hide. Beside the
 * paired t test, which takes the differences for normal, stands the sign test,
 * which takes them for nothing.
 *
 * Pure functions; values that are not there are NAN and do not count.
 */
#ifndef BALLAST_EXPERIMENTS_STUDENT_H
#define BALLAST_EXPERIMENTS_STUDENT_H

#include "core/types.h"

/* P(T <= t) of Student's distribution with df > 0 degrees of freedom (DLMF 8.17.22). */
double student_cdf(double t, double df);

/* The t whose student_cdf() is p, 0 < p < 1. */
double student_quantile(double p, double df);

struct mean {
	size_t n;
	double mean, sd; /* NAN without values; sd is NAN with one */
	double half;	 /* of the 95 % interval: mean +- half; NAN with one value */
};

struct mean mean_of(const double *x, size_t n);

struct paired {
	struct mean diff;   /* of b - a, over pairs where both are there */
	double mean_a;	    /* over the same pairs */
	double p;	    /* two-sided paired t test that the mean difference is 0 */
	size_t plus, minus; /* pairs where b is larger, smaller */
	double sign_p;	    /* two-sided sign test; pairs that are equal do not count */
};

/* P that n = plus + minus fair throws fall so unevenly, or more so. */
double sign_test(size_t plus, size_t minus);

/* Pair i is a[i] with b[i]. Differences that are all the same non-zero number have p = 0. */
struct paired paired_of(const double *a, const double *b, size_t n);

#endif
