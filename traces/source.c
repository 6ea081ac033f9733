#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct policy reader_auto = {
	.name = "auto",
	.help = "by the first bytes of the file, else by its name",
};

const struct policy *const trace_readers[] = {
	&reader_auto,	       &reader_bt.policy,	  &reader_u32.policy,
	&reader_u64.policy,    &reader_csv.policy,	  &reader_oracle_general.policy,
	&reader_lackey.policy, &reader_drmemtrace.policy, &reader_champsim.policy,
	&reader_perf.policy,   &reader_damon.policy,	  NULL,
};

/* How many first bytes a reader may look at. */
#define HEAD_BYTES 512

#define NAMES_BYTES 160 /* of all readers in a message */

void source_init(struct source *source, const struct source_ops *ops, const char *format)
{
	*source = (struct source){.ops = ops};
	snprintf(source->info.format, sizeof source->info.format, "%s", format);
	source->name = source->info.format;
	source->info.vms = 1;
	source->info.tick_ns = 1;
}

ssize_t source_next(struct source *source, const rec_t **batch, struct err *err)
{
	if (!source->failed) {
		source->any = ~(rec_t)0;
		ssize_t n = source->ops->next(source, batch, &source->failure);
		if (n >= 0)
			return n;
		source->failed = (int)n;
	}
	if (err)
		*err = source->failure;
	return source->failed;
}

rec_t source_any(const struct source *source)
{
	return source->any;
}

const struct trace_info *source_info(const struct source *source)
{
	return &source->info;
}

const char *source_name(const struct source *source)
{
	return source->name;
}

struct source_progress source_progress(const struct source *source)
{
	return source->ops->progress(source);
}

void source_close(struct source *source)
{
	if (source)
		source->ops->close(source);
}

static const struct reader *reader_of(const struct policy *policy)
{
	return (const struct reader *)policy; /* its first member */
}

/* Whether the name ends in suffix, a ".zst" behind it apart. */
static bool name_ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = strlen(suffix);

	if (n > 4 && strcmp(name + n - 4, ".zst") == 0)
		n -= 4;
	return n > s && strncmp(name + n - s, suffix, s) == 0;
}

/* Which common packer the first bytes speak of, that is not unpacked here; or NULL. */
static const char *unpacker(const uint8_t *head, size_t n)
{
	static const struct {
		const char *magic, *command;
	} packers[] = {
		{"\xfd"
		 "7zXZ",
		 "xz -dc"},
		{"\x1f\x8b", "gzip -dc"},
		{"PK\x03\x04", "unzip -p"},
		{"\x04\x22\x4d\x18", "lz4 -dc"},
		{"BZh", "bzip2 -dc"},
	};

	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		size_t m = strlen(packers[i].magic);
		if (n > m && memcmp(head, packers[i].magic, m) == 0)
			return packers[i].command;
	}
	return NULL;
}

/* "bt, u32 or csv" of all readers but the first, auto. */
static const char *reader_names(char *text, size_t n)
{
	size_t at = 0;

	for (size_t i = 1; trace_readers[i] && at < n; i++)
		at += (size_t)snprintf(text + at, n - at, "%s%s",
				       i == 1		      ? ""
				       : trace_readers[i + 1] ? ", "
							      : " or ",
				       trace_readers[i]->name);
	return text;
}

