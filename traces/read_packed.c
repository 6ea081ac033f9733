#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Records of one size each, without a header: u32 and u64 page numbers whose
 * top bit says write, and oracleGeneral's 24 bytes (u32 seconds, u64 object,
 * u32 size, i64 time of the next access), of which the object is the page.
 */
struct packed {
	struct source source;
	struct input *in;
	const struct shape *shape;
	uint32_t seconds; /* of the record before */
	bool timed;	  /* there was one */
	struct batch batch;
};

struct shape {
	const char *name;
	size_t bytes;
	uint32_t tick_ns;
	/* Makes records of n packed ones; the index of the first bad one, or n. */
	size_t (*take)(struct packed *p, const uint8_t *data, size_t n);
};

static size_t take_u32(struct packed *p, const uint8_t *data, size_t n)
{
	rec_t any = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, data + 4 * i, sizeof v);
		any |= p->batch.word[i] = (uint64_t)(v & 0x7fffffff) << 28 | v >> 31;
	}
	p->batch.n = n;
	p->source.any = any;
	return n;
}

static size_t take_u64(struct packed *p, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v, page;

		memcpy(&v, data + 8 * i, sizeof v);
		page = v & ~(UINT64_C(1) << 63);
		if (page > REC_PAGE_MAX)
			return i;
		p->batch.word[i] = page << 28 | v >> 63;
	}
	p->batch.n = n;
	return n;
}

/* Whole seconds: ticks of 1 ms let a delta span four hours. Time that runs back stands still. */
#define ORACLE_TICK_NS 1000000u

static size_t take_oracle(struct packed *p, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t seconds;
		uint64_t page, delta = 0;

		memcpy(&seconds, data + 24 * i, sizeof seconds);
		memcpy(&page, data + 24 * i + 4, sizeof page);
		if (page > REC_PAGE_MAX)
			return i;
		if (p->timed && seconds > p->seconds)
			delta = min_u64((seconds - p->seconds) * UINT64_C(1000), REC_DELTA_MAX);
		if (!p->timed || seconds > p->seconds)
			p->seconds = seconds;
		p->timed = true;
		p->batch.word[i] = rec_make(REC_READ, page, delta);
	}
	p->batch.n = n;
	return n;
}

static const struct shape shape_u32 = {"u32", 4, 1, take_u32};
static const struct shape shape_u64 = {"u64", 8, 1, take_u64};
static const struct shape shape_oracle = {"oracleGeneral", 24, ORACLE_TICK_NS, take_oracle};

static ssize_t packed_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct packed *p = (struct packed *)source;
	size_t size = p->shape->bytes, n, good;
	const uint8_t *data;
	ssize_t have = input_peek(p->in, BATCH_WORDS * size, &data, err);

	if (have <= 0)
		return have;
	n = min_u64((uint64_t)have / size, BATCH_WORDS);
	if (n == 0)
		return input_bad(p->in, input_offset(p->in), err,
				 "%zd bytes are left, a %s record has %zu: cut short, or another "
				 "format",
				 have, p->shape->name, size);
	good = p->shape->take(p, data, n);
	if (good < n)
		return input_bad(p->in, input_offset(p->in) + good * size, err,
				 "a page number over 2^36 - 1: is this really %s?", p->shape->name);
	input_skip(p->in, n * size);
	*batch = p->batch.word;
	return (ssize_t)n;
}

static void packed_close(struct source *source)
{
	input_close(((struct packed *)source)->in);
	free(source);
}

static struct source_progress packed_progress(const struct source *source)
{
	return input_progress(((const struct packed *)source)->in);
}

static const struct source_ops packed_ops = {packed_next, packed_close, packed_progress};

static int packed_open(struct input *in, const struct shape *shape, struct source **source,
		       struct err *err)
{
	struct packed *p = calloc(1, sizeof *p);

	if (!p)
		return err_run(err, ENOMEM, "%s: out of memory", input_name(in));
	source_init(&p->source, &packed_ops, shape->name);
	p->source.info.tick_ns = shape->tick_ns;
	p->shape = shape;
	p->in = in;
	*source = &p->source;
	return 0;
}

static int u32_open(struct input *in, struct source **source, struct err *err)
{
	return packed_open(in, &shape_u32, source, err);
}

static int u64_open(struct input *in, struct source **source, struct err *err)
{
	return packed_open(in, &shape_u64, source, err);
}

static int oracle_open(struct input *in, struct source **source, struct err *err)
{
	return packed_open(in, &shape_oracle, source, err);
}

const struct reader reader_u32 = {
	.policy = {.name = "u32", .help = "raw 4-byte page numbers, bit 31 says write"},
	.suffix = ".u32",
	.open = u32_open,
};

const struct reader reader_u64 = {
	.policy = {.name = "u64", .help = "raw 8-byte page numbers, bit 63 says write"},
	.suffix = ".u64",
	.open = u64_open,
};

const struct reader reader_oracle_general = {
	.policy = {.name = "oracleGeneral",
		   .help = "libCacheSim's 24-byte records: the object is the page, all reads"},
	.suffix = ".oracleGeneral",
	.open = oracle_open,
};
