/*
 * Sweeps that come with the program: experiments/sweeps/sweeps.json, each with
 * a question, the job, axes, seeds and metrics, and the answer, whose figures are
 * those of the runs (experiments/sweep_answer.h).
 * `ballast sweep @NAME` runs one, `ballast sweep --list` names them.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_READY_H
#define BALLAST_EXPERIMENTS_SWEEP_READY_H

#include "experiments/sweep_table.h"

#include <limits.h>

/* All of them, an array; NULL with an error. */
json_t *ready_all(struct err *err);

struct ready {
	json_t *entry;	   /* owned */
	const char **vary; /* owned: its axes, where the user gave none */
	char job[PATH_MAX];
	const char *pareto; /* may be NULL */
};

/* The one of that name, its axes and metrics put where there are none yet. */
MUST_CHECK int ready_find(const char *name, struct plan_args *args, struct metrics *metrics,
			  struct ready *ready, struct err *err);
void ready_release(struct ready *ready);

#endif
