#include "traces/bt.h"
#include "core/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxh_x86dispatch.h>

/* A .bt of either form at work. */
struct bt_source {
	struct source source;
	struct input *in;
	struct bt_header header;
	uint64_t records, words; /* lent so far */
	uint64_t vms;		 /* that they name, from 0 to the highest */
	bool ended;		 /* the footer was met and fits */

	/* columnar */
	ZSTD_DCtx *unpacker;
	struct bt_unpacked *block;
	uint64_t index_offset, index_entries; /* as met */

	/* fixed */
	const rec_t *map; /* the words in the mapped file, or NULL: copied into the batch */
	void *mapped;
	size_t map_words, mapped_bytes;
	XXH3_state_t *digest;

	struct batch batch;
};

static struct bt_source *of(struct source *source)
{
	return (struct bt_source *)source;
}

static void bt_close(struct source *source)
{
	struct bt_source *s = of(source);

	if (s->mapped)
		os_unmap(s->mapped, s->mapped_bytes);
	XXH3_freeState(s->digest);
	ZSTD_freeDCtx(s->unpacker);
	free(s->block);
	input_close(s->in);
	free(s);
}

static void take_totals(struct bt_source *s, const struct bt_footer *f)
{
	struct trace_info *info = &s->source.info;

	info->counted = true;
	info->records = f->records;
	info->writes = f->writes;
	info->pages = f->pages;
	info->highest_page = f->highest_page;
	info->vms = f->vms;
}

/* The footer after everything else: it must fit what was met, and end the file. */
static int meet_footer(struct bt_source *s, uint64_t offset, const uint8_t *data, size_t have,
		       struct err *err)
{
	struct bt_footer f;
	const char *wrong;

	if (have < sizeof f)
		return input_bad(s->in, offset, err, "the file is cut short in its totals");
	memcpy(&f, data, sizeof f);
	wrong = bt_footer_check(&f, &s->header);
	if (!wrong && have > sizeof f)
		wrong = "the file goes on after its end";
	if (!wrong &&
	    (f.records != s->records || f.words != s->words || f.index_offset != s->index_offset ||
	     f.index_entries != s->index_entries || f.vms < s->vms))
		wrong = "the totals at the end are not those of the records";
	if (!wrong && s->digest && !bt_sum_matches(f.digest, XXH3_64bits_digest(s->digest)))
		wrong = "the records before are damaged (checksum); make the trace anew";
	if (wrong)
		return input_bad(s->in, offset, err, "%s", wrong);
	if (!s->map)
		input_skip(s->in, sizeof f);
	take_totals(s, &f);
	s->ended = true;
	return 0;
}

/* Records name VMs 0 to vms - 1: as many as the totals say, where they could be read first. */
static int meet_vms(struct bt_source *s, uint64_t vms, uint64_t offset, struct err *err)
{
	const struct trace_info *info = &s->source.info;

	if (vms > (info->counted ? info->vms : VMS_MAX))
		return input_bad(s->in, offset, err,
				 "records from here on name VM %llu, and the trace has %u: it is "
				 "damaged",
				 (unsigned long long)vms - 1, info->counted ? info->vms : VMS_MAX);
	s->vms = max_u64(s->vms, vms);
	return 0;
}

/* ---- columnar ------------------------------------------------------------ */

/* The index as it goes by in a stream: its checksum alone is of use. */
static int meet_index(struct bt_source *s, struct err *err)
{
	uint64_t at = input_offset(s->in), sum;
	const uint8_t *data;
	struct bt_index index;
	struct bt_index_entry entry;
	ssize_t have = input_peek(s->in, sizeof index, &data, err);

	if (have < 0)
		return (int)have;
	if ((size_t)have < sizeof index)
		return input_bad(s->in, at, err, "the file is cut short in its index");
	memcpy(&index, data, sizeof index);
	input_skip(s->in, sizeof index);
	sum = bt_index_sum(&index);
	for (uint64_t i = 0; i < index.entries; i++) {
		have = input_peek(s->in, sizeof entry, &data, err);
		if (have < 0)
			return (int)have;
		if ((size_t)have < sizeof entry)
			return input_bad(s->in, at, err, "the file is cut short in its index");
		memcpy(&entry, data, sizeof entry);
		sum = bt_index_add(sum, &entry);
		input_skip(s->in, sizeof entry);
	}
	if (!bt_sum_matches(sum, index.checksum))
		return input_bad(s->in, at, err, "the index is damaged (checksum)");
	s->index_offset = at;
	s->index_entries = index.entries;
	at = input_offset(s->in);
	have = input_peek(s->in, sizeof(struct bt_footer) + 1, &data, err);
	return have < 0 ? (int)have : meet_footer(s, at, data, (size_t)have, err);
}

