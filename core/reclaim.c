#include "core/reclaim_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Turns are so short that a tick armed on the way comes in time. */
#define TURN_NS 1000000

/* Blocking. */

static void block(struct reclaim *r, struct vm *vm)
{
	if (vm->blocked || vm->state != VM_RUNNING || !vm->guest)
		return;
	r->vm[vm->id]->blocks++;
	r->vm[vm->id]->since_ns = host_now(r->host);
	r->stats.blocks++;
	host_event_now(r->host, vm, "blocked", "it holds %llu pages, its target is %llu",
		       (unsigned long long)vm_held(vm), (unsigned long long)vm->target);
	vm_block(vm);
}

static void wake(struct reclaim *r, struct vm *vm, const char *reason)
{
	reclaim_count_blocked(r, vm);
	vm_wake(vm);
	host_event_now(r->host, vm, "woken", "%s", reason);
}

static void block_above_target(struct reclaim *r)
{
	for (size_t i = 0; i < r->host->vms; i++) {
		if (vm_excess(r->host->vm[i]))
			block(r, r->host->vm[i]);
	}
}

/* In their order: a ns apart, since who is behind has the turn. */
static void wake_all(struct reclaim *r, const char *reason)
{
	const uint64_t now = host_now(r->host);

	for (uint64_t i = 0; r->host->blocked; i++) {
		r->host->blocked->time_ns = max_u64(r->host->blocked->time_ns, now + i);
		wake(r, r->host->blocked, reason);
	}
}

static void wake_at_target(struct reclaim *r)
{
	for (struct vm *vm = r->host->blocked, *next; vm; vm = next) {
		next = vm->next_blocked;
		if (!vm_excess(vm))
			wake(r, vm, "it is at its target");
	}
}

/* States. */

uint32_t reclaim_mark(const struct reclaim *r, enum host_state state)
{
	return r->mark[state];
}

uint32_t reclaim_goal(const struct reclaim *r)
{
	return r->goal;
}

/*
 * Where host_take_frame() must turn to the loop: where one frame less means the
 * next state, or at all times while a VM may not have as much as it is large.
 */
static void set_trap(struct reclaim *r)
{
	struct host *host = r->host;

	host->mark_low = host->state == HOST_LOW || r->capped ? UINT32_MAX : 0;
	for (int s = HOST_LOW; s > (int)host->state && !r->capped; s--) {
		if (r->mark[s])
			host->mark_low = r->mark[s];
	}
}

static void set_marks(struct reclaim *r)
{
	const struct host *host = r->host;

	((const struct thresholds *)host->opts.thresholds)
		->states(&r->opts, host->machine.frames, r->mark);
	r->width = (uint32_t)((double)r->mark[HOST_HIGH] * r->opts.width);
	if (r->width == 0)
		r->width = 1;
	r->goal = (uint32_t)min_u64(r->mark[HOST_HIGH] + UINT64_C(2) * r->width,
				    host->machine.frames);
	r->host->mark_high = r->goal;
	r->stats.goal = r->goal;
}

/* The state above this one, as far as these thresholds have it. */
static enum host_state state_above(const struct reclaim *r, enum host_state state)
{
	for (int above = (int)state - 1; above > HOST_HIGH; above--) {
		if (r->mark[above])
			return (enum host_state)above;
	}
	return HOST_HIGH;
}

/* What state so many free frames mean, from the present one. */
static enum host_state state_of(const struct reclaim *r, uint64_t free)
{
	enum host_state state = r->host->state;

	for (enum host_state s = HOST_LOW; s > state; s--) {
		if (free < r->mark[s])
			return s;
	}
	while (state > HOST_HIGH) {
		enum host_state above = state_above(r, state);
		uint64_t leave = (uint64_t)r->mark[above] + r->width;
		if (free < min_u64(leave, r->goal))
			break;
		state = above;
	}
	return state;
}

static void arm_tick(struct reclaim *r)
{
	struct host *host = r->host;

	bool idle = host->state == HOST_HIGH && !host->blocked && !reclaim_over_ceiling(r);

	if (timer_armed(&r->tick) || idle)
		return;
	if (timer_add(&host->clock, &r->tick, host_now(host) + r->opts.tick)) {
		host_event_now(host, NULL, "no tick", "no memory for a timer");
		wake_all(r, "nothing would wake it");
	}
}

static void plan(struct reclaim *r, const char *reason);

