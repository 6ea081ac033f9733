#include "host.h"

#include "core/rng.h"

#include <errno.h>

#define VMS	   5
#define QUANTUM_NS 100000 /* as in host.h */

/* A guest that does `units` of work, each of some time of its own, and writes down its turns. */
struct worker {
	struct rng rng;
	uint64_t longest_ns; /* of a unit */
	uint64_t units;
	uint64_t fail_after; /* units; 0 never */
	int exit_code;	     /* of that failure */
	struct turns *turns;
};

struct turns {
	size_t n;
	struct {
		uint64_t vm, from_ns, until_ns, to_ns;
	} turn[20000];
};

static int work(void *state, struct vm *vm, uint64_t until_ns, struct err *err)
{
	struct worker *w = state;
	struct turns *t = w->turns;
	uint64_t from = vm->time_ns;
	int rc = STEP_MORE;

	while (vm->time_ns < until_ns && rc == STEP_MORE) {
		vm->time_ns += 1 + rng_below(&w->rng, w->longest_ns);
		w->units--;
		if (w->fail_after && --w->fail_after == 0)
			rc = w->exit_code == 2 ? err_input(err, "bad record")
					       : err_run(err, EIO, "bad luck");
		else if (w->units == 0)
			rc = STEP_ENDED;
	}
	if (t && t->n < ARRAY_LEN(t->turn)) {
		t->turn[t->n].vm = vm->id;
		t->turn[t->n].from_ns = from;
		t->turn[t->n].until_ns = until_ns;
		t->turn[t->n++].to_ns = vm->time_ns;
	}
	return rc;
}

static const struct guest worker_guest = {"worker", work, NULL};

struct crew {
	struct test_host t;
	struct worker worker[VMS];
	struct turns *turns;
};

static void crew_open(struct crew *c, uint64_t seed, uint64_t units, uint64_t audit_ns)
{
	static const char *const names[VMS] = {"a", "b", "c", "d", "e"};

	*c = (struct crew){.turns = calloc(1, sizeof *c->turns)};
	test_host_new(&c->t, (struct test_shape){.no_swap = true, .audit_ns = audit_ns});
	for (size_t i = 0; i < VMS; i++) {
		struct worker *w = &c->worker[i];
		rng_init(&w->rng, seed, "worker", i);
		w->units = units * (1 + i);
		w->longest_ns = 10 + 3000 * i;
		w->exit_code = 1;
		w->turns = c->turns;
		vm_drive(test_vm(&c->t, names[i], 1), &worker_guest, w);
	}
}

static void crew_close(struct crew *c)
{
	test_host_free(&c->t);
	free(c->turns);
}

/* The twin: whoever is furthest behind works, until a quantum past the next one. */
static void turns_equal_their_twin(void)
{
	uint64_t time[VMS] = {0};
	bool ended[VMS] = {false};
	struct err err = {0};
	struct crew c;
	uint64_t last = 0;

	crew_open(&c, test_seed(1), 3000, 0);
	CU_ASSERT_EQUAL(host_run(c.t.host, &err), 0);
	CU_ASSERT_TRUE_FATAL(c.turns->n > 100 && c.turns->n < ARRAY_LEN(c.turns->turn));
	for (size_t i = 0; i < c.turns->n; i++) {
		size_t who = VMS;
		uint64_t next = UINT64_MAX;
		for (size_t v = 0; v < VMS; v++) {
			if (!ended[v] && (who == VMS || time[v] < time[who]))
				who = v;
		}
		for (size_t v = 0; v < VMS; v++) {
			if (!ended[v] && v != who && time[v] < next)
				next = time[v];
		}
		CU_ASSERT_EQUAL_FATAL(c.turns->turn[i].vm, who);
		CU_ASSERT_EQUAL(c.turns->turn[i].from_ns, time[who]);
		if (next != UINT64_MAX)
			CU_ASSERT_EQUAL(c.turns->turn[i].until_ns, next + QUANTUM_NS);
		time[who] = c.turns->turn[i].to_ns;
		ended[who] = time[who] < c.turns->turn[i].until_ns; /* it stopped early */
		ended[who] |= c.t.host->vm[who]->time_ns == time[who];
	}
	for (size_t v = 0; v < VMS; v++) {
		CU_ASSERT_EQUAL(c.t.host->vm[v]->state, VM_ENDED);
		CU_ASSERT_EQUAL(c.worker[v].units, 0);
		last = max_u64(last, time[v]);
	}
	CU_ASSERT_EQUAL(c.t.host->stats.time_ns, last);
	CU_ASSERT_EQUAL(c.t.host->clock.now_ns, last);
	crew_close(&c);
}

