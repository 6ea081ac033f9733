#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * ChampSim's instructions, 64 bytes each and without a header: u64 ip, u8
 * is_branch, u8 taken, 2 + 4 bytes of register numbers, u64 written[2], u64
 * read[4], where address 0 is none. Of each: the fetch, the loads, the stores.
 * Sizes are not told, so an access has one page.
 */
struct champsim {
	struct source source;
	struct input *in;
	struct touches touches;
};

#define INSTR_BYTES 64
#define WRITTEN	    2
#define READ	    4
#define INSTR_WORDS (1 + WRITTEN + READ)

static int bad(const struct champsim *c, size_t at, struct err *err)
{
	return input_bad(c->in, input_offset(c->in) + at, err,
			 "no instruction of ChampSim's: unpack the file first (xz -dc, gzip -dc); "
			 "CloudSuite's larger records are not read");
}

static int take(struct champsim *c, enum rec_kind kind, const uint8_t *data, size_t at,
		struct err *err)
{
	uint64_t address, page;

	memcpy(&address, data + at, sizeof address);
	if (!address_page(address, &page))
		return bad(c, at, err);
	if (address || at == 0)
		touches_add(&c->touches, kind, page, 0);
	return 0;
}

static int take_instruction(struct champsim *c, const uint8_t *data, struct err *err)
{
	int rc = data[8] > 1 || data[9] > 1 ? bad(c, 8, err) : take(c, REC_READ, data, 0, err);

	for (size_t i = 0; rc == 0 && i < READ; i++)
		rc = take(c, REC_READ, data, 16 + 8 * (WRITTEN + i), err);
	for (size_t i = 0; rc == 0 && i < WRITTEN; i++)
		rc = take(c, REC_WRITE, data, 16 + 8 * i, err);
	return rc;
}

static ssize_t champsim_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct champsim *c = (struct champsim *)source;
	struct batch *b = &c->touches.batch;

	b->n = 0;
	while (b->n + INSTR_WORDS <= BATCH_WORDS) {
		const uint8_t *data;
		ssize_t have = input_peek(c->in, INSTR_BYTES, &data, err);

		if (have < 0)
			return have;
		if (have == 0)
			break;
		if (have < INSTR_BYTES)
			return input_bad(c->in, input_offset(c->in), err,
					 "%zd bytes are left, an instruction of ChampSim's has %d: "
					 "cut short, or another format",
					 have, INSTR_BYTES);
		int rc = take_instruction(c, data, err);
		if (rc)
			return rc;
		input_skip(c->in, INSTR_BYTES);
	}
	*batch = b->word;
	return (ssize_t)b->n;
}

static void champsim_close(struct source *source)
{
	input_close(((struct champsim *)source)->in);
	free(source);
}

static struct source_progress champsim_progress(const struct source *source)
{
	return input_progress(((const struct champsim *)source)->in);
}

static const struct source_ops champsim_ops = {champsim_next, champsim_close, champsim_progress};

static int champsim_open(struct input *in, struct source **source, struct err *err)
{
	struct champsim *c = calloc(1, sizeof *c);

	if (!c)
		return err_run(err, ENOMEM, "%s: out of memory", input_name(in));
	source_init(&c->source, &champsim_ops, "champsim");
	c->source.info.space = TRACE_VPN;
	c->touches.last = TOUCHES_NONE;
	c->in = in;
	*source = &c->source;
	return 0;
}

const struct reader reader_champsim = {
	.policy = {.name = "champsim", .help = "ChampSim's 64-byte instructions, unpacked"},
	.suffix = ".champsim",
	.open = champsim_open,
};
