#include "balloon/driver.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define LEAST  256 /* pages a second that it tries for at least */
#define TRIES  8   /* slices without an answer after which it begins anew */

enum talk { SILENT, HELLO_SENT, TALKING };

struct driver {
	struct driver_place place;
	struct driver_guest guest;
	struct balloon_opts opts;
	struct stream stream;
	struct timer poll, slice;
	enum talk talk;
	uint32_t caps;
	uint32_t target, host_rate; /* pages, pages a second */
	uint64_t rate;		    /* pages a second, its own */
	uint64_t allowed;	    /* pages * 1e9 that this slice may still take: carried over */
	uint64_t last_slice_ns;
	uint64_t hold_until_ns; /* does not inflate before */
	uint64_t refusals;	/* of the guest */
	uint64_t *held;		/* a bit a page */
	uint32_t n, hand;	/* bits set; where to look for the next */
	uint32_t waits;		/* slices that an answer has been due */
	bool busy;		/* in the middle of its own work */
	/* What was said last and is not answered: its pages are neither here nor there. */
	uint16_t asked; /* its type, or 0 */
	uint16_t limbo; /* or the type of one that the host was left with: until its next welcome */
	uint32_t asked_n;
	_Alignas(8) uint8_t batch[BALLOON_MSG_MAX];
};

static struct balloon_pages *batch_of(struct driver *d)
{
	return (struct balloon_pages *)d->batch;
}

static uint64_t pages_of_bytes(uint64_t bytes)
{
	return bytes >> PAGE_SHIFT;
}

static bool is_blocked(const struct driver *d)
{
	return d->place.vm && d->place.vm->blocked;
}

static bool is_gone(const struct driver *d)
{
	return d->place.vm && vm_gone(d->place.vm);
}

/* The pages held. */

static bool is_held(const struct driver *d, uint32_t ppn)
{
	return ppn < d->place.pages && (d->held[ppn / 64] >> (ppn % 64) & 1);
}

static void hold(struct driver *d, uint32_t ppn)
{
	d->held[ppn / 64] |= UINT64_C(1) << (ppn % 64);
	d->n++;
}

static void let_go(struct driver *d, uint32_t ppn)
{
	d->held[ppn / 64] &= ~(UINT64_C(1) << (ppn % 64));
	d->n--;
}

/* Some page that is held; there is one. */
static uint32_t some_held(struct driver *d)
{
	const uint32_t words = (d->place.pages + 63) / 64;

	while (!d->held[d->hand])
		d->hand = d->hand + 1 == words ? 0 : d->hand + 1;
	return d->hand * 64 + (uint32_t)__builtin_ctzll(d->held[d->hand]);
}

static void free_page(struct driver *d, uint32_t ppn)
{
	d->guest.free_page(d->guest.ctx, (ppn_t){ppn});
}

static void free_reported(struct driver *d, uint32_t ppn)
{
	const ppn_t page = {ppn};

	d->guest.free_reported(d->guest.ctx, &page, 1);
}

static void free_unreported(struct driver *d, uint32_t ppn)
{
	if (d->guest.free_unreported)
		d->guest.free_unreported(d->guest.ctx, (ppn_t){ppn});
	else
		free_reported(d, ppn);
}

/* What was asked, and never answered, is the guest's again. */
static void free_asked(struct driver *d)
{
	const struct balloon_pages *b = batch_of(d);

	for (uint32_t i = 0; i < d->asked_n; i++) {
		if (d->limbo == BALLOON_MSG_HINT)
			free_unreported(d, le32toh(b->ppn[i]));
		else
			free_page(d, le32toh(b->ppn[i]));
	}
	d->limbo = 0;
	d->asked_n = 0;
}

/*
 * Everything goes back to the guest: the host has been told, or is out of step.
 * But pages that it was asked to take, and may be taking right now, have to wait
 * until it is known to have read on: what the guest wrote there would be lost.
 */
