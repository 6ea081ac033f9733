/*
 * lru: exactly the page unused for longest, at the price of one store per hit.
 *
 * A list that moves on every hit would cost four random writes a reference.
 * Instead each frame has a stamp, the number of its last reference. When
 * victims are wanted, the frames with the oldest stamps are gathered and sorted
 * into a queue. The argument: whatever is touched later gets a stamp newer than
 * all in the queue, so the first queued frame whose stamp has not changed is
 * the least recently used of all. Entries that were touched are skipped; an
 * empty queue is gathered anew. A page unpinned counts from the next gathering
 * on, unless it is touched. With an eighth of the frames gathered at a time, a
 * victim costs some ten stamps read in sequence.
 */
#include "swap/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_FRAMES 128 /* up to so many frames, a scan for the minimum is cheaper */
#define SAMPLES	    512
#define RADIX_BITS  11
#define RADIX	    (1u << RADIX_BITS)

struct lru_state {
	struct victim_env env;
	uint64_t *queue, *spare; /* [room] order << 32 | MPN, oldest first; spare for sorting */
	uint32_t room;
	uint32_t head, n; /* queue[head..n) is still to be looked at */
	uint32_t epoch;	  /* of the stamps in the queue */
};

static int lru_open(void *state, const struct victim_env *env)
{
	struct lru_state *s = state;

	s->env = *env;
	if (env->host->machine.frames <= SCAN_FRAMES)
		return 0;
	s->room = env->host->machine.frames / 4;
	s->queue = meter_alloc(&env->host->meter, s->room * sizeof *s->queue);
	s->spare = meter_alloc(&env->host->meter, s->room * sizeof *s->spare);
	return s->queue && s->spare ? 0 : -ENOMEM;
}

static void lru_close(void *state)
{
	struct lru_state *s = state;

	meter_free(&s->env.host->meter, s->queue, s->room * sizeof *s->queue);
	meter_free(&s->env.host->meter, s->spare, s->room * sizeof *s->spare);
}

/* The place of a frame in order of last use; free frames, whose stamp is 0, come last. */
static uint32_t order(const struct machine *m, uint32_t mpn)
{
	return m->stamp[mpn] - 1;
}

static mpn_t scan_for_oldest(const struct lru_state *s)
{
	const struct machine *m = &s->env.host->machine;
	uint32_t oldest = UINT32_MAX;
	mpn_t found = MPN_NONE;

	for (uint32_t i = 0; i < m->frames; i++) {
		if (order(m, i) < oldest && victim_eligible(&s->env, (mpn_t){i})) {
			oldest = order(m, i);
			found.n = i;
		}
	}
	return found;
}

static int by_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The order below which about `share` of the used frames lie, from an even sample. */
static uint32_t order_quantile(const struct machine *m, double share)
{
	uint32_t sample[SAMPLES], n = 0, stride = m->frames / SAMPLES + 1;

	for (uint32_t i = 0; i < m->frames; i += stride) {
		if (m->stamp[i] != STAMP_FREE)
			sample[n++] = order(m, i);
	}
	uint32_t rank = (uint32_t)(share * n);
	if (rank >= n)
		return UINT32_MAX - 1;
	qsort(sample, n, sizeof sample[0], by_order);
	return sample[rank];
}

/*
 * Queues every eligible frame up to *limit in order, unsorted. Where they
 * are more than there is room for, lowers *limit to half way down to the oldest
 * seen and says false; that one is eligible and stays, so it ends. Pages that
 * were mapped together and never touched are of one age.
 */
static bool gather(struct lru_state *s, uint32_t *limit)
{
	const struct machine *m = &s->env.host->machine;
	uint32_t oldest = *limit;

	s->head = s->n = 0;
	for (uint32_t i = 0; i < m->frames; i++) {
		if (order(m, i) > *limit || !victim_eligible(&s->env, (mpn_t){i}))
			continue;
		oldest = order(m, i) < oldest ? order(m, i) : oldest;
		if (s->n == s->room) {
			if (oldest == *limit)
				continue; /* all of one age, of which there are enough */
			*limit = oldest + (*limit - oldest) / 2;
			return false;
		}
		s->queue[s->n++] = (uint64_t)order(m, i) << 32 | i;
	}
	return true;
}

static void radix_pass(const uint64_t *from, uint64_t *to, uint32_t n, unsigned shift)
{
	uint32_t at[RADIX] = {0}, sum = 0;

	for (uint32_t i = 0; i < n; i++)
		at[from[i] >> shift & (RADIX - 1)]++;
	for (uint32_t d = 0; d < RADIX; d++) {
		uint32_t count = at[d];
		at[d] = sum;
		sum += count;
	}
	for (uint32_t i = 0; i < n; i++)
		to[at[from[i] >> shift & (RADIX - 1)]++] = from[i];
}

/* Sorts the queue by stamp; the passes cover only the bits in which stamps differ. */
static void sort_queue(struct lru_state *s)
{
	uint64_t all = 0, common = UINT64_MAX;

	for (uint32_t i = 0; i < s->n; i++) {
		all |= s->queue[i];
		common &= s->queue[i];
	}
	uint32_t differ = (uint32_t)((all ^ common) >> 32);
	for (unsigned shift = 0; shift < 32 && differ >> shift; shift += RADIX_BITS) {
		radix_pass(s->queue, s->spare, s->n, 32 + shift);
		uint64_t *sorted = s->spare;
		s->spare = s->queue;
		s->queue = sorted;
	}
}

static bool refill(struct lru_state *s)
{
	const struct machine *m = &s->env.host->machine;

	for (double share = 0.125;; share *= 4) {
		uint32_t limit = order_quantile(m, share);
		while (!gather(s, &limit))
			;
		if (s->n || share >= 1)
			break;
	}
	sort_queue(s);
	s->epoch = m->stamp_epoch;
	return s->n > 0;
}

static mpn_t lru_pick(void *state)
{
	struct lru_state *s = state;
	const struct machine *m = &s->env.host->machine;

	if (m->frames <= SCAN_FRAMES)
		return scan_for_oldest(s);
	if (s->epoch != m->stamp_epoch)
		s->head = s->n;
	for (;;) {
		for (; s->head < s->n; s->head++) {
			uint64_t key = s->queue[s->head];
			mpn_t mpn = {(uint32_t)key};
			if (order(m, mpn.n) == key >> 32 && victim_eligible(&s->env, mpn))
				return mpn;
		}
		if (!refill(s))
			return MPN_NONE;
	}
}

const struct victim victim_lru = {
	.policy = {"lru", "exactly the least recently used page"},
	.track = TRACK_STAMPS,
	.state_size = sizeof(struct lru_state),
	.open = lru_open,
	.close = lru_close,
	.pick = lru_pick,
};
