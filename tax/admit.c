#include "tax/admit.h"

#include <errno.h>
#include <stdlib.h>

static double mb(uint64_t pages)
{
	return (double)pages * PAGE_SIZE / (1 << 20);
}

int admit(struct ledger *l, const char *name, const struct promise *p, struct err *err)
{
	uint64_t taken = l->promised + l->overhead, wanted = p->min + p->overhead;
	uint64_t rest = p->max - p->min;

	if (p->min > p->max)
		return err_input(err, "vm %s: its min of %.12g MB is above its max of %.12g MB",
				 name, mb(p->min), mb(p->max));
	if (taken + wanted > l->frames)
		return err_input(err,
				 "vm %s does not fit: its min of %.12g MB and overhead of %.12g MB "
				 "need %.12g MB more than are left of %.12g MB of machine memory; "
				 "the others have a min of %.12g MB and overhead of %.12g MB",
				 name, mb(p->min), mb(p->overhead), mb(taken + wanted - l->frames),
				 mb(l->frames), mb(l->promised), mb(l->overhead));
	if (l->swap + rest > l->slots)
		return err_input(
			err,
			"vm %s does not fit: max - min, %.12g MB, needs %.12g MB more than "
			"are left of %.12g MB of swap; raise swap.size or vm.%s.min",
			name, mb(rest), mb(l->swap + rest - l->slots), mb(l->slots), name);
	l->promised += p->min;
	l->overhead += p->overhead;
	l->swap += rest;
	return 0;
}

void admit_strike(struct ledger *l, const struct promise *p)
{
	l->promised -= p->min;
	l->overhead -= p->overhead;
	l->swap -= p->max - p->min;
}

/* The frames taken for each VM. */
struct overhead {
	struct host *host;
	struct reserved {
		mpn_t *mpn; /* [n] */
		uint64_t n, room;
	} * vm; /* [vms] by VM id */
	size_t vms;
};

static int vm_added(void *ctx, struct vm *vm)
{
	struct overhead *o = ctx;
	struct reserved *list = realloc(o->vm, (vm->id + 1u) * sizeof *list);

	if (!list)
		return -ENOMEM;
	o->vm = list;
	o->vm[vm->id] = (struct reserved){0};
	o->vms = vm->id + 1u;
	return 0;
}

static void vm_emptied(void *ctx, struct vm *vm)
{
	struct overhead *o = ctx;
	struct reserved *r = &o->vm[vm->id];

	while (r->n > 0)
		machine_put_overhead(&o->host->machine, r->mpn[--r->n]);
	meter_free(&o->host->meter, r->mpn, r->room * sizeof *r->mpn);
	*r = (struct reserved){0};
}

static void vm_removed(void *ctx, struct vm *vm)
{
	struct overhead *o = ctx;

	if (o->vms == vm->id + 1u)
		o->vms = vm->id;
}

static size_t audit(void *ctx, FILE *out)
{
	const struct overhead *o = ctx;
	size_t bad = 0;

	for (size_t i = 0; i < o->vms; i++) {
		for (uint64_t k = 0; k < o->vm[i].n; k++) {
			const struct frame f = o->host->machine.frame[o->vm[i].mpn[k].n];
			if (f.vm == FRAME_OVERHEAD && f.refs == 1)
				continue;
			fprintf(out, "overhead: frame %u of vm %s is not the manager's\n",
				o->vm[i].mpn[k].n, o->host->vm[i]->name);
			bad++;
		}
	}
	return bad;
}

static void overhead_close(void *ctx)
{
	struct overhead *o = ctx;

	free(o->vm);
	free(o);
}

static const struct part overhead_part = {
	.name = "overhead",
	.vm_added = vm_added,
	.vm_emptied = vm_emptied,
	.vm_removed = vm_removed,
	.audit = audit,
	.close = overhead_close,
};

int overhead_open(struct host *host, struct overhead **out, struct err *err)
{
	struct overhead *o = calloc(1, sizeof *o);

	if (!o)
		return err_run(err, ENOMEM, "no memory for a host");
	o->host = host;
	host_add_part(host, &overhead_part, o);
	*out = o;
	return 0;
}

int overhead_take(struct overhead *o, struct vm *vm, struct err *err)
{
	struct reserved *r = &o->vm[vm->id];

	if (vm->overhead == 0)
		return 0;
	if (vm->overhead > o->host->machine.frames)
		return err_input(err, "vm %s: an overhead of %.12g MB is more than the machine has",
				 vm->name, mb(vm->overhead));
	r->mpn = meter_alloc(&o->host->meter, vm->overhead * sizeof *r->mpn);
	if (!r->mpn)
		return err_run(err, ENOMEM, "no memory for the overhead of vm %s", vm->name);
	r->room = vm->overhead;
	while (r->n < vm->overhead) {
		mpn_t mpn;
		int rc = host_take_frame(o->host, vm, &mpn, err);
		if (rc) {
			err_prefix(err, "the overhead of vm %s", vm->name);
			return rc;
		}
		machine_own_overhead(&o->host->machine, mpn);
		r->mpn[r->n++] = mpn;
	}
	return 0;
}
