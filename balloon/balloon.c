#include "balloon/private.h"

#include <errno.h>
#include <stdlib.h>

#define TICK_NS UINT64_C(1000000000) /* between looks at drivers that say nothing */
#define NEAR	64		     /* pages: a balloon this near its cap is full */

#define OPT(field) offsetof(struct balloon_opts, field)

static const struct opt balloon_options[] = {
	{"cap", OPT_REAL, OPT(cap), "65%", 0, 1, NULL,
	 "a balloon's most pages, as a share of its VM's; vm.NAME.balloon_cap for one VM"},
	{"poll", OPT_TIME, OPT(poll), "1s", 1e6, 1e12, NULL,
	 "how often a driver asks for its target"},
	{"interrupt", OPT_BOOL, OPT(interrupt), "off", 0, 0, NULL,
	 "also tell a driver of a new target at once", .live = true},
	{"rate", OPT_BYTES, OPT(rate), "256mb", 4096, 0x1p40, NULL,
	 "inflation of one balloon in a second, at most", .live = true},
	{"rate_least", OPT_BYTES, OPT(rate_least), "1mb", 4096, 0x1p40, NULL,
	 "inflation in a second that a guest under pressure is still asked for", .live = true},
	{"pressure", OPT_REAL, OPT(pressure), "10%", 0, 1, NULL,
	 "share of its time that a guest waits for memory above which its rate is halved",
	 .live = true},
	{"slow_rate", OPT_BYTES, OPT(slow_rate), "1mb", 0, 0x1p40, NULL,
	 "a driver that inflates by less in a second, while it should, is slow: its VM is paged",
	 .live = true},
	{"slow_time", OPT_TIME, OPT(slow_time), "5s", 1e6, 1e12, NULL,
	 "time over which slow_rate is judged", .live = true},
	{"messages", OPT_INT, OPT(messages), "2000", 128, 1e6, NULL,
	 "messages of one driver that are read in a second", .live = true},
	{"distrust", OPT_INT, OPT(distrust), "64", 0, 1e9, NULL,
	 "refused pages and messages after which a driver is not heard any more", .live = true},
	{"forgive", OPT_TIME, OPT(forgive), "60s", 1e6, 1e14, NULL,
	 "how long it is not, and after which refusals are forgotten", .live = true},
	{"message_time", OPT_TIME, OPT(message_time), "2us", 0, 1e9, NULL,
	 "virtual time of a message, the VM's own"},
	{"page_time", OPT_TIME, OPT(page_time), "100ns", 0, 1e9, NULL,
	 "virtual time of a page in a message, the VM's own"},
	{"hints", OPT_BOOL, OPT(hints), "off", 0, 0, NULL,
	 "take the frames of pages that the guest reports as free, without a balloon"},
	{"hint_rate", OPT_BYTES, OPT(hint_rate), "64mb", 4096, 0x1p40, NULL,
	 "free memory that a guest reports in a second, at most"},
	{"slice", OPT_TIME, OPT(slice), "10ms", 1e5, 1e10, NULL,
	 "driver: time between its allocations while it inflates"},
	{"start_rate", OPT_BYTES, OPT(start_rate), "64mb", 4096, 0x1p40, NULL,
	 "driver: inflation in a second at first; doubled with every slice that succeeds"},
	{"backoff", OPT_TIME, OPT(backoff), "5s", 0, 1e12, NULL,
	 "driver: time without inflating after the guest had to have pages back"},
	{"trace_read", OPT_TIME, OPT(trace_read), "5ms", 0, 1e12, NULL,
	 "virtual time for a guest that replays a trace to fetch a page that it gave, as from "
	 "swap"},
	{NULL},
};

const struct opt_section balloon_section = {
	"balloon",
	false,
	sizeof(struct balloon_opts),
	balloon_options,
	"balloons, where host.reclaimers names them",
};

#define COUNT(field) offsetof(struct balloon_vm, stats.field)