static int read_block(struct bt_source *s, const struct bt_block *head, struct err *err)
{
	uint64_t at = input_offset(s->in);
	size_t payload = bt_payload_bytes(head);
	const char *wrong = bt_block_check(head);
	const uint8_t *data;
	ssize_t have;
	int rc;

	if (wrong)
		return input_bad(s->in, at, err, "%s: the file is damaged", wrong);
	have = input_peek(s->in, sizeof *head + payload, &data, err);
	if (have < 0)
		return (int)have;
	if ((size_t)have < sizeof *head + payload)
		return input_bad(s->in, at, err, "the file is cut short in a block");
	data += sizeof *head;
	if (!bt_sum_matches(head->checksum, bt_block_sum(head, data, payload)))
		return input_bad(s->in, at, err,
				 "a damaged block (checksum): copy or make the trace anew");
	if (head->first_record != s->records)
		return input_bad(s->in, at, err, "a block is missing before this one");
	wrong = bt_unpack(s->unpacker, head, data, s->block);
	if (wrong)
		return input_bad(s->in, at, err, "%s", wrong);
	rc = meet_vms(s, bt_vms_named(s->block), at, err);
	if (rc)
		return rc;
	input_skip(s->in, sizeof *head + payload);
	s->records += head->records;
	s->words += head->records + head->operands;
	return 0;
}

static ssize_t columnar_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct bt_source *s = of(source);
	struct bt_block head;
	const uint8_t *data;
	ssize_t have;
	int rc;

	while (s->block->next == s->block->head.records) {
		if (s->ended)
			return 0;
		have = input_peek(s->in, sizeof head, &data, err);
		if (have < 0)
			return have;
		memcpy(&head, data, min_u64((uint64_t)have, sizeof head));
		if (have >= 4 && head.magic == BT_INDEX_MAGIC)
			rc = meet_index(s, err);
		else if ((size_t)have < sizeof head)
			return input_bad(s->in, input_offset(s->in), err,
					 "the file is cut short: its totals are missing");
		else if (head.magic != BT_BLOCK_MAGIC)
			return input_bad(s->in, input_offset(s->in), err,
					 "a block should begin here: the file is damaged");
		else
			rc = read_block(s, &head, err);
		if (rc)
			return rc;
	}
	bt_expand(s->block, &s->batch);
	/* Reads and writes alone: worth a look for what the replayer then need not check. */
	if (s->block->head.kinds != BT_BYTES && !s->block->head.delta_bytes)
		whole_records(s->batch.word, s->batch.n, &s->source.any);
	*batch = s->batch.word;
	return (ssize_t)s->batch.n;
}

static struct source_progress bt_progress(const struct source *source)
{
	const struct bt_source *s = (const struct bt_source *)source;

	if (s->map)
		return (struct source_progress){s->words * sizeof(rec_t), s->mapped_bytes};
	return input_progress(s->in);
}

static const struct source_ops columnar_ops = {
	.next = columnar_next,
	.close = bt_close,
	.progress = bt_progress,
};

/* ---- fixed --------------------------------------------------------------- */

static uint64_t fixed_offset(const struct bt_source *s)
{
	return sizeof(struct bt_header) + s->words * sizeof(rec_t);
}

/* As bt_vms_named(). */
static uint64_t vms_named(const rec_t *words, size_t n)
{
	uint64_t vms = 0;

	for (size_t i = 0; i < n; i += rec_is_wide(words[i]) ? 2 : 1) {
		if (rec_kind(words[i]) == REC_VM)
			vms = max_u64(vms, rec_page(words[i]) + 1);
	}
	return vms;
}

