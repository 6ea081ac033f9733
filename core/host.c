#include "core/reclaim.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const host_state_names[HOST_STATES] = {"high", "clear", "soft", "hard", "low"};

#define HOST(field) offsetof(struct host_opts, field)

static const struct opt host_options[] = {
	{"frames", OPT_INT, HOST(frames), "0", 0, UINT32_MAX - 1, NULL,
	 "machine memory in 4 KiB frames; unless given, as memory says"},
	{"memory", OPT_BYTES, HOST(memory), "0", 0, 0x1p43, NULL,
	 "machine memory; if neither is given, the sum of the VMs'"},
	{"low_memory", OPT_BYTES, HOST(low_memory), "4gb", 0, 0x1p43, NULL,
	 "machine memory that devices can address: the low zone"},
	{"backing", OPT_CHOICE, HOST(backing), "ids", 0, 0, backings, "where page contents live"},
	{"thresholds", OPT_CHOICE, HOST(thresholds), "reserve", 0, 0, thresholds_list,
	 "when frames are reclaimed"},
	{"reclaimers", OPT_LIST, HOST(reclaimers), "swap", 0, 0, NULL,
	 "who gives frames back, in the order in which they are asked: balloon, swap"},
	{"reserve_low", OPT_REAL, HOST(reserve_low), "4%", 0, 0.5, NULL,
	 "free share of memory at which reclaiming begins (thresholds = reserve)"},
	{"reserve_high", OPT_REAL, HOST(reserve_high), "6%", 0, 0.9, NULL,
	 "free share of memory at which reclaiming ends (thresholds = reserve)"},
	{"quantum", OPT_TIME, HOST(quantum), "100us", 1, 1e12, NULL,
	 "virtual time that one VM may run ahead of another"},
	{"audit", OPT_TIME, HOST(audit), "0", 0, 0, NULL,
	 "virtual time between self-checks of every count; 0: only at the end"},
	{"seed", OPT_INT, HOST(seed), "1", 0, 0, NULL, "seed of every random stream of the run"},
	{NULL},
};

const struct opt_section host_section = {
	"host", false, sizeof(struct host_opts), host_options, "the machine",
};

#define COST(field) offsetof(struct cost_opts, field)

static const struct opt cost_options[] = {
	{"ref", OPT_TIME, COST(ref), "10ns", 0, 1e9, NULL,
	 "virtual time of a reference that hits (a trace record stands for several instructions)"},
	{"fault", OPT_TIME, COST(fault), "1us", 0, 1e12, NULL,
	 "virtual time of an exit to the manager and back"},
	{"zero", OPT_TIME, COST(zero), "300ns", 0, 1e12, NULL,
	 "virtual time to clear a page before it is handed out"},
	{NULL},
};

const struct opt_section cost_section = {
	"cost", false, sizeof(struct cost_opts), cost_options, "what moves the virtual clock",
};

#define STAT(field) offsetof(struct host, field)

static const struct stat_row host_stat_rows[] = {
	{"frames", STAT_GAUGE, "frames", STAT(stats.frames), false, "machine memory"},
	{"free", STAT_GAUGE, "frames", STAT(machine.free), true, "frames that nobody uses"},
	{"private", STAT_GAUGE, "frames", STAT(machine.private_frames), true,
	 "frames that back one page"},
	{"shared", STAT_GAUGE, "frames", STAT(machine.shared), true,
	 "frames mapped read-only by any number of pages"},
	{"min_free", STAT_GAUGE, "frames", STAT(stats.min_free), false, "fewest free frames seen"},
	{"reclaims", STAT_COUNTER, "1", STAT(stats.reclaims), true,
	 "times that free frames ran short"},
	{"vm_failed", STAT_COUNTER, "1", STAT(stats.vm_failed), false, "VMs stopped by an error"},
	{"metadata_bytes", STAT_GAUGE, "bytes", STAT(meter.bytes), false,
	 "the manager's own tables"},
	{"time_ns", STAT_GAUGE, "ns", STAT(stats.time_ns), false,
	 "virtual time when the last VM stopped"},
	{NULL},
};

int host_new(const struct host_opts *opts, const struct cost_opts *cost, struct host **out,
	     struct err *err)
{
	uint32_t frames = (uint32_t)opts->frames;
	uint64_t low = opts->low_memory >> PAGE_SHIFT;

