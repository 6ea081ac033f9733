/*
 * VMs whose memory the law `image` makes, run through the real manager: what
 * the experiments on sharing have in common.
 *
 * A fleet is options, a run of it a job made from its base (costs, machine)
 * with a gen and a vm section per VM. What is measured is read from the
 * manager: pages that are shared, frames that sharing saves, the virtual time
 * that sharing took by the cost model.
 */
#ifndef BALLAST_EXPERIMENTS_FLEET_H
#define BALLAST_EXPERIMENTS_FLEET_H

#include "core/err.h"
#include "core/job.h"

#include <jansson.h>

#define MB(pages) ((double)(pages) / 256)

/* Parts of a VM's pages (traces/gen.h). */
struct mix {
	double zero, copies, copy_contents, common, member;
};

struct fleet {
	const char *base; /* a job file, for data_path() */
	size_t vms;
	const uint32_t *pages; /* [vms] */
	struct mix mix;	       /* of each */
	uint64_t life;	       /* ns of computing after the boot */
	uint64_t pace;	       /* ns between touches */
	double write_ratio;    /* of touches */
	uint32_t set_pages;    /* rewritten; 0: an eighth */
	const char *scan;      /* share.scan */
	uint64_t rate_vm;      /* share.rate_vm: pages/s of each */
	uint64_t rate_total;   /* share.rate_total; 0: not bounded */
};

struct fleet_state {
	double shared, saved, zero; /* pages */
	double cpu_ns;		    /* of scanning and of breaking pages out again */
	double time_ns;		    /* mean over the VMs, or of the sample */
};

MUST_CHECK int fleet_job(const struct fleet *fleet, struct job **job, struct err *err);

/* Tells its job under that name (experiments/expect.h). */
MUST_CHECK int fleet_tell(const struct fleet *fleet, json_t *told, const char *name,
			  struct err *err);

/*
 * Runs it: *end, and n samples evenly over its life, the first after life / n;
 * n may be 0.
 */
MUST_CHECK int fleet_run(const struct fleet *fleet, struct fleet_state *end,
			 struct fleet_state *sample, size_t n, struct err *err);

#endif
