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

static mpn_t clock_pick(void *state)
{
	struct clock_state *s = state;
	const struct pmap_part *pmaps = s->env.pmaps;
	const struct frame *frame = pmaps->host->machine.frame;
	const uint32_t frames = pmaps->host->machine.frames;
	uint32_t hand = s->hand;

	/* Two laps see every page untouched once; if none is eligible, none exists. */
	for (uint64_t i = 0; i < 2 * (uint64_t)frames; i++) {
		mpn_t mpn = {hand};
		hand = hand + 1 == frames ? 0 : hand + 1;
		const struct frame ahead = frame[hand + AHEAD < frames ? hand + AHEAD : 0];
		if (likely(frame_is_private(ahead)))
			__builtin_prefetch(&pmaps->pte[ahead.vm][ahead.ppn], 1);
		if (!victim_frame(&s->env, mpn))
			continue;
		pte_t *e = victim_entry(&s->env, mpn);
		if (!(*e & (PTE_ACCESSED | PTE_PINNED))) {
			s->hand = hand;
			return mpn;
		}
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