static void a_run_is_the_same_every_time(void)
{
	struct err err = {0};
	struct crew c[2];

	for (int i = 0; i < 2; i++) {
		crew_open(&c[i], 77, 1000, 12345);
		CU_ASSERT_EQUAL(host_run(c[i].t.host, &err), 0);
	}
	CU_ASSERT_EQUAL(memcmp(c[0].turns, c[1].turns, sizeof *c[0].turns), 0);
	crew_close(&c[0]);
	crew_close(&c[1]);
}

struct metronome {
	struct timer timer;
	const struct host *host;
	uint64_t period_ns, beats, late;
};

/* When a timer fires no VM is behind it, and the one ahead is so by a unit or a turn at most. */
static void beat(struct clock *clk, struct timer *timer, void *arg)
{
	struct metronome *m = arg;

	m->beats++;
	m->late += clk->now_ns != m->beats * m->period_ns;
	for (size_t i = 0; i < m->host->vms; i++) {
		const struct vm *vm = m->host->vm[i];
		CU_ASSERT_TRUE(vm->state != VM_RUNNING || vm->time_ns >= clk->now_ns);
		CU_ASSERT_TRUE(vm->time_ns < clk->now_ns + QUANTUM_NS + 20000);
	}
	CU_ASSERT_EQUAL(timer_add(clk, timer, clk->now_ns + m->period_ns), 0);
}

static void timers_fire_on_time(void)
{
	static const uint64_t periods[] = {777, 50000, 1000000};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(periods); i++) {
		struct crew c;
		crew_open(&c, test_seed(3), 500, 0);
		struct metronome m = {.host = c.t.host, .period_ns = periods[i]};
		timer_init(&m.timer, beat, &m);
		CU_ASSERT_EQUAL(timer_add(&c.t.host->clock, &m.timer, periods[i]), 0);
		CU_ASSERT_EQUAL(host_run(c.t.host, &err), 0);
		CU_ASSERT_EQUAL(m.beats, c.t.host->stats.time_ns / periods[i]);
		CU_ASSERT_EQUAL(m.late, 0);
		crew_close(&c);
	}
}

static void a_failing_vm_stops_alone(void)
{
	struct err err = {0};
	struct crew c;

	crew_open(&c, test_seed(4), 1000, 0);
	c.worker[1].fail_after = 50;
	c.worker[3].fail_after = 1;
	CU_ASSERT_EQUAL(host_run(c.t.host, &err), 0);
	for (size_t v = 0; v < VMS; v++) {
		bool fails = v == 1 || v == 3;
		CU_ASSERT_EQUAL(c.t.host->vm[v]->state, fails ? VM_FAILED : VM_ENDED);
		CU_ASSERT_EQUAL(c.worker[v].units == 0, !fails);
		if (fails)
			CU_ASSERT_STRING_EQUAL(c.t.host->vm[v]->err.msg, "bad luck");
	}
	CU_ASSERT_EQUAL(c.t.host->stats.vm_failed, 2);
	crew_close(&c);
}

