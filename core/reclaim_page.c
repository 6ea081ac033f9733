/* The reclaim loop: whose pages go. */
#include "core/reclaim_private.h"

#define SECOND UINT64_C(1000000000)

/* What a page's way to the disk takes of the rate; 0 where there is no bound. */
static uint64_t page_ns(const struct reclaim *r)
{
	return r->opts.rate ? SECOND / (uint64_t)r->opts.rate : 0;
}

uint32_t reclaim_ask(struct reclaim *r, struct vm *vm, uint32_t want, struct vm *needy,
		     struct err *err)
{
	struct host *host = r->host;
	uint32_t freed = 0;

	for (size_t i = 0; i < host->reclaimers && freed < want; i++) {
		const struct reclaimer *from = host->reclaimer[i].reclaimer;
		if (from->reclaim)
			freed +=
				from->reclaim(host->reclaimer[i].ctx, want - freed, vm, needy, err);
	}
	r->vm[vm->id]->paged += freed;
	r->stats.paged += freed;
	if (needy) {
		needy->time_ns += freed * page_ns(r);
		host->evictor.in_line += freed;
	}
	return freed;
}

/* Pages that the rate allows now: what gathered since, a tick's at most. */
static uint64_t allowance(struct reclaim *r)
{
	uint64_t now = host_now(r->host), ns = page_ns(r);

	if (!ns)
		return UINT64_MAX;
	r->paid_ns = max_u64(r->paid_ns, now > r->opts.tick ? now - r->opts.tick : 0);
	return now > r->paid_ns ? (now - r->paid_ns) / ns : 0;
}

/* Whether a balloon, or what else works in the guest's own time, will do. */
static bool served(const struct host *host, const struct vm *vm)
{
	for (size_t i = 0; i < host->reclaimers; i++) {
		const struct reclaimer *by = host->reclaimer[i].reclaimer;
		if (by->retarget && by->from <= host->state &&
		    (!by->serves || by->serves(host->reclaimer[i].ctx, vm)))
			return true;
	}
	return false;
}

/* Pages above its target that are to be paged out in this state. */
static uint64_t above_target(const struct host *host, const struct vm *vm)
{
	if (vm_gone(vm) || (host->state == HOST_SOFT && served(host, vm)))
		return 0;
	return vm_excess(vm);
}

static uint32_t page_vm(struct reclaim *r, struct vm *vm, uint64_t want)
{
	struct reclaim_vm *v = r->vm[vm->id];
	struct err why = {0};
	uint32_t freed = reclaim_ask(r, vm, (uint32_t)min_u64(want, UINT32_MAX), NULL, &why);

	if (freed < want && why.exit_code && !v->fell_short)
		host_event_now(r->host, vm, "paging falls short", "%s", why.msg);
	v->fell_short = freed < want && why.exit_code;
	v->untold += freed;
	return freed;
}

void reclaim_tell(struct reclaim *r)
{
	for (size_t i = 0; i < r->vms; i++) {
		const struct vm *vm = r->host->vm[i];
		if (r->vm[i]->untold)
			host_event_now(r->host, vm, "paged",
				       "%llu frames, to its target of %llu pages: state %s",
				       (unsigned long long)r->vm[i]->untold,
				       (unsigned long long)r->vm[i]->target,
				       host_state_names[r->host->state]);
		r->vm[i]->untold = 0;
	}
	r->told_ns = host_now(r->host);
}

/* Pages up to `most` of what is due, each VM in proportion. */
static uint32_t page_due(struct reclaim *r,
			 uint64_t (*due)(const struct host *host, const struct vm *vm),
			 uint64_t most, uint64_t least)
{
	struct host *host = r->host;
	uint64_t all = 0, want, sum = 0, done = 0;
	uint32_t freed = 0;

	for (size_t i = 0; i < host->vms; i++)
		all += due(host, host->vm[i]);
	if (all == 0)
		return 0;
	want = min_u64(min_u64(all, most), max_u64(allowance(r), least));
	/* Each VM's part by what has been asked up to it, so that the parts add up. */
	for (size_t i = 0; i < host->vms; i++) {
		sum += due(host, host->vm[i]);
		uint64_t until = (uint64_t)((unsigned __int128)want * sum / all);
		if (until > done)
			freed += page_vm(r, host->vm[i], until - done);
		done = until;
	}
	r->paid_ns += freed * page_ns(r);
	return freed;
}

static uint64_t above_ceiling(const struct host *host, const struct vm *vm)
{
	uint64_t held = vm_held(vm), ceiling = vm_ceiling(vm);

	(void)host;
	return held > ceiling && !vm_gone(vm) ? held - ceiling : 0;
}

bool reclaim_over_ceiling(const struct reclaim *r)
{
	for (size_t i = 0; r->capped && i < r->host->vms; i++) {
		if (above_ceiling(r->host, r->host->vm[i]))
			return true;
	}
	return false;
}

uint32_t reclaim_page(struct reclaim *r, uint64_t least)
{
	const struct host *host = r->host;
	uint32_t freed = r->capped ? page_due(r, above_ceiling, UINT64_MAX, least) : 0;

	if (host->state < HOST_SOFT || host->machine.free >= r->goal)
		return freed;
	return freed + page_due(r, above_target, r->goal - host->machine.free, least);
}

static uint64_t above_min(const struct vm *vm)
{
	uint64_t held = vm_held(vm);

	return held > vm->min ? held - vm->min : 0;
}

/* A frame of the VM that is furthest above by that measure, or of any that is above at all. */
static bool force_from(struct reclaim *r, uint64_t (*above)(const struct vm *vm), struct vm *needy,
		       struct err *err)
{
	const struct host *host = r->host;
	struct vm *best = NULL;
	uint64_t most = 0;

	for (size_t i = 0; i < host->vms; i++) {
		if (above(host->vm[i]) <= most)
			continue;
		best = host->vm[i];
		most = above(best);
	}
	if (!best)
		return false;
	if (reclaim_ask(r, best, reclaim_unit(r), needy, err))
		return true;
	for (size_t i = 0; i < host->vms; i++) {
		if (host->vm[i] != best && above(host->vm[i]) &&
		    reclaim_ask(r, host->vm[i], reclaim_unit(r), needy, err))
			return true;
	}
	return false;
}

bool reclaim_force(struct reclaim *r, struct vm *needy, struct err *err)
{
	return force_from(r, vm_excess, needy, err) || force_from(r, above_min, needy, err) ||
	       reclaim_ask(r, needy, reclaim_unit(r), needy, err);
}