/* Takes up the state that so many free frames mean, and does what goes with it. */
static void set_state(struct reclaim *r, uint64_t free)
{
	struct host *host = r->host;
	enum host_state was = host->state, is = state_of(r, free);
	char reason[64];

	if (is == was)
		return;
	reclaim_tell(r);
	reclaim_count_time(r);
	host->state = is;
	r->stats.changes++;
	set_trap(r);
	snprintf(reason, sizeof reason, "state %s", host_state_names[is]);
	host_event_now(host, NULL, "state", "%s to %s: %llu frames free, %s of %u",
		       host_state_names[was], host_state_names[is], (unsigned long long)free,
		       is > was ? "below the mark" : "past the mark",
		       is > was ? r->mark[is] : r->mark[is] + r->width);
	plan(r, reason);
	if (is == HOST_LOW)
		block_above_target(r);
	else if (was == HOST_LOW)
		wake_all(r, "memory is no longer low");
}

/* Acts on the state, as far as that goes now; returns the frames freed by paging. */
static uint32_t act(struct reclaim *r, uint64_t least)
{
	struct machine *m = &r->host->machine;
	uint32_t freed;

	if (r->acting)
		return 0;
	r->acting = true;
	set_state(r, m->free);
	freed = reclaim_page(r, least);
	if (freed)
		set_state(r, m->free);
	if (r->host->state == HOST_LOW)
		wake_at_target(r);
	arm_tick(r);
	r->acting = false;
	return freed;
}

/* Whether there is less to divide than the targets are made of: sharing saves less by now. */
static bool targets_too_high(const struct reclaim *r)
{
	return r->host->machine.free < r->goal && host_divisible(r->host) + r->width < r->divided;
}

static void tick_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct reclaim *r = arg;
	const struct vm *first = r->host->blocked;

	(void)clk;
	(void)timer;
	if (targets_too_high(r))
		plan(r, "sharing saves less");
	/* Where nothing can be freed, waiting is of no use: the first goes on. */
	if (act(r, 1) == 0 && first && r->host->blocked == first)
		wake(r, r->host->blocked, "there is nothing to wait for");
	arm_tick(r);
}

/* Plans. */

uint64_t host_saved(const struct host *host)
{
	uint64_t held = 0;

	for (size_t i = 0; i < host->vms; i++)
		held += vm_held(host->vm[i]);
	return held - host->machine.private_frames - host->machine.shared;
}

uint64_t host_divisible(const struct host *host)
{
	const struct machine *m = &host->machine;
	uint64_t kept = m->overhead + (host->reclaim ? host->reclaim->goal : 0);

	return (m->frames > kept ? m->frames - kept : 0) + host_saved(host);
}

static void tell_reclaimers(struct host *host, struct vm *vm)
{
	for (size_t i = 0; i < host->reclaimers; i++) {
		if (host->reclaimer[i].reclaimer->retarget)
			host->reclaimer[i].reclaimer->retarget(host->reclaimer[i].ctx, vm);
	}
}

static void plan(struct reclaim *r, const char *reason)
{
	struct host *host = r->host;
	struct err err;

	r->stats.plans++;
	host->adjusting = host_now(host) < r->adjust_ns;
	r->divided = host_divisible(host);
	r->capped = false;
	reclaim_tell(r);
	reclaim_gauge(r); /* and so notes the targets as they were */
	if (host->planner.plan && host->planner.plan(host->planner.ctx, reason, &err))
		host_event_now(host, NULL, "targets stay", "%s: %s", reason, err.msg);
	for (size_t i = 0; i < host->vms; i++) {
		struct vm *vm = host->vm[i];
		uint64_t was = r->vm[i]->target;
		if (vm->target != was)
			host_event_now(host, vm, "target", "%llu to %llu pages, of %llu held: %s",
				       (unsigned long long)was, (unsigned long long)vm->target,
				       (unsigned long long)vm_held(vm), reason);
		r->vm[i]->target = vm->target;
		r->capped |= !vm_gone(vm) && vm_ceiling(vm) < vm->pages;
		if (!vm_gone(vm))
			tell_reclaimers(host, vm);
	}
	set_trap(r);
}

/* A plan, what follows from it at once, and the time of the next. */
static void plan_and_act(struct reclaim *r, const char *reason)
{
	struct host *host = r->host;

	plan(r, reason);
	act(r, 0);
	if (!timer_armed(&r->period) && host->planner.period_ns &&
	    timer_add(&host->clock, &r->period, host_now(host) + host->planner.period_ns))
		host_event_now(host, NULL, "no period", "no memory for a timer");
}

