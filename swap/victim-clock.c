/*
 * clock: a hand sweeps the frames; a page touched since the hand last came by
 * gets a second chance (Corbato 1968).
 */
#include "swap/private.h"

#define AHEAD 8 /* frames ahead of the hand whose entries are fetched */

struct clock_state {
	struct victim_env env;
	uint32_t hand;
};

static int clock_open(void *state, const struct victim_env *env)
{
	((struct clock_state *)state)->env = *env;
	return 0;
}

static void fetch_ahead(const struct host *host, uint32_t hand)
{
	const struct machine *m = &host->machine;

	if (hand + AHEAD < m->frames && m->frame[hand + AHEAD].vm < FRAME_OVERHEAD &&
	    m->frame[hand + AHEAD].refs == 1)
		__builtin_prefetch(victim_entry(host, (mpn_t){hand + AHEAD}), 1);
}

static mpn_t clock_pick(void *state)
{
	struct clock_state *s = state;
	const struct host *host = s->env.host;
	uint32_t frames = host->machine.frames;

	/* Two laps see every page untouched once; if none is eligible, none exists. */
	for (uint64_t i = 0; i < 2 * (uint64_t)frames; i++) {
		mpn_t mpn = {s->hand};
		fetch_ahead(host, s->hand);
		s->hand = s->hand + 1 == frames ? 0 : s->hand + 1;
		if (!victim_eligible(host, s->env.only, mpn))
			continue;
		pte_t *e = victim_entry(host, mpn);
		if (!(*e & PTE_ACCESSED))
			return mpn;
		*e &= ~PTE_ACCESSED;
	}
	return MPN_NONE;
}

const struct victim victim_clock = {
	.policy = {"clock", "second chance by accessed bits"},
	.state_size = sizeof(struct clock_state),
	.open = clock_open,
	.pick = clock_pick,
};
