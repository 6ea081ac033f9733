/*
 * Tasks that know nothing of each other, spread over the cores.
 *
 * A run is single-threaded; runs are parallel. Each task has a process of its
 * own, forked from this one, and sends its result back through a pipe; results
 * lie in the order of the tasks, whoever ends first. A task that fails, or
 * dies untold, ends the whole, and the others are stopped. Where this process is one
 * of a crew (experiments/crew.h), a task waits for a token of the crew's.
 */
#ifndef BALLAST_EXPERIMENTS_PARALLEL_H
#define BALLAST_EXPERIMENTS_PARALLEL_H

#include "core/err.h"

#define PARALLEL_RESULT_MAX 3072 /* bytes: a result and its error cross a pipe in one write */

/* Fills in *result; 0 or -errno. Runs in a child: it changes nothing of the parent's. */
typedef int task_fn(void *arg, size_t task, void *result, struct err *err);

struct tasks {
	size_t n;
	task_fn *run;
	void *arg;
	void *results; /* [n] of result_size bytes each */
	size_t result_size;
	void (*done)(void *arg, uint64_t done, uint64_t total); /* for a progress bar, or NULL */
	void *done_arg;
	size_t most;	  /* at once; 0: as many as there are cores */
	unsigned tick_ms; /* done is called at least so often; 0: where a task ends */
	/* Of a task whose process died; it counts as ended then. NULL: that ends the whole. */
	void (*died)(void *arg, size_t task, const char *why);
};

/* Cores that this process may use, at most PARALLEL_MOST. */
#define PARALLEL_MOST 64
size_t parallel_cores(void);

MUST_CHECK int parallel_run(const struct tasks *tasks, struct err *err);

/*
 * n tasks under a progress bar of that label, which counts runs; in a crew the bar is the
 * crew's. results: [n] of result_size bytes each.
 */
MUST_CHECK int parallel_each(const char *label, size_t n, task_fn *run, void *arg, void *results,
			     size_t result_size, struct err *err);

#endif