static void free_all(struct driver *d)
{
	if (d->asked)
		d->limbo = d->asked;
	d->asked = 0;
	if (d->limbo == BALLOON_MSG_DEFLATE)
		free_asked(d);
	while (d->n) {
		const uint32_t ppn = some_held(d);
		let_go(d, ppn);
		free_page(d, ppn);
	}
}

/* Talking. */

static void silence(struct driver *d)
{
	d->talk = SILENT;
	d->asked = 0;
	d->caps = 0;
	d->target = 0;
	stream_lose(&d->stream);
}

static void begin_anew(struct driver *d)
{
	free_all(d);
	silence(d);
}

/* Sends the batch, which has asked_n pages in it. */
static bool ask(struct driver *d, enum balloon_msg_type type)
{
	struct balloon_pages *b = batch_of(d);
	const uint32_t n = d->asked_n;

	b->count = htole32(n);
	b->reserved = 0;
	if (n % 2)
		b->ppn[n] = 0;
	if (stream_send(&d->stream, &b->msg, (uint16_t)type, pages_size(n)))
		return false;
	d->asked = (uint16_t)type;
	d->waits = 0;
	return true;
}

/* The guest touched a page that was out. */
static void lost(struct driver *d, uint32_t ppn)
{
	if (d->guest.popped)
		d->guest.popped(d->guest.ctx, (ppn_t){ppn});
	else
		free_page(d, ppn);
}

/* What comes of a page of the batch: into the balloon, or back to the guest. */
static void settle(struct driver *d, uint32_t ppn, bool accepted)
{
	if (d->asked == BALLOON_MSG_HINT && accepted)
		free_reported(d, ppn);
	else if (d->asked == BALLOON_MSG_HINT)
		free_unreported(d, ppn);
	else if (d->asked == BALLOON_MSG_INFLATE && accepted)
		hold(d, ppn);
	else if (d->asked == BALLOON_MSG_DEFLATE && !accepted)
		lost(d, ppn);
	else
		free_page(d, ppn);
}

static void answered(struct driver *d, const struct balloon_ack *ack)
{
	const struct balloon_pages *b = batch_of(d);
	const uint32_t refused = le32toh(ack->refused), n = d->asked_n;

	if (!d->asked || le16toh(ack->type) != d->asked || ack->of != b->msg.seq ||
	    le32toh(ack->accepted) + refused != n) {
		begin_anew(d); /* host and driver do not speak of the same thing */
		return;
	}
	const bool map = refused && n > 1;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t ppn = le32toh(b->ppn[i]);
		const bool no = map ? le64toh(ack->map[i / 64]) >> (i % 64) & 1 : refused;
		settle(d, ppn, !no);
	}
	d->asked = 0;
	d->asked_n = 0;
}

/* Pages that the guest touched while they were here. */
static void popped(struct driver *d, const struct balloon_pages *p)
{
	for (uint32_t i = 0; i < le32toh(p->count); i++) {
		const uint32_t ppn = le32toh(p->ppn[i]);
		if (!is_held(d, ppn))
			continue;
		let_go(d, ppn);
		lost(d, ppn);
	}
}

static uint32_t can(const struct driver *d)
{
	return (d->guest.take_free ? BALLOON_CAP_HINT : 0) |
	       (d->guest.popped ? BALLOON_CAP_POPPED : 0);
}

static void welcomed(struct driver *d, const struct balloon_welcome *m)
{
	free_asked(d); /* the host has read our hello, and so all before it */
	if (le16toh(m->version) != BALLOON_VERSION) { /* refused: try again, seldom */
		silence(d);
		return;
	}
	d->talk = TALKING;
	d->caps = le32toh(m->caps) & can(d);
	d->rate = pages_of_bytes(d->opts.start_rate);
}