/*
 * Lends whole records out of the words at hand. A kind that does not exist is
 * left to who replays, as it meets each kind anyway; the digest at the end
 * tells damage.
 */
static ssize_t lend(struct bt_source *s, const rec_t *words, size_t n, const rec_t **batch,
		    struct err *err)
{
	rec_t any;
	int rc;

	n = whole_records(words, n, &any);
	if (any & REC_VM) { /* may be one: the only look at each record, and a rare one */
		rc = meet_vms(s, vms_named(words, n), fixed_offset(s), err);
		if (rc)
			return rc;
	}
	XXH3_64bits_update(s->digest, words, n * sizeof(rec_t));
	s->words += n;
	*batch = words;
	s->source.any = any;
	return (ssize_t)n;
}

/* The words have ended at a footer that was checked for a mapped file when it was opened. */
static int fixed_end(struct bt_source *s, const uint8_t *footer, size_t have, struct err *err)
{
	struct bt_footer f;

	if (have >= sizeof f) {
		memcpy(&f, footer, sizeof f);
		s->records = f.records; /* not counted again, only what the words tell */
	}
	return meet_footer(s, fixed_offset(s), footer, have, err);
}

static ssize_t fixed_next_mapped(struct bt_source *s, const rec_t **batch, struct err *err)
{
	size_t n = min_u64(s->map_words - s->words, BATCH_WORDS);

	if (n == 0)
		return fixed_end(s, (const uint8_t *)(s->map + s->map_words),
				 sizeof(struct bt_footer), err);
	if (n == 1 && rec_is_wide(s->map[s->words]))
		return input_bad(s->in, fixed_offset(s), err, "the last record lacks its operand");
	return lend(s, s->map + s->words, n, batch, err);
}

static ssize_t fixed_next_streamed(struct bt_source *s, const rec_t **batch, struct err *err)
{
	const size_t foot = sizeof(struct bt_footer);
	const uint8_t *data;
	ssize_t have = input_peek(s->in, BATCH_WORDS * sizeof(rec_t) + foot, &data, err), lent;
	size_t n;

	if (have < 0)
		return have;
	if ((size_t)have <= foot)
		return fixed_end(s, data, (size_t)have, err);
	n = min_u64(((size_t)have - foot) / sizeof(rec_t), BATCH_WORDS);
	if (n == 0)
		return input_bad(s->in, fixed_offset(s), err,
				 "the file is cut short: its totals are missing");
	memcpy(s->batch.word, data, n * sizeof(rec_t));
	lent = lend(s, s->batch.word, n, batch, err);
	if (lent < 0)
		return lent;
	if (lent == 0)
		return input_bad(s->in, fixed_offset(s), err, "the last record lacks its operand");
	input_skip(s->in, (size_t)lent * sizeof(rec_t));
	return lent;
}

static ssize_t fixed_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct bt_source *s = of(source);

	if (s->ended)
		return 0;
	return s->map ? fixed_next_mapped(s, batch, err) : fixed_next_streamed(s, batch, err);
}

static const struct source_ops fixed_ops = {
	.next = fixed_next,
	.close = bt_close,
	.progress = bt_progress,
};

/* Maps the file so that its words are lent in place; memory and pipes are copied. */
static int fixed_map(struct bt_source *s, const struct bt_footer *footer, uint64_t size,
		     struct err *err)
{
	const char *name = input_name(s->in);
	int rc = os_map_file(name, &s->mapped, &s->mapped_bytes);

	if (rc)
		return err_run(err, -rc, "%s: cannot map: %s", name, strerror(-rc));
	if (s->mapped_bytes != size)
		return input_bad(s->in, 0, err, "the file changes while it is read");
	s->map = (const rec_t *)((const char *)s->mapped + sizeof(struct bt_header));
	s->map_words = footer->words;
	return 0;
}

/* ---- opening ------------------------------------------------------------- */

