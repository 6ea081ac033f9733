/*
 * The figure of one run: columns of its series.csv over virtual time, drawn by
 * gnuplot from series.gp into series.svg and series.png.
 */
#ifndef BALLAST_EXPERIMENTS_RUN_FIGURE_H
#define BALLAST_EXPERIMENTS_RUN_FIGURE_H

#include "experiments/sweep_table.h"

/*
 * A panel for each metric (no ratios), a line for each VM that it names; without
 * metrics, how memory is spread and what is swapped. -EINVAL where a metric is
 * no column.
 */
MUST_CHECK int figure_run(const char *dir, const struct metrics *metrics, json_t *files,
			  struct err *err);

#endif
