/* The part: options, statistics, and a probe or two for each VM. */
#include "tax/sample_private.h"

#include <errno.h>
#include <stdlib.h>

const struct policy *const samplers[] = {
	&sampler_esx.policy,   &sampler_abit.policy, &sampler_mrc.policy,
	&sampler_exact.policy, &sampler_none.policy, NULL,
};

#define SAMPLE(field) offsetof(struct sample_opts, field)

static const struct opt sample_options[] = {
	{"sampler", OPT_CHOICE, SAMPLE(sampler), "none", 0, 0, samplers,
	 "how the pages that a VM uses are estimated"},
	{"period", OPT_TIME, SAMPLE(period), "30s", 1000, 1e15, NULL,
	 "VM time, idle time included, after which an estimate is renewed"},
	{"pages", OPT_INT, SAMPLE(pages), "100", 1, 1e6, NULL,
	 "esx: random pages of a VM whose next touch is waited for in each period", .live = true},
	{"large", OPT_CHOICE, SAMPLE(large), "break", 0, 0, large_cares,
	 "esx: a page of a large page, where large.frames makes any: wait for its touch and break "
	 "that, or take it for touched"},
	{"slow", OPT_REAL, SAMPLE(slow), "25%", 0.001, 1, NULL,
	 "esx: gain of the slow moving average", .live = true},
	{"fast", OPT_REAL, SAMPLE(fast), "75%", 0.001, 1, NULL,
	 "esx: gain of the fast moving average", .live = true},
	{"mrc_pages", OPT_INT, SAMPLE(mrc_pages), "1024", 16, 8192, NULL,
	 "mrc: pages tracked at most, the same by hash all the time"},
	{"mrc_tick", OPT_TIME, SAMPLE(mrc_tick), "1s", 1000, 1e15, NULL,
	 "mrc: VM time after which a tracked page that was touched is waited for again"},
	{"mrc_flat", OPT_REAL, SAMPLE(mrc_flat), "5%", 0, 0.5, NULL,
	 "mrc: the curve is flat, and the pages to there active, where only this part of the "
	 "reuses "
	 "still misses",
	 .live = true},
	{"mrc_fade", OPT_REAL, SAMPLE(mrc_fade), "100%", 0.001, 1, NULL,
	 "mrc: part of its counts lost each period; with all the curve is of the last one alone",
	 .live = true},
	{"truth", OPT_BOOL, SAMPLE(truth), "off", 0, 0, NULL,
	 "count the distinct pages touched in the last period too, free of charge (touched)"},
	{"slice", OPT_TIME, SAMPLE(slice), "1s", 1000, 1e15, NULL,
	 "exact, truth: time by which the window of one period moves on"},
	{"invalidate_time", OPT_TIME, SAMPLE(invalidate_time), "500ns", 0, 1e9, NULL,
	 "virtual time to take the rights of a page", .live = true},
	{"fault_time", OPT_TIME, SAMPLE(fault_time), "1us", 0, 1e9, NULL,
	 "virtual time of the minor fault that the next touch of such a page is", .live = true},
	{"harvest_time", OPT_TIME, SAMPLE(harvest_time), "5ns", 0, 1e9, NULL,
	 "virtual time to look at an accessed bit and clear it, with what it costs the TLB",
	 .live = true},
	{NULL},
};

const struct opt_section sample_section = {
	"sample", false, sizeof(struct sample_opts), sample_options, "working-set estimates",
};

#define STAT(field) offsetof(struct probe, stats.field)

static const struct stat_row probe_rows[] = {
	{"active", STAT_GAUGE, "pages", STAT(active), true,
	 "pages in use, by the sampler's estimate"},
	{"sample_invalidations", STAT_COUNTER, "pages", STAT(invalidations), false,
	 "pages whose rights the sampler took"},
	{"sample_faults", STAT_COUNTER, "1", STAT(faults), true,
	 "minor faults: touches that failed for the sampler alone"},
	{"sample_harvested", STAT_COUNTER, "pages", STAT(harvested), false,
	 "accessed bits that the sampler looked at"},
	{"sample_ns", STAT_COUNTER, "ns", STAT(cpu_ns), false,
	 "virtual time that sampling took of the VM"},
	{"sample_bytes", STAT_GAUGE, "bytes", STAT(bytes), false,
	 "the sampler's memory for the VM"},
	{NULL},
};

