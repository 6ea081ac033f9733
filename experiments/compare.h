/*
 * Results side by side, the first the baseline of the others.
 *
 * Sweeps are compared point by point and seed by seed: two runs of the same
 * point under the same seed saw the same draws, so their difference is the
 * arms' and not the draws' (experiments/student.h). The arms are sweeps with
 * the same axes, or the values of one axis of one sweep. A point that an arm
 * lacks is left out and counted. With many points some p values are small by
 * chance alone; the row over all points tells how many went which way.
 */
#ifndef BALLAST_EXPERIMENTS_COMPARE_H
#define BALLAST_EXPERIMENTS_COMPARE_H

#include "experiments/sweep_table.h"

#define ARMS_MAX 32

struct arm {
	char name[256];
	const struct table *table; /* borrowed; all of the same metrics */
	size_t by, value; /* the axis whose value it is, and which; by = SIZE_MAX: a sweep */
};

/* Of sweeps: -EINVAL where axes or base seeds differ. */
MUST_CHECK int compare_check(const struct arm *arms, size_t n, struct err *err);

struct compared {
	uint64_t point; /* the baseline's */
	size_t arm;	/* from 1 */
	struct paired pairs;
};

struct compared_all {
	size_t pairs, plus, minus; /* of all points */
	double ratio; /* geometric mean of arm / baseline, NAN unless all are positive */
	double sign_p;
};

/* Calls fn for each point and arm, in order of points; *missing: points that an arm lacks. */
typedef void compared_fn(void *arg, const struct compared *row);
void compare_points(const struct arm *arms, size_t n, size_t metric, compared_fn *fn, void *arg,
		    size_t *missing);

/* One arm over all points. */
struct compared_all compare_all(const struct arm *arms, size_t arm, size_t metric);

#endif
