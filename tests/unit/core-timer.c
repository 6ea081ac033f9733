#include "core/timer.h"

#include "core/rng.h"

#include "test.h"

#include <errno.h>

#define TIMERS 200

/*
 * The slow twin: an array without order, searched for the earliest (when, seq)
 * at every step. Both sides run the same operations; the order of firing and
 * the times must agree.
 */
struct twin {
	bool armed[TIMERS];
	uint64_t when[TIMERS], seq[TIMERS], next_seq;
};

struct run {
	struct clock clk;
	struct timer timer[TIMERS];
	struct twin twin;
	struct rng rng;
	uint64_t fired, wrong;
};

static int twin_first(const struct twin *t)
{
	int first = -1;

	for (int i = 0; i < TIMERS; i++) {
		if (!t->armed[i])
			continue;
		if (first < 0 || t->when[i] < t->when[first] ||
		    (t->when[i] == t->when[first] && t->seq[i] < t->seq[first]))
			first = i;
	}
	return first;
}

/* Arms or cancels a timer on both sides. */
static void random_operation(struct run *r)
{
	int i = (int)rng_below(&r->rng, TIMERS);

	if (rng_below(&r->rng, 4) == 0) {
		timer_cancel(&r->clk, &r->timer[i]);
		r->twin.armed[i] = false;
		return;
	}
	/* Few distinct times, so that ties are common; some in the past. */
	uint64_t when = r->clk.now_ns + rng_below(&r->rng, 20);
	when = when < 5 ? 0 : when - 5;
	CU_ASSERT_EQUAL(timer_add(&r->clk, &r->timer[i], when), 0);
	r->twin.armed[i] = true;
	r->twin.when[i] = max_u64(when, r->clk.now_ns);
	r->twin.seq[i] = r->twin.next_seq++;
}

static void on_fire(struct clock *clk, struct timer *timer, void *arg)
{
	struct run *r = arg;
	int i = (int)(timer - r->timer), want = twin_first(&r->twin);

	r->fired++;
	r->wrong += i != want || clk->now_ns != r->twin.when[want] || timer_armed(timer);
	r->twin.armed[i] = false;
	if (rng_below(&r->rng, 10) < 7) /* less than one new timer for each that fires */
		random_operation(r);
}

static void agrees_with_slow_twin(void)
{
	static struct run r;

	clock_init(&r.clk);
	rng_init(&r.rng, test_seed(7), "timers", 0);
	for (int i = 0; i < TIMERS; i++)
		timer_init(&r.timer[i], on_fire, &r);
	for (int step = 0; step < 20000; step++) {
		random_operation(&r);
		if (rng_below(&r.rng, 3) != 0)
			continue;
		uint64_t until = r.clk.now_ns + rng_below(&r.rng, 8);
		clock_run_until(&r.clk, until);
		int first = twin_first(&r.twin);
		r.wrong += r.clk.now_ns != until;
		r.wrong += first >= 0 && r.twin.when[first] <= until; /* left behind */
		r.wrong += clock_next(&r.clk, UINT64_MAX) !=
			   (first < 0 ? UINT64_MAX : r.twin.when[first]);
	}
	CU_ASSERT_EQUAL(r.wrong, 0);
	CU_ASSERT(r.fired > 5000);
	clock_free(&r.clk);
	for (int i = 0; i < TIMERS; i++)
		CU_ASSERT(!timer_armed(&r.timer[i]));
}

struct log {
	char text[64];
	size_t n;
	struct timer a, b, c;
};

static void log_name(struct clock *clk, struct timer *timer, void *arg)
{
	struct log *log = arg;

	(void)clk;
	log->text[log->n++] = timer == &log->a ? 'a' : timer == &log->b ? 'b' : 'c';
}

static void ties_fire_in_order_of_arming(void)
{
	struct log log = {0};
	struct clock clk;

	clock_init(&clk);
	timer_init(&log.a, log_name, &log);
	timer_init(&log.b, log_name, &log);
	timer_init(&log.c, log_name, &log);
	CU_ASSERT_EQUAL(timer_add(&clk, &log.c, 10), 0);
	CU_ASSERT_EQUAL(timer_add(&clk, &log.a, 10), 0);
	CU_ASSERT_EQUAL(timer_add(&clk, &log.b, 9), 0);
	clock_run_until(&clk, 8);
	CU_ASSERT_EQUAL(log.n, 0);
	CU_ASSERT_EQUAL(clock_next(&clk, 100), 9);
	CU_ASSERT_EQUAL(clock_next(&clk, 5), 5);
	CU_ASSERT_EQUAL(timer_add(&clk, &log.c, 10), 0); /* armed again: now behind a */
	clock_run_until(&clk, 10);
	CU_ASSERT_STRING_EQUAL(log.text, "bac");
	CU_ASSERT_EQUAL(clk.now_ns, 10);
	clock_run_until(&clk, 3); /* time does not go back */
	CU_ASSERT_EQUAL(clk.now_ns, 10);
	clock_free(&clk);
}

static void every_ten(struct clock *clk, struct timer *timer, void *arg)
{
	struct log *log = arg;

	log->n++;
	if (clk->now_ns == 50)
		timer_cancel(clk, &log->b);
	CU_ASSERT_EQUAL(timer_add(clk, timer, clk->now_ns + 10), 0);
}

/* A function re-arms its own timer and cancels another that is due at the same time. */
static void functions_add_and_cancel(void)
{
	struct log log = {0};
	struct clock clk;

	clock_init(&clk);
	timer_init(&log.a, every_ten, &log);
	timer_init(&log.b, log_name, &log);
	CU_ASSERT_EQUAL(timer_add(&clk, &log.a, 10), 0);
	CU_ASSERT_EQUAL(timer_add(&clk, &log.b, 55), 0);
	clock_run_until(&clk, 100);
	CU_ASSERT_EQUAL(log.n, 10);
	CU_ASSERT_EQUAL(log.text[0], '\0');
	CU_ASSERT_EQUAL(clock_next(&clk, UINT64_MAX), 110);
	timer_cancel(&clk, &log.a);
	timer_cancel(&clk, &log.a);
	CU_ASSERT_EQUAL(clock_next(&clk, 123), 123);
	clock_free(&clk);
}

TESTS("core/timer", {"agrees with a slow twin", agrees_with_slow_twin},
      {"ties fire in order of arming", ties_fire_in_order_of_arming},
      {"functions add and cancel", functions_add_and_cancel})
