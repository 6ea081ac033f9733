/*
 * An axis of a sweep: a key of the job, and the values that it takes.
 *
 *   swap.victim=lru,clock,fifo    a list; in units, as in a job file
 *   host.memory=4mb:64mb:4mb      from, to, step: both ends are there if steps meet the end
 *   host.memory=4mb:64mb:*2       the same by a factor
 *   host.memory=4mb:8mb:1mb,64mb  numbers may mix both
 *   a.KEY+b.KEY=...               keys that take their values together
 *   vm.a.trace=one;two,three      a ';' anywhere separates instead of ','
 *
 * Every value passes opt_set() on a job when the axis is made, so that a bad
 * one is told before anything runs; a value is kept as opt_format() writes it,
 * so that "4096kb" and "4mb" are the same and a sweep means the same whoever
 * wrote it down.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_AXIS_H
#define BALLAST_EXPERIMENTS_SWEEP_AXIS_H

#include "core/job.h"

#define AXIS_VALUES_MAX 20000
#define AXIS_KEYS_MAX	64

struct axis {
	char *key;   /* as it was written */
	char **keys; /* [n_keys], what stands between its '+' */
	size_t n_keys;
	enum opt_type type; /* of the first key */
	size_t n;
	char **text;	/* [n] as a job file would say it */
	double *number; /* [n] in the base unit, NAN where the type is no number */
};

/* From "KEY=VALUES". The job is used to try each value, and changed by it. */
MUST_CHECK int axis_parse(const char *text, struct job *job, struct axis *axis, struct err *err);

/* From what was kept of one: the key and its texts, tried again. */
MUST_CHECK int axis_make(const char *key, const json_t *texts, struct job *job, struct axis *axis,
			 struct err *err);
void axis_release(struct axis *axis);

/* BYTES, TIME, INT or REAL: drawn along a scale. */
bool axis_numeric(const struct axis *axis);

/* Gives its keys their i-th value. */
MUST_CHECK int axis_apply(const struct axis *axis, size_t i, struct job *job, struct err *err);

/* Row and struct of a key ("vm.a.memory") that job_set() takes; false if there is none. */
bool job_key_find(const struct job *job, const char *key, const struct opt **opt,
		  const void **options);

#endif
