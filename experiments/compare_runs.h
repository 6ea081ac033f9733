/*
 * Single runs side by side: the options in which they differ, and the
 * statistics. One run of each tells nothing of chance; for that, sweep with
 * seeds and compare the sweeps.
 */
#ifndef BALLAST_EXPERIMENTS_COMPARE_RUNS_H
#define BALLAST_EXPERIMENTS_COMPARE_RUNS_H

#include "experiments/sweep_table.h"

/* Prints a table of folders with run.json and summary.json; without metrics, what differs. */
MUST_CHECK int compare_runs(const char *const *dirs, size_t n, const struct metrics *metrics,
			    bool json, struct err *err);

#endif
