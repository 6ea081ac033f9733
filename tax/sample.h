/*
 * Working sets: how many of its pages does each VM use?
 *
 * Waldspurger 2002, section 5.3. A guest will not say, and must not be believed
 * if it did, so the host looks: at the accessed bits, or by taking the rights of
 * a few pages and waiting for the faults. A sampler sees nothing else, so that
 * it can be compared in cost with others; only `exact` is told the truth, to
 * score them by. An estimate counts pages of the VM's whole size, whatever part
 * of it has frames: a page that the guest does not use is not in use, be it
 * idle, swapped, given up or never touched.
 *
 * Why a liar gains nothing beyond its own limits: an estimate is at most the
 * VM's size, depends on the VM's own touches alone, and each VM has a random
 * stream of its own; what is done with it honours every other VM's minimum.
 *
 * The estimate is vm->active (vm_active()), always the latest; mrc also draws vm->curve.
 *
 * A period is of VM time, idle time included: in the paper's Fig. 6 an idle
 * guest's estimate goes on falling every 30 s. What a sampler costs is virtual
 * time of the VM that it samples. A part of its host, and of its one thread.
 */
#ifndef BALLAST_TAX_SAMPLE_H
#define BALLAST_TAX_SAMPLE_H

#include "core/opt.h"
#include "pmap/pmap.h"
#include "tax/alloc.h"

/* sample { } of a job file. */
struct sample_opts {
	const struct policy *sampler; /* of samplers[] */
	uint64_t period;	      /* ns */
	int64_t pages;		      /* esx: sampled per period */
	const struct policy *large;   /* esx: of large_cares[] */
	double slow, fast;	      /* esx: gains of the moving averages */
	int64_t mrc_pages;	      /* mrc: tracked at most */
	uint64_t mrc_tick;	      /* mrc: ns between two looks at a page */
	double mrc_flat;	      /* mrc: what the curve may still fall where it is flat */
	double mrc_fade;	      /* mrc: part of its counts lost each period */
	bool truth;		      /* run exact beside the sampler */
	uint64_t slice;		      /* exact: ns by which its window moves */
	uint64_t invalidate_time, fault_time, harvest_time; /* ns a page */
};

extern const struct opt_section sample_section;
extern const struct policy *const samplers[]; /* esx, abit, mrc, exact, none */

/* Whether this one of samplers[] draws miss curves. */
bool sampler_draws(const struct policy *sampler);

/* Whether the options go together, as read and after each that is set while it runs. */
MUST_CHECK int sampling_check(const struct sample_opts *opts, struct err *err);

/*
 * Makes the samplers a part of the host. With sampler none and no truth nobody
 * looks: there is no part.
 */
MUST_CHECK int sampling_open(struct host *host, struct pmap_part *pmaps,
			     const struct sample_opts *opts, struct err *err);

#endif
