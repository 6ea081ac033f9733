/*
 * The planner: turns VMs into claims and an allocator's answer into targets.
 *
 * A VM's claim is its min, max and shares, and as active what the sampler
 * estimates (all that it may have where there is none; nothing once its guest
 * has ended). What is divided is host_divisible(): the frames less the overhead
 * less what reclaiming keeps free, plus what sharing saves. The minimums are
 * promised by admission (tax/admit.h), so where they add up to more than there
 * is to divide each VM's target is its min, and the free frames pay.
 *
 * Owns the section tax { } of a job; knows nothing of how a page is reclaimed.
 */
#ifndef BALLAST_TAX_TAX_H
#define BALLAST_TAX_TAX_H

#include "core/reclaim.h"

struct tax_opts {
	const struct policy *alloc; /* of allocators[] */
	double rate;		    /* of idle memory; below 1 */
	uint64_t period;	    /* ns */
};

extern const struct opt_section tax_section;

struct tax;

/*
 * Makes the tax a part and the planner of a host that has a reclaim loop. Without
 * one nobody heeds a target: there is no part, and *tax is NULL.
 */
MUST_CHECK int tax_open(struct host *host, const struct tax_opts *opts, struct tax **tax,
			struct err *err);

#endif