/* The footer of a file whose end can be read first: the size must be that which it implies. */
static int read_footer(struct bt_source *s, uint64_t size, struct bt_footer *f, struct err *err)
{
	uint64_t at = size - sizeof *f, body = at - sizeof s->header;
	const char *wrong = NULL;
	int rc;

	if (size < sizeof s->header + sizeof *f)
		return input_bad(s->in, size, err, "the file is cut short");
	rc = input_pread(s->in, f, sizeof *f, at, err);
	if (rc)
		return rc;
	wrong = bt_footer_check(f, &s->header);
	if (!wrong && s->header.form == BT_FIXED)
		wrong = body % sizeof(rec_t) || body / sizeof(rec_t) != f->words
				? "the file is not as long as its totals say"
				: NULL;
	else if (!wrong &&
		 (f->index_offset > at || at - f->index_offset < sizeof(struct bt_index) ||
		  (at - f->index_offset - sizeof(struct bt_index)) /
				  sizeof(struct bt_index_entry) !=
			  f->index_entries))
		wrong = "the totals at the end name an index that is elsewhere";
	if (wrong)
		return input_bad(s->in, at, err, "%s", wrong);
	take_totals(s, f);
	return 0;
}

static int read_header(struct bt_source *s, struct err *err)
{
	struct bt_header *h = &s->header;
	const uint8_t *data;
	ssize_t have = input_peek(s->in, sizeof *h, &data, err);
	const char *wrong;

	if (have < 0)
		return (int)have;
	if ((size_t)have < sizeof *h)
		return input_bad(s->in, (uint64_t)have, err,
				 "not a .bt trace, or one cut short in its header");
	memcpy(h, data, sizeof *h);
	wrong = bt_header_check(h);
	if (wrong)
		return input_bad(s->in, 0, err, "%s", wrong);
	input_skip(s->in, sizeof *h);
	source_init(&s->source, h->form == BT_FIXED ? &fixed_ops : &columnar_ops,
		    h->form == BT_FIXED ? "bt-fixed" : "bt");
	s->source.info.space = (enum trace_space)h->space;
	s->source.info.vms = h->vms;
	s->source.info.tick_ns = h->tick_ns;
	snprintf(s->source.info.provenance, sizeof s->source.info.provenance, "%s", h->provenance);
	for (char *c = s->source.info.provenance; *c; c++) { /* it is printed to terminals */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return 0;
}

static int allocate(struct bt_source *s, struct err *err)
{
	if (s->header.form == BT_FIXED) {
		s->digest = XXH3_createState();
		if (s->digest && XXH3_64bits_reset(s->digest) == XXH_OK)
			return 0;
	} else {
		s->unpacker = ZSTD_createDCtx();
		s->block = calloc(1, sizeof *s->block);
		if (s->unpacker && s->block)
			return 0;
	}
	return err_run(err, ENOMEM, "%s: out of memory", input_name(s->in));
}

static int bt_open(struct input *in, struct source **source, struct err *err)
{
	struct bt_source *s = calloc(1, sizeof *s);
	struct bt_footer footer;
	uint64_t size;
	int rc;

	if (!s)
		return err_run(err, ENOMEM, "%s: out of memory", input_name(in));
	s->in = in;
	rc = read_header(s, err);
	if (!rc)
		rc = allocate(s, err);
	if (!rc && input_seekable(in, &size)) {
		rc = read_footer(s, size, &footer, err);
		if (!rc && s->header.form == BT_FIXED && !input_in_memory(in))
			rc = fixed_map(s, &footer, size, err);
	}
	if (rc) {
		s->in = NULL; /* stays the caller's */
		bt_close(&s->source);
		return rc;
	}
	*source = &s->source;
	return 0;
}

static bool bt_looks(const uint8_t *head, size_t n)
{
	return n >= BT_MAGIC_BYTES && memcmp(head, BT_MAGIC, BT_MAGIC_BYTES) == 0;
}

const struct reader reader_bt = {
	.policy = {.name = "bt", .help = "Ballast's own format, columnar or fixed"},
	.suffix = ".bt",
	.looks = bt_looks,
	.open = bt_open,
};
