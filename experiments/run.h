/*
 * A run: a job made into a host with its VMs, driven to its end, and told.
 *
 * The one place that knows every part: it opens machine, pmap, sharing and
 * swap, finds each VM's source of references, and resolves the sizes that a job
 * leaves out. A job of live guests it hands on to experiments/run_live.h. What it writes (summary,
 * series, events, resolved job) depends on job, seed and version alone; figures of speed are
 * printed and never written.
 */
#ifndef BALLAST_EXPERIMENTS_RUN_H
#define BALLAST_EXPERIMENTS_RUN_H

#include "core/job.h"
#include "core/oracle.h"
#include "experiments/sections.h"
#include "sharing/sharing.h"
#include "swap/swap.h"
#include "tax/sample.h"
#include "traces/replay.h"

struct run;

/* Checks the job as a whole and builds the host. The job outlives the run. */
MUST_CHECK int run_open(struct job *job, struct run **run, struct err *err);
void run_close(struct run *run);

/*
 * Drives every VM to its end. 0, or -errno with the error of the run; a VM
 * that failed alone is in run_failed(). progress may be NULL.
 */
MUST_CHECK int run_go(struct run *run, progress_fn *progress, void *arg, struct err *err);

/* The error of the first VM that failed, or NULL. */
const struct err *run_failed(const struct run *run);

struct host *run_host(struct run *run);

/* The clock that times of the job mean: the host's, or the real one of live guests. */
struct clock *run_clock(struct run *run);

bool run_is_live(const struct run *run);

/* CPU time of run_go() in ns, decoding included. */
uint64_t run_cpu_ns(const struct run *run);

/* {"host": {..}, "vm": {"a": {..}}}: the statistics, the same for the same job. */
json_t *run_summary(const struct run *run);

/* run.json, summary.json, series.csv, events.csv into a folder that exists. */
MUST_CHECK int run_write(const struct run *run, const char *dir, struct err *err);

#endif
