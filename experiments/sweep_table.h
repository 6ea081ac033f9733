/*
 * The results of a sweep as numbers: each metric of each run, and per point of
 * the grid the mean over its seeds with a 95 % interval.
 *
 * Runs that failed, or are still to do, have no number (NAN) and are left out
 * of the means; a point tells how many it has.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_TABLE_H
#define BALLAST_EXPERIMENTS_SWEEP_TABLE_H

#include "experiments/metric.h"
#include "experiments/student.h"
#include "experiments/sweep_db.h"

#define METRICS_MAX 16

struct metrics {
	size_t n;
	struct metric metric[METRICS_MAX];
};

/* One more, from the command line. */
MUST_CHECK int metrics_add(struct metrics *metrics, const char *text, struct err *err);

/* What is shown where none is asked for. */
void metrics_default(struct metrics *metrics);

/* Where it is, from 0; added if need be. -errno. */
MUST_CHECK int metrics_place(struct metrics *metrics, const char *text, struct err *err);

struct table {
	const struct plan *plan; /* borrowed, as the metrics are */
	const struct metrics *metrics;
	double *value; /* [metric][run] */
	uint64_t done, failed;
	uint64_t missed; /* done, but an expectation of their job does not hold */
};

MUST_CHECK int table_load(struct sweep_db *db, const struct plan *plan,
			  const struct metrics *metrics, struct table *table, struct err *err);
void table_release(struct table *table);

static inline const double *table_values(const struct table *t, size_t metric, uint64_t point)
{
	return t->value + metric * t->plan->runs + point * t->plan->seeds;
}

struct mean table_mean(const struct table *t, size_t metric, uint64_t point);

/* points.csv: a row per point: its keys in base units, n, and mean, sd, low, high of each metric.
 */
MUST_CHECK int table_csv(const struct table *t, const char *dir, struct err *err);

/* For a person: a line per point, the first `most` of them. */
void table_print(const struct table *t, uint64_t most);

/* [{"point": {..}, "n": 5, "metrics": {"host.time_ns": {"mean": .., "sd": .., "ci95": ..}}}] */
json_t *table_json(const struct table *t);

#endif
