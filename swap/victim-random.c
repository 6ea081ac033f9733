/*
 * random: a frame chosen uniformly. ESX's choice (Waldspurger 2002, section
 * 3.3): it cannot conspire with the guest's own replacement, whatever that is.
 */
#include "swap/private.h"

#define AHEAD 16 /* draws */

struct random_state {
	struct victim_env env;
	uint32_t drawn[AHEAD]; /* the next ones, whose frames are on their way to the cache */
	uint32_t next;
};

static int random_open(void *state, const struct victim_env *env)
{
	struct random_state *s = state;

	s->env = *env;
	for (s->next = 0; s->next < AHEAD; s->next++)
		s->drawn[s->next] = (uint32_t)rng_below(&s->env.rng, env->host->machine.frames);
	s->next = 0;
	return 0;
}

/*
 * The next draw. Fetches the frame of the last of those ahead, and what eviction
 * will want to know of one halfway there. (Always inline: gcc takes a function
 * that only prefetches for one that does nothing.)
 */
static inline __attribute__((always_inline)) uint32_t draw(struct random_state *s)
{
	const struct machine *m = &s->env.host->machine;
	uint32_t *place = &s->drawn[s->next++ % AHEAD], at = *place;
	const mpn_t soon = {s->drawn[(s->next + AHEAD / 2) % AHEAD]};

	*place = (uint32_t)rng_below(&s->env.rng, m->frames);
	__builtin_prefetch(&m->frame[*place]);
	if (victim_frame(&s->env, soon)) {
		__builtin_prefetch(victim_entry(&s->env, soon), 1);
		__builtin_prefetch(&s->env.copy[soon.n], 1);
		if (m->ids)
			__builtin_prefetch(&m->ids[soon.n]);
	}
	return at;
}

static mpn_t random_pick(void *state)
{
	struct random_state *s = state;
	const struct host *host = s->env.host;
	uint32_t frames = host->machine.frames;
	uint32_t at = 0;

	/* Nearly always the first draw; where eligible frames are rare, the next from there. */
	for (int tries = 0; tries < 32; tries++) {
		at = draw(s);
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
