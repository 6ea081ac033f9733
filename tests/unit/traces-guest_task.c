#include "guest.h"

#include <errno.h>

#define MS UINT64_C(1000000)

struct job {
	struct gtask task;
	uint64_t cpu_ns, disk_ns; /* of each turn */
	int turns, rc;
	uint64_t done_ns;
};

static int run(struct gos *g, struct gtask *task)
{
	struct job *j = task->arg;

	if (j->rc)
		return j->rc;
	gos_charge(g, j->cpu_ns);
	if (j->disk_ns) {
		g->opts.disk_transfer = j->disk_ns;
		gos_wait(g, disk_io(g, g->disk.head, 1, ACCESS_READ));
	}
	if (--j->turns > 0)
		return TASK_AGAIN;
	j->done_ns = gos_now(g);
	return TASK_DONE;
}

static void add(struct test_guest *t, struct job *j)
{
	j->task = (struct gtask){.run = run, .arg = j};
	CU_ASSERT_EQUAL_FATAL(task_add(t->g, &j->task, t->vm->time_ns), 0);
}

static void open_guest(struct test_guest *t)
{
	guest_new(t, (struct guest_shape){0});
	/* The daemons' looks at the time would be in the way of counting. */
	task_remove(t->g, &t->g->ticker);
	task_remove(t->g, &t->g->flusher);
}

/* Two servers: with two clients one computes while the other's disk is at work. */
static void overlap(void)
{
	struct test_guest t;
	struct job a = {.cpu_ns = 4 * MS, .disk_ns = 6 * MS, .turns = 10}, b = a;

	open_guest(&t);
	uint64_t start = t.vm->time_ns;
	add(&t, &a);
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT_EQUAL(a.done_ns - start, 10 * 4 * MS + 9 * 6 * MS);
	a.turns = 10;
	start = t.vm->time_ns + 6 * MS; /* the disk's, still at the last one */
	t.vm->time_ns = start;
	add(&t, &a);
	add(&t, &b);
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	/* The disk is never idle once it begins: 4 + 20 * 6, less the last two waits. */
	CU_ASSERT(t.vm->time_ns - start <= 4 * MS + 20 * 6 * MS);
	CU_ASSERT(t.vm->time_ns - start >= 18 * 6 * MS);
	guest_free(&t);
}

/* Nobody ready: time goes to the next timer, at most 10 ms at once, past `until` if need be. */
static void idle(void)
{
	struct test_guest t;
	struct job a = {.turns = 1};
	struct err err;

	open_guest(&t);
	uint64_t start = t.vm->time_ns;
	add(&t, &a);
	CU_ASSERT_EQUAL(timer_add(&t.g->clock, &a.task.timer, start + 25 * MS), 0);
	CU_ASSERT_EQUAL(gos_guest.step(t.g, t.vm, start + 1, &err), STEP_MORE);
	CU_ASSERT_EQUAL(t.vm->time_ns, start + 10 * MS);
	CU_ASSERT_EQUAL(gos_guest.step(t.g, t.vm, start + 11 * MS, &err), STEP_MORE);
	CU_ASSERT_EQUAL(t.vm->time_ns, start + 20 * MS);
	CU_ASSERT_EQUAL(gos_guest.step(t.g, t.vm, start + 21 * MS, &err), STEP_MORE);
	CU_ASSERT_EQUAL(t.vm->time_ns, start + 25 * MS);
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT_EQUAL(a.done_ns, start + 25 * MS);
	guest_free(&t);
}

/* Ready tasks take turns. */
static void turns(void)
{
	struct test_guest t;
	struct job a = {.cpu_ns = 3 * MS, .turns = 3}, b = {.cpu_ns = MS, .turns = 3};

	open_guest(&t);
	uint64_t start = t.vm->time_ns;
	add(&t, &a);
	add(&t, &b);
	CU_ASSERT_EQUAL(guest_run(&t, HOST_TIME_MAX), STEP_ENDED);
	CU_ASSERT_EQUAL(a.done_ns - start, 11 * MS);
	CU_ASSERT_EQUAL(b.done_ns - start, 12 * MS);
	guest_free(&t);
}

static void failure(void)
{
	struct test_guest t;
	struct job a = {.rc = -EIO, .turns = 1};
	struct err err = {0};

	open_guest(&t);
	err_run(&t.g->err, EIO, "the disk broke");
	add(&t, &a);
	CU_ASSERT_EQUAL(gos_guest.step(t.g, t.vm, HOST_TIME_MAX, &err), -EIO);
	CU_ASSERT_STRING_EQUAL(err.msg, "the disk broke");
	guest_free(&t);
}

/* Waiting for memory is counted by the second, once for all that is waited for together. */
static void stall(void)
{
	struct test_guest t;
	struct guest_memory m;
	struct driver_guest d;

	open_guest(&t);
	d = gos_driver_guest(t.g);
	t.vm->time_ns = 1000 * MS;
	t.g->wait_ns = 0;
	gos_stall(t.g, 1200 * MS);
	gos_stall(t.g, 1100 * MS);
	gos_stall(t.g, 1250 * MS);
	CU_ASSERT_EQUAL(t.g->stats.stall_ns, 250 * MS);
	CU_ASSERT_EQUAL(t.g->wait_ns, 1250 * MS);
	d.stats(d.ctx, &m);
	CU_ASSERT_EQUAL(m.pressure, 0); /* the second is not over */
	t.vm->time_ns = 2000 * MS;
	d.stats(d.ctx, &m);
	CU_ASSERT_EQUAL(m.pressure, 250);
	t.vm->time_ns = 3000 * MS;
	d.stats(d.ctx, &m);
	CU_ASSERT_EQUAL(m.pressure, 0);
	guest_free(&t);
}

TESTS("traces/guest_task", {"two servers", overlap}, {"idle", idle}, {"turns", turns},
      {"failure", failure}, {"waiting for memory", stall})
