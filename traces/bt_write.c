#include "traces/bt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxh_x86dispatch.h>

/* A .bt of either form being written. */
struct bt_writer {
	struct writer writer;
	struct bt_header header;
	struct counter *counter;
	uint64_t offset; /* bytes written */

	/* columnar */
	struct bt_records *pending;
	uint8_t *payload;
	ZSTD_CCtx *packer;
	uint64_t packed; /* records in blocks so far */
	struct bt_index_entry *index;
	size_t entries, room;

	XXH3_state_t *digest; /* fixed */
};

static struct bt_writer *of(struct writer *writer)
{
	return (struct bt_writer *)writer;
}

static int out(struct bt_writer *w, const void *data, size_t n, struct err *err)
{
	w->offset += n;
	return writer_out(&w->writer, data, n, err);
}

static int bt_begin(struct bt_writer *w, enum bt_form form, struct err *err)
{
	const struct trace_info *info = &w->writer.info;
	struct bt_header *h = &w->header;

	*h = (struct bt_header){
		.version = BT_VERSION,
		.form = form,
		.page_size = PAGE_SIZE,
		.space = info->space,
		.vms = info->vms,
		.tick_ns = info->tick_ns,
	};
	memcpy(h->magic, BT_MAGIC, BT_MAGIC_BYTES);
	snprintf(h->provenance, sizeof h->provenance, "%s", info->provenance);
	h->checksum = bt_header_sum(h);
	return out(w, h, sizeof *h, err);
}

static int bt_end(struct bt_writer *w, struct bt_footer *f, struct err *err)
{
	struct trace_info totals = w->writer.info;

	f->magic = BT_FOOTER_MAGIC;
	counter_result(w->counter, &totals, &f->words);
	f->vms = totals.vms;
	f->records = totals.records;
	f->writes = totals.writes;
	f->pages = totals.pages;
	f->highest_page = totals.highest_page;
	f->checksum = bt_footer_sum(f, &w->header);
	return out(w, f, sizeof *f, err);
}

static void bt_free(struct writer *writer)
{
	struct bt_writer *w = of(writer);

	counter_free(w->counter);
	ZSTD_freeCCtx(w->packer);
	XXH3_freeState(w->digest);
	free(w->pending);
	free(w->payload);
	free(w->index);
	free(w);
}

static int count(struct bt_writer *w, const rec_t *batch, size_t words, struct err *err)
{
	return counter_add(w->counter, batch, words, err);
}

/* ---- columnar ------------------------------------------------------------ */

static int add_index_entry(struct bt_writer *w)
{
	if (w->entries == w->room) {
		size_t room = w->room ? 2 * w->room : 256;
		struct bt_index_entry *bigger = realloc(w->index, room * sizeof *bigger);

		if (!bigger)
			return -ENOMEM;
		w->index = bigger;
		w->room = room;
	}
	w->index[w->entries++] = (struct bt_index_entry){w->offset, w->packed};
	return 0;
}

static int flush_block(struct bt_writer *w, struct err *err)
{
	struct bt_block block;
	int rc;

	if (!w->pending->n)
		return 0;
	if (add_index_entry(w))
		return err_run(err, ENOMEM, "%s: out of memory", draft_path(w->writer.draft));
	bt_pack(w->packer, w->pending, w->packed, &block, w->payload);
	w->packed += w->pending->n;
	w->pending->n = w->pending->operands = 0;
	rc = out(w, &block, sizeof block, err);
	return rc ? rc : out(w, w->payload, bt_payload_bytes(&block), err);
}

static int columnar_put(struct writer *writer, const rec_t *batch, size_t words, struct err *err)
{
	struct bt_writer *w = of(writer);
	struct bt_records *p = w->pending;
	int rc = count(w, batch, words, err);

	for (size_t i = 0; i < words && !rc; i++) {
		rec_t r = batch[i];

		p->page[p->n] = rec_page(r);
		p->delta[p->n] = rec_delta(r);
		p->kind[p->n++] = (uint8_t)rec_kind(r);
		if (rec_is_wide(r))
			p->operand[p->operands++] = batch[++i];
		if (p->n == BT_BLOCK_RECORDS)
			rc = flush_block(w, err);
	}
	return rc;
}

static int columnar_finish(struct writer *writer, struct err *err)
{
	struct bt_writer *w = of(writer);
	int rc = flush_block(w, err);
	struct bt_footer footer = {.index_offset = w->offset, .index_entries = w->entries};
	struct bt_index index = {.magic = BT_INDEX_MAGIC, .entries = w->entries};

	index.checksum = bt_index_sum(&index);
	for (size_t i = 0; i < w->entries; i++)
		index.checksum = bt_index_add(index.checksum, &w->index[i]);
	if (!rc)
		rc = out(w, &index, sizeof index, err);
	if (!rc && w->entries)
		rc = out(w, w->index, w->entries * sizeof *w->index, err);
	return rc ? rc : bt_end(w, &footer, err);
}

static const struct writer_ops columnar_ops = {columnar_put, columnar_finish, bt_free};

static int columnar_make(struct writer **writer, struct err *err)
{
	struct bt_writer *w = calloc(1, sizeof *w);

	if (!w)
		return err_run(err, ENOMEM, "out of memory");
	w->writer.ops = &columnar_ops;
	w->pending = calloc(1, sizeof *w->pending);
	w->payload = malloc(BT_PAYLOAD_MAX);
	w->packer = ZSTD_createCCtx();
	if (!w->pending || !w->payload || !w->packer || counter_new(&w->counter)) {
		bt_free(&w->writer);
		return err_run(err, ENOMEM, "out of memory");
	}
	*writer = &w->writer;
	return 0;
}

static int columnar_begin(struct writer *writer, struct err *err)
{
	return bt_begin(of(writer), BT_COLUMNAR, err);
}

const struct format format_bt = {
	.policy = {.name = "bt", .help = "columnar blocks under zstd, small and fast"},
	.make = columnar_make,
	.begin = columnar_begin,
};

/* ---- fixed --------------------------------------------------------------- */

static int fixed_put(struct writer *writer, const rec_t *batch, size_t words, struct err *err)
{
	struct bt_writer *w = of(writer);
	int rc = count(w, batch, words, err);

	if (rc)
		return rc;
	XXH3_64bits_update(w->digest, batch, words * sizeof *batch);
	return out(w, batch, words * sizeof *batch, err);
}

static int fixed_finish(struct writer *writer, struct err *err)
{
	struct bt_writer *w = of(writer);
	struct bt_footer footer = {.digest = XXH3_64bits_digest(w->digest)};

	return bt_end(w, &footer, err);
}

static const struct writer_ops fixed_ops = {fixed_put, fixed_finish, bt_free};

static int fixed_make(struct writer **writer, struct err *err)
{
	struct bt_writer *w = calloc(1, sizeof *w);

	if (!w)
		return err_run(err, ENOMEM, "out of memory");
	w->writer.ops = &fixed_ops;
	w->digest = XXH3_createState();
	if (!w->digest || XXH3_64bits_reset(w->digest) == XXH_ERROR || counter_new(&w->counter)) {
		bt_free(&w->writer);
		return err_run(err, ENOMEM, "out of memory");
	}
	*writer = &w->writer;
	return 0;
}

static int fixed_begin(struct writer *writer, struct err *err)
{
	return bt_begin(of(writer), BT_FIXED, err);
}

const struct format format_bt_fixed = {
	.policy = {.name = "bt-fixed", .help = "8 bytes a record, mapped and replayed in place"},
	.make = fixed_make,
	.begin = fixed_begin,
};
