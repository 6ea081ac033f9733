/*
 * What the sources and writers of traces/ share; for this folder and its tests.
 *
 * A source is a struct that begins with struct source and fills a table of
 * three calls; a reader opens one over an input, a law makes one from options.
 * An input is a stream of bytes (file, pipe or memory) with zstd unpacked on
 * the way, read through a window that the input owns. A writer begins with
 * struct writer and gathers the totals where its format needs them.
 */
#ifndef BALLAST_TRACES_PRIVATE_H
#define BALLAST_TRACES_PRIVATE_H

#include "core/file.h"
#include "traces/traces.h"

/* Words that a source lends at once: they and the pmap entries stay in the L2 cache. */
#define BATCH_WORDS 8192

/* VM indices in a trace are below this. */
#define VMS_MAX 4096u

/* ---- inputs -------------------------------------------------------------- */

struct input;

MUST_CHECK int input_open(const char *path, struct input **in, struct err *err);

/* Reads from memory that the caller keeps until input_close(); name is for messages. */
MUST_CHECK int input_open_memory(const char *name, const void *data, size_t n, struct input **in,
				 struct err *err);
void input_close(struct input *in);

const char *input_name(const struct input *in);

/* Bytes consumed so far of the unpacked stream. */
uint64_t input_offset(const struct input *in);

/* The share of the file that is read, in bytes as stored. */
struct source_progress input_progress(const struct input *in);

/*
 * Lends the next bytes: at least want of them, fewer only at the end. Returns
 * how many. The pointer holds until the next call; want is at most 4 MiB.
 */
MUST_CHECK ssize_t input_peek(struct input *in, size_t want, const uint8_t **data, struct err *err);

/* Steps over n bytes that were lent. */
void input_skip(struct input *in, size_t n);

/*
 * The next line without its end ("\n" or "\r\n"), lent until the next call.
 * Returns 1, 0 at the end of the stream, or -errno (a line over 4096 bytes).
 */
MUST_CHECK int input_line(struct input *in, const char **line, size_t *n, struct err *err);

/* Digits from *at on, over which it moves; false if there are none or they exceed 64 bits. */
bool text_number(const char **at, const char *end, unsigned base, uint64_t *value);

/* A plain file on disk or memory, so that its end can be read first. *size as stored. */
bool input_seekable(const struct input *in, uint64_t *size);
bool input_in_memory(const struct input *in);
MUST_CHECK int input_pread(struct input *in, void *buf, size_t n, uint64_t offset, struct err *err);

/* Continues at a byte of a seekable input. */
MUST_CHECK int input_seek(struct input *in, uint64_t offset, struct err *err);

