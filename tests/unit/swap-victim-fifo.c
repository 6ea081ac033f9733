#include "victims.h"

/* The frame that was mapped first. */
static mpn_t fifo_twin(struct rig *r)
{
	mpn_t first = MPN_NONE;

	for (uint32_t i = 0; i < r->m->frames; i++) {
		if (rig_eligible(r, i) &&
		    (!mpn_valid(first) || r->noted[i].mapped < r->noted[first.n].mapped))
			first.n = i;
	}
	return first;
}

static void equals_its_twin(void)
{
	rig_compare(&victim_fifo, fifo_twin, NULL);
}

static void none_eligible(void)
{
	rig_none_eligible(&victim_fifo);
}

TESTS("swap/victim-fifo", {"equals its twin", equals_its_twin}, {"none eligible", none_eligible})
