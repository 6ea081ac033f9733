/*
 * The end of a sweep: a table of its points, points.csv, figures, and every run
 * that failed, by name.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_TELL_H
#define BALLAST_EXPERIMENTS_SWEEP_TELL_H

#include "experiments/sweep.h"
#include "experiments/sweep_figure.h"

struct sweep_telling {
	const struct metrics *metrics;
	size_t shown;		     /* metrics that get a figure; the rest are the front's */
	const struct pareto *pareto; /* or NULL */
	bool json;
	const json_t *ready; /* the entry of a sweep that comes with the program, or NULL */
};

/*
 * Prints and draws. *missed: runs whose job expected what does not hold, and
 * statements of the answer that do not. Without a gnuplot all the rest is told
 * before the error.
 */
MUST_CHECK int sweep_tell(struct sweep *sweep, const struct sweep_telling *telling,
			  uint64_t *missed, struct err *err);

#endif