/* "NAME: at byte N: ..." and "NAME:LINE: ..."; both return -EINVAL. */
int input_bad(const struct input *in, uint64_t offset, struct err *err, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
int input_bad_line(const struct input *in, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_input(): told to the compiler that they never return 0. */
#define input_bad(...)	    err_failed(input_bad(__VA_ARGS__))
#define input_bad_line(...) err_failed(input_bad_line(__VA_ARGS__))

/* ---- sources ------------------------------------------------------------- */

struct source_ops {
	ssize_t (*next)(struct source *source, const rec_t **batch, struct err *err);
	void (*close)(struct source *source); /* frees the struct too */
	struct source_progress (*progress)(const struct source *source);
};

struct source {
	const struct source_ops *ops;
	struct trace_info info;
	const char *name; /* for messages: the file's */
	rec_t any;  /* of the batch that is lent, as source_any(); all ones unless it is set */
	int failed; /* 0, or what every further call returns, with... */
	struct err failure; /* ...the same message */
};

/* Counts and provenance unknown, one VM, ticks of 1 ns; named like its format. */
void source_init(struct source *source, const struct source_ops *ops, const char *format);

struct reader {
	struct policy policy;
	const char *suffix; /* of file names, with the dot; NULL: none */
	/* Whether the first bytes look like this format; NULL: cannot be told. */
	bool (*looks)(const uint8_t *head, size_t n);
	/* On success the source owns the input, on failure the caller keeps it. */
	int (*open)(struct input *in, struct source **source, struct err *err);
};

extern const struct reader reader_bt, reader_u32, reader_u64, reader_csv, reader_oracle_general,
	reader_lackey, reader_drmemtrace, reader_champsim, reader_perf, reader_damon;

/* As source_open(), from memory that the caller keeps until source_close(). */
MUST_CHECK int source_open_memory(const char *name, const void *data, size_t n, const char *format,
				  struct source **source, struct err *err);

/* Opens the reader over the input; closes the input on failure. */
MUST_CHECK int source_open_input(struct input *in, const char *format, struct source **source,
				 struct err *err);

/* A batch under construction: rooms for records and for the operands of the last one. */
struct batch {
	size_t n;
	rec_t word[BATCH_WORDS + 8];
};

static inline bool batch_full(const struct batch *b)
{
	return b->n >= BATCH_WORDS;
}

static inline void batch_add(struct batch *b, rec_t r)
{
	b->word[b->n++] = r;
}

/*
 * Time however long: adds sleeps until what is left of *ticks fits a delta.
 * False when the batch is full before; call again for the next one.
 */
bool batch_sleep(struct batch *b, uint64_t *ticks);

static inline bool kind_valid(unsigned kind)
{
	return 0x7f7fu >> kind & 1;
}

/* Canonical addresses have 48 significant bits; cutting the rest keeps their pages distinct. */
static inline bool address_page(uint64_t address, uint64_t *page)
{
	*page = address >> PAGE_SHIFT & REC_PAGE_MAX;
	return address >> 47 == 0 || address >> 47 == 0x1ffff;
}

/* Batches made of a program's accesses, of which a page table would not notice each. */
struct touches {
	rec_t last; /* the one before, its time apart; a reader begins with TOUCHES_NONE */
	struct batch batch;
};

#define TOUCHES_NONE (~(rec_t)0)

/* Adds an access, ticks after the one before, unless it repeats that one. */
static inline void touches_add(struct touches *t, enum rec_kind kind, uint64_t page, uint64_t ticks)
{
	rec_t r = rec_make(kind, page, 0);

	if (r == t->last && ticks == 0)
		return;
	t->last = r;
	batch_add(&t->batch, r | rec_make(REC_READ, 0, ticks));
}

/*
 * Words in the longest prefix that does not end between a wide record and its
 * operand. *any is the OR of its records, operands apart.
 */
size_t whole_records(const rec_t *words, size_t n, rec_t *any);

/* ---- counting ------------------------------------------------------------ */

struct counter;

MUST_CHECK int counter_new(struct counter **counter);
void counter_free(struct counter *counter);

/* Adds records; a message begins with "record N", and the caller says of what. */
MUST_CHECK int counter_add(struct counter *counter, const rec_t *batch, size_t words,
			   struct err *err);

/* Fills in the counts. words may be NULL. */
void counter_result(const struct counter *counter, struct trace_info *info, uint64_t *words);

/* A map from 64-bit keys to 64-bit values that only grows. */
struct idmap;

MUST_CHECK int idmap_new(struct idmap **map);
void idmap_free(struct idmap *map);
uint64_t idmap_size(const struct idmap *map);

/* The value's place, or NULL; holds until the next idmap_add(). */
uint64_t *idmap_find(const struct idmap *map, uint64_t key);

/* Adds a key that is not there. -ENOMEM leaves the map as it was. */
MUST_CHECK int idmap_add(struct idmap *map, uint64_t key, uint64_t value);

/* Where each VM of a trace is: follows REC_VM and REC_SWITCH. */
struct place {
	struct idmap *contexts; /* (VM, address space) -> context, from 0 */
	uint32_t vm;
	uint64_t context[VMS_MAX];
};

MUST_CHECK int place_init(struct place *place, struct err *err);
void place_release(struct place *place);

/* Follows the record if it moves the place; -errno with a message when it cannot. */
MUST_CHECK int place_follow(struct place *place, rec_t r, struct err *err);

/* One number for a page of the place. */
static inline uint64_t place_key(const struct place *place, uint64_t page)
{
	return place->context[place->vm] << REC_PAGE_BITS | page;
}

/* ---- writers ------------------------------------------------------------- */

struct writer_ops {
	int (*put)(struct writer *writer, const rec_t *batch, size_t words, struct err *err);
	int (*finish)(struct writer *writer, struct err *err); /* all but the commit; or NULL */
	void (*free)(struct writer *writer);		       /* but not the draft */
};

struct writer {
	const struct writer_ops *ops;
	struct draft *draft;
	FILE *out;
	struct trace_info info;
	uint64_t records; /* taken so far; a message on a bad one begins with "record N" */
};

struct format {
	struct policy policy;
	/* Makes the writer; the caller then fills in the struct writer's draft and out. */
	int (*make)(struct writer **writer, struct err *err);
	/* Writes what stands before the first record; or NULL. */
	int (*begin)(struct writer *writer, struct err *err);
};

extern const struct format format_bt, format_bt_fixed, format_u32, format_u64, format_csv,
	format_oracle_general;

/* Adds the time that a record takes; -EINVAL with a message when 64 bits of ns are over. */
MUST_CHECK int writer_advance(const struct writer *writer, rec_t r, uint64_t *ns, struct err *err);

/* The format has no words for a kind: says so and returns -EINVAL. */
int writer_refuse(const struct writer *writer, unsigned kind, const char *format, struct err *err);

/* fwrite() whose failure is a message that names the file. */
MUST_CHECK int writer_out(struct writer *writer, const void *data, size_t n, struct err *err);

#endif
