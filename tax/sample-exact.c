/*
 * exact: how many distinct pages were touched within the last period, the window
 * moving by a slice. No host could afford it, so it costs nothing here: it is
 * the truth that the others are scored by.
 *
 * Each page has the number of the last slice in which it was touched, each slice
 * the number of pages that have it; the window's sum is the answer.
 */
#include "tax/sample_private.h"

#include <errno.h>

struct exact {
	uint32_t *last;	 /* [pages] slice of the last touch, from 1; 0: none */
	uint64_t *count; /* [slices] pages whose last touch was in that slice, by its number */
	uint32_t slices; /* of a window */
	uint32_t slice;	 /* the number of the one that bits now found belong to */
	uint64_t sum;	 /* of count[] */
};

static uint64_t interval(const struct sample_opts *opts)
{
	return opts->slice;
}

static int start(struct probe *p)
{
	struct exact *e = p->state;

	e->slices = (uint32_t)(p->opts->period / p->opts->slice);
	e->slice = 1;
	e->last = probe_alloc(p, p->pmap->pages * sizeof *e->last);
	e->count = probe_alloc(p, e->slices * sizeof *e->count);
	return e->last && e->count ? 0 : -ENOMEM;
}

static void stop(struct probe *p)
{
	struct exact *e = p->state;

	probe_free(p, e->last, p->pmap->pages * sizeof *e->last);
	probe_free(p, e->count, e->slices * sizeof *e->count);
}

static void touched(void *arg, ppn_t ppn)
{
	struct exact *e = arg;
	uint32_t *last = &e->last[ppn.n];

	if (*last && e->slice - *last < e->slices)
		e->count[*last % e->slices]--;
	else
		e->sum++;
	*last = e->slice;
	e->count[e->slice % e->slices]++;
}

uint64_t exact_count(struct probe *p)
{
	struct exact *e = p->state;

	pmap_harvest_accessed(p->pmap, (ppn_t){0}, p->pmap->pages, touched, e);
	return e->sum;
}

/* The slice is over; the oldest one falls out of the window as the next begins. */
static void tick(struct probe *p)
{
	struct exact *e = p->state;

	probe_found(p, exact_count(p));
	e->slice++;
	e->sum -= e->count[e->slice % e->slices];
	e->count[e->slice % e->slices] = 0;
}

const struct sampler sampler_exact = {
	.policy = {"exact", "the truth, free of charge: distinct pages of the last period"},
	.state_size = sizeof(struct exact),
	.interval = interval,
	.start = start,
	.stop = stop,
	.tick = tick,
};
