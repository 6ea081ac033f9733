/*
 * Curves over the time of a run: chosen statistics, a row for each step of the
 * host's clock, for experiments that set them beside a paper's.
 *
 * Row i is taken in the middle of step i, since a point of a digitised curve
 * stands for its surroundings. The table is the caller's to free, in any state.
 */
#ifndef BALLAST_EXPERIMENTS_CURVES_H
#define BALLAST_EXPERIMENTS_CURVES_H

#include "core/job.h"

struct curve_of {
	const char *vm; /* NULL: of the host */
	const char *stat;
	double unit; /* what counts as 1: 256 makes MB of pages */
};

struct curves {
	const struct curve_of *of; /* [columns] */
	size_t columns, rows;
	uint64_t step_ns;
	double *cell; /* [rows][columns]; NAN where the VM is not there */
	double *end;  /* [columns], as the run ended */
};

/* Makes an empty table; of, columns, rows and step_ns are set. */
MUST_CHECK int curves_new(struct curves *c, struct err *err);
void curves_free(struct curves *c);

/* Runs the job (experiments/watch.h says what is an error) and fills the table. */
MUST_CHECK int curves_run(struct job *job, struct curves *c, struct err *err);

/* A new table, of a run of the program's own job with text on top (watch_job()); none on failure.
 */
MUST_CHECK int curves_take(struct curves *c, const char *base, const char *text, struct err *err);

static inline double curves_cell(const struct curves *c, size_t row, size_t column)
{
	return c->cell[row * c->columns + column];
}

/* The middle of a row's step. */
static inline double curves_minutes(const struct curves *c, size_t row)
{
	return ((double)row + 0.5) * (double)c->step_ns / 6e10;
}

/* The first row at or after that time; c->rows where there is none. */
size_t curves_row(const struct curves *c, double minutes);

/* Over the rows from one time to before another: the mean, least and most; NAN without any. */
double curves_mean(const struct curves *c, size_t column, double from, double until);
double curves_least(const struct curves *c, size_t column, double from, double until);
double curves_most(const struct curves *c, size_t column, double from, double until);

#endif
