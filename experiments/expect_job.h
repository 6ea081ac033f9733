/*
 * What a job says must hold: its expect sections.
 *
 *   expect fits { of = "vm.a.faults"  value = 6418  within = 1%  source = "by hand" }
 *   expect early { of = "host.free"  at = 10s  relation = at-least  value = 100 }
 *
 * Each is a statistic of a run, read at its time or at the end, and judged as
 * the experiments' expectations are (experiments/expect.h). Names are checked
 * before the run begins, as far as VMs are there by then.
 */
#ifndef BALLAST_EXPERIMENTS_EXPECT_JOB_H
#define BALLAST_EXPERIMENTS_EXPECT_JOB_H

#include "core/host.h"
#include "core/job.h"

#include <jansson.h>

extern const struct opt_section expect_section;
extern const struct policy *const relations[];

struct expecting;

/* Sets its timers in the clock. Job, host and clock outlive it. *out is NULL if there is none. */
MUST_CHECK int expecting_open(const struct job *job, struct host *host, struct clock *clock,
			      struct expecting **out, struct err *err);

/* After the run: judges all of them into told, those of the end by the run's summary. */
void expecting_tell(const struct expecting *e, const json_t *summary, json_t *told);
void expecting_close(struct expecting *e);

#endif
