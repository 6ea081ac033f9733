/* none: asks nobody for anything. The control arm: what fits is not its business. */
#include "tax/private.h"

static int none_targets(const struct alloc_ask *ask, uint64_t *target)
{
	for (size_t i = 0; i < ask->n; i++)
		target[i] = ask->claims[i].max;
	return 0;
}

const struct allocator allocator_none = {
	.policy = {"none", "the maximum for each, whether it fits or not"},
	.targets = none_targets,
};
