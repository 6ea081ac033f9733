/*
 * abit: all accessed bits, read and cleared at the end of each period. Exact for
 * the period that has ended, and late: a rise shows when its period is over.
 * What it costs grows with the VM and not with its use.
 */
#include "tax/sample_private.h"

/* Who knows the truth is the bits' one reader; its window is the same period. */
static void tick(struct probe *p)
{
	uint32_t n = p->pmap->pages;

	probe_found(p, p->truth ? exact_count(p->truth)
				: pmap_harvest_accessed(p->pmap, (ppn_t){0}, n, NULL, NULL));
	p->stats.harvested += n;
	probe_charge(p, n, p->opts->harvest_time);
}

const struct sampler sampler_abit = {
	.policy = {"abit", "every page's accessed bit, read and cleared each period"},
	.interval = sample_period,
	.tick = tick,
};
