/*
 * Experiments side by side: each in a process of its own, all of them together
 * on as many jobs as the user allows (experiments/crew.h).
 *
 * One that fails does not stop the others; what it had written stays. Outcomes
 * come in the order of the list, whichever ends first, so that what is printed
 * and written of them is the same every time, but for the seconds.
 */
#ifndef BALLAST_EXPERIMENTS_REPRODUCE_H
#define BALLAST_EXPERIMENTS_REPRODUCE_H

#include "experiments/expect.h"
#include "experiments/experiment.h"

struct outcome {
	const struct experiment *experiment;
	json_t *told;	/* with "title"; NULL: it failed */
	struct err err; /* exit_code 0: it did not fail */
	double seconds;
};

struct reproduction {
	const char *dir;
	const struct experiment *const *chosen;
	size_t n;
	size_t jobs; /* runs at once, 1 to PARALLEL_MOST */
	void (*ready)(void *arg, const struct outcome *outcome);
	void *arg;
};

/* outcome: [n], zeroed; freed by outcomes_free(), also on failure (which is of starting at all). */
MUST_CHECK int reproduce_all(const struct reproduction *r, struct outcome *outcome,
			     struct err *err);
void outcomes_free(struct outcome *outcome, size_t n);

/* DIR/index.html: all outcomes as one page that needs nothing else (experiments/page.c). */
MUST_CHECK int page_write(const char *dir, const struct outcome *outcome, size_t n,
			  struct err *err);

#endif
