/*
 * mom: the rules that oVirt's Memory Overcommitment Manager ships with, as a
 * step every 10 s from what each guest has now.
 *
 * It knows no shares. While a fifth of the host is free each guest grows by a
 * twentieth. Else each shrinks, by a twentieth at most, towards what it uses
 * plus a part of itself as large as the free part of the host; when no more
 * than a twentieth of the host is free, a twentieth less than that, which makes
 * it swap. Changes up to 1/400 are not worth it. What MOM asks the guest for
 * as used is the claim's active part here; min holds in any case, though the
 * rules' first edition let a guest fall below it.
 */
#include "tax/private.h"

typedef unsigned __int128 wide_t;

#define PRESSURE     5	 /* under pressure below 1/5 of the host free */
#define CRITICAL     20	 /* critical up to 1/20 */
#define LEAST_FREE   5	 /* 1/5 of a guest's maximum stays free while it grows */
#define CHANGE_MOST  20	 /* 1/20 of what it has, a step */
#define CHANGE_LEAST 400 /* more than 1/400, or not at all */

static uint64_t clamp(uint64_t pages, const struct claim *c)
{
	return max_u64(c->min, min_u64(pages, c->max));
}

static uint64_t grown(const struct claim *c, uint64_t used)
{
	return max_u64(c->pages + c->pages / CHANGE_MOST, used + c->max / LEAST_FREE);
}

static uint64_t shrunk(const struct claim *c, uint64_t used, uint64_t spare, uint64_t memory)
{
	uint64_t wants = used;

	if (spare) /* and so memory */
		wants += (uint64_t)((wide_t)c->pages * spare / memory);
	if ((wide_t)spare * CRITICAL <= memory)
		wants -= min_u64(wants, c->pages / CRITICAL);
	return min_u64(c->pages, max_u64(wants, c->pages - c->pages / CHANGE_MOST));
}

static int mom_targets(const struct alloc_ask *ask, uint64_t *target)
{
	uint64_t held = 0, spare;

	for (size_t i = 0; i < ask->n; i++)
		held += ask->claims[i].pages;
	spare = ask->memory - min_u64(held, ask->memory);
	for (size_t i = 0; i < ask->n; i++) {
		const struct claim *c = &ask->claims[i];
		uint64_t used = min_u64(c->active, c->pages), pages;

		if (spare && (wide_t)spare * PRESSURE >= ask->memory)
			pages = grown(c, used);
		else
			pages = shrunk(c, used, spare, ask->memory);
		pages = clamp(pages, c);
		uint64_t change = pages > c->pages ? pages - c->pages : c->pages - pages;
		target[i] = change > c->pages / CHANGE_LEAST ? pages : clamp(c->pages, c);
	}
	return 0;
}

const struct allocator allocator_mom = {
	.policy = {"mom", "oVirt's rules: each guest steps by the host's free part"},
	.gradual = true,
	.targets = mom_targets,
};
