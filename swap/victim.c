/* Every victim policy, by name. */
#include "swap/private.h"

static mpn_t none_pick(void *state)
{
	(void)state;
	return MPN_NONE;
}

const struct victim victim_none = {
	.policy = {"none", "never: a VM that finds no free frame fails"},
	.state_size = sizeof(struct victim_env),
	.pick = none_pick,
};

const struct policy *const victims[] = {
	&victim_random.policy,	&victim_clock.policy,  &victim_lru.policy,  &victim_fifo.policy,
	&victim_wsclock.policy, &victim_s3fifo.policy, &victim_none.policy, NULL,
};
