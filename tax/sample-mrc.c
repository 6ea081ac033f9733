/*
 * mrc: a miss-ratio curve by fixed-size SHARDS (Waldspurger, Park, Garthwaite,
 * Ahmad, "Efficient MRC construction with SHARDS", FAST 2015).
 *
 * A page is tracked if its hash is below a threshold T; when more than mrc_pages
 * were touched the one with the largest hash goes, and T falls to it. Tracked
 * pages are kept in the order of their last touch, so that a page's place is its
 * reuse distance, which stands for place / R pages, and its touch for 1 / R
 * touches, where R is the part of all hashes below T. A memory of c pages under
 * LRU misses the reuses at a distance of c or more.
 *
 * Touches are seen as faults, and a page that was touched is waited for again
 * from the next tick on: of its touches within a tick one counts, which hides
 * only reuses that any memory worth the name would catch. The counts lose the
 * part mrc_fade each period; the curve is of misses per period. Active is the
 * least memory at which it is flat: all but mrc_flat of the reuses would hit.
 */
#include "tax/sample_private.h"

#include <errno.h>
#include <string.h>

#define BINS	   64
#define FIRST_RATE 64 /* hashes below T at first: so many times mrc_pages, of the VM's pages */
#define UNIT	   20 /* binary places of a count */
#define GAIN_BITS  16

struct tracked {
	uint32_t page, hash;
};

struct mrc {
	struct tracked *lru; /* [room] the last touched first */
	uint32_t n, room;
	uint64_t threshold; /* of 2^32 */
	uint32_t salt, ticks;
	uint64_t step;		  /* pages of a bin */
	uint64_t reuse[BINS + 1]; /* by distance in steps; the last: first touches */
	uint64_t weight;	  /* periods that the counts are of, in GAIN_BITS */
	uint64_t misses[BINS + 1];
	struct miss_curve curve;
};

/* A bijective mix, so that every VM tracks pages of its own (Mueller's finalizer). */
static uint32_t hash(const struct mrc *m, uint32_t page)
{
	uint32_t x = page ^ m->salt;

	x = (x ^ x >> 16) * 0x45d9f3bu;
	x = (x ^ x >> 16) * 0x45d9f3bu;
	return x ^ x >> 16;
}

static uint64_t interval(const struct sample_opts *opts)
{
	return opts->mrc_tick;
}

static int start(struct probe *p)
{
	struct mrc *m = p->state;
	uint64_t pages = p->pmap->pages, most = (uint64_t)p->opts->mrc_pages;

	m->room = (uint32_t)min_u64(most, pages);
	m->salt = (uint32_t)rng_u64(&p->rng);
	m->threshold = min_u64(UINT64_C(1) << 32, (FIRST_RATE * most << 32) / pages);
	m->step = (pages + BINS - 1) / BINS;
	m->curve = (struct miss_curve){BINS + 1, m->step, m->misses};
	m->lru = probe_alloc(p, m->room * sizeof *m->lru);
	if (!m->lru)
		return -ENOMEM;
	p->vm->curve = &m->curve;
	for (uint32_t i = 0; i < pages; i++) {
		if (hash(m, i) < m->threshold)
			probe_sample(p, (ppn_t){i});
	}
	return 0;
}

static void stop(struct probe *p)
{
	struct mrc *m = p->state;

	p->vm->curve = NULL;
	probe_free(p, m->lru, m->room * sizeof *m->lru);
}

/* Room for one more: the largest hash goes, and with it all as large. */
static void shrink(struct mrc *m)
{
	uint32_t largest = 0;

	for (uint32_t i = 1; i < m->n; i++)
		largest = m->lru[i].hash > m->lru[largest].hash ? i : largest;
	m->threshold = m->lru[largest].hash;
	m->n--;
	memmove(&m->lru[largest], &m->lru[largest + 1], (m->n - largest) * sizeof *m->lru);
}

static void count(struct mrc *m, uint64_t place, bool first)
{
	uint64_t distance = (place << 32) / m->threshold,
		 bin = min_u64(distance / m->step, BINS - 1);

	m->reuse[first ? BINS : bin] += (UINT64_C(1) << (32 + UNIT)) / m->threshold;
}

static void touched(struct probe *p, ppn_t ppn)
{
	struct mrc *m = p->state;
	struct tracked t = {ppn.n, hash(m, ppn.n)};
	uint32_t at = 0;

	if (t.hash >= m->threshold)
		return;
	while (at < m->n && m->lru[at].page != t.page)
		at++;
	count(m, at, at == m->n);
	if (at == m->n && m->n == m->room) {
		shrink(m);
		if (t.hash >= m->threshold)
			return;
		at = m->n++;
	} else if (at == m->n) {
		m->n++;
	}
	memmove(&m->lru[1], &m->lru[0], at * sizeof *m->lru);
	m->lru[0] = t;
}

static void draw_curve(struct probe *p)
{
	struct mrc *m = p->state;
	unsigned __int128 sum = 0;
	uint32_t flat = BINS;

	for (uint32_t i = BINS + 1; i-- > 0;) {
		sum += m->reuse[i];
		m->misses[i] = (uint64_t)((sum << GAIN_BITS) / m->weight >> UNIT);
	}
	uint64_t reuses = m->misses[0] - m->misses[BINS];
	uint64_t left = (uint64_t)(p->opts->mrc_flat * (double)reuses);
	while (flat > 0 && m->misses[flat - 1] - m->misses[BINS] <= left)
		flat--;
	probe_found(p, min_u64(flat * m->step, p->pmap->pages));
}

static void fade(struct probe *p)
{
	struct mrc *m = p->state;
	uint64_t gain = (uint64_t)(p->opts->mrc_fade * (1 << GAIN_BITS));

	for (uint32_t i = 0; i <= BINS; i++)
		m->reuse[i] -= (m->reuse[i] >> GAIN_BITS) * gain;
	m->weight -= m->weight * gain >> GAIN_BITS;
}

static void tick(struct probe *p)
{
	struct mrc *m = p->state;

	if (++m->ticks == p->opts->period / p->opts->mrc_tick) {
		m->ticks = 0;
		m->weight += 1 << GAIN_BITS;
		draw_curve(p);
		fade(p);
	}
	for (uint32_t i = 0; i < m->n; i++) {
		if (!(pmap_peek(p->pmap, (ppn_t){m->lru[i].page}) & PTE_SAMPLED))
			probe_sample(p, (ppn_t){m->lru[i].page});
	}
}

const struct sampler sampler_mrc = {
	.policy = {"mrc",
		   "a miss-ratio curve of a few pages by hash (SHARDS); active where it is flat"},
	.state_size = sizeof(struct mrc),
	.watches = true,
	.interval = interval,
	.start = start,
	.stop = stop,
	.tick = tick,
	.touched = touched,
};