static void bad_input_ends_the_run(void)
{
	struct err err = {0};
	struct crew c;

	crew_open(&c, test_seed(5), 1000, 0);
	c.worker[2].fail_after = 50;
	c.worker[2].exit_code = 2;
	CU_ASSERT_EQUAL(host_run(c.t.host, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.msg, "vm c: bad record");
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_EQUAL(c.t.host->vm[4]->state, VM_RUNNING);
	crew_close(&c);
}

struct auditor {
	uint64_t audits, wrong_from;
};

static size_t on_audit(void *ctx, FILE *out)
{
	struct auditor *a = ctx;

	if (++a->audits < a->wrong_from)
		return 0;
	fprintf(out, "the books are wrong\nand so is this\n");
	return 2;
}

static const struct part auditor_part = {.name = "auditor", .audit = on_audit};

/* A host of one VM that works for exactly 1000 units of 1000 ns. */
static int run_audited(struct auditor *a, uint64_t audit_ns, struct err *err)
{
	struct worker w = {.units = 1000000, .longest_ns = 1};
	struct test_host t;

	test_host_new(&t, (struct test_shape){.no_swap = true, .audit_ns = audit_ns});
	host_add_part(t.host, &auditor_part, a);
	vm_drive(test_vm(&t, "a", 1), &worker_guest, &w);
	*err = (struct err){0};
	int rc = host_run(t.host, err);
	test_host_free(&t);
	return rc;
}

static void audits_are_due(void)
{
	struct auditor a = {.wrong_from = UINT64_MAX};
	struct err err;

	CU_ASSERT_EQUAL(run_audited(&a, 0, &err), 0);
	CU_ASSERT_EQUAL(a.audits, 1); /* at the end, always */
	a.audits = 0;
	CU_ASSERT_EQUAL(run_audited(&a, 300000, &err), 0);
	CU_ASSERT_EQUAL(a.audits, 3 + 1);
	a = (struct auditor){.wrong_from = 2};
	CU_ASSERT_EQUAL(run_audited(&a, 300000, &err), -EUCLEAN);
	CU_ASSERT_EQUAL(a.audits, 2);
	CU_ASSERT_STRING_EQUAL(err.msg, "self-check found 2 violations at 600000 ns, the first: "
					"the books are wrong");
	a = (struct auditor){.wrong_from = 4};
	CU_ASSERT_EQUAL(run_audited(&a, 300000, &err), -EUCLEAN); /* the one at the end */
	CU_ASSERT_TRUE(test_one_line(&err));
}

/* A guest that sleeps `ns`, ns again, and then is done. */
struct sleeper {
	uint64_t ns;
	int naps;
};

static int sleep_long(void *state, struct vm *vm, uint64_t until_ns, struct err *err)
{
	struct sleeper *s = state;

	(void)until_ns;
	(void)err;
	vm->time_ns += s->ns;
	return --s->naps > 0 ? STEP_MORE : STEP_ENDED;
}

static const struct guest sleeper_guest = {"sleeper", sleep_long, NULL};

/* Time out of bounds is an error at once: no timer is fired on the way there. */
static void time_has_an_end(void)
{
	for (int naps = 1; naps < 3; naps++) {
		struct sleeper s = {.ns = HOST_TIME_MAX, .naps = naps};
		struct auditor a = {.wrong_from = UINT64_MAX};
		struct test_host t;
		struct err err = {0};
		test_host_new(&t, (struct test_shape){.no_swap = true, .audit_ns = 1000000000});
		host_add_part(t.host, &auditor_part, &a);
		vm_drive(test_vm(&t, "a", 1), &sleeper_guest, &s);
		CU_ASSERT_EQUAL(host_run(t.host, &err), -EINVAL);
		CU_ASSERT_TRUE(test_one_line(&err));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "vm a: its virtual time passes 146 years"));
		CU_ASSERT_EQUAL(a.audits, 0);
		test_host_free(&t);
	}
}

static void count_to_ten(void *ctx)
{
	struct crew *c = ctx;

	c->t.host->stop = c->turns->n == 10;
}

static void a_run_can_be_stopped(void)
{
	struct err err = {0};
	struct crew c;

	crew_open(&c, test_seed(6), 1000, 0);
	c.t.host->on_step = count_to_ten;
	c.t.host->step_ctx = &c;
	CU_ASSERT_EQUAL(host_run(c.t.host, &err), -EINTR);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_TRUE(test_one_line(&err));
	CU_ASSERT_EQUAL(c.turns->n, 10);
	crew_close(&c);
}

static void nothing_to_run(void)
{
	struct test_host t;
	struct err err = {0};

	test_host_new(&t, (struct test_shape){.audit_ns = 1000});
	CU_ASSERT_EQUAL(host_run(t.host, &err), 0);
	struct vm *vm = test_vm(&t, "a", 4); /* nobody drives it */
	CU_ASSERT_EQUAL(host_run(t.host, &err), 0);
	CU_ASSERT_EQUAL(vm->state, VM_RUNNING);
	CU_ASSERT_EQUAL(t.host->clock.n, 0); /* the audit's timer went with the run */
	test_host_free(&t);
}

TESTS("core/sched", {"turns equal their twin", turns_equal_their_twin},
      {"the same every time", a_run_is_the_same_every_time}, {"timers", timers_fire_on_time},
      {"a failing VM", a_failing_vm_stops_alone}, {"bad input", bad_input_ends_the_run},
      {"audits", audits_are_due}, {"time has an end", time_has_an_end},
      {"stop", a_run_can_be_stopped}, {"nothing to run", nothing_to_run})
