/*
 * random: a frame chosen uniformly. ESX's choice (Waldspurger 2002, section
 * 3.3): it cannot conspire with the guest's own replacement, whatever that is.
 */
#include "swap/private.h"

struct random_state {
	struct victim_env env;
};

static int random_open(void *state, const struct victim_env *env)
{
	((struct random_state *)state)->env = *env;
	return 0;
}

static mpn_t random_pick(void *state)
{
	struct random_state *s = state;
	const struct host *host = s->env.host;
	uint32_t frames = host->machine.frames;
	uint32_t at = 0;

	/* Nearly always the first draw; where eligible frames are rare, the next from there. */
	for (int tries = 0; tries < 32; tries++) {
		at = (uint32_t)rng_below(&s->env.rng, frames);
		if (victim_eligible(&s->env, (mpn_t){at}))
			return (mpn_t){at};
	}
	for (uint32_t i = 0; i < frames; i++) {
		at = at + 1 == frames ? 0 : at + 1;
		if (victim_eligible(&s->env, (mpn_t){at}))
			return (mpn_t){at};
	}
	return MPN_NONE;
}

const struct victim victim_random = {
	.policy = {"random", "a frame chosen uniformly, as ESX does"},
	.state_size = sizeof(struct random_state),
	.open = random_open,
	.pick = random_pick,
};