static const struct stat_row truth_rows[] = {
	{"touched", STAT_GAUGE, "pages", STAT(active), true,
	 "distinct pages touched within the last sample.period: the truth"},
	{NULL},
};

struct sampled_vm {
	struct probe probe; /* the sampler's */
	struct probe truth; /* state NULL: none of its own */
};

struct sampling {
	struct host *host;
	struct sample_opts opts;
	struct sampled_vm **vm; /* by id */
};

/* What the samplers call. */

/*
 * A VM is never taken further than half a tick ahead of the clock: else one whose
 * ticks cost more than they lie apart would never have its turn.
 */
void probe_charge(struct probe *p, uint64_t n, uint64_t each_ns)
{
	struct vm *vm = p->vm;

	if (vm->state != VM_RUNNING || p == p->truth)
		return;
	const uint64_t most = vm->host->clock.now_ns + p->sampler->interval(p->opts) / 2;
	p->stats.cpu_ns += n * each_ns;
	if (vm->time_ns < most)
		vm->time_ns = min_u64(vm->time_ns + n * each_ns, most);
}

void probe_sample(struct probe *p, ppn_t ppn)
{
	bool mapped = pmap_peek(p->pmap, ppn) & PTE_R;

	pmap_sample(p->pmap, ppn);
	p->stats.invalidations += mapped;
	probe_charge(p, mapped, p->opts->invalidate_time);
}

void probe_touched(struct probe *p, ppn_t ppn, bool minor)
{
	p->stats.faults += minor;
	probe_charge(p, minor, p->opts->fault_time);
	p->sampler->touched(p, ppn);
}

void probe_found(struct probe *p, uint64_t pages)
{
	p->stats.active = pages;
	if (p->tells)
		p->vm->active = pages;
}

void *probe_alloc(struct probe *p, size_t bytes)
{
	void *memory = meter_alloc(&p->vm->host->meter, bytes);

	if (memory)
		p->stats.bytes += bytes;
	return memory;
}

void probe_free(struct probe *p, void *memory, size_t bytes)
{
	if (!memory)
		return;
	meter_free(&p->vm->host->meter, memory, bytes);
	p->stats.bytes -= bytes;
}

/* One probe. Its state is there, however small, while it is at work. */

static size_t state_size(const struct probe *p)
{
	return p->sampler->state_size ? p->sampler->state_size : 1;
}

void probe_stop(struct probe *p)
{
	if (!p->state)
		return;
	if (p->sampler->stop)
		p->sampler->stop(p);
	probe_free(p, p->state, state_size(p));
	p->state = NULL;
}

int probe_start(struct probe *p)
{
	p->state = probe_alloc(p, state_size(p));
	if (!p->state)
		return -ENOMEM;
	probe_found(p, 0);
	int rc = p->sampler->start ? p->sampler->start(p) : 0;
	if (rc)
		probe_stop(p);
	else
		p->vm->sampled |= p->tells;
	return rc;
}

static void probe_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct probe *p = arg;

	if (vm_gone(p->vm))
		return;
	p->sampler->tick(p);
	/* The heap has room for it: the timer was in it until now. */
	(void)!timer_add(clk, timer, timer->when_ns + p->sampler->interval(p->opts));
}

/* The part. */

static int open_probe(struct sampling *s, struct probe *p, const struct sampler *sampler,
		      struct vm *vm, struct probe *truth)
{
	*p = (struct probe){.sampler = sampler,
			    .opts = &s->opts,
			    .vm = vm,
			    .pmap = vm->pmap,
			    .tells = p == &s->vm[vm->id]->probe,
			    .truth = truth};
	rng_init(&p->rng, (uint64_t)s->host->opts.seed, "sample", vm->id);
	timer_init(&p->timer, probe_due, p);
	int rc = probe_start(p);
	if (rc == 0)
		rc = timer_add(&s->host->clock, &p->timer,
			       s->host->clock.now_ns + sampler->interval(p->opts));
	return rc;
}

static void forget_vm(struct sampling *s, struct vm *vm)
{
	struct sampled_vm *v = s->vm[vm->id];

	timer_cancel(&s->host->clock, &v->probe.timer);
	timer_cancel(&s->host->clock, &v->truth.timer);
	probe_stop(&v->probe);
	probe_stop(&v->truth);
	free(v);
	s->vm[vm->id] = NULL;
}

