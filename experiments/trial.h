/*
 * One run of an experiment: a job from a file of the program's and what is said
 * on top of it, driven to its end.
 */
#ifndef BALLAST_EXPERIMENTS_TRIAL_H
#define BALLAST_EXPERIMENTS_TRIAL_H

#include "experiments/run.h"

/* base: the program's own file (data_path()); text: in a job file's syntax. */
MUST_CHECK int trial_job(const char *base, const char *text, struct job **job, struct err *err);

/* Runs the job to its end; a VM that failed is an error. run_close() is the caller's. */
MUST_CHECK int trial_run(struct job *job, struct run **run, struct err *err);

/* A statistic of the VM's that is no real number; NAN if it has none of that name. */
double trial_stat(const struct vm *vm, const char *name);

#endif
