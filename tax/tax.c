#include "tax/tax.h"

#include "tax/alloc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define TAX(field) offsetof(struct tax_opts, field)

static const struct opt tax_options[] = {
	{"alloc", OPT_CHOICE, TAX(alloc), "esx", 0, 0, allocators,
	 "how memory is divided among the VMs", .live = true},
	{"rate", OPT_REAL, TAX(rate), "75%", 0, 0.999999, NULL,
	 "tax on idle memory: an idle page costs as much as 1 / (1 - rate) active ones",
	 .live = true},
	{"period", OPT_TIME, TAX(period), "15s", 1000000, 1e13, NULL,
	 "virtual time between divisions where nothing else calls for one", .live = true},
	{NULL},
};

const struct opt_section tax_section = {
	"tax",
	false,
	sizeof(struct tax_opts),
	tax_options,
	"who gets the memory (host.thresholds = esx, esx-later)",
};

struct tax {
	struct host *host;
	struct tax_opts opts;
	/* [room] a claim for each VM that is not gone, and what it comes to. */
	struct claim *claim;
	uint64_t *target;
	size_t room;
};

static int make_room(struct tax *t)
{
	size_t n = t->host->vms;

	if (n <= t->room)
		return 0;
	struct claim *claim = realloc(t->claim, n * sizeof *claim);
	if (claim)
		t->claim = claim;
	uint64_t *target = realloc(t->target, n * sizeof *target);
	if (target)
		t->target = target;
	if (!claim || !target)
		return -ENOMEM;
	t->room = n;
	return 0;
}

/*
 * Where nobody looks nothing is known to be idle, be it more than the VM holds
 * now: then the tax has nothing to tax.
 */
static struct claim claim_of(const struct vm *vm)
{
	uint64_t active = vm->state == VM_ENDED ? 0 : vm->sampled ? vm->active : vm->max;

	return (struct claim){
		.min = vm->min,
		.max = vm->max,
		.active = min_u64(active, vm->max),
		.pages = vm_held(vm),
		.shares = vm->shares,
		.curve = vm->curve,
	};
}

static int plan(void *ctx, const char *reason, struct err *err)
{
	struct tax *t = ctx;
	struct host *host = t->host;
	struct alloc_ask ask = {
		.tax = (uint32_t)lround(t->opts.rate * TAX_WHOLE),
	};
	uint64_t promised = 0;
	size_t n = 0;

	(void)reason;
	if (make_room(t))
		return err_run(err, ENOMEM, "no memory for %zu claims", host->vms);
	for (size_t i = 0; i < host->vms; i++) {
		if (vm_gone(host->vm[i]))
			continue;
		t->claim[n] = claim_of(host->vm[i]);
		promised += t->claim[n++].min;
	}
	ask.claims = t->claim;
	ask.n = n;
	ask.memory = max_u64(host_divisible(host), promised);
	int rc = alloc_targets((const struct allocator *)t->opts.alloc, &ask, t->target, err);
	if (rc)
		return rc;
	for (size_t i = host->vms; i-- > 0;)
		host->vm[i]->target = vm_gone(host->vm[i]) ? 0 : t->target[--n];
	return 0;
}

static void tax_changed(void *ctx, const struct opt_section *section, const void *opts)
{
	struct tax *t = ctx;

	if (section != &tax_section)
		return;
	t->opts = *(const struct tax_opts *)opts;
	t->host->planner.period_ns = t->opts.period;
}

static void tax_close(void *ctx)
{
	struct tax *t = ctx;

	t->host->planner.plan = NULL;
	free(t->claim);
	free(t->target);
	free(t);
}

static const struct part tax_part = {
	.name = "tax",
	.close = tax_close,
	.changed = tax_changed,
};

int tax_open(struct host *host, const struct tax_opts *opts, struct tax **out, struct err *err)
{
	*out = NULL;
	if (!host->reclaim)
		return 0;
	struct tax *t = calloc(1, sizeof *t);
	if (!t)
		return err_run(err, ENOMEM, "no memory for the tax");
	t->host = host;
	t->opts = *opts;
	host->planner = (struct planner){plan, t, opts->period};
	host_add_part(host, &tax_part, t);
	*out = t;
	return 0;
}