static int open_vm(struct sampling *s, struct sampled_vm *v, struct vm *vm)
{
	const struct sampler *sampler = (const struct sampler *)s->opts.sampler;
	struct probe *truth = s->opts.truth ? &v->truth : NULL;
	int rc = 0;

	if (sampler == &sampler_exact)
		truth = &v->probe;
	if (sampler != &sampler_none)
		rc = open_probe(s, &v->probe, sampler, vm, truth);
	/* Armed last, and so to fire last of two at a time: abit then reads what it has. */
	if (rc == 0 && truth == &v->truth)
		rc = open_probe(s, truth, &sampler_exact, vm, truth);
	if (rc)
		return rc;
	if (v->probe.state)
		stat_bind(&vm->stats, probe_rows, &v->probe);
	if (v->probe.state && sampler->rows)
		stat_bind(&vm->stats, sampler->rows, v->probe.state);
	if (s->opts.truth)
		stat_bind(&vm->stats, truth_rows, truth);
	return 0;
}

static int vm_added(void *ctx, struct vm *vm)
{
	struct sampling *s = ctx;
	struct sampled_vm **list = realloc(s->vm, (vm->id + 1u) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	s->vm = list;
	s->vm[vm->id] = calloc(1, sizeof **list);
	if (!s->vm[vm->id])
		return -ENOMEM;
	int rc = open_vm(s, s->vm[vm->id], vm);
	if (rc)
		forget_vm(s, vm);
	return rc;
}

/* What it held is gone, and it will touch nothing any more. */
static void vm_emptied(void *ctx, struct vm *vm)
{
	struct sampling *s = ctx;

	probe_found(&s->vm[vm->id]->probe, 0);
	probe_found(&s->vm[vm->id]->truth, 0);
}

static void vm_removed(void *ctx, struct vm *vm)
{
	forget_vm(ctx, vm);
}

static void sampling_changed(void *ctx, const struct opt_section *section, const void *opts)
{
	struct sampling *s = ctx;

	if (section == &sample_section)
		s->opts = *(const struct sample_opts *)opts;
}

static void sampling_close(void *ctx)
{
	struct sampling *s = ctx;

	free(s->vm);
	free(s);
}

static const struct part sampling_part = {
	.name = "sampler",
	.vm_added = vm_added,
	.vm_emptied = vm_emptied,
	.vm_removed = vm_removed,
	.close = sampling_close,
	.changed = sampling_changed,
};

static void page_touched(void *ctx, struct pmap *pmap, ppn_t ppn, bool minor)
{
	struct sampling *s = ctx;

	probe_touched(&s->vm[pmap->vm->id]->probe, ppn, minor);
}

int sampling_check(const struct sample_opts *o, struct err *err)
{
	bool exact = o->truth || o->sampler == &sampler_exact.policy;

	if (o->slow > o->fast)
		return err_input(err,
				 "sample.slow, %g %%, is above sample.fast, %g %%: exchange them",
				 100 * o->slow, 100 * o->fast);
	if (o->sampler == &sampler_mrc.policy && o->mrc_tick > o->period)
		return err_input(err, "sample.mrc_tick, %gs, is longer than sample.period, %gs",
				 (double)o->mrc_tick / 1e9, (double)o->period / 1e9);
	if (exact && (o->period % o->slice || o->period / o->slice > 1000))
		return err_input(err,
				 "sample.period of %gs is to be 1 to 1000 times sample.slice, %gs",
				 (double)o->period / 1e9, (double)o->slice / 1e9);
	return 0;
}

int sampling_open(struct host *host, struct pmap_part *pmaps, const struct sample_opts *opts,
		  struct err *err)
{
	int rc = sampling_check(opts, err);
	if (rc || (opts->sampler == &sampler_none.policy && !opts->truth))
		return rc;
	struct sampling *s = calloc(1, sizeof *s);
	if (!s)
		return err_run(err, ENOMEM, "no memory for samplers");
	s->host = host;
	s->opts = *opts;
	if (((const struct sampler *)opts->sampler)->watches)
		pmaps->sample = (struct sample_watch){page_touched, s};
	host_add_part(host, &sampling_part, s);
	return 0;
}

bool sampler_draws(const struct policy *sampler)
{
	return sampler == &sampler_mrc.policy;
}

/* Never started: it has no hooks. */
const struct sampler sampler_none = {
	.policy = {"none", "nobody looks: whatever a VM holds counts as used"},
};
