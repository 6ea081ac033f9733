/*
 * Workloads of one process without files. idle: holds memory and goes through
 * part of it, like what runs in the background of any system; a schedule
 * changes the part. database: the same with a pool whose pages are read from
 * its disk before their first use, past the page cache; the schedule is that of
 * its queries. toucher: goes through as much as its schedule says, again and
 * again, and gives back what it no longer touches (Waldspurger 2002, section
 * 5.4).
 */
#include "traces/guest_private.h"

#include <stdlib.h>

#define BATCH 1024 /* pages that are touched before another task runs */

struct toucher {
	struct gtask task;
	struct gproc *proc;
	struct rng rng;
	struct load_step *step;
	size_t steps, at;
	uint64_t start_ns, end_ns, period_ns, pass_ns; /* pass: when this one began */
	uint64_t held, active;			       /* pages */
	uint64_t filling;			       /* pages that it is to have by now */
	uint64_t next;				       /* the page that this pass is at */
	uint64_t grown;				       /* pages that were written once */
	uint32_t write_below;			       /* of 2^32 */
	bool keeps;				       /* what it has, whatever is active */
	uint32_t read;				       /* pages of a request to the disk, or 0 */
	uint64_t extent;			       /* where its data lies there */
	uint64_t page_ns;			       /* of the processor for a page used */
};

/* Goes to the next step of the schedule that is due. */
static void resize(struct toucher *t)
{
	while (t->at < t->steps && gos_now(t->proc->g) >= t->start_ns + t->step[t->at].at_ns) {
		t->active = t->step[t->at++].pages;
		t->held = t->keeps ? max_u64(t->held, t->active) : t->active;
		if (t->held < t->grown) {
			proc_unmap(t->proc, t->held, t->grown - t->held);
			t->grown = t->held;
		}
		t->next = 0;
		t->pass_ns = gos_now(t->proc->g);
	}
}

/* The pool's next pages come from the disk, in a request. */
static int fill(struct toucher *t)
{
	struct gos *g = t->proc->g;
	uint64_t n = min_u64(t->read, t->filling - t->grown);
	int rc = 0;

	gos_wait(g, disk_io(g, t->extent + t->grown, (uint32_t)n, ACCESS_READ));
	g->stats.bytes += n << PAGE_SHIFT;
	for (; rc == 0 && n > 0; n--)
		rc = proc_touch(t->proc, t->grown++, ACCESS_WRITE);
	return rc;
}

/* Touches the next batch: first everything once, for memory; then what is in use. */
static int touch_batch(struct toucher *t)
{
	struct gproc *p = t->proc;
	struct gos *g = p->g;
	int rc = 0;

	for (int i = 0; rc == 0 && i < BATCH && g->wait_ns <= gos_now(g); i++) {
		if (t->grown < t->filling && t->read) {
			rc = fill(t);
		} else if (t->grown < t->filling) {
			rc = proc_touch(p, t->grown++, ACCESS_WRITE);
		} else if (t->next < t->active) {
			bool write = (uint32_t)rng_u64(&t->rng) < t->write_below;
			gos_charge(g, t->page_ns);
			rc = proc_touch(p, t->next++, write ? ACCESS_WRITE : ACCESS_READ);
		} else {
			break;
		}
	}
	return rc;
}

static int run(struct gos *g, struct gtask *task)
{
	struct toucher *t = task->arg;

	if (gos_now(g) >= t->end_ns) {
		proc_exit(t->proc);
		t->proc = NULL;
		return TASK_DONE;
	}
	resize(t);
	t->filling = t->read ? max_u64(t->grown, t->active) : t->held;
	int rc = touch_batch(t);
	if (rc)
		return rc;
	if (t->grown >= t->filling && t->next >= t->active) {
		t->next = 0;
		t->pass_ns = max_u64(t->pass_ns + t->period_ns, gos_now(g));
		task->wake_ns = t->pass_ns;
		if (t->at < t->steps)
			task->wake_ns = min_u64(task->wake_ns, t->start_ns + t->step[t->at].at_ns);
		task->wake_ns = min_u64(task->wake_ns, t->end_ns);
	}
	return TASK_AGAIN;
}

static int start(struct toucher *t, struct gos *g, const struct load_opts *o, uint64_t stream)
{
	int rc = load_needs_duration(g, o);

	if (rc == 0)
		rc = proc_new(g, &t->proc);
	if (rc)
		return rc;
	rng_init(&t->rng, (uint64_t)o->seed, "guest.toucher", stream);
	t->start_ns = t->pass_ns = load_start_ns(g, o);
	t->end_ns = load_end_ns(g, o);
	t->period_ns = o->period;
	t->write_below = o->write_ratio < 1 ? (uint32_t)(o->write_ratio * 0x1p32) : UINT32_MAX;
	t->task = (struct gtask){.run = run, .arg = t};
	return task_add(g, &t->task, t->start_ns);
}

static int idle_start(void *state, struct gos *g, const struct load_opts *o, uint64_t stream)
{
	struct toucher *t = state;

	int rc = o->schedule ? load_schedule(g, o->schedule, &t->step, &t->steps) : 0;

	t->held = load_pages(o->memory);
	t->active = min_u64(load_pages(o->active), t->held);
	t->keeps = true;
	return rc ? rc : start(t, g, o, stream);
}

static int database_start(void *state, struct gos *g, const struct load_opts *o, uint64_t stream)
{
	struct toucher *t = state;

	t->read = (uint32_t)load_pages(o->request);
	t->page_ns = o->page_time;
	t->extent = g->extent_next;
	g->extent_next += UINT64_C(1) << 32; /* as large as it may get */
	return idle_start(state, g, o, stream);
}

static int toucher_start(void *state, struct gos *g, const struct load_opts *o, uint64_t stream)
{
	struct toucher *t = state;
	int rc = load_schedule(g, o->schedule, &t->step, &t->steps);

	return rc ? rc : start(t, g, o, stream);
}

static void stop(void *state)
{
	free(((struct toucher *)state)->step);
}

const struct guest_load load_idle = {
	.policy = {"idle", "holds memory and goes through part of it once a period"},
	.size = sizeof(struct toucher),
	.start = idle_start,
	.stop = stop,
};

const struct guest_load load_database = {
	.policy = {"database",
		   "a pool filled from the disk, of which queries use as much as scheduled"},
	.size = sizeof(struct toucher),
	.start = database_start,
	.stop = stop,
};

const struct guest_load load_toucher = {
	.policy = {"toucher", "goes through as much memory as its schedule says, once a period"},
	.size = sizeof(struct toucher),
	.start = toucher_start,
	.stop = stop,
};
