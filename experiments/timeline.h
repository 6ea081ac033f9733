/*
 * What a job changes while it runs: its sections at TIME { }.
 *
 *   at 31min { set = "tax.rate=75%" }
 *   at 5min { add = db  set = {"vm.web.shares=500", "share.rate_vm=0"} }
 *   at 90s { remove = db }
 *
 * The title is the time. A VM that some section adds is not there before. The
 * whole timeline is gone through when the job is read, with every check that
 * the job as it stands then would have to pass, so that what it says can be done
 * when its time comes. What was read stays as it is: changes go into a copy,
 * and from there to the parts (struct part, changed), the VMs and the planner.
 */
#ifndef BALLAST_EXPERIMENTS_TIMELINE_H
#define BALLAST_EXPERIMENTS_TIMELINE_H

#include "core/job.h"
#include "experiments/terms.h"

struct timeline;

/* at TIME { } */
struct at_opts {
	char **set, **add, **remove;
};

extern const struct opt_section at_section;

/*
 * Reads and checks the timeline, and admits the VMs that are there from the
 * start: pages[i] is the i-th VM's size. frames and slots are the machine's and
 * the swap area's; they bind where thresholds have states.
 */
MUST_CHECK int timeline_new(const struct job *job, const uint32_t *pages, uint64_t frames,
			    uint64_t slots, struct timeline **timeline, struct err *err);
void timeline_free(struct timeline *timeline);

/* Whether the i-th VM comes later. */
bool timeline_adds(const struct timeline *timeline, size_t i);

/* The i-th VM's terms as they are now. */
const struct terms *timeline_terms(const struct timeline *timeline, size_t i);

/* Brings the i-th VM of the job into the host. */
typedef int timeline_add_fn(void *ctx, size_t i, struct vm **vm, struct err *err);

/* Takes away a VM that is there, or NULL: by vm_retire(), at once. */
typedef void timeline_remove_fn(void *ctx, size_t i, const char *reason);

/*
 * Arms that clock, the host's or that of a live run. vm[i] is the i-th VM of the job, or NULL while
 * it is to come; the timeline fills it in.
 */
MUST_CHECK int timeline_start(struct timeline *timeline, struct host *host, struct clock *clock,
			      struct vm **vm, timeline_add_fn *add, timeline_remove_fn *remove,
			      void *ctx, struct err *err);

/* After the run: the error that stopped it, if it was the timeline's; tells what was not reached.
 */
MUST_CHECK int timeline_finish(struct timeline *timeline, struct err *err);

#endif
