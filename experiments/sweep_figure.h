/*
 * Figures of a sweep, drawn by gnuplot: rows in NAME.csv, a script NAME.gp that
 * begins with what is particular to the figure and goes on with one of
 * experiments/plots/, NAME.svg and NAME.png.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_FIGURE_H
#define BALLAST_EXPERIMENTS_SWEEP_FIGURE_H

#include "experiments/sweep_table.h"

/*
 * A figure of each of the first n metrics, by the shape of the grid (experiments/sweep_shape.h);
 * names of files go to the array. None for one point, or too many panels.
 */
MUST_CHECK int figure_metrics(const struct table *t, size_t n, const char *dir, json_t *files,
			      struct err *err);

/* Two outcomes against each other, and the points that no other beats in both. */
struct pareto {
	int a, b;	     /* metrics of the table */
	bool more_a, more_b; /* larger is better */
};

/* "A,B", a '+' before one where larger is better; adds them to the metrics. */
MUST_CHECK int pareto_parse(const char *text, struct metrics *metrics, struct pareto *pareto,
			    struct err *err);

/* pareto.csv and its figure. */
MUST_CHECK int figure_pareto(const struct table *t, const struct pareto *pareto, const char *dir,
			     json_t *files, struct err *err);

#endif