	if (opts->reserve_low > opts->reserve_high)
		return err_input(err,
				 "host.reserve_low, %g %%, is above host.reserve_high, %g %%: "
				 "reclaiming would end before it begins",
				 100 * opts->reserve_low, 100 * opts->reserve_high);
	struct host *host = calloc(1, sizeof *host);
	if (!host)
		return err_run(err, ENOMEM, "no memory for a host");
	host->opts = *opts;
	host->cost = *cost;
	int rc = machine_init(&host->machine, &host->meter, (const struct backing *)opts->backing,
			      frames, low > frames ? frames : (uint32_t)low);
	if (rc) {
		free(host);
		return err_run(err, -rc, "no memory for a machine of %u frames (backing %s)",
			       frames, opts->backing->name);
	}
	const struct thresholds *thresholds = (const struct thresholds *)opts->thresholds;
	if (thresholds->marks)
		thresholds->marks(opts, frames, &host->mark_low, &host->mark_high);
	clock_init(&host->clock);
	host->stats.frames = host->stats.min_free = frames;
	stat_bind(&host->scope, host_stat_rows, host);
	*out = host;
	return 0;
}

static void vm_free(struct vm *vm)
{
	if (vm->guest && vm->guest->close)
		vm->guest->close(vm->guest_state);
	free(vm->name);
	free(vm);
}

static void vm_empty(struct vm *vm)
{
	struct host *host = vm->host;

	for (size_t i = host->parts; i-- > 0;) {
		if (host->part[i].part->vm_emptied)
			host->part[i].part->vm_emptied(host->part[i].ctx, vm);
	}
}

/* Takes the VM from the first n parts, last part first. */
static void vm_remove(struct vm *vm, size_t n)
{
	struct host *host = vm->host;

	while (n-- > 0) {
		if (host->part[n].part->vm_removed)
			host->part[n].part->vm_removed(host->part[n].ctx, vm);
	}
	vm_free(vm);
}

void host_free(struct host *host)
{
	if (!host)
		return;
	for (size_t i = 0; i < host->vms; i++)
		vm_empty(host->vm[i]);
	for (size_t i = 0; i < host->vms; i++)
		vm_remove(host->vm[i], host->parts);
	for (size_t i = host->parts; i-- > 0;) {
		if (host->part[i].part->close)
			host->part[i].part->close(host->part[i].ctx);
	}
	free(host->vm);
	clock_free(&host->clock);
	machine_fini(&host->machine);
	free(host);
}

void host_add_part(struct host *host, const struct part *part, void *ctx)
{
	if (host->parts == HOST_PARTS_MAX || host->vms)
		abort();
	host->part[host->parts].part = part;
	host->part[host->parts++].ctx = ctx;
}

void host_add_reclaimer(struct host *host, const struct reclaimer *reclaimer, void *ctx)
{
	if (host->reclaimers == HOST_RECLAIMERS_MAX)
		abort();
	host->reclaimer[host->reclaimers].reclaimer = reclaimer;
	host->reclaimer[host->reclaimers++].ctx = ctx;
}

/* What a VM holds until the pmap counts. */
static const uint64_t no_pages;

int vm_add(struct host *host, const char *name, uint32_t pages, struct vm **out, struct err *err)
{
	if (host->vms >= VM_ID_MAX)
		return err_input(err, "vm %s: a host holds at most %d VMs", name, VM_ID_MAX);
	struct vm **list = realloc(host->vm, (host->vms + 1) * sizeof *list);
	struct vm *vm = calloc(1, sizeof *vm);
	if (list)
		host->vm = list;
	if (!list || !vm || !(vm->name = strdup(name))) {
		free(vm);
		return err_run(err, ENOMEM, "vm %s: no memory", name);
	}
	vm->host = host;
	vm->pages = pages;
	vm->id = (uint16_t)host->vms;
	vm->max = vm->target = pages;
	vm->shares = 1;
	vm->held[0] = vm->held[1] = vm->held[2] = &no_pages;
	for (size_t i = 0; i < host->parts; i++) {
		const struct part *part = host->part[i].part;
		int rc = part->vm_added ? part->vm_added(host->part[i].ctx, vm) : 0;
		if (rc) {
			vm_remove(vm, i);
			return err_run(err, -rc, "vm %s: no memory for the %s of %u pages", name,
				       part->name, pages);
		}
	}
	host->vm[host->vms++] = vm;
	*out = vm;
	return 0;
}

void vm_drive(struct vm *vm, const struct guest *guest, void *state)
{
	vm->guest = guest;
	vm->guest_state = state;
}

/* Its memory goes to the others. */
static void vm_leave(struct vm *vm, enum vm_state state)
{
	vm->state = state;
	vm_wake(vm);
	vm_empty(vm);
	vm->min = vm->target = vm->active = 0;
	vm->shares = 0; /* it claims nothing */
	host_plan(vm->host, "vm %s left", vm->name);
}

void vm_fail(struct vm *vm, const struct err *err)
{
	if (vm_gone(vm))
		return;
	vm->err = *err;
	vm->host->stats.vm_failed++;
	host_event(vm->host, vm, "failed", "%s", err->msg);
	vm_leave(vm, VM_FAILED);
}

void vm_retire(struct vm *vm, const char *reason)
{
	if (vm_gone(vm))
		return;
	host_event_now(vm->host, vm, "removed", "%s", reason);
	vm_leave(vm, VM_REMOVED);
}