/* The .bt magic decides, then the name, then what the text looks like. */
static int guess(struct input *in, const struct reader **reader, struct err *err)
{
	const uint8_t *head;
	ssize_t n = input_peek(in, HEAD_BYTES, &head, err);

	if (n < 0)
		return (int)n;
	n = (ssize_t)min_u64((uint64_t)n, HEAD_BYTES);
	*reader = &reader_bt;
	if (reader_bt.looks(head, (size_t)n))
		return 0;
	for (size_t i = 1; trace_readers[i]; i++) {
		*reader = reader_of(trace_readers[i]);
		if ((*reader)->suffix && name_ends_in(input_name(in), (*reader)->suffix))
			return 0;
	}
	for (size_t i = 1; trace_readers[i]; i++) {
		*reader = reader_of(trace_readers[i]);
		if ((*reader)->looks && (*reader)->looks(head, (size_t)n))
			return 0;
	}
	const char *command = unpacker(head, (size_t)n);
	if (command)
		return err_input(err,
				 "%s is packed: unpack it on the way, as in: %s FILE | ballast "
				 "trace import --format NAME - ...",
				 input_name(in), command);
	char names[NAMES_BYTES];
	return err_input(err,
			 "%s: cannot tell the format from the first bytes or the name: say "
			 "--format %s",
			 input_name(in), reader_names(names, sizeof names));
}

int source_open_input(struct input *in, const char *format, struct source **source, struct err *err)
{
	const struct reader *reader = NULL;
	const struct policy *policy;
	char names[NAMES_BYTES];
	int rc = 0;

	if (!format || strcmp(format, "auto") == 0) {
		rc = guess(in, &reader, err);
	} else if ((policy = policy_find(trace_readers, format))) {
		reader = reader_of(policy);
	} else {
		rc = err_input(err, "no trace format is called '%s': take auto, %s", format,
			       reader_names(names, sizeof names));
	}
	if (!rc)
		rc = reader->open(in, source, err);
	if (rc)
		input_close(in);
	else
		(*source)->name = input_name(in);
	return rc;
}

int source_open(const char *path, const char *format, struct source **source, struct err *err)
{
	struct input *in;
	int rc = input_open(path, &in, err);

	return rc ? rc : source_open_input(in, format, source, err);
}

int source_open_memory(const char *name, const void *data, size_t n, const char *format,
		       struct source **source, struct err *err)
{
	struct input *in;
	int rc = input_open_memory(name, data, n, &in, err);

	return rc ? rc : source_open_input(in, format, source, err);
}

bool batch_sleep(struct batch *b, uint64_t *ticks)
{
	while (*ticks > REC_DELTA_MAX) {
		uint64_t some = min_u64(*ticks - REC_DELTA_MAX, REC_PAGE_MAX);

		if (batch_full(b))
			return false;
		batch_add(b, rec_make(REC_SLEEP, some, 0));
		*ticks -= some;
	}
	return !batch_full(b);
}

const char *kind_name(unsigned kind)
{
	static const char *const names[REC_KINDS] = {
		[REC_READ] = "read",
		[REC_WRITE] = "write",
		[REC_SWITCH] = "switch",
		[REC_SLEEP] = "sleep",
		[REC_VM] = "vm",
		[REC_END] = "end",
		[REC_FORK] = "fork",
		[REC_WRITE_ID] = "write_id",
		[REC_MAP] = "map",
		[REC_UNMAP] = "unmap",
		[REC_FILE_READ] = "file_read",
		[REC_FILE_WRITE] = "file_write",
		[REC_DMA] = "dma",
		[REC_PROTECT] = "protect",
	};

	return kind < REC_KINDS ? names[kind] : NULL;
}

#define FETCH_AHEAD 512 /* words: a page */

size_t whole_records(const rec_t *words, size_t n, rec_t *any)
{
	rec_t seen = 0;
	size_t i = 0;

	while (i < n) {
		if (i + 8 <= n) { /* eight narrow ones at once */
			const rec_t *w = words + i;
			/* Processors fetch ahead by themselves, but not beyond a page. */
			__builtin_prefetch(w + FETCH_AHEAD);
			rec_t eight = w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7];
			if (!rec_is_wide(eight)) {
				seen |= eight;
				i += 8;
				continue;
			}
		}
		if (rec_is_wide(words[i]) && i + 1 == n)
			break;
		seen |= words[i];
		i += rec_is_wide(words[i]) ? 2 : 1;
	}
	*any = seen;
	return i;
}
