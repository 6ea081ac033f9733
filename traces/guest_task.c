/*
 * Who runs: one processor, tasks in turn, and sleeping until the next timer.
 *
 * A ready task runs until it says so, which is soon; then the next. If it has
 * to wait for the disk it sleeps until that is done, and others go on: so the
 * processor and the disk are the two servers of a closed queue. With nobody
 * ready the VM's time goes to the next timer, at most a tick of Linux 2.4 at
 * once, so that whoever else deals with this VM finds it not far ahead.
 */
#include "traces/guest_private.h"

#include <errno.h>

#define TICK_NS 10000000

static void wake(struct clock *clk, struct timer *timer, void *arg)
{
	struct gtask *t = arg;

	(void)clk;
	(void)timer;
	t->next = NULL;
	*t->g->ready_end = t;
	t->g->ready_end = &t->next;
}

static int no_timer(struct gos *g)
{
	return err_run(&g->err, ENOMEM, "no memory for the guest's timers");
}

int task_add(struct gos *g, struct gtask *t, uint64_t start_ns)
{
	t->g = g;
	timer_init(&t->timer, wake, t);
	if (timer_add(&g->clock, &t->timer, start_ns))
		return no_timer(g);
	t->tracked = true;
	g->live += !t->daemon;
	return 0;
}

void task_remove(struct gos *g, struct gtask *t)
{
	timer_cancel(&g->clock, &t->timer);
	g->live -= t->tracked && !t->daemon;
	t->tracked = false;
}

static struct gtask *next_ready(struct gos *g)
{
	struct gtask *t = g->ready;

	if (!t)
		return NULL;
	g->ready = t->next;
	if (!g->ready)
		g->ready_end = &g->ready;
	return t;
}

static int run_task(struct gos *g, struct gtask *t)
{
	g->wait_ns = 0;
	int rc = t->run(g, t);
	if (rc == 0 && g->failed)
		rc = g->failed;
	if (rc < 0)
		return rc;
	if (rc == TASK_DONE) {
		task_remove(g, t);
		return 0;
	}
	uint64_t until = max_u64(t->wake_ns, g->wait_ns);
	if (until > gos_now(g))
		return timer_add(&g->clock, &t->timer, until) ? no_timer(g) : 0;
	wake(&g->clock, &t->timer, t);
	return 0;
}

/* Nobody is ready. */
static int idle(struct gos *g)
{
	int rc = zero_freed_page(g);

	if (rc == 0)
		g->vm->time_ns =
			max_u64(clock_next(&g->clock, gos_now(g) + TICK_NS), gos_now(g) + 1);
	return rc < 0 ? rc : 0;
}

int tasks_run(struct gos *g, uint64_t until)
{
	int rc = 0;

	while (rc == 0 && gos_now(g) < until) {
		clock_run_until(&g->clock, gos_now(g));
		if (g->list[LIST_WRITEBACK].n)
			reclaim_reap(g);
		struct gtask *t = next_ready(g);
		if (t)
			rc = run_task(g, t);
		else if (g->live)
			rc = idle(g);
		else
			return STEP_ENDED;
	}
	return rc;
}

void gos_stall(struct gos *g, uint64_t until)
{
	uint64_t now = gos_now(g), second = now / 1000000000;

	if (until <= now)
		return;
	if (until > g->wait_ns) { /* what the caller does not wait for already */
		uint64_t more = until - max_u64(now, g->wait_ns);
		if (second != g->second)
			g->stall_before_ns = second == g->second + 1 ? g->stall_ns : 0;
		g->stall_ns = second == g->second ? g->stall_ns + more : more;
		g->second = second;
		g->stats.stall_ns += more;
	}
	gos_wait(g, until);
}
