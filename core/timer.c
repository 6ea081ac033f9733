#include "core/timer.h"

#include <errno.h>
#include <stdlib.h>

void clock_init(struct clock *clk)
{
	*clk = (struct clock){0};
}

void clock_free(struct clock *clk)
{
	for (size_t i = 1; i <= clk->n; i++)
		clk->heap[i]->place = 0;
	free(clk->heap);
	clock_init(clk);
}

void timer_init(struct timer *timer, timer_fn *fn, void *arg)
{
	*timer = (struct timer){.fn = fn, .arg = arg};
}

static bool before(const struct timer *a, const struct timer *b)
{
	return a->when_ns < b->when_ns || (a->when_ns == b->when_ns && a->seq < b->seq);
}

static void put(struct clock *clk, size_t place, struct timer *timer)
{
	clk->heap[place] = timer;
	timer->place = place;
}

static void sift_up(struct clock *clk, struct timer *timer, size_t place)
{
	for (; place > 1 && before(timer, clk->heap[place / 2]); place /= 2)
		put(clk, place, clk->heap[place / 2]);
	put(clk, place, timer);
}

static void sift_down(struct clock *clk, struct timer *timer, size_t place)
{
	for (size_t child; (child = 2 * place) <= clk->n; place = child) {
		if (child < clk->n && before(clk->heap[child + 1], clk->heap[child]))
			child++;
		if (!before(clk->heap[child], timer))
			break;
		put(clk, place, clk->heap[child]);
	}
	put(clk, place, timer);
}

/* The timer at that place has a new key. */
static void sift(struct clock *clk, struct timer *timer, size_t place)
{
	if (place > 1 && before(timer, clk->heap[place / 2]))
		sift_up(clk, timer, place);
	else
		sift_down(clk, timer, place);
}

static int grow(struct clock *clk)
{
	size_t cap = clk->cap ? 2 * clk->cap : 16;
	struct timer **heap = reallocarray(clk->heap, cap, sizeof *heap);

	if (!heap)
		return -ENOMEM;
	clk->heap = heap;
	clk->cap = cap;
	return 0;
}

int timer_add(struct clock *clk, struct timer *timer, uint64_t when_ns)
{
	if (!timer_armed(timer)) {
		if (clk->n + 1 >= clk->cap && grow(clk))
			return -ENOMEM;
		put(clk, ++clk->n, timer);
	}
	timer->when_ns = max_u64(when_ns, clk->now_ns);
	timer->seq = clk->next_seq++;
	sift(clk, timer, timer->place);
	return 0;
}

void timer_cancel(struct clock *clk, struct timer *timer)
{
	size_t place = timer->place;

	if (!place)
		return;
	timer->place = 0;
	struct timer *last = clk->heap[clk->n--];
	if (last != timer)
		sift(clk, last, place);
}

void clock_run_until(struct clock *clk, uint64_t until_ns)
{
	while (clk->n && clk->heap[1]->when_ns <= until_ns) {
		struct timer *timer = clk->heap[1];

		timer_cancel(clk, timer);
		clk->now_ns = timer->when_ns;
		timer->fn(clk, timer, timer->arg);
	}
	clk->now_ns = max_u64(clk->now_ns, until_ns);
}
