#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * DynamoRIO's drmemtrace, a final trace of x86-64 (not the raw one, which only
 * DynamoRIO can decode): entries of 12 bytes, u16 type, u16 size, u64 address.
 * Loads, stores and instruction fetches become pages; prefetches, flushes and
 * bundles of fetches from a page already fetched from do not. A process other
 * than the first is an address space of its own, and the timestamps that mark
 * where a buffer ended, in microseconds, become the time between records.
 */
struct drmemtrace {
	struct source source;
	struct input *in;
	bool begun;	/* the header was seen */
	bool timed;	/* a timestamp came before: */
	uint64_t now;	/* us */
	uint64_t ticks; /* until the next record */
	bool has_pid;
	uint64_t first_pid, space;
	struct touches touches;
};

#define ENTRY_BYTES 12
#define TICK_NS	    1000u
#define ENTRY_ROOM  32 /* words that one entry may add: 65,535 bytes lie in 17 pages */
#define MARKER_TIME 2
#define GAP_MAX	    (UINT64_C(1) << 50)

/* Types of entries, as DynamoRIO's documentation of trace_type_t numbers them. */
enum entry {
	E_READ = 0,
	E_WRITE = 1,
	E_FETCH_FIRST = 10, /* an instruction, by what it does */
	E_FETCH_LAST = 16,
	E_PID = 24,
	E_HEADER = 25,
	E_MARKER = 28,
	E_SYSENTER = 31,
	E_ENCODING = 47,
	E_TAKEN = 48,
	E_UNTAKEN = 49,
};

static bool is_fetch(unsigned type)
{
	return (type >= E_FETCH_FIRST && type <= E_FETCH_LAST) || type == E_SYSENTER ||
	       type == E_TAKEN || type == E_UNTAKEN;
}

static int access_pages(struct drmemtrace *d, unsigned type, uint64_t address, unsigned size,
			struct err *err)
{
	enum rec_kind kind = type == E_WRITE ? REC_WRITE : REC_READ;
	uint64_t end = address + (size ? size - 1 : 0), first, last;

	if (end < address || !address_page(address, &first) || !address_page(end, &last))
		return input_bad(d->in, input_offset(d->in), err, "%llx is no address of 48 bits",
				 (unsigned long long)address);
	for (uint64_t page = first; page <= last; page++) {
		touches_add(&d->touches, kind, page, d->ticks);
		d->ticks = 0;
	}
	return 0;
}

static int take_time(struct drmemtrace *d, uint64_t now, struct err *err)
{
	if (d->timed && now > d->now) {
		d->ticks += now - d->now;
		if (d->ticks > GAP_MAX)
			return input_bad(d->in, input_offset(d->in), err,
					 "time leaps by more than 35 years");
	}
	if (!d->timed || now > d->now)
		d->now = now;
	d->timed = true;
	return 0;
}

static int take_process(struct drmemtrace *d, uint64_t pid, struct err *err)
{
	if (pid > REC_PAGE_MAX)
		return input_bad(d->in, input_offset(d->in), err, "process %llu is over 2^36 - 1",
				 (unsigned long long)pid);
	if (!d->has_pid)
		d->first_pid = pid;
	d->has_pid = true;
	uint64_t space = pid == d->first_pid ? 0 : pid;
	if (space != d->space) {
		batch_add(&d->touches.batch, rec_make(REC_SWITCH, space, 0));
		d->touches.last = TOUCHES_NONE;
	}
	d->space = space;
	return 0;
}

static int take_entry(struct drmemtrace *d, const uint8_t *data, struct err *err)
{
	uint16_t type, size;
	uint64_t address;

	memcpy(&type, data, 2);
	memcpy(&size, data + 2, 2);
	memcpy(&address, data + 4, 8);
	if (!d->begun && type != E_HEADER)
		return input_bad(d->in, input_offset(d->in), err,
				 "no drmemtrace header: unpack the file first (unzip -p, gzip -dc, "
				 "lz4 -dc), and convert a raw trace with drraw2trace");
	d->begun = true;
	if (type == E_READ || type == E_WRITE || is_fetch(type))
		return access_pages(d, type, address, size, err);
	if (type == E_MARKER && size == MARKER_TIME)
		return take_time(d, address, err);
	if (type == E_PID)
		return take_process(d, address, err);
	if (type > E_UNTAKEN)
		return input_bad(d->in, input_offset(d->in), err,
				 "an entry of unknown type %u: damaged, or a newer drmemtrace",
				 type);
	return 0;
}

static ssize_t drmemtrace_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct drmemtrace *d = (struct drmemtrace *)source;
	struct batch *b = &d->touches.batch;

	b->n = 0;
	while (b->n + ENTRY_ROOM <= BATCH_WORDS) {
		const uint8_t *data;
		ssize_t have = input_peek(d->in, ENTRY_BYTES, &data, err);

		if (have < 0)
			return have;
		if (have == 0)
			break;
		if (have < ENTRY_BYTES)
			return input_bad(d->in, input_offset(d->in), err,
					 "%zd bytes are left, an entry has %d: cut short", have,
					 ENTRY_BYTES);
		if (!batch_sleep(b, &d->ticks) || b->n + ENTRY_ROOM > BATCH_WORDS)
			break;
		int rc = take_entry(d, data, err);
		if (rc)
			return rc;
		input_skip(d->in, ENTRY_BYTES);
	}
	*batch = b->word;
	return (ssize_t)b->n;
}

static void drmemtrace_close(struct source *source)
{
	input_close(((struct drmemtrace *)source)->in);
	free(source);
}

static struct source_progress drmemtrace_progress(const struct source *source)
{
	return input_progress(((const struct drmemtrace *)source)->in);
}

static const struct source_ops drmemtrace_ops = {drmemtrace_next, drmemtrace_close,
						 drmemtrace_progress};

static int drmemtrace_open(struct input *in, struct source **source, struct err *err)
{
	struct drmemtrace *d = calloc(1, sizeof *d);

	if (!d)
		return err_run(err, ENOMEM, "%s: out of memory", input_name(in));
	source_init(&d->source, &drmemtrace_ops, "drmemtrace");
	d->source.info.space = TRACE_VPN;
	d->source.info.tick_ns = TICK_NS;
	d->touches.last = TOUCHES_NONE;
	d->in = in;
	*source = &d->source;
	return 0;
}

/* The header's entry: its type, and a version below 100. */
static bool drmemtrace_looks(const uint8_t *head, size_t n)
{
	static const uint8_t rest[7] = {0};

	return n >= ENTRY_BYTES && head[0] == E_HEADER && head[1] == 0 && head[4] < 100 &&
	       memcmp(head + 5, rest, sizeof rest) == 0;
}

const struct reader reader_drmemtrace = {
	.policy = {.name = "drmemtrace",
		   .help = "DynamoRIO's 12-byte entries, unpacked: loads, stores, fetches"},
	.suffix = ".drmemtrace",
	.looks = drmemtrace_looks,
	.open = drmemtrace_open,
};
