#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Formats that take a record as it comes: u32, u64 and CSV. A record that a
 * format has no words for is refused rather than dropped; times are dropped
 * by u32 and u64, which have none at all.
 */
#define BUFFER_BYTES (64u << 10)
#define ITEM_BYTES   128u /* the longest record in any of them */

struct plain {
	struct writer writer;
	uint64_t time; /* ns since the beginning */
	uint64_t vm;
	size_t used;
	char buffer[BUFFER_BYTES];
};

static struct plain *of(struct writer *writer)
{
	return (struct plain *)writer;
}

static int flush(struct writer *writer, struct err *err)
{
	struct plain *p = of(writer);
	int rc = p->used ? writer_out(writer, p->buffer, p->used, err) : 0;

	p->used = 0;
	return rc;
}

static void plain_free(struct writer *writer)
{
	free(writer);
}

/* Walks the batch; add appends at most ITEM_BYTES to the buffer. */
static int put_each(struct writer *writer, const rec_t *batch, size_t words,
		    int (*add)(struct plain *p, rec_t r, uint64_t operand, struct err *err),
		    struct err *err)
{
	struct plain *p = of(writer);
	int rc = 0;

	for (size_t i = 0; i < words && !rc; i++) {
		rec_t r = batch[i];

		writer->records++;
		rc = add(p, r, rec_is_wide(r) ? batch[i + 1] : 0, err);
		i += rec_is_wide(r);
		if (!rc && p->used > BUFFER_BYTES - ITEM_BYTES)
			rc = flush(writer, err);
	}
	return rc;
}

/* ---- u32 and u64 --------------------------------------------------------- */

/* 1: goes into a raw file, 0: says nothing there, or -EINVAL. */
static int raw_kind(struct plain *p, unsigned kind, const char *format, struct err *err)
{
	if (kind <= REC_WRITE || kind == REC_WRITE_ID)
		return 1;
	if (kind == REC_SLEEP || kind == REC_END)
		return 0;
	return writer_refuse(&p->writer, kind, format, err);
}

static int add_u32(struct plain *p, rec_t r, uint64_t operand, struct err *err)
{
	int rc = raw_kind(p, rec_kind(r), "u32", err);
	uint32_t v;

	(void)operand;
	if (rc <= 0)
		return rc;
	if (rec_page(r) > 0x7fffffff)
		return err_input(err,
				 "record %llu: page %llu does not fit 31 bits: export as u64, or "
				 "--renumber",
				 (unsigned long long)p->writer.records,
				 (unsigned long long)rec_page(r));
	v = (uint32_t)rec_page(r) | (uint32_t)(rec_kind(r) != REC_READ) << 31;
	memcpy(p->buffer + p->used, &v, sizeof v);
	p->used += sizeof v;
	return 0;
}

static int add_u64(struct plain *p, rec_t r, uint64_t operand, struct err *err)
{
	int rc = raw_kind(p, rec_kind(r), "u64", err);
	uint64_t v = rec_page(r) | (uint64_t)(rec_kind(r) != REC_READ) << 63;

	(void)operand;
	if (rc <= 0)
		return rc;
	memcpy(p->buffer + p->used, &v, sizeof v);
	p->used += sizeof v;
	return 0;
}

static int put_u32(struct writer *writer, const rec_t *batch, size_t words, struct err *err)
{
	return put_each(writer, batch, words, add_u32, err);
}

static int put_u64(struct writer *writer, const rec_t *batch, size_t words, struct err *err)
{
	return put_each(writer, batch, words, add_u64, err);
}

/* ---- CSV ----------------------------------------------------------------- */

static void add_text(struct plain *p, const char *text)
{
	size_t n = strlen(text);

	memcpy(p->buffer + p->used, text, n);
	p->used += n;
}

/* A number and the character behind it. */
static void add_number(struct plain *p, uint64_t v, char end)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		p->buffer[p->used++] = digits[--n];
	p->buffer[p->used++] = end;
}

static int add_csv(struct plain *p, rec_t r, uint64_t operand, struct err *err)
{
	unsigned kind = rec_kind(r);

	int rc;

	if (!kind_name(kind))
		return writer_refuse(&p->writer, kind, "csv", err);
	rc = writer_advance(&p->writer, r, &p->time, err);
	if (rc)
		return rc;
	if (kind == REC_SLEEP)
		return 0;
	if (kind == REC_VM) {
		p->vm = rec_page(r);
		return 0;
	}
	add_number(p, rec_page(r), ',');
	add_text(p, kind == REC_WRITE_ID ? "write" : kind_name(kind));
	add_text(p, ",");
	add_number(p, p->time, ',');
	if (rec_is_wide(r))
		add_number(p, operand, ',');
	else
		add_text(p, ",");
	add_number(p, p->vm, '\n');
	return 0;
}

static int put_csv(struct writer *writer, const rec_t *batch, size_t words, struct err *err)
{
	return put_each(writer, batch, words, add_csv, err);
}

static int begin_csv(struct writer *writer, struct err *err)
{
	static const char header[] = "page,op,time_ns,content,vm\n";

	return writer_out(writer, header, sizeof header - 1, err);
}

/* ---- the three ----------------------------------------------------------- */

static int make(struct writer **writer, const struct writer_ops *ops, struct err *err)
{
	struct plain *p = calloc(1, sizeof *p);

	if (!p)
		return err_run(err, ENOMEM, "out of memory");
	p->writer.ops = ops;
	*writer = &p->writer;
	return 0;
}

static int make_u32(struct writer **writer, struct err *err)
{
	static const struct writer_ops ops = {put_u32, flush, plain_free};

	return make(writer, &ops, err);
}

static int make_u64(struct writer **writer, struct err *err)
{
	static const struct writer_ops ops = {put_u64, flush, plain_free};

	return make(writer, &ops, err);
}

static int make_csv(struct writer **writer, struct err *err)
{
	static const struct writer_ops ops = {put_csv, flush, plain_free};

	return make(writer, &ops, err);
}

const struct format format_u32 = {
	.policy = {.name = "u32", .help = "raw 4-byte page numbers, bit 31 says write"},
	.make = make_u32,
};

const struct format format_u64 = {
	.policy = {.name = "u64", .help = "raw 8-byte page numbers, bit 63 says write"},
	.make = make_u64,
};

const struct format format_csv = {
	.policy = {.name = "csv", .help = "text: page, op, time_ns, content, vm"},
	.make = make_csv,
	.begin = begin_csv,
};
