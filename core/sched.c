/*
 * The run: guests interleaved by virtual time, timers fired on the way.
 *
 * Where every VM left is blocked, or none is there yet, time goes on by the
 * timers: one of them adds the VM that is to come, the reclaim loop's wakes one
 * (core/reclaim.h). Where there is no timer either, the first is woken here.
 */
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
	struct turn *turn; /* [n], with room for all VMs of the host */
	size_t n, room;
	size_t known; /* VMs of the host that the heap has taken up */
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

static void push(struct turns *t, struct vm *vm)
{
	size_t i = t->n++;

	t->turn[i] = (struct turn){vm->time_ns, vm};
	vm->in_turn = true;
	for (; i > 0 && before(&t->turn[i], &t->turn[(i - 1) / 2]); i = (i - 1) / 2) {
		struct turn swapped = t->turn[i];
		t->turn[i] = t->turn[(i - 1) / 2];
		t->turn[(i - 1) / 2] = swapped;
	}
}

static bool may_run(const struct vm *vm)
{
	return vm->state == VM_RUNNING && !vm->blocked;
}

/* Puts a VM that may run and whose time is right in place i, 0 to 2, if there is one. */
static void set_right(struct turns *t, size_t i)
{
	while (i < t->n) {
		struct turn *turn = &t->turn[i];
		if (!may_run(turn->vm)) {
			turn->vm->in_turn = false;
			*turn = t->turn[--t->n];
		} else if (turn->time_ns == turn->vm->time_ns) {
			return;
		} else {
			turn->time_ns = turn->vm->time_ns;
		}
		sift_down(t, i);
	}
}

/* Takes up the VMs that came since; those without a guest never run. -ENOMEM: none of them. */
static int take_up(struct turns *t, const struct host *host)
{
	if (t->known == host->vms)
		return 0;
	if (host->vms > t->room) {
		struct turn *grown = realloc(t->turn, 2 * host->vms * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		t->turn = grown;
		t->room = 2 * host->vms;
	}
	for (; t->known < host->vms; t->known++) {
		struct vm *vm = host->vm[t->known];
		if (vm->guest && may_run(vm))
			push(t, vm);
	}
	return 0;
}

void vm_block(struct vm *vm)
{
	struct host *host = vm->host;
	struct vm **last = &host->blocked;

	if (vm->blocked)
		return;
	while (*last)
		last = &(*last)->next_blocked;
	*last = vm;
	vm->next_blocked = NULL;
	vm->blocked = true;
	if (host->running == vm)
		vm->time_ns = max_u64(vm->time_ns, host->turn_ends_ns);
}

void vm_wake(struct vm *vm)
{
	struct host *host = vm->host;
	struct vm **at = &host->blocked;

	if (!vm->blocked)
		return;
	while (*at != vm)
		at = &(*at)->next_blocked;
	*at = vm->next_blocked;
	vm->blocked = false;
	vm->time_ns = max_u64(vm->time_ns, host_now(host));
	if (host->turns && vm->id < host->turns->known && vm->guest && !vm->in_turn)
		push(host->turns, vm);
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
	if (host->turn_max_ns)
		until = min_u64(until, vm->time_ns + host->turn_max_ns);
	host->running = vm;
	host->turn_ends_ns = until;
	int rc = vm->guest->step(vm->guest_state, vm, until, &why);
	host->running = NULL;
	if (vm->time_ns >= HOST_TIME_MAX) /* before timers could be fired up to there */
		return err_input(err, "vm %s: its virtual time passes 146 years: look at its times",
				 vm->name);
	if (vm->time_ns > host->stats.time_ns)
		host->stats.time_ns = vm->time_ns;
	if (rc == STEP_ENDED) {
		vm->state = VM_ENDED;
		vm_wake(vm);
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

	clock_run_until(&host->clock, due);
	return due < vm->time_ns || !may_run(vm) ? 0 : run_vm(host, vm, next, err);
}

/* Nobody can run: time goes on to the next timer. False if nothing will ever change. */
static bool wait_for_timer(struct host *host)
{
	uint64_t due = clock_next(&host->clock, HOST_TIME_MAX);

	if (!host->blocked && !host->arrivals)
		return false;
	if (due < HOST_TIME_MAX)
		clock_run_until(&host->clock, due);
	else if (host->blocked)
		vm_wake(host->blocked);
	else
		return false;
	host->stats.time_ns = max_u64(host->stats.time_ns, host->clock.now_ns);
	return true;
}

/* The next turn, or wait, of a run; 1 when it is over. */
static int go_on(struct host *host, struct err *err)
{
	uint64_t next;
	struct vm *vm;

	if (take_up(host->turns, host))
		return err_run(err, ENOMEM, "no memory for a run");
	vm = furthest_behind(host->turns, &next);
	if (host->stop && (vm || host->blocked || host->arrivals))
		return err_run(err, EINTR, "stopped before the end");
	if (vm)
		return take_turn(host, vm, next, err);
	return wait_for_timer(host) ? 0 : 1;
}

int host_run(struct host *host, struct err *err)
{
	struct audit_timer audit = {.host = host};
	struct turns turns = {0};
	int rc = 0;

	host->turns = &turns;
	timer_init(&audit.timer, audit_due, &audit);
	if (host->opts.audit && timer_add(&host->clock, &audit.timer, host->opts.audit))
		rc = err_run(err, ENOMEM, "no memory for a run");
	while (rc == 0 && (rc = go_on(host, err)) == 0) {
		if (audit.err.exit_code) {
			*err = audit.err;
			rc = -EUCLEAN;
		}
		if (host->on_step)
			host->on_step(host->step_ctx);
	}
	timer_cancel(&host->clock, &audit.timer);
	host->turns = NULL;
	for (size_t i = 0; i < turns.n; i++)
		turns.turn[i].vm->in_turn = false;
	free(turns.turn);
	if (rc == 1) {
		clock_run_until(&host->clock, host->stats.time_ns);
		rc = check(host, err);
	}
	return rc;
}
