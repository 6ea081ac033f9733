/* The reclaim loop: what it tells of itself, and the recount. */
#include "core/reclaim_private.h"

#define TELL_NS UINT64_C(1000000000) /* between events of paging while nothing else happens */

#define STAT(field) offsetof(struct reclaim, stats.field)

const struct stat_row reclaim_host_rows[] = {
	{"state", STAT_GAUGE, "1", STAT(state), true, "0 high, 1 clear, 2 soft, 3 hard, 4 low"},
	{"high_ns", STAT_COUNTER, "ns", STAT(state_ns[HOST_HIGH]), false,
	 "virtual time in state high: memory is plenty"},
	{"clear_ns", STAT_COUNTER, "ns", STAT(state_ns[HOST_CLEAR]), false,
	 "virtual time in state clear (esx-later)"},
	{"soft_ns", STAT_COUNTER, "ns", STAT(state_ns[HOST_SOFT]), false,
	 "virtual time in state soft: balloons are asked"},
	{"hard_ns", STAT_COUNTER, "ns", STAT(state_ns[HOST_HARD]), false,
	 "virtual time in state hard: VMs above their target are swapped out"},
	{"low_ns", STAT_COUNTER, "ns", STAT(state_ns[HOST_LOW]), false,
	 "virtual time in state low: they are blocked, too"},
	{"state_changes", STAT_COUNTER, "1", STAT(changes), false, "changes of state"},
	{"plans", STAT_COUNTER, "1", STAT(plans), false, "times that memory was divided anew"},
	{"reclaim_paged", STAT_COUNTER, "frames", STAT(paged), true,
	 "frames that VMs gave up because they were above their targets"},
	{"blocks", STAT_COUNTER, "1", STAT(blocks), false, "times that a VM was blocked"},
	{NULL},
};

#define VM_STAT(field) offsetof(struct reclaim_vm, field)

const struct stat_row reclaim_vm_rows[] = {
	{"held", STAT_GAUGE, "pages", VM_STAT(held), true,
	 "pages that have a frame, their own or a shared one"},
	{"target", STAT_GAUGE, "pages", VM_STAT(target), true, "pages that the VM is to hold"},
	{"paged", STAT_COUNTER, "frames", VM_STAT(paged), false,
	 "frames that it gave up because it was above its target"},
	{"blocks", STAT_COUNTER, "1", VM_STAT(blocks), false, "times that it was blocked"},
	{"blocked_ns", STAT_COUNTER, "ns", VM_STAT(blocked_ns), true,
	 "virtual time that it was blocked"},
	{NULL},
};

void reclaim_count_time(struct reclaim *r)
{
	uint64_t now = host_now(r->host);

	if (now <= r->since_ns)
		return;
	r->stats.state_ns[r->host->state] += now - r->since_ns;
	r->since_ns = now;
}

void reclaim_count_blocked(struct reclaim *r, struct vm *vm)
{
	struct reclaim_vm *v = r->vm[vm->id];
	uint64_t now = host_now(r->host);

	if (now > v->since_ns)
		v->blocked_ns += now - v->since_ns;
	v->since_ns = max_u64(v->since_ns, now);
}

void reclaim_gauge(void *ctx)
{
	struct reclaim *r = ctx;

	if (host_now(r->host) - r->told_ns >= TELL_NS)
		reclaim_tell(r);
	reclaim_count_time(r);
	r->stats.state = r->host->state;
	for (size_t i = 0; i < r->vms; i++) {
		struct vm *vm = r->host->vm[i];
		r->vm[i]->held = vm_held(vm);
		r->vm[i]->target = vm->target;
		if (vm->blocked)
			reclaim_count_blocked(r, vm);
	}
}

size_t reclaim_audit(void *ctx, FILE *out)
{
	const struct reclaim *r = ctx;
	const struct host *host = r->host;
	size_t blocked = 0, queued = 0, bad = 0;

	for (size_t i = 0; i < host->vms; i++) {
		const struct vm *vm = host->vm[i];
		blocked += vm->blocked;
		if (vm->min <= vm->max && vm->max <= vm->pages)
			continue;
		fprintf(out, "reclaim: vm %s has min %llu, max %llu of %u pages\n", vm->name,
			(unsigned long long)vm->min, (unsigned long long)vm->max, vm->pages);
		bad++;
	}
	for (const struct vm *vm = host->blocked; vm; vm = vm->next_blocked)
		queued += vm->blocked && vm->state == VM_RUNNING;
	if (queued != blocked) {
		fprintf(out, "reclaim: %zu VMs blocked, %zu of them in the queue\n", blocked,
			queued);
		bad++;
	}
	if (host->blocked && host->turns && !timer_armed(&r->tick)) {
		fprintf(out, "reclaim: vm %s is blocked and no tick will come\n",
			host->blocked->name);
		bad++;
	}
	return bad;
}