void host_plan(struct host *host, const char *fmt, ...)
{
	struct reclaim *r = host->reclaim;
	char reason[200];
	va_list ap;

	if (!r)
		return;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	r->adjust_ns = host_now(host) + r->opts.adjust;
	plan_and_act(r, reason);
}

static void period_due(struct clock *clk, struct timer *timer, void *arg)
{
	(void)clk;
	(void)timer;
	plan_and_act(arg, "period");
}

/* Frames. */

/* A VM that may not have more gives one of its own for the one that it takes. */
static void replace_own(struct reclaim *r, struct vm *vm, struct err *why)
{
	bool low = r->host->state == HOST_LOW;

	if (low && vm_excess(vm))
		block(r, vm);
	if (vm_held(vm) >= (low ? min_u64(vm->target, vm_ceiling(vm)) : vm_ceiling(vm)) &&
	    vm_held(vm))
		reclaim_ask(r, vm, reclaim_unit(r), vm, why);
}

/* Whether there is something to do now that is not done already. */
static bool is_due(const struct reclaim *r)
{
	const uint64_t free = r->host->machine.free;

	return state_of(r, free ? free - 1 : 0) != r->host->state ||
	       (r->host->state >= HOST_SOFT && free < r->goal);
}

void reclaim_now(struct reclaim *r)
{
	act(r, 0);
}

int reclaim_take(struct reclaim *r, struct vm *vm, mpn_t *mpn, struct err *why)
{
	struct host *host = r->host;
	struct machine *m = &host->machine;

	if (host->evictor.wake) {
		if (is_due(r))
			host->evictor.wake(host->evictor.ctx);
	} else if (!r->acting) {
		r->acting = true;
		set_state(r, m->free ? m->free - 1 : 0);
		reclaim_page(r, 0);
		arm_tick(r);
		r->acting = false;
	}
	replace_own(r, vm, why);
	if (m->free == 0)
		reclaim_force(r, vm, why);
	*mpn = machine_take(m);
	return mpn_valid(*mpn) ? 0 : -ENOMEM;
}

/* The part. */

static int vm_added(void *ctx, struct vm *vm)
{
	struct reclaim *r = ctx;
	struct reclaim_vm **list = realloc(r->vm, (vm->id + 1u) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	r->vm = list;
	r->vm[vm->id] = calloc(1, sizeof *r->vm[vm->id]);
	if (!r->vm[vm->id])
		return -ENOMEM;
	r->vms = vm->id + 1u;
	stat_bind(&vm->stats, reclaim_vm_rows, r->vm[vm->id]);
	return 0;
}

static void vm_removed(void *ctx, struct vm *vm)
{
	struct reclaim *r = ctx;

	free(r->vm[vm->id]);
	r->vm[vm->id] = NULL;
	if (r->vms == vm->id + 1u)
		r->vms = vm->id;
}

static void changed(void *ctx, const struct opt_section *section, const void *opts)
{
	struct reclaim *r = ctx;

	if (section != &reclaim_section)
		return;
	r->opts = *(const struct reclaim_opts *)opts;
	set_marks(r);
	set_trap(r);
}

static void reclaim_close(void *ctx)
{
	struct reclaim *r = ctx;

	timer_cancel(&r->host->clock, &r->tick);
	timer_cancel(&r->host->clock, &r->period);
	r->host->reclaim = NULL;
	free(r->vm);
	free(r);
}

static const struct part reclaim_part = {
	.name = "reclaim",
	.vm_added = vm_added,
	.vm_removed = vm_removed,
	.audit = reclaim_audit,
	.close = reclaim_close,
	.gauge = reclaim_gauge,
	.changed = changed,
};

int reclaim_open(struct host *host, const struct reclaim_opts *opts, struct reclaim **out,
		 struct err *err)
{
	*out = NULL;
	if (!thresholds_have_states(host->opts.thresholds))
		return 0;
	int rc = reclaim_check(opts, err);
	if (rc)
		return rc;
	struct reclaim *r = calloc(1, sizeof *r);
	if (!r)
		return err_run(err, ENOMEM, "no memory for the reclaim loop");
	r->host = host;
	r->opts = *opts;
	host->reclaim = r;
	host->turn_max_ns = TURN_NS;
	timer_init(&r->tick, tick_due, r);
	timer_init(&r->period, period_due, r);
	set_marks(r);
	set_trap(r);
	stat_bind(&host->scope, reclaim_host_rows, r);
	host_add_part(host, &reclaim_part, r);
	*out = r;
	return 0;
}
