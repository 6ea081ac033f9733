/* A contact: what the driver said, one message after another, and the answers. */
#include "balloon/private.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_COST 64  /* messages that a hello counts for: it may void a balloon */
#define SKIP_BYTES 256 /* of rubbish that count for a message */

/*
 * A driver that does not read its answers finds no room for more: then nothing
 * that it says can be answered, and it has to begin anew.
 */
static void send(struct balloon_vm *v, struct balloon_msg *msg, enum balloon_msg_type type,
		 size_t size)
{
	int rc = stream_send(&v->stream, msg, (uint16_t)type, size);

	if (rc == -EPIPE && v->state != DRIVER_DISTRUSTED)
		v->state = DRIVER_NONE;
	else if (rc == -EAGAIN && type != BALLOON_MSG_TARGET && type != BALLOON_MSG_VIEW)
		v->reset_owed = true;
}

static void send_reset(struct balloon_vm *v, enum balloon_reason reason)
{
	struct balloon_reset m = {.reason = htole32(reason)};

	v->reset_owed = false;
	send(v, &m.msg, BALLOON_MSG_RESET, sizeof m);
}

void driver_reset(struct balloon_vm *v, enum balloon_reason reason)
{
	host_event(v->balloon->host, v->vm, "balloon reset", "%s", reason_name(reason));
	balloon_forget(v);
	v->stats.resets++;
	v->state = DRIVER_RESETTING;
	v->caps = 0;
	stream_lose(&v->stream);
	send_reset(v, reason);
}

static void tell_view(struct balloon_vm *v)
{
	const struct vm *vm = v->vm;
	struct balloon_view m = {
		.granted = htole64(vm_held(vm)),
		.target = htole64(vm->target),
		.shared = htole64(vm->pmap->count[PAGE_SHARED]),
		.swapped = htole64(vm->pmap->count[PAGE_SWAPPED]),
		.ballooned = htole64(balloon_pages(v)),
		.active = htole64(vm->sampled ? vm->active : 0),
		.steal_ns = htole64(v->steal_ns ? *v->steal_ns : 0),
		.state = htole32(vm->host->state),
	};

	send(v, &m.msg, BALLOON_MSG_VIEW, sizeof m);
}

void driver_tell(struct balloon_vm *v)
{
	if (v->state != DRIVER_ON)
		return;
	trust_retarget(v);
	struct balloon_target m = {
		.pages = htole32((uint32_t)v->stats.target),
		.rate = htole32((uint32_t)min_u64(v->stats.rate, UINT32_MAX)),
		.reason = htole32(v->cap ? BALLOON_OK : BALLOON_OFF),
	};
	send(v, &m.msg, BALLOON_MSG_TARGET, sizeof m);
	if (v->caps & BALLOON_CAP_VIEW)
		tell_view(v);
}

/* Names pages that were touched: up to a message full, from the last. Returns how many. */
static uint32_t tell_some_popped(struct balloon_vm *v)
{
	uint64_t words[BALLOON_MSG_MAX / 8] = {0};
	struct balloon_pages *m = (struct balloon_pages *)words;
	const uint32_t n = (uint32_t)min_u64(v->popped_n, BALLOON_BATCH_MAX);
	const uint32_t *from = v->popped + (v->popped_n - n);

	m->count = htole32(n);
	for (uint32_t i = 0; i < n; i++)
		m->ppn[i] = htole32(guest_ppn(v, from[i]));
	int rc = stream_send(&v->stream, &m->msg, BALLOON_MSG_POPPED, pages_size(n));
	if (rc == -EPIPE)
		v->state = DRIVER_NONE;
	return rc ? 0 : n;
}

static void tell_popped(struct balloon_vm *v)
{
	uint32_t told = 1;

	while (v->state == DRIVER_ON && v->popped_n && told) {
		told = tell_some_popped(v);
		v->popped_n -= told;
	}
}

