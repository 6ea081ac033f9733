#include "traces/gen.h"

/* ---- phases -------------------------------------------------------------- */

struct phases {
	struct rng page, choice;
	uint64_t pages, set, life;
	uint64_t first, left; /* of the current phase: its first page, references to come */
};

static int phases_start(void *state, const struct gen_opts *opts, uint64_t index, struct err *err)
{
	struct phases *p = state;

	(void)err;
	p->pages = (uint64_t)opts->pages;
	p->set = (uint64_t)opts->set_pages;
	p->life = (uint64_t)opts->phase_refs;
	rng_init(&p->page, (uint64_t)opts->seed, "gen.page", index);
	rng_init(&p->choice, (uint64_t)opts->seed, "gen.choice", index);
	return 0;
}

static void phases_fill(void *state, uint64_t *page, size_t n)
{
	struct phases *p = state;

	for (size_t i = 0; i < n; i++) {
		if (p->left == 0) {
			p->first = rng_below(&p->choice, p->pages - p->set + 1);
			p->left = p->life;
		}
		p->left--;
		page[i] = p->first + rng_below(&p->page, p->set);
	}
}

const struct law law_phases = {
	.policy = {.name = "phases", .help = "a locality set that jumps, uniform within"},
	.size = sizeof(struct phases),
	.start = phases_start,
	.fill = phases_fill,
};

/* ---- drift --------------------------------------------------------------- */

struct drift {
	struct rng page, choice;
	uint64_t pages, set, life;
	uint64_t scan_below;   /* of 2^64 */
	uint64_t first, moved; /* the window; its progress in pages times life */
	uint64_t scan;
};

static int drift_start(void *state, const struct gen_opts *opts, uint64_t index, struct err *err)
{
	struct drift *d = state;

	(void)err;
	d->pages = (uint64_t)opts->pages;
	d->set = (uint64_t)opts->set_pages;
	d->life = (uint64_t)opts->phase_refs;
	d->scan_below = opts->scan_ratio >= 1 ? UINT64_MAX : (uint64_t)(opts->scan_ratio * 0x1p64);
	rng_init(&d->page, (uint64_t)opts->seed, "gen.page", index);
	rng_init(&d->choice, (uint64_t)opts->seed, "gen.choice", index);
	return 0;
}

/* The window moves by set / life pages a reference, in whole pages. */
static inline void move_window(struct drift *d)
{
	d->moved += d->set;
	if (d->moved >= d->life) {
		d->first = (d->first + d->moved / d->life) % d->pages;
		d->moved %= d->life;
	}
}

static void drift_fill(void *state, uint64_t *page, size_t n)
{
	struct drift *d = state;

	for (size_t i = 0; i < n; i++) {
		move_window(d);
		if (rng_u64(&d->choice) < d->scan_below) {
			page[i] = d->scan++;
			if (d->scan == d->pages)
				d->scan = 0;
		} else {
			uint64_t at = d->first + rng_below(&d->page, d->set);
			page[i] = at < d->pages ? at : at - d->pages;
		}
	}
}

const struct law law_drift = {
	.policy = {.name = "drift", .help = "a working set that wanders, with scans over all"},
	.size = sizeof(struct drift),
	.start = drift_start,
	.fill = drift_fill,
};
