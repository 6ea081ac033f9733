/* equal: the same for everyone who has shares at all, as far as min and max allow. */
#include "tax/private.h"

static int equal_targets(const struct alloc_ask *ask, uint64_t *target)
{
	return divide_by_price(ask, 0, true, target);
}

const struct allocator allocator_equal = {
	.policy = {"equal", "the same for each, whatever its shares"},
	.targets = equal_targets,
};
