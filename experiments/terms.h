/*
 * A VM's terms: its min, max, shares and overhead, as its section says or as
 * they follow from its size and the host's thresholds.
 *
 * Where thresholds have no states nobody would heed them: then they, and the
 * sections tax and reclaim, are refused if they are given.
 */
#ifndef BALLAST_EXPERIMENTS_TERMS_H
#define BALLAST_EXPERIMENTS_TERMS_H

#include "core/job.h"
#include "experiments/sections.h"
#include "tax/admit.h"

struct terms {
	struct promise promise;
	uint32_t shares;
};

/*
 * The terms of the i-th VM of the job, which has so many pages. Unless given:
 * min 0, max its size, shares 10 a MB (as ESX Server 2 has it), overhead
 * 32 MB where thresholds have states (Waldspurger 2002, section 6.2) and else 0.
 */
MUST_CHECK int terms_of(const struct job *job, size_t i, uint32_t pages, struct terms *terms,
			struct err *err);

/* Makes them the VM's. */
void terms_give(const struct terms *terms, struct vm *vm);

/* Whether what is given is heeded; the message has the place and the mend. */
MUST_CHECK int terms_heeded(const struct job *job, struct err *err);

/* Whether the user gave the key, in a file, with -s or by the timeline. */
bool job_gives(const struct job *job, const void *options, const char *key);

#endif