/* What a hello deserves: BALLOON_OK, and it may talk. */
static enum balloon_reason judge_hello(struct balloon_vm *v, const struct balloon_hello *h)
{
	if (!trust_hears(v))
		return BALLOON_DISTRUST;
	if (le16toh(h->version_min) > BALLOON_VERSION || le16toh(h->version_max) < BALLOON_VERSION)
		return BALLOON_BAD_VERSION;
	if (le32toh(h->page_shift) != PAGE_SHIFT ||
	    le64toh(h->memory_pages) > (uint64_t)v->vm->pages + v->hole_pages)
		return BALLOON_BAD_SIZE;
	if (v->cap == 0)
		return BALLOON_OFF;
	return BALLOON_OK;
}

static void hello(struct balloon_vm *v, const struct balloon_hello *h)
{
	const enum balloon_reason reason = judge_hello(v, h);
	const struct balloon_opts *opts = &v->balloon->opts;
	struct balloon_welcome m = {
		.reason = htole16(reason),
		.cap_pages = htole32(v->cap),
		.poll_ms = htole32((uint32_t)min_u64(opts->poll / 1000000, UINT32_MAX)),
		.version_min = htole16(BALLOON_VERSION),
		.version_max = htole16(BALLOON_VERSION),
	};

	balloon_forget(v);
	trust_spend(v, HELLO_COST);
	v->stream.seq_out = 0;
	v->caps = 0;
	v->reset_owed = false;
	if (reason == BALLOON_OK) {
		v->state = DRIVER_ON;
		v->caps = le32toh(h->caps) & BALLOON_CAP_ALL;
		if ((v->caps & BALLOON_CAP_POPPED) && !v->popped &&
		    !(v->popped = malloc(POPPED_MOST * sizeof *v->popped)))
			v->caps &= ~BALLOON_CAP_POPPED;
		if (!opts->hints)
			v->caps &= ~BALLOON_CAP_HINT;
		m.version = htole16(BALLOON_VERSION);
		m.caps = htole32(v->caps);
		v->stats.hellos++;
		v->stats.rate = pages_of(opts->rate);
		v->refusals_seen = UINT64_MAX; /* its counter may stand anywhere */
		v->is_short = false;
		v->slow = false;
		send(v, &m.msg, BALLOON_MSG_WELCOME, sizeof m);
		driver_tell(v);
		return;
	}
	if (v->state != DRIVER_DISTRUSTED)
		v->state = DRIVER_NONE;
	if (reason != BALLOON_DISTRUST) /* which was told once */
		host_event(v->balloon->host, v->vm, "balloon refused", "%s", reason_name(reason));
	send(v, &m.msg, BALLOON_MSG_WELCOME, sizeof m);
	stream_lose(&v->stream);
	if (reason == BALLOON_BAD_VERSION || reason == BALLOON_BAD_SIZE) {
		v->stats.bad_messages++;
		trust_offended(v, 1);
	}
}

typedef enum balloon_reason page_fn(struct balloon_vm *v, uint32_t ppn);

/* Refusals that an honest driver cannot earn; a page that popped it may still want back. */
static bool offends(struct balloon_vm *v, enum balloon_reason reason)
{
	if (reason == BALLOON_NOT_IN && v->excused) {
		v->excused--;
		return false;
	}
	return reason == BALLOON_BAD_PPN || reason == BALLOON_TWICE || reason == BALLOON_NOT_IN;
}

static void batch(struct balloon_vm *v, const struct balloon_pages *p, page_fn *fn)
{
	const uint32_t count = le32toh(p->count);
	uint64_t words[(sizeof(struct balloon_ack) / 8) + BALLOON_MAP_WORDS] = {0};
	struct balloon_ack *m = (struct balloon_ack *)words;
	uint64_t map[BALLOON_MAP_WORDS] = {0};
	uint32_t refused = 0, offences = 0;

	machine_gather(&v->vm->host->machine);
	for (uint32_t i = 0; i < count; i++) {
		enum balloon_reason reason = fn(v, host_ppn(v, le32toh(p->ppn[i])));
		if (reason == BALLOON_OK)
			continue;
		if (refused++ == 0)
			m->reason = htole16(reason);
		offences += offends(v, reason);
		map[i / 64] |= UINT64_C(1) << (i % 64);
	}
	machine_gathered(&v->vm->host->machine);
	balloon_charge(v, count * v->balloon->opts.page_time);
	v->stats.refused += refused;
	m->of = p->msg.seq;
	m->type = p->msg.type;
	m->accepted = htole32(count - refused);
	m->refused = htole32(refused);
	m->balloon = htole32((uint32_t)balloon_pages(v));
	uint32_t n = refused && count > 1 ? map_words(count) : 0;
	for (uint32_t i = 0; i < n; i++)
		m->map[i] = htole64(map[i]);
	send(v, &m->msg, BALLOON_MSG_ACK, sizeof *m + 8 * (size_t)n);
	if (offences)
		trust_offended(v, offences);
}