static void handle(struct driver *d, const struct balloon_msg *msg)
{
	const struct balloon_target *t = (const struct balloon_target *)msg;

	switch (le16toh(msg->type)) {
	case BALLOON_MSG_WELCOME:
		welcomed(d, (const struct balloon_welcome *)msg);
		break;
	case BALLOON_MSG_TARGET:
		d->target = le32toh(t->pages);
		d->host_rate = le32toh(t->rate);
		break;
	case BALLOON_MSG_ACK:
		answered(d, (const struct balloon_ack *)msg);
		break;
	case BALLOON_MSG_RESET:
		begin_anew(d);
		break;
	case BALLOON_MSG_POPPED:
		popped(d, (const struct balloon_pages *)msg);
		break;
	case BALLOON_MSG_VIEW: /* this guest has nobody who would read it */
		break;
	default:
		begin_anew(d);
	}
}

/* Reads all that the host has said. */
static void listen(struct driver *d)
{
	const struct balloon_msg *msg;

	for (;;) {
		int rc = stream_next(&d->stream, &msg);
		if (rc == 0)
			return;
		if (rc > 0) {
			handle(d, msg);
		} else {
			begin_anew(d);
			return;
		}
	}
}

/* Tells the host to look, and reads what it answers at once. */
static void exchange(struct driver *d)
{
	d->stream.end.ring(d->stream.end.ctx);
	listen(d);
}

static void say_hello(struct driver *d)
{
	struct balloon_hello m = {
		.magic = htole32(BALLOON_MAGIC),
		.version_min = htole16(BALLOON_VERSION),
		.version_max = htole16(BALLOON_VERSION),
		.caps = htole32(can(d)),
		.page_shift = htole32(PAGE_SHIFT),
		.memory_pages = htole64(d->place.pages),
	};

	memcpy(m.driver, d->place.name, strnlen(d->place.name, sizeof m.driver));
	free_all(d);
	d->stream.seq_out = 0;
	if (stream_send(&d->stream, &m.msg, BALLOON_MSG_HELLO, sizeof m) == 0)
		d->talk = HELLO_SENT;
}

static void report(struct driver *d)
{
	struct guest_memory g = {0};

	d->guest.stats(d->guest.ctx, &g);
	struct balloon_stats m = {
		.total = htole64(g.total),
		.free = htole64(g.free),
		.cached = htole64(g.cached),
		.available = htole64(g.available),
		.active = htole64(g.active),
		.swapped = htole64(g.swapped),
		.faults = htole64(g.faults),
		.swap_ins = htole64(g.swap_ins),
		.swap_outs = htole64(g.swap_outs),
		.refusals = htole64(d->refusals),
		.balloon = htole64(d->n),
		.pressure = htole32(g.pressure),
	};

	if (stream_send(&d->stream, &m.msg, BALLOON_MSG_STATS, sizeof m) == 0)
		exchange(d);
}

/* Working. */

static uint64_t now(const struct driver *d)
{
	return d->place.clock->now_ns;
}

/* Up to want pages go back. False: the host cannot be told now. */
static bool deflate_some(struct driver *d, uint32_t want)
{
	struct balloon_pages *b = batch_of(d);
	uint32_t n = 0;

	while (n < want && n < BALLOON_BATCH_MAX && d->n) {
		const uint32_t ppn = some_held(d);
		let_go(d, ppn);
		b->ppn[n++] = htole32(ppn);
	}
	d->asked_n = n;
	if (ask(d, BALLOON_MSG_DEFLATE)) {
		exchange(d);
		return true;
	}
	for (uint32_t i = 0; i < n; i++)
		hold(d, le32toh(b->ppn[i]));
	d->asked_n = 0;
	return false;
}

/* The guest refused: fewer from now on, and none for the moment. */
static void refused(struct driver *d)
{
	d->refusals++;
	d->rate = max_u64(d->rate / 2, LEAST);
	d->hold_until_ns = max_u64(d->hold_until_ns, now(d) + d->opts.poll);
	d->allowed = 0;
}

