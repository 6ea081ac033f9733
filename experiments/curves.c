#include "experiments/curves.h"

#include "experiments/watch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int curves_new(struct curves *c, struct err *err)
{
	c->cell = calloc(c->rows * c->columns, sizeof *c->cell);
	c->end = calloc(c->columns, sizeof *c->end);
	if (c->cell && c->end)
		return 0;
	curves_free(c);
	return err_run(err, ENOMEM, "no memory for %zu rows", c->rows);
}

void curves_free(struct curves *c)
{
	free(c->cell);
	free(c->end);
	c->cell = c->end = NULL;
}

static double value_of(const struct host *host, const struct curve_of *of)
{
	const struct stat_scope *scope = of->vm ? NULL : &host->scope;
	const struct stat_row *row;
	const void *where;

	for (size_t i = 0; of->vm && i < host->vms; i++) {
		if (strcmp(host->vm[i]->name, of->vm) == 0)
			scope = &host->vm[i]->stats;
	}
	if (!scope || !stat_find(scope, of->stat, &row, &where))
		return NAN;
	return (row->kind == STAT_REAL ? *(const double *)where
				       : (double)*(const uint64_t *)where) /
	       of->unit;
}

static void take_row(void *arg, const struct host *host, size_t row)
{
	struct curves *c = arg;

	for (size_t i = 0; i < c->columns; i++)
		c->cell[row * c->columns + i] = value_of(host, &c->of[i]);
}

static void take_end(void *arg, const struct host *host)
{
	struct curves *c = arg;

	for (size_t i = 0; i < c->columns; i++)
		c->end[i] = value_of(host, &c->of[i]);
}

int curves_run(struct job *job, struct curves *c, struct err *err)
{
	const struct watch watch = {
		.first_ns = c->step_ns / 2,
		.step_ns = c->step_ns,
		.rows = c->rows,
		.row = take_row,
		.end = take_end,
		.arg = c,
	};

	return watch_run(job, &watch, err);
}

int curves_take(struct curves *c, const char *base, const char *text, struct err *err)
{
	struct job *job;

	int rc = watch_job(base, text, &job, err);
	if (rc)
		return rc;
	rc = curves_new(c, err);
	if (rc == 0) {
		rc = curves_run(job, c, err);
		if (rc)
			curves_free(c);
	}
	job_free(job);
	return rc;
}

size_t curves_row(const struct curves *c, double minutes)
{
	double row = ceil(minutes * 6e10 / (double)c->step_ns - 0.5);

	return row <= 0 ? 0 : row >= (double)c->rows ? c->rows : (size_t)row;
}

double curves_mean(const struct curves *c, size_t column, double from, double until)
{
	double sum = 0;
	size_t n = 0;

	for (size_t row = curves_row(c, from); row < curves_row(c, until); row++) {
		if (isnan(curves_cell(c, row, column)))
			continue;
		sum += curves_cell(c, row, column);
		n++;
	}
	return n ? sum / (double)n : NAN;
}

double curves_least(const struct curves *c, size_t column, double from, double until)
{
	double least = NAN;

	for (size_t row = curves_row(c, from); row < curves_row(c, until); row++)
		least = fmin(least, curves_cell(c, row, column)); /* of a NAN, the other */
	return least;
}

double curves_most(const struct curves *c, size_t column, double from, double until)
{
	double most = NAN;

	for (size_t row = curves_row(c, from); row < curves_row(c, until); row++)
		most = fmax(most, curves_cell(c, row, column));
	return most;
}
