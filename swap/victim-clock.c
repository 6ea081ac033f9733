/*
 * clock: a hand sweeps the frames; a page touched since the hand last came by
 * gets a second chance (Corbato 1968).
 */
#include "swap/private.h"

#include <endian.h>
#include <string.h>

struct clock_state {
	struct victim_env env;
	uint32_t hand, scout; /* frames */
};

static int clock_open(void *state, const struct victim_env *env)
{
	((struct clock_state *)state)->env = *env;
	return 0;
}

#define NEAR  16 /* frames that the scout is ahead at least, and at most */
#define FAR   64
#define GROUP 8 /* frames, a byte of machine.used each, that are looked at together */
#define ONES  UINT64_C(0x0101010101010101)

/*
 * Passes up to GROUP frames: those touched lose their mark, the first untouched
 * one is returned. Whether a page was touched is as good as random to the
 * processor, so there is no branch on any one of them.
 */
static inline mpn_t pass_group(struct clock_state *s, uint8_t *used)
{
	uint64_t marks;

	memcpy(&marks, &used[s->hand], GROUP);
	uint64_t untouched = ~le64toh(marks) & ONES;
	if (unlikely(!untouched)) {
		memset(&used[s->hand], 0, GROUP);
		s->hand += GROUP;
		return MPN_NONE;
	}
	unsigned passed = (unsigned)__builtin_ctzll(untouched) / 8;
	marks = htole64(le64toh(marks) & UINT64_MAX << 8 * passed);
	memcpy(&used[s->hand], &marks, GROUP);
	s->hand += passed + 1;
	return (mpn_t){s->hand - 1};
}

/* One frame; the marks of other VMs' pages are not this hand's to clear. */
static mpn_t pass_one(struct clock_state *s, uint8_t *used)
{
	mpn_t mpn = {s->hand++};
	bool touched = used[mpn.n];

	if (!victim_frame(&s->env, mpn))
		return MPN_NONE;
	used[mpn.n] = 0;
	return touched ? MPN_NONE : mpn;
}

/*
 * A scout goes ahead of the hand, from one untouched frame to the next, and fetches
 * the entries of their pages: most of them the hand will stop at, and none of them
 * was looked at for long. (Always inline: gcc takes a function that only prefetches
 * for one that does nothing.)
 */
static inline __attribute__((always_inline)) void fetch_ahead(struct clock_state *s,
							      const struct machine *m)
{
	uint32_t at = s->scout;
	uint64_t marks;

	if (unlikely(at - s->hand - NEAR >= FAR - NEAR))
		at = s->hand + NEAR;
	if (unlikely((uint64_t)at + GROUP > m->frames))
		return;
	memcpy(&marks, &m->used[at], GROUP);
	marks = ~le64toh(marks) & ONES;
	at += (unsigned)__builtin_ctzll(marks | UINT64_C(1) << 56) / 8;
	s->scout = at + 1;
	const struct frame f = m->frame[at];
	if (likely(frame_is_private(f)))
		__builtin_prefetch(&s->env.pmaps->pte[f.vm][f.ppn], 1);
}

static mpn_t clock_pick(void *state)
{
	struct clock_state *s = state;
	const struct machine *m = &s->env.host->machine;
	const uint32_t start = s->hand;

	fetch_ahead(s, m);
	/* In two laps every page is seen untouched once; if none is eligible, none exists. */
	for (uint64_t looks = 2 * (uint64_t)m->frames + GROUP; looks; looks--) {
		if (s->hand == m->frames)
			s->hand = 0;
		bool group = s->hand + GROUP <= m->frames && !s->env.only;
		mpn_t mpn = group ? pass_group(s, m->used) : pass_one(s, m->used);
		if (mpn_valid(mpn) && likely(victim_eligible(&s->env, mpn)))
			return mpn;
	}
	s->hand = start;
	return MPN_NONE;
}

const struct victim victim_clock = {
	.policy = {"clock", "second chance by accessed bits"},
	.track = TRACK_USED,
	.state_size = sizeof(struct clock_state),
	.open = clock_open,
	.pick = clock_pick,
};