/* Up to want pages of the guest's choice go to the host. */
static void inflate_some(struct driver *d, uint32_t want)
{
	struct balloon_pages *b = batch_of(d);
	uint32_t n = 0;
	ppn_t ppn;
	int rc = 0;

	while (n < want && n < BALLOON_BATCH_MAX) {
		rc = d->guest.alloc_page(d->guest.ctx, &ppn);
		if (rc)
			break;
		b->ppn[n++] = htole32(ppn.n);
	}
	d->asked_n = n;
	if (n && ask(d, BALLOON_MSG_INFLATE)) {
		exchange(d);
	} else {
		for (uint32_t i = 0; i < n; i++)
			free_page(d, le32toh(b->ppn[i]));
		d->asked_n = 0;
	}
	if (rc)
		refused(d);
}

/* What the rate allows since the last slice, in pages. */
static uint32_t allowance(struct driver *d)
{
	const uint64_t rate = min_u64(d->rate, d->host_rate);
	const uint64_t elapsed = min_u64(now(d) - d->last_slice_ns, d->opts.slice);

	d->last_slice_ns = now(d);
	d->allowed += rate * elapsed;
	const uint64_t pages = d->allowed / SECOND;
	d->allowed %= SECOND;
	return (uint32_t)min_u64(pages, UINT32_MAX);
}

static bool may_inflate(const struct driver *d)
{
	return d->talk == TALKING && !is_blocked(d) && d->n < d->target &&
	       now(d) >= d->hold_until_ns;
}

/* One slice towards the target. */
static void work(struct driver *d)
{
	uint32_t left = may_inflate(d) ? allowance(d) : 0;

	while (!d->asked && d->talk == TALKING && d->n > d->target) {
		if (!deflate_some(d, d->n - d->target))
			break;
	}
	const uint32_t before = d->n;
	while (left && !d->asked && may_inflate(d)) {
		const uint32_t had = d->n, want = (uint32_t)min_u64(left, d->target - d->n);
		inflate_some(d, want);
		left -= (uint32_t)min_u64(left, d->n - had);
		if (d->n <= had)
			break;
	}
	if (left == 0 && d->n > before)
		d->rate = min_u64(2 * d->rate, pages_of_bytes(d->opts.rate));
}

static void report_free(struct driver *d)
{
	struct balloon_pages *b = batch_of(d);
	uint64_t left = pages_of_bytes(d->opts.hint_rate) * (d->opts.poll / 1000000) / 1000;
	ppn_t ppn[BALLOON_BATCH_MAX];

	while (left && !d->asked && d->talk == TALKING && (d->caps & BALLOON_CAP_HINT)) {
		const uint32_t want = (uint32_t)min_u64(left, BALLOON_BATCH_MAX);
		const uint32_t n = d->guest.take_free(d->guest.ctx, ppn, want);
		for (uint32_t i = 0; i < n; i++)
			b->ppn[i] = htole32(ppn[i].n);
		d->asked_n = n;
		if (n == 0)
			return;
		if (ask(d, BALLOON_MSG_HINT)) {
			exchange(d);
		} else {
			for (uint32_t i = 0; i < n; i++)
				free_unreported(d, ppn[i].n);
			d->asked_n = 0;
			return;
		}
		left -= n;
	}
}

/* Whether a slice from now there is something to do. */
static bool has_work(const struct driver *d)
{
	return d->talk == TALKING && (d->asked || may_inflate(d) || d->n > d->target);
}

static void arm(struct driver *d, struct timer *timer, uint64_t ns)
{
	if (timer_add(d->place.clock, timer, now(d) + ns))
		d->talk = SILENT; /* no memory for a timer: a driver that died */
}

static void arm_slice(struct driver *d)
{
	if (has_work(d) && !timer_armed(&d->slice)) {
		d->last_slice_ns = now(d);
		arm(d, &d->slice, d->opts.slice);
	}
}

static void slice_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct driver *d = arg;

	(void)clk;
	(void)timer;
	if (is_gone(d))
		return;
	d->busy = true;
	listen(d);
	if (d->asked && ++d->waits > TRIES)
		begin_anew(d); /* the host does not answer any more */
	else if (d->asked)
		exchange(d);
	work(d);
	d->busy = false;
	arm_slice(d);
}

