/*
 * lru: exactly the page unused for longest, at the price of one store per hit.
 *
 * A list that moves on every hit would cost four random writes a reference.
 * Instead each frame has a stamp, the number of its last reference. When
 * victims are wanted, the frames with stamps up to some limit are gathered and
 * sorted into a queue, and the clock of stamps ticks. The argument: whatever is
 * touched later gets a stamp beyond the limit, so the first queued frame whose stamp is still
 * within it is the least recently used of all. Frames that were touched are skipped; an empty queue
 * is gathered anew. With an eighth of the frames gathered at a time, a victim costs some ten stamps
 * read in sequence.
 * What is passed over because it is not the VM's that is wanted is wanted again
 * when that changes; so then the queue is gathered anew, too.
 */
#include "swap/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_FRAMES 128 /* up to so many frames, a scan for the minimum is cheaper */
#define SAMPLES	    512
#define AHEAD	    4 /* places in the queue */
#define RADIX_BITS  11
#define RADIX	    (1u << RADIX_BITS)

struct lru_state {
	struct victim_env env;
	uint32_t *queue;	     /* [frames] MPNs, least recently used first */
	uint32_t head, n;	     /* queue[head..n) is still to be looked at */
	uint32_t limit;		     /* order up to which frames were queued */
	uint32_t epoch;		     /* of the stamps at that time */
	const struct vm *queued_for; /* env.only at that time */
};

static size_t queue_bytes(const struct lru_state *s)
{
	return s->env.host->machine.frames * sizeof *s->queue;
}

static int lru_open(void *state, const struct victim_env *env)
{
	struct lru_state *s = state;

	s->env = *env;
	if (env->host->machine.frames <= SCAN_FRAMES)
		return 0;
	s->queue = meter_alloc(&env->host->meter, queue_bytes(s));
	return s->queue ? 0 : -ENOMEM;
}

static void lru_close(void *state)
{
	struct lru_state *s = state;

	meter_free(&s->env.host->meter, s->queue, queue_bytes(s));
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

/*
 * The order up to which about `share` of the used frames from `floor` on lie, by
 * a sample; UINT32_MAX if the sample met none.
 */
static uint32_t order_quantile(const struct machine *m, uint32_t floor, double share)
{
	uint32_t sample[SAMPLES], n = 0, stride = m->frames / SAMPLES + 1;

	for (uint32_t i = 0; i < m->frames; i += stride) {
		if (m->stamp[i] != STAMP_FREE && order(m, i) >= floor)
			sample[n++] = order(m, i);
	}
	uint32_t rank = (uint32_t)(share * n);
	if (rank >= n)
		return UINT32_MAX;
	qsort(sample, n, sizeof sample[0], by_order);
	return sample[rank];
}

/* Queues every frame from `floor` to s->limit in order, unsorted; without a branch on any. */
static void gather(struct lru_state *s, uint32_t floor)
{
	const struct machine *m = &s->env.host->machine;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->frames; i++) {
		s->queue[n] = i;
		n += order(m, i) - floor <= s->limit - floor;
	}
	s->head = 0;
	s->n = n;
}

static void radix_pass(const struct machine *m, const uint32_t *from, uint32_t *to, uint32_t n,
		       unsigned shift)
{
	uint32_t at[RADIX] = {0}, sum = 0;

	for (uint32_t i = 0; i < n; i++)
		at[(uint64_t)order(m, from[i]) >> shift & (RADIX - 1)]++;
	for (uint32_t d = 0; d < RADIX; d++) {
		uint32_t count = at[d];
		at[d] = sum;
		sum += count;
	}
	for (uint32_t i = 0; i < n; i++)
		to[at[(uint64_t)order(m, from[i]) >> shift & (RADIX - 1)]++] = from[i];
}

static int by_order_of(const void *a, const void *b, void *m)
{
	uint32_t x = order(m, *(const uint32_t *)a), y = order(m, *(const uint32_t *)b);

	return (x > y) - (x < y);
}

/*
 * Sorts the queue in passes that cover only the bits in which orders differ,
 * two at a time, there and back through the unused part of the queue. More than
 * half of the frames are queued only where few are in use or the sample misled.
 */
static void sort_queue(struct lru_state *s)
{
	struct machine *m = &s->env.host->machine;
	uint32_t all = 0, common = UINT32_MAX, *spare = s->queue + s->n;

	if (s->n > m->frames / 2) {
		qsort_r(s->queue, s->n, sizeof *s->queue, by_order_of, m);
		return;
	}
	for (uint32_t i = 0; i < s->n; i++) {
		all |= order(m, s->queue[i]);
		common &= order(m, s->queue[i]);
	}
	for (unsigned shift = 0; shift < 32 && (all ^ common) >> shift; shift += 2 * RADIX_BITS) {
		radix_pass(m, s->queue, spare, s->n, shift);
		radix_pass(m, spare, s->queue, s->n, shift + RADIX_BITS);
	}
}

/* Queues the oldest eighth or so of the frames from `floor` to `newest`. */
static void refill(struct lru_state *s, uint32_t floor, uint32_t newest)
{
	const struct machine *m = &s->env.host->machine;
	uint32_t quantile = order_quantile(m, floor, 0.125);

	s->limit = quantile < newest ? quantile : newest;
	gather(s, floor);
	sort_queue(s);
	s->epoch = m->stamp_epoch;
	s->queued_for = s->env.only;
}

/*
 * Victims lie anywhere: fetches the frame, then the entry, of those next in
 * turn. (Always inline: gcc takes a function that only prefetches for one that
 * does nothing.)
 */
static inline __attribute__((always_inline)) void fetch_ahead(const struct lru_state *s)
{
	const struct frame *frame = s->env.host->machine.frame;

	if (s->head + 2 * AHEAD >= s->n)
		return;
	__builtin_prefetch(&frame[s->queue[s->head + 2 * AHEAD]], 1);
	__builtin_prefetch(&s->env.copy[s->queue[s->head + 2 * AHEAD]], 1);
	const struct frame f = frame[s->queue[s->head + AHEAD]];
	if (likely(frame_is_private(f)))
		__builtin_prefetch(&s->env.pmaps->pte[f.vm][f.ppn], 1);
}

/* The first in the queue that was not touched since and may go. */
static mpn_t next_in_queue(struct lru_state *s)
{
	const struct machine *m = &s->env.host->machine;

	for (; s->head < s->n; s->head++) {
		mpn_t mpn = {s->queue[s->head]};
		fetch_ahead(s);
		if (order(m, mpn.n) <= s->limit && victim_eligible(&s->env, mpn))
			return mpn;
	}
	return MPN_NONE;
}

static mpn_t lru_pick(void *state)
{
	struct lru_state *s = state;
	struct machine *m = &s->env.host->machine;

	if (m->frames <= SCAN_FRAMES)
		return scan_for_oldest(s);
	if (s->epoch != m->stamp_epoch || s->queued_for != s->env.only)
		s->head = s->n;
	mpn_t mpn = next_in_queue(s);
	if (likely(mpn_valid(mpn)))
		return mpn;
	/* If none of the oldest may go, look at newer ones. */
	const uint32_t newest = m->now++ - 1;
	for (uint32_t floor = 0; floor <= newest && !mpn_valid(mpn); floor = s->limit + 1) {
		refill(s, floor, newest);
		mpn = next_in_queue(s);
	}
	return mpn;
}

const struct victim victim_lru = {
	.policy = {"lru", "exactly the least recently used page"},
	.track = TRACK_STAMPS,
	.state_size = sizeof(struct lru_state),
	.open = lru_open,
	.close = lru_close,
	.pick = lru_pick,
};
