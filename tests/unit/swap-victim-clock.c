#include "victims.h"

/*
 * The hand goes round; a page referenced since it last came by is spared this
 * once. A hand that finds nothing stays where it was.
 */
static mpn_t clock_twin(struct rig *r)
{
	const uint32_t frames = r->m->frames, start = r->hand;

	for (uint32_t looked = 0; looked <= 2 * frames; looked++) {
		uint32_t at = r->hand;
		const struct frame f = r->m->frame[at];
		r->hand = (r->hand + 1) % frames;
		if (!r->noted[at].mapped || (r->env.only && f.vm != r->env.only->id))
			continue;
		if (!r->noted[at].referenced && rig_eligible(r, at))
			return (mpn_t){at};
		r->noted[at].referenced = false;
	}
	r->hand = start;
	return MPN_NONE;
}

static void equals_its_twin(void)
{
	rig_compare(&victim_clock, clock_twin, NULL);
}

static void none_eligible(void)
{
	rig_none_eligible(&victim_clock);
}

TESTS("swap/victim-clock", {"equals its twin", equals_its_twin}, {"none eligible", none_eligible})