static void poll_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct driver *d = arg;

	(void)clk;
	if (is_gone(d))
		return;
	if (is_blocked(d)) { /* nothing in it runs */
		arm(d, timer, d->opts.poll);
		return;
	}
	d->busy = true;
	listen(d);
	for (int i = 0; i < 2 && d->talk != TALKING; i++) { /* the first may begin the rings */
		say_hello(d);
		exchange(d);
	}
	if (d->talk == TALKING && !d->asked)
		report(d);
	if (d->talk == TALKING && !d->asked)
		report_free(d);
	d->last_slice_ns = now(d) - min_u64(now(d), d->opts.slice);
	work(d);
	d->busy = false;
	arm_slice(d);
	arm(d, timer, d->opts.poll);
}

/*
 * The guest is about to kill: pages back now. A host that does not answer is
 * left: it will find the pages touched, or hear a hello.
 */
static uint32_t release(void *ctx, uint32_t want)
{
	struct driver *d = ctx;
	const uint32_t before = d->n, least = before > want ? before - want : 0;

	if (d->busy || d->talk != TALKING)
		return 0;
	d->busy = true;
	d->hold_until_ns = now(d) + d->opts.backoff;
	d->refusals++;
	listen(d);
	while (d->talk == TALKING && d->n > least) {
		if (d->asked || !deflate_some(d, d->n - least) || d->asked)
			begin_anew(d);
	}
	d->busy = false;
	return before > d->n ? before - d->n : 0;
}

int driver_new_at(const struct driver_place *place, const struct driver_guest *guest,
		  const struct balloon_opts *opts, const struct balloon_end *end, uint64_t start_ns,
		  struct driver **out)
{
	struct driver *d = calloc(1, sizeof *d);

	if (!d || !(d->held = calloc(((size_t)place->pages + 63) / 64, sizeof *d->held))) {
		free(d);
		return -ENOMEM;
	}
	d->place = *place;
	d->guest = *guest;
	d->opts = *opts;
	stream_init(&d->stream, end, BALLOON_MSG_WELCOME);
	timer_init(&d->poll, poll_due, d);
	timer_init(&d->slice, slice_due, d);
	if (timer_add(place->clock, &d->poll, start_ns)) {
		free(d->held);
		free(d);
		return -ENOMEM;
	}
	if (guest->listen)
		guest->listen(guest->ctx, &(struct driver_release){release, d});
	*out = d;
	return 0;
}

int driver_new(struct vm *vm, const struct driver_guest *guest, const struct balloon_opts *opts,
	       const struct balloon_end *end, uint64_t start_ns, struct driver **out,
	       struct err *err)
{
	const struct driver_place place = {"simulated", vm->pages, &vm->host->clock, vm};

	if (driver_new_at(&place, guest, opts, end, start_ns, out))
		return err_run(err, ENOMEM, "vm %s: no memory for a balloon driver", vm->name);
	return 0;
}

void driver_free(struct driver *d)
{
	if (!d)
		return;
	if (d->guest.listen)
		d->guest.listen(d->guest.ctx, NULL);
	timer_cancel(d->place.clock, &d->poll);
	timer_cancel(d->place.clock, &d->slice);
	free(d->held);
	free(d);
}

void driver_interrupt(struct driver *d)
{
	if (!d->busy && d->talk != SILENT && !timer_armed(&d->slice))
		arm(d, &d->slice, 0);
}

void driver_stop(struct driver *d)
{
	struct balloon_msg bye;

	timer_cancel(d->place.clock, &d->poll);
	timer_cancel(d->place.clock, &d->slice);
	if (d->talk == TALKING && stream_send(&d->stream, &bye, BALLOON_MSG_BYE, sizeof bye) == 0)
		d->stream.end.ring(d->stream.end.ctx);
	begin_anew(d);
	free_asked(d);
}

uint32_t driver_holds(const struct driver *d)
{
	return d->n;
}

bool driver_waits(const struct driver *d)
{
	return d->asked_n > 0;
}
