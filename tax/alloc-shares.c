/* shares: pure proportional sharing, esx with a tax of 0; what is in use does not count. */
#include "tax/private.h"

static int shares_targets(const struct alloc_ask *ask, uint64_t *target)
{
	return divide_by_price(ask, 0, false, target);
}

const struct allocator allocator_shares = {
	.policy = {"shares", "by shares per page, without a tax"},
	.targets = shares_targets,
};
