/*
 * What a run leaves behind: the files of a result directory.
 *
 * series.csv has a row per sample of virtual time with every statistic that
 * its table marks for series; events.csv what happened, when, to whom and why;
 * both are gathered in memory and written at the end, each file whole or not
 * at all. Nothing here depends on the machine's speed.
 */
#ifndef BALLAST_EXPERIMENTS_RECORDING_H
#define BALLAST_EXPERIMENTS_RECORDING_H

#include "core/host.h"
#include "core/job.h"

struct recording;

/*
 * Hooks itself into the host's clock and events. sample_ns is the time between
 * rows; 0 chooses one that leaves 500 to 1000 rows, however long the run.
 */
MUST_CHECK int recording_new(struct host *host, uint64_t sample_ns, struct recording **recording,
			     struct err *err);
void recording_free(struct recording *recording);

/* Adds the last row; an error that came up on the way comes out here. */
MUST_CHECK int recording_finish(struct recording *recording, struct err *err);

MUST_CHECK int recording_write(const struct recording *recording, const char *dir, struct err *err);

/* Any JSON object as a file, indented, keys in their order. */
MUST_CHECK int recording_write_json(const char *dir, const char *name, const json_t *json,
				    struct err *err);

#endif