void vm_end(struct vm *vm, const char *why)
{
	if (vm->state != VM_RUNNING)
		return;
	host_event(vm->host, vm, "ended", "%s", why);
	vm_leave(vm, VM_ENDED);
}

/* Until that many frames are free. */
static void host_reclaim(struct host *host, uint32_t until, struct vm *needy, struct err *err)
{
	const struct machine *m = &host->machine;

	for (size_t i = 0; i < host->reclaimers && m->free < until; i++) {
		const struct reclaimer *r = host->reclaimer[i].reclaimer;
		if (r->reclaim)
			r->reclaim(host->reclaimer[i].ctx, until - (uint32_t)m->free, NULL, needy,
				   err);
	}
}

void host_replenish(struct host *host)
{
	struct err why = {0};

	if (host->reclaim)
		reclaim_now(host->reclaim);
	else if (host->machine.free <= host->mark_low)
		host_reclaim(host, host->mark_high, NULL, &why);
}

/* Where there is an evictor: it is told, and only the last frame is waited for. */
static void reclaim_beside(struct host *host, struct vm *vm, struct err *why)
{
	const uint64_t before = host->machine.free;

	host->evictor.wake(host->evictor.ctx);
	if (before)
		return;
	host_reclaim(host, (uint32_t)min_u64(host->mark_high, IN_LINE_BATCH), vm, why);
	host->evictor.in_line += host->machine.free;
}

/* Says why there is no frame: a reclaimer's reason, if one had any. */
int host_no_frame(const struct host *host, struct err *why, struct err *err)
{
	if (!why->exit_code)
		return err_run(err, ENOMEM, "no frame: %u frames, none free and none to reclaim",
			       host->machine.frames);
	err_prefix(why, "no frame");
	if (err)
		*err = *why;
	return -ENOMEM;
}

int host_take_slow(struct host *host, struct vm *vm, mpn_t *mpn, struct err *err)
{
	const struct reclaimer *first = host->reclaimer[0].reclaimer;
	struct err why;

	why.exit_code = 0; /* clearing the whole message would cost more than the rest of this */
	if (host_replaces(host, first) && first->replace) {
		*mpn = first->replace(host->reclaimer[0].ctx, vm, &why);
		return host_replaced(host, *mpn, &why, err);
	}
	host->stats.reclaims++;
	host->stats.min_free = min_u64(host->stats.min_free, host->machine.free);
	if (host->reclaim)
		return reclaim_take(host->reclaim, vm, mpn, &why) ? host_no_frame(host, &why, err)
								  : 0;
	if (host->evictor.wake)
		reclaim_beside(host, vm, &why);
	else
		host_reclaim(host, host->mark_high, vm, &why);
	*mpn = machine_take(&host->machine);
	return likely(mpn_valid(*mpn)) ? 0 : host_no_frame(host, &why, err);
}

static void tell(struct host *host, uint64_t time_ns, const struct vm *vm, const char *event,
		 const char *fmt, va_list ap)
{
	char reason[768];

	vsnprintf(reason, sizeof reason, fmt, ap);
	host->on_event(host->event_ctx, time_ns, vm, event, reason);
}

void host_event(struct host *host, const struct vm *vm, const char *event, const char *fmt, ...)
{
	va_list ap;

	if (!host->on_event)
		return;
	va_start(ap, fmt);
	tell(host, vm ? vm->time_ns : host_now(host), vm, event, fmt, ap);
	va_end(ap);
}

void host_event_now(struct host *host, const struct vm *vm, const char *event, const char *fmt, ...)
{
	va_list ap;

	if (!host->on_event)
		return;
	va_start(ap, fmt);
	tell(host, host_now(host), vm, event, fmt, ap);
	va_end(ap);
}

void host_refresh(struct host *host)
{
	host_gauge(host);
	for (size_t i = 0; i < host->parts; i++) {
		if (host->part[i].part->refresh)
			host->part[i].part->refresh(host->part[i].ctx);
	}
}

void host_gauge(struct host *host)
{
	for (size_t i = 0; i < host->parts; i++) {
		if (host->part[i].part->gauge)
			host->part[i].part->gauge(host->part[i].ctx);
	}
}

void host_changed(struct host *host, const struct opt_section *section, const void *opts)
{
	for (size_t i = 0; i < host->parts; i++) {
		if (host->part[i].part->changed)
			host->part[i].part->changed(host->part[i].ctx, section, opts);
	}
}

size_t host_audit(struct host *host, FILE *out)
{
	size_t bad = machine_audit(&host->machine, out);

	for (size_t i = 0; i < host->parts; i++) {
		if (host->part[i].part->audit)
			bad += host->part[i].part->audit(host->part[i].ctx, out);
	}
	for (size_t i = 0; i < host->vms; i++) {
		const struct vm *vm = host->vm[i];
		if (vm->guest && vm->guest->audit)
			bad += vm->guest->audit(vm->guest_state, out);
	}
	return bad;
}