static const struct stat_row balloon_vm_rows[] = {
	{"balloon_target", STAT_GAUGE, "pages", COUNT(target), true,
	 "pages that the balloon is wanted to have"},
	{"balloon_rate", STAT_GAUGE, "pages/s", COUNT(rate), false,
	 "how fast the driver may inflate"},
	{"balloon_inflated", STAT_COUNTER, "pages", COUNT(inflated), true, "pages given"},
	{"balloon_deflated", STAT_COUNTER, "pages", COUNT(deflated), true, "pages taken back"},
	{"balloon_popped", STAT_COUNTER, "pages", COUNT(popped), true,
	 "pages touched while in the balloon"},
	{"balloon_voided", STAT_COUNTER, "pages", COUNT(voided), false,
	 "pages that resets took out of the balloon"},
	{"balloon_resets", STAT_COUNTER, "1", COUNT(resets), false,
	 "times that the driver was told to begin anew"},
	{"balloon_refused", STAT_COUNTER, "pages", COUNT(refused), false,
	 "pages that the host did not accept"},
	{"balloon_bad", STAT_COUNTER, "1", COUNT(bad_messages), false,
	 "malformed messages of the driver"},
	{"balloon_messages", STAT_COUNTER, "1", COUNT(messages), false, "messages read"},
	{"balloon_throttled", STAT_COUNTER, "1", COUNT(throttled), false,
	 "seconds in which the driver sent more than balloon.messages"},
	{"balloon_distrusts", STAT_COUNTER, "1", COUNT(distrusts), false,
	 "times that the driver was sent away"},
	{"balloon_slow", STAT_COUNTER, "1", COUNT(slow), false,
	 "times that the driver was found slow"},
	{"hinted", STAT_COUNTER, "pages", COUNT(hinted), true, "pages reported as free"},
	{"hint_frames", STAT_COUNTER, "pages", COUNT(hint_frames), true,
	 "of them, pages that had a frame"},
	{"told_free", STAT_GAUGE, "pages", COUNT(guest_free), true,
	 "free memory by the guest's word"},
	{"told_cached", STAT_GAUGE, "pages", COUNT(guest_cached), true,
	 "file pages by the guest's word"},
	{"told_swapped", STAT_GAUGE, "pages", COUNT(guest_swapped), true,
	 "pages in the guest's own swap by its word"},
	{"told_faults", STAT_COUNTER, "1", COUNT(guest_faults), true,
	 "faults that waited for the guest's disk by its word"},
	{"told_refusals", STAT_COUNTER, "1", COUNT(guest_refusals), false,
	 "allocations that the guest refused its driver"},
	{"told_pressure", STAT_GAUGE, "1/1000", COUNT(guest_pressure), true,
	 "share of its time that the guest waited for memory, by its word"},
	{NULL},
};

static const struct stat_row balloon_pmap_rows[] = {
	{"balloon", STAT_GAUGE, "pages", offsetof(struct pmap, count[PAGE_BALLOONED]), true,
	 "pages in the balloon"},
	{NULL},
};

/* A new target is told to a driver that can be interrupted; others come and ask. */
static void retargeted(struct balloon_vm *v)
{
	const uint64_t before = v->stats.target;

	trust_retarget(v);
	trust_progress(v);
	if (v->balloon->opts.interrupt && v->state == DRIVER_ON && v->stats.target != before) {
		driver_tell(v);
		v->stream.end.ring(v->stream.end.ctx);
	}
}

static void tick(struct clock *clk, struct timer *timer, void *arg)
{
	struct balloon *b = arg;

	for (size_t i = 0; i < b->vms; i++) {
		if (b->vm[i]->connected && !vm_gone(b->vm[i]->vm))
			retargeted(b->vm[i]);
	}
	if (timer_add(clk, timer, clk->now_ns + TICK_NS))
		abort(); /* cannot be: this timer's place in the heap was there */
}

/* The reclaimer. */

static void retarget(void *ctx, struct vm *vm)
{
	struct balloon_vm *v = balloon_of(ctx, vm);

	if (v->connected && !vm_gone(vm))
		retargeted(v);
}

/* Full, and more would be wanted. */
static bool at_cap(const struct balloon_vm *v)
{
	return balloon_pages(v) + NEAR >= v->cap &&
	       vm_held(v->vm) + balloon_pages(v) > v->vm->target + v->cap;
}

bool balloon_serves(struct balloon *b, const struct vm *vm)
{
	const struct balloon_vm *v = balloon_of(b, vm);
	const uint64_t silent_ns = max_u64(b->opts.slow_time, 3 * b->opts.poll);

	return v->state == DRIVER_ON && !vm_gone(vm) && v->asked == BALLOON_BY_POLICY && !v->slow &&
	       !at_cap(v) && b->host->clock.now_ns - v->heard_ns <= silent_ns;
}

static bool serves(void *ctx, const struct vm *vm)
{
	return balloon_serves(ctx, vm);
}

const struct reclaimer balloon_reclaimer = {
	.policy = {"balloon", "ask a driver in the guest for pages, which the guest chooses"},
	.from = HOST_SOFT,
	.retarget = retarget,
	.serves = serves,
};

/* The part. */

static int vm_added(void *ctx, struct vm *vm)
{
	struct balloon *b = ctx;
	struct balloon_vm **list = realloc(b->vm, (vm->id + 1u) * sizeof(*list));
	struct balloon_vm *v = calloc(1, sizeof *v);

	if (list)
		b->vm = list;
	if (!list || !v) {
		free(v);
		return -ENOMEM;
	}
	v->balloon = b;
	v->vm = vm;
	v->asked = BALLOON_BY_POLICY;
	b->vm[vm->id] = v;
	b->vms = vm->id + 1u;
	balloon_cap(b, vm, b->opts.cap);
	stat_bind(&vm->stats, balloon_pmap_rows, vm->pmap);
	stat_bind(&vm->stats, balloon_vm_rows, v);
	return 0;
}

static void vm_emptied(void *ctx, struct vm *vm)
{
	struct balloon_vm *v = balloon_of(ctx, vm);

	balloon_forget(v);
	v->state = DRIVER_NONE;
	v->connected = false;
}

static void vm_removed(void *ctx, struct vm *vm)
{
	struct balloon *b = ctx;

	free(b->vm[vm->id]->popped);
	free(b->vm[vm->id]);
	b->vm[vm->id] = NULL;
	if (b->vms == vm->id + 1u)
		b->vms = vm->id;
}

