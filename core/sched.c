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

/* The running VM that is furthest behind; *next is the time of the one after it. */
static struct vm *furthest_behind(const struct host *host, uint64_t *next)
{
	struct vm *first = NULL;

	*next = UINT64_MAX;
	for (size_t i = 0; i < host->vms; i++) {
		struct vm *vm = host->vm[i];
		if (vm->state != VM_RUNNING || !vm->guest)
			continue;
		if (!first || vm->time_ns < first->time_ns) {
			if (first)
				*next = first->time_ns;
			first = vm;
		} else if (vm->time_ns < *next) {
			*next = vm->time_ns;
		}
	}
	return first;
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

int host_run(struct host *host, struct err *err)
{
	struct audit_timer audit = {.host = host};
	struct vm *vm;
	uint64_t next;
	int rc = 0;

	timer_init(&audit.timer, audit_due, &audit);
	if (host->opts.audit && timer_add(&host->clock, &audit.timer, host->opts.audit))
		return err_run(err, ENOMEM, "no memory for a timer");
	while (rc == 0 && (vm = furthest_behind(host, &next)) != NULL) {
		clock_run_until(&host->clock, vm->time_ns);
		if (audit.err.exit_code) {
			*err = audit.err;
			rc = -EUCLEAN;
		} else if (host->stop) {
			rc = err_run(err, EINTR, "stopped before the end");
		} else {
			rc = run_vm(host, vm, next, err);
		}
		if (host->on_step)
			host->on_step(host->step_ctx);
	}
	timer_cancel(&host->clock, &audit.timer);
	if (rc == 0)
		clock_run_until(&host->clock, host->stats.time_ns);
	return rc ? rc : check(host, err);
}
