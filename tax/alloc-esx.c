/* esx: min-funding revocation with the idle-memory tax (Waldspurger 2002, section 5.2). */
#include "tax/private.h"

static int esx_targets(const struct alloc_ask *ask, uint64_t *target)
{
	return divide_by_price(ask, ask->tax, false, target);
}

const struct allocator allocator_esx = {
	.policy = {"esx", "by shares per page, an idle page charged as 1 / (1 - tax)"},
	.taxes = true,
	.targets = esx_targets,
};
