/*
 * Virtual time and what happens in it.
 *
 * A clock is a number of nanoseconds that its driver moves, and a heap of
 * timers. Timers fire in the order (when, order of arming), so that a run is
 * the same every time, whatever the heap looks like inside. A timer belongs to
 * its caller and lives in the caller's struct; the clock only points to it, and
 * allocates nothing but the array of pointers.
 *
 * A timer function may add and cancel any timer, its own too. One that re-arms
 * itself for now, every time, is never done: the caller's bug.
 *
 * Thread rule: a clock belongs to one thread, like the host that it drives.
 */
#ifndef BALLAST_CORE_TIMER_H
#define BALLAST_CORE_TIMER_H

#include "core/types.h"

struct clock;
struct timer;

typedef void timer_fn(struct clock *clk, struct timer *timer, void *arg);

struct timer {
	uint64_t when_ns; /* valid while armed, and in its function */
	uint64_t seq;	  /* order of arming, breaks ties */
	size_t place;	  /* in the heap, from 1; 0 = not armed */
	timer_fn *fn;
	void *arg;
};

struct clock {
	uint64_t now_ns;
	uint64_t next_seq;
	size_t n, cap;
	struct timer **heap; /* heap[1] is the next to fire, heap[0] unused */
};

void clock_init(struct clock *clk);
void clock_free(struct clock *clk); /* timers left are forgotten, not fired */

void timer_init(struct timer *timer, timer_fn *fn, void *arg);

/*
 * Arms the timer for when_ns, or for now if that has passed; a timer that is
 * armed already is moved. -ENOMEM leaves it as it was; moving never fails.
 */
MUST_CHECK int timer_add(struct clock *clk, struct timer *timer, uint64_t when_ns);

/* Nothing happens if it is not armed. */
void timer_cancel(struct clock *clk, struct timer *timer);

static inline bool timer_armed(const struct timer *timer)
{
	return timer->place != 0;
}

/* When the next timer fires, or the deadline if that is earlier. */
static inline uint64_t clock_next(const struct clock *clk, uint64_t deadline_ns)
{
	return clk->n ? min_u64(clk->heap[1]->when_ns, deadline_ns) : deadline_ns;
}

/*
 * Fires every timer due up to and at until_ns, each with now_ns at its time,
 * those armed on the way too; then now_ns is until_ns. Time never goes back:
 * an earlier until_ns changes nothing.
 */
void clock_run_until(struct clock *clk, uint64_t until_ns);

#endif