/* What went in and did not come out is there. */
static size_t audit_vm(const struct balloon_vm *v, FILE *out)
{
	const struct balloon_vm_stats *s = &v->stats;
	const uint64_t there = balloon_pages(v);
	size_t bad = 0;

	if (s->inflated - s->deflated - s->popped - s->voided != there) {
		fprintf(out,
			"balloon: vm %s gave %llu pages, took %llu, touched %llu, lost %llu to "
			"resets, and %llu are there\n",
			v->vm->name, (unsigned long long)s->inflated,
			(unsigned long long)s->deflated, (unsigned long long)s->popped,
			(unsigned long long)s->voided, (unsigned long long)there);
		bad++;
	}
	if (there > v->most) {
		fprintf(out, "balloon: vm %s has %llu pages in it, the cap is %u\n", v->vm->name,
			(unsigned long long)there, v->most);
		bad++;
	}
	return bad;
}

static size_t balloon_audit(void *ctx, FILE *out)
{
	const struct balloon *b = ctx;
	size_t bad = 0;

	for (size_t i = 0; i < b->vms; i++)
		bad += audit_vm(b->vm[i], out);
	return bad;
}

/* What may change while it runs; the driver's own options stay as they were. */
static void changed(void *ctx, const struct opt_section *section, const void *opts)
{
	struct balloon *b = ctx;

	if (section == &balloon_section)
		b->opts = *(const struct balloon_opts *)opts;
}

static void balloon_close(void *ctx)
{
	struct balloon *b = ctx;

	timer_cancel(&b->host->clock, &b->tick);
	free(b->vm);
	free(b);
}

static const struct part balloon_part = {
	.name = "balloon",
	.vm_added = vm_added,
	.vm_emptied = vm_emptied,
	.vm_removed = vm_removed,
	.audit = balloon_audit,
	.close = balloon_close,
	.changed = changed,
};

int balloon_open(struct host *host, struct pmap_part *pmaps, const struct balloon_opts *opts,
		 struct balloon **out, struct err *err)
{
	struct page_handler handler = balloon_handler;
	struct balloon *b = calloc(1, sizeof *b);

	if (!b)
		return err_run(err, ENOMEM, "no memory for balloons");
	b->host = host;
	b->opts = *opts;
	timer_init(&b->tick, tick, b);
	if (timer_add(&host->clock, &b->tick, host->clock.now_ns + TICK_NS)) {
		free(b);
		return err_run(err, ENOMEM, "no memory for balloons");
	}
	handler.ctx = b;
	pmap_handle(pmaps, PAGE_BALLOONED, &handler);
	host_add_part(host, &balloon_part, b);
	host_add_reclaimer(host, &balloon_reclaimer, b);
	*out = b;
	return 0;
}

void balloon_cap(struct balloon *b, struct vm *vm, double cap)
{
	struct balloon_vm *v = balloon_of(b, vm);

	v->cap = (uint32_t)((double)vm->pages * cap);
	v->most = v->cap > v->most ? v->cap : v->most;
}

void balloon_ask(struct balloon *b, struct vm *vm, uint32_t pages)
{
	struct balloon_vm *v = balloon_of(b, vm);

	v->asked = pages;
	if (v->connected && !vm_gone(vm))
		retargeted(v);
}

void balloon_hole(struct balloon *b, struct vm *vm, uint32_t first, uint32_t pages)
{
	struct balloon_vm *v = balloon_of(b, vm);

	v->hole_first = first;
	v->hole_pages = pages;
}

void balloon_steal(struct balloon *b, struct vm *vm, const uint64_t *ns)
{
	balloon_of(b, vm)->steal_ns = ns;
}

void balloon_connect(struct balloon *b, struct vm *vm, const struct balloon_end *end)
{
	struct balloon_vm *v = balloon_of(b, vm);

	stream_init(&v->stream, end, BALLOON_MSG_HELLO);
	v->connected = true;
	v->state = v->state == DRIVER_DISTRUSTED ? DRIVER_DISTRUSTED : DRIVER_NONE;
	v->caps = 0;
	v->tokens = (uint64_t)b->opts.messages * 1000;
	v->tokens_ns = b->host->clock.now_ns;
	trust_retarget(v);
}

void balloon_disconnect(struct balloon *b, struct vm *vm)
{
	struct balloon_vm *v = balloon_of(b, vm);

	v->connected = false;
	v->caps = 0;
	if (v->state != DRIVER_DISTRUSTED)
		v->state = DRIVER_NONE;
}

const char *balloon_driver(const struct balloon *b, const struct vm *vm)
{
	static const char *const names[] = {
		[DRIVER_NONE] = "none",
		[DRIVER_ON] = "on",
		[DRIVER_RESETTING] = "resetting",
		[DRIVER_DISTRUSTED] = "distrusted",
	};

	return names[balloon_of(b, vm)->state];
}

uint32_t balloon_target(struct balloon *b, const struct vm *vm)
{
	return (uint32_t)balloon_of(b, vm)->stats.target;
}
