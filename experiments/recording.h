/*
 * What a run leaves behind: the files of a result directory.
 *
 * series.csv has a row per sample of virtual time with every statistic that
 * its table marks for series; events.csv what happened, when, to whom and why;
 * both are gathered in memory and written at the end. Nothing here
 * depends on the machine's speed, but for a live run, whose times are real.
 */
#ifndef BALLAST_EXPERIMENTS_RECORDING_H
#define BALLAST_EXPERIMENTS_RECORDING_H

#include "core/host.h"
#include "core/job.h"
#include "experiments/outdir.h"

struct recording;

/*
 * Hooks itself into the host's events, and into the clock whose times it tells: the
 * host's, or that of a live run. sample_ns is the time between
 * rows; 0 chooses one that leaves 500 to 1000 rows, however long the run.
 */
MUST_CHECK int recording_new(struct host *host, struct clock *clock, uint64_t sample_ns,
			     struct recording **recording, struct err *err);
void recording_free(struct recording *recording);

/* Adds the last row; an error that came up on the way comes out here. */
MUST_CHECK int recording_finish(struct recording *recording, struct err *err);

/* series.csv and events.csv. */
MUST_CHECK int recording_write(const struct recording *recording, struct outset *set,
			       struct err *err);

#endif
