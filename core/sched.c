/* The run: guests interleaved by virtual time, timers fired on the way. */
#include "core/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct audit_timer {
	struct timer timer;
	struct host *host;
	struct err err; /* of the first audit that found something */
};

/* Recounts; keeps the first violation as an error. */
static int check(struct host *host, struct err *err)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return err_run(err, ENOMEM, "no memory for a self-check");
	size_t bad = host_audit(host, out);
	fclose(out);
	int rc = 0;
	if (bad) {
		text[strcspn(text, "\n")] = '\0';
		rc = err_run(err, EUCLEAN,
			     "self-check found %zu violations at %llu ns, the first: %s", bad,
			     (unsigned long long)host->clock.now_ns, text);
	}
	free(text);
	return rc;
}

static void audit_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct audit_timer *a = arg;

	if (!a->err.exit_code && check(a->host, &a->err) == 0 &&
	    timer_add(clk, timer, clk->now_ns + a->host->opts.audit) != 0)
		err_run(&a->err, ENOMEM, "no memory for a timer");
}

/*
 * Whose turn it is: a heap of the running VMs by their time, ties by id.
 *
 * A VM's time also grows while it waits, when a timer charges it for work done
 * on its behalf; so the time in the heap is that of its last turn, never later
 * than the true one, and is set right when it comes near the top.
 */
struct turn {
	uint64_t time_ns;
	struct vm *vm;
};

struct turns {
	struct turn *turn; /* [n] */
	size_t n;
};

static bool before(const struct turn *a, const struct turn *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->vm->id < b->vm->id;
}

static void sift_down(struct turns *t, size_t i)
{
	for (;;) {
		size_t least = i;
		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < t->n; child++) {
			if (before(&t->turn[child], &t->turn[least]))
				least = child;
		}
		if (least == i)
			return;
		struct turn swapped = t->turn[i];
		t->turn[i] = t->turn[least];
		t->turn[least] = swapped;
		i = least;
	}
}

/* Puts a running VM whose time is right in place i, 0 to 2, if there is one. */
static void set_right(struct turns *t, size_t i)
{
	while (i < t->n) {
		struct turn *turn = &t->turn[i];
		if (turn->vm->state != VM_RUNNING)
			*turn = t->turn[--t->n];
		else if (turn->time_ns == turn->vm->time_ns)
			return;
		else
			turn->time_ns = turn->vm->time_ns;
		sift_down(t, i);
	}
}

static int turns_init(struct turns *t, const struct host *host)
{
	*t = (struct turns){.turn = calloc(host->vms ? host->vms : 1, sizeof *t->turn)};
	if (!t->turn)
		return -ENOMEM;
	for (size_t i = 0; i < host->vms; i++) {
		if (host->vm[i]->guest)
			t->turn[t->n++] = (struct turn){host->vm[i]->time_ns, host->vm[i]};
	}
	for (size_t i = t->n; i-- > 0;)
		sift_down(t, i);
	return 0;
}

/* The running VM that is furthest behind, or NULL; *next is the time of the one after it. */
static struct vm *furthest_behind(struct turns *t, uint64_t *next)
{
	set_right(t, 0);
	set_right(t, 1);
	set_right(t, 2);
	*next = UINT64_MAX;
	for (size_t i = 1; i < t->n && i <= 2; i++)
		*next = min_u64(*next, t->turn[i].time_ns);
	return t->n ? t->turn[0].vm : NULL;
}

/* Runs one VM for a while. -errno only if the whole run is over. */
static int run_vm(struct host *host, struct vm *vm, uint64_t next, struct err *err)
{
	uint64_t until = min_u64(next, HOST_TIME_MAX) + host->opts.quantum;
	struct err why = {0};

	until = max_u64(clock_next(&host->clock, until), vm->time_ns + 1);
	int rc = vm->guest->step(vm->guest_state, vm, until, &why);
	if (vm->time_ns >= HOST_TIME_MAX) /* before timers could be fired up to there */
		return err_input(err, "vm %s: its virtual time passes 146 years: look at its times",
				 vm->name);
	if (vm->time_ns > host->stats.time_ns)
		host->stats.time_ns = vm->time_ns;
	if (rc == STEP_ENDED) {
		vm->state = VM_ENDED;
		host_event(host, vm, "ended", "the guest has nothing more to do");
	} else if (rc < 0 && why.exit_code == 2) {
		*err = why; /* its input is bad: no result would mean anything */
		err_prefix(err, "vm %s", vm->name);
		return rc;
	} else if (rc < 0) {
		vm_fail(vm, &why);
	}
	return 0;
}

/* One turn: a timer's, if one is due, else that of the VM furthest behind. */
static int take_turn(struct host *host, struct vm *vm, uint64_t next, struct err *err)
{
	uint64_t due = clock_next(&host->clock, vm->time_ns);

	if (host->stop)
		return err_run(err, EINTR, "stopped before the end");
	clock_run_until(&host->clock, due);
	return due < vm->time_ns ? 0 : run_vm(host, vm, next, err);
}

int host_run(struct host *host, struct err *err)
{
	struct audit_timer audit = {.host = host};
	struct turns turns;
	struct vm *vm;
	uint64_t next;
	int rc = 0;

	timer_init(&audit.timer, audit_due, &audit);
	if (turns_init(&turns, host) ||
	    (host->opts.audit && timer_add(&host->clock, &audit.timer, host->opts.audit)))
		rc = err_run(err, ENOMEM, "no memory for a run");
	while (rc == 0 && (vm = furthest_behind(&turns, &next)) != NULL) {
		rc = take_turn(host, vm, next, err);
		if (rc == 0 && audit.err.exit_code) {
			*err = audit.err;
			rc = -EUCLEAN;
		}
		if (host->on_step)
			host->on_step(host->step_ctx);
	}
	timer_cancel(&host->clock, &audit.timer);
	free(turns.turn);
	if (rc == 0)
		clock_run_until(&host->clock, host->stats.time_ns);
	return rc ? rc : check(host, err);
}