static void bye(struct balloon_vm *v)
{
	balloon_forget(v);
	v->state = DRIVER_NONE;
	v->caps = 0;
	stream_lose(&v->stream);
	host_event(v->balloon->host, v->vm, "balloon gone", "its driver has left");
}

static void bad_message(struct balloon_vm *v)
{
	v->stats.bad_messages++;
	if (v->state == DRIVER_DISTRUSTED) { /* it is not heard, nor told so again */
		stream_lose(&v->stream);
		return;
	}
	driver_reset(v, BALLOON_BAD_MSG);
	trust_offended(v, 1);
}

static void handle(struct balloon_vm *v, const struct balloon_msg *msg)
{
	const struct balloon_pages *pages = (const struct balloon_pages *)msg;

	v->heard_ns = v->balloon->host->clock.now_ns;
	v->stats.messages++;
	balloon_charge(v, v->balloon->opts.message_time);
	switch (le16toh(msg->type)) {
	case BALLOON_MSG_HELLO:
		hello(v, (const struct balloon_hello *)msg);
		break;
	case BALLOON_MSG_INFLATE:
		batch(v, pages, page_inflate);
		break;
	case BALLOON_MSG_DEFLATE:
		batch(v, pages, page_deflate);
		break;
	case BALLOON_MSG_HINT:
		if (v->caps & BALLOON_CAP_HINT)
			batch(v, pages, page_hint);
		else
			bad_message(v);
		break;
	case BALLOON_MSG_STATS:
		trust_stats(v, (const struct balloon_stats *)msg);
		trust_progress(v);
		driver_tell(v);
		break;
	case BALLOON_MSG_BYE:
		bye(v);
		break;
	default: /* a host's message, sent by a driver */
		bad_message(v);
	}
}

/* What stream_next() said, if it was no message. False: nothing more to hear now. */
static bool end_said(struct balloon_vm *v, int rc)
{
	switch (rc) {
	case 0:
		return false;
	case -EPROTO:
		bad_message(v);
		return true;
	case -ECONNRESET: /* empty streams; a hello comes */
		if (v->state != DRIVER_DISTRUSTED)
			v->state = DRIVER_RESETTING;
		v->stream.seq_out = 0;
		return true;
	default: /* nobody there: what it gave stays out until touched, or a hello comes */
		v->state = v->state == DRIVER_DISTRUSTED ? v->state : DRIVER_NONE;
		return false;
	}
}

/* What has waited for the driver's next contact. */
static void owed(struct balloon_vm *v)
{
	if (v->reset_owed)
		send_reset(v, BALLOON_BAD_MSG);
	if (v->void_balloon && v->state == DRIVER_ON) {
		driver_reset(v, BALLOON_TOUCHED);
		trust_offended(v, 1);
	}
	tell_popped(v);
}

void balloon_contact(struct balloon *b, struct vm *vm)
{
	struct balloon_vm *v = balloon_of(b, vm);
	const struct balloon_msg *msg;

	if (!v->connected || vm_gone(vm))
		return;
	owed(v);
	while (trust_may_read(v)) {
		const uint64_t skipped = v->stream.skipped;
		int rc = stream_next(&v->stream, &msg);
		trust_spend(v, (rc != 0) + (uint32_t)((v->stream.skipped - skipped) / SKIP_BYTES));
		if (rc > 0)
			handle(v, msg);
		else if (!end_said(v, rc))
			break;
		if (v->reset_owed && v->state == DRIVER_ON) { /* it does not read */
			bad_message(v);
			break;
		}
	}
	v->stream.end.ring(v->stream.end.ctx);
}
