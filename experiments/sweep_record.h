/*
 * What is kept of one run of a sweep, as a line of JSON: it crosses a pipe, or
 * lies in the file of a worker on another machine.
 *
 *   {"run": 17, "state": "done", "summary": {..}, "cpu_ns": 1, "wall_ns": 2, "node": "n1"}
 *   {"run": 18, "state": "failed", "error": "..", ..}
 *
 * Everything but the last three depends on the plan alone. A run that failed
 * may have a summary: a VM failed, and the others ran on.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_RECORD_H
#define BALLAST_EXPERIMENTS_SWEEP_RECORD_H

#include "experiments/sweep_plan.h"

#include <stdio.h>

struct record {
	uint64_t run;
	bool failed;
	char error[640]; /* empty unless failed */
	json_t *summary; /* NULL where there is none; owned */
	uint64_t cpu_ns, wall_ns;
	char node[65];
};

/* Does a run and fills in its record. The plan's job becomes the run's: for a process of its own.
 */
void record_run(const struct plan *plan, uint64_t run, struct record *record);

/* Writes the line. -errno if it did not arrive, or memory is short. */
MUST_CHECK int record_write(const struct record *record, FILE *out);

/* Reads one back; runs is how many there are. */
MUST_CHECK int record_read(const char *line, size_t size, uint64_t runs, struct record *record,
			   struct err *err);
void record_release(struct record *record);

/* One of a run that left none. */
void record_lost(uint64_t run, struct record *record, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
