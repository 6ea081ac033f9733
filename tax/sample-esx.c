/*
 * esx: n random pages a period (Waldspurger 2002, section 5.3).
 *
 * Of n pages drawn uniformly, whose mappings are invalidated at the start of a
 * period, t are touched in it: t / n is the part of the VM that is active, with
 * a standard error of sqrt(f (1 - f) / n). Two moving averages x += gain (t / n
 * - x) follow it; a third is the fast one as it would be if the period ended
 * now, so that a rise is seen at once. The estimate is the greatest of the
 * three: memory is given quickly and taken slowly. The gains are not printed;
 * 1/4 and 3/4 are what the paper's Fig. 6 is consistent with. Before the first
 * period has ended there is no average, and t / n itself is the estimate.
 */
#include "tax/sample_private.h"

#include <errno.h>

#define WHOLE	   (1u << 30) /* fractions of the VM */
#define GAIN_WHOLE (1u << 16)

struct esx {
	ppn_t *page; /* [n] of this period */
	uint32_t n, touched;
	uint32_t spared;	 /* of n: of large pages that are left alone (sample.large) */
	int64_t slow, fast, now; /* in 1 / WHOLE */
	bool started;		 /* a period has ended */
	uint64_t slow_pages, fast_pages;
};

#define STAT(field) offsetof(struct esx, field)

static const struct stat_row esx_rows[] = {
	{"active_slow", STAT_GAUGE, "pages", STAT(slow_pages), true,
	 "the slow moving average of what sampling found"},
	{"active_fast", STAT_GAUGE, "pages", STAT(fast_pages), true,
	 "the fast one as it would be if the period ended now"},
	{NULL},
};

static uint64_t pages_of(const struct probe *p, int64_t fraction)
{
	return ((uint64_t)fraction * p->pmap->pages + WHOLE / 2) / WHOLE;
}

static void step(int64_t *average, int64_t found, double gain)
{
	*average += (found - *average) * (int64_t)(gain * GAIN_WHOLE) / GAIN_WHOLE;
}

static void estimate(struct probe *p)
{
	struct esx *e = p->state;
	int64_t found = (int64_t)e->touched * WHOLE / e->n, most;

	e->now = e->started ? e->fast : found;
	step(&e->now, found, p->opts->fast);
	most = e->now > e->fast ? e->now : e->fast;
	most = most > e->slow ? most : e->slow;
	probe_found(p, pages_of(p, most));
	e->slow_pages = pages_of(p, e->slow);
	e->fast_pages = pages_of(p, e->now);
}

static void sample(struct probe *p, ppn_t ppn)
{
	struct esx *e = p->state;

	e->page[e->touched++] = ppn; /* counts those drawn, for now */
	if (large_spared(p->pmap, ppn, p->opts->large))
		e->spared++; /* it may be in use: nobody looks */
	else
		probe_sample(p, ppn);
}

/* Draws n different pages, each set of n as likely as any other. */
static void draw(struct probe *p)
{
	struct esx *e = p->state;
	uint32_t pages = p->pmap->pages;

	e->touched = e->spared = 0;
	if (e->n > pages / 2) { /* selection sampling: a page in turn, as many as are needed */
		for (uint32_t i = 0; e->touched < e->n; i++) {
			if (rng_below(&p->rng, pages - i) < e->n - e->touched)
				sample(p, (ppn_t){i});
		}
	}
	while (e->touched < e->n) {
		ppn_t ppn = {(uint32_t)rng_below(&p->rng, pages)};
		if (!(pmap_peek(p->pmap, ppn) & PTE_SAMPLED))
			sample(p, ppn);
	}
	e->touched = e->spared;
}

/* As many as the option says; -ENOMEM leaves it as it is. */
static int resize(struct probe *p)
{
	struct esx *e = p->state;
	uint32_t n = (uint32_t)min_u64((uint64_t)p->opts->pages, p->pmap->pages);

	if (n == e->n)
		return 0;
	ppn_t *page = probe_alloc(p, n * sizeof *page);
	if (!page)
		return -ENOMEM;
	probe_free(p, e->page, e->n * sizeof *e->page);
	e->page = page;
	e->n = n;
	return 0;
}

static int start(struct probe *p)
{
	if (resize(p))
		return -ENOMEM;
	draw(p);
	return 0;
}

static void stop(struct probe *p)
{
	struct esx *e = p->state;

	probe_free(p, e->page, e->n * sizeof *e->page);
}

static void tick(struct probe *p)
{
	struct esx *e = p->state;
	int64_t found = (int64_t)e->touched * WHOLE / e->n;

	if (!e->started)
		e->slow = e->fast = found;
	e->started = true;
	step(&e->slow, found, p->opts->slow);
	step(&e->fast, found, p->opts->fast);
	for (uint32_t i = 0; i < e->n; i++)
		pmap_unsample(p->pmap, e->page[i]);
	(void)!resize(p);
	draw(p);
	estimate(p);
}

static void touched(struct probe *p, ppn_t ppn)
{
	struct esx *e = p->state;

	(void)ppn;
	e->touched++;
	estimate(p);
}

const struct sampler sampler_esx = {
	.policy = {"esx",
		   "the next touches of random pages, moving averages, the greatest of three"},
	.state_size = sizeof(struct esx),
	.rows = esx_rows,
	.watches = true,
	.interval = sample_period,
	.start = start,
	.stop = stop,
	.tick = tick,
	.touched = touched,
};
