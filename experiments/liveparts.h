/*
 * A live host's parts, put together: what `ballast host` and a live job have in
 * common (experiments/livehost.h, experiments/run_live.h). The counterpart of
 * experiments/run.h, which puts them together for traces.
 *
 * The job's sections say which policies there are; those that a live guest
 * gives nothing to go by are refused. One thread.
 */
#ifndef BALLAST_EXPERIMENTS_LIVEPARTS_H
#define BALLAST_EXPERIMENTS_LIVEPARTS_H

#include "balloon/balloon.h"
#include "core/job.h"
#include "live/live.h"
#include "sharing/sharing.h"
#include "swap/swap.h"

struct liveparts {
	struct host *host; /* the others are its parts; host_free() frees all */
	struct sharing *sharing;
	struct swap *swap;	 /* NULL: not among host.reclaimers */
	struct balloon *balloon; /* the same */
	struct live *live;
	uint64_t slots; /* of the swap area */
};

/* What can be refused without looking at the machine: policies. */
MUST_CHECK int liveparts_check(const struct job *job, struct err *err);

/*
 * Opens them; agents is where agents connect. kept: the keeper's, or NULL. On
 * failure parts->host may be there, and is the caller's to free.
 */
MUST_CHECK int liveparts_open(struct job *job, const char *agents, struct kept *kept,
			      struct liveparts *parts, struct err *err);

/* Asks every guest to end, gives them some seconds, and kills who is left. */
MUST_CHECK int liveparts_end(const struct liveparts *parts, struct err *err);

#endif
