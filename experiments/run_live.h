/*
 * A job of live guests: the counterpart of what experiments/run.c does for
 * traces. The host is put together inside the process (experiments/liveparts.h),
 * guests are its children and die with it, and time is real.
 *
 * A guest that fails fails alone. Nothing here repeats itself to the byte. One
 * such run a process: SIGINT, SIGTERM and SIGHUP are its to handle until it is
 * closed; then guests have ended, and the signal does what it does.
 */
#ifndef BALLAST_EXPERIMENTS_RUN_LIVE_H
#define BALLAST_EXPERIMENTS_RUN_LIVE_H

#include "core/job.h"
#include "experiments/liveparts.h"
#include "traces/replay.h"

struct run_live;

/* Checks the job and this machine, and puts the host together. The job outlives it. */
MUST_CHECK int run_live_open(struct job *job, struct run_live **run, struct err *err);
void run_live_close(struct run_live *run);

struct host *run_live_host(const struct run_live *run);

/*
 * Starts the guests and manages them until live.time, or their end. progress,
 * or NULL, is told seconds; of 0 where the end is not known.
 */
MUST_CHECK int run_live_go(struct run_live *run, progress_fn *progress, void *arg, struct err *err);

/* Real time since run_live_go() began; the host's own clock loses what it is late. */
struct clock *run_live_clock(struct run_live *run);

/*
 * After the summary is made: ends the guests that are left, puts what they tell
 * at their end into it, and recounts everything.
 */
MUST_CHECK int run_live_end(struct run_live *run, json_t *summary, struct err *err);

/* The error of the first guest whose process failed, or NULL. */
const struct err *run_live_failed(const struct run_live *run);

/* Adds to run.json what the run ran on; and copies the guests' logs, guest-NAME.log. */
void run_live_tell(const struct run_live *run, json_t *provenance);
MUST_CHECK int run_live_logs(const struct run_live *run, const char *dir, struct err *err);

#endif
