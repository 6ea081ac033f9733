/*
 * netbuf: a guest that sends and receives packets through a ring of buffers. The
 * law is in traces/gen.h.
 */
#include "traces/gen.h"

#define TICK_NS 1000
#define STEPS	3 /* records of a packet */

struct netbuf {
	uint64_t pages, ring, booted, packet;
	unsigned step;
	bool receives;		       /* the packet that we are at */
	uint64_t ticks, receive_below; /* of 2^32 */
	struct scatter place;
	struct rng page, choice;
};

static int netbuf_start(void *state, const struct gen_opts *o, uint64_t index, struct err *err)
{
	struct netbuf *b = state;
	struct rng place;

	if (o->pace % TICK_NS || o->pace / TICK_NS > REC_DELTA_MAX)
		return err_input(err, "pace is a whole number of microseconds, at most 16s");
	b->pages = (uint64_t)o->pages;
	b->ring = (uint64_t)o->set_pages;
	b->ticks = o->pace / TICK_NS;
	b->receive_below = (uint64_t)(o->write_ratio * 0x1p32);
	rng_init(&b->page, (uint64_t)o->seed, "gen.page", index);
	rng_init(&b->choice, (uint64_t)o->seed, "gen.choice", index);
	rng_init(&place, (uint64_t)o->seed, "gen.place", index);
	scatter_init(&b->place, b->pages, &place);
	return 0;
}

/* What the guest and the device do with the packet's buffer, then what else the guest does. */
static size_t step(struct netbuf *b, rec_t *word)
{
	uint64_t buffer = scatter(&b->place, b->packet % b->ring);

	if (b->step == STEPS - 1) {
		b->step = 0;
		b->packet++;
		word[0] = rec_make(REC_READ, rng_below(&b->page, b->pages), 0);
		return 1;
	}
	if (b->step == 0)
		b->receives = rng_u64(&b->choice) >> 32 < b->receive_below;
	uint64_t delta = b->step == 0 ? b->ticks : 0;
	if ((b->step++ == 0) == b->receives) {
		word[0] = rec_make(REC_DMA, buffer, delta);
		word[1] = b->receives;
		return 2;
	}
	word[0] = rec_make(b->receives ? REC_READ : REC_WRITE, buffer, delta);
	return 1;
}

static size_t netbuf_words(void *state, rec_t *word, size_t refs)
{
	struct netbuf *b = state;
	size_t n = 0;

	for (size_t i = 0; i < refs; i++) {
		if (b->booted < b->pages)
			word[n++] = rec_make(REC_WRITE, b->booted++, 0);
		else
			n += step(b, word + n);
	}
	return n;
}

static void netbuf_describe(const struct gen_opts *o, char *text, size_t size)
{
	snprintf(text, size,
		 "ballast trace gen netbuf refs=%lld pages=%lld seed=%lld write_ratio=%g "
		 "set_pages=%lld pace=%lluus",
		 (long long)o->refs, (long long)o->pages, (long long)o->seed, o->write_ratio,
		 (long long)o->set_pages, (unsigned long long)o->pace / 1000);
}

const struct law law_netbuf = {
	.policy = {.name = "netbuf", .help = "packets through a ring of buffers that devices use"},
	.size = sizeof(struct netbuf),
	.tick_ns = TICK_NS,
	.start = netbuf_start,
	.words = netbuf_words,
	.describe = netbuf_describe,
};
