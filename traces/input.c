#include "traces/private.h"
#include "core/os.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

/* The header's macros wrap these. */
#undef input_bad
#undef input_bad_line

#define WINDOW_BYTES (256u << 10)
#define WINDOW_MAX   (4u << 20)
#define PACKED_BYTES (128u << 10)
#define LINE_MAX_LEN 4096

struct input {
	char *name;
	FILE *file; /* NULL: from memory */
	const uint8_t *mem;
	size_t mem_bytes;
	uint64_t stored_done, stored_total; /* bytes as stored; total 0: unknown */
	bool seekable, stored_end;

	uint8_t *own; /* the window's buffer; NULL: the window is the memory itself */
	size_t room;
	const uint8_t *window;
	size_t start, end;
	uint64_t offset; /* of window[start] in the unpacked stream */
	bool eof;	 /* nothing comes after window[end - 1] */
	uint64_t line;

	ZSTD_DCtx *unpacker; /* NULL: stored plainly */
	uint8_t *packed;
	ZSTD_inBuffer rest;
	size_t hint; /* of the unpacker; 0 between frames */
};

static int bad_at(const struct input *in, struct err *err, const char *where, const char *fmt,
		  va_list ap)
{
	char what[400];

	vsnprintf(what, sizeof what, fmt, ap);
	return err_input(err, "%s%s: %s", in->name, where, what);
}

int input_bad(const struct input *in, uint64_t offset, struct err *err, const char *fmt, ...)
{
	char where[64];
	va_list ap;

	snprintf(where, sizeof where, ": at byte %llu%s", (unsigned long long)offset,
		 in->unpacker ? " unpacked" : "");
	va_start(ap, fmt);
	bad_at(in, err, where, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int input_bad_line(const struct input *in, struct err *err, const char *fmt, ...)
{
	char where[32];
	va_list ap;

	snprintf(where, sizeof where, ":%llu", (unsigned long long)in->line);
	va_start(ap, fmt);
	bad_at(in, err, where, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Up to n bytes as stored; fewer only at the end. */
static ssize_t read_stored(struct input *in, void *buf, size_t n, struct err *err)
{
	size_t got;

	if (in->mem) {
		got = min_u64(n, in->mem_bytes - in->stored_done);
		memcpy(buf, in->mem + in->stored_done, got);
	} else {
		errno = 0;
		got = fread(buf, 1, n, in->file);
		if (got < n && ferror(in->file)) {
			int e = errno ? errno : EIO;
			return err_run(err, e, "%s: at byte %llu: cannot read: %s", in->name,
				       (unsigned long long)(in->stored_done + got), strerror(e));
		}
	}
	in->stored_end = got < n;
	in->stored_done += got;
	return (ssize_t)got;
}

/* Unpacks into the window until it is full or the stream ends. */
static int fill_packed(struct input *in, struct err *err)
{
	ZSTD_outBuffer out = {in->own, in->room, in->end};

	while (out.pos < out.size) {
		if (in->rest.pos == in->rest.size && !in->stored_end) {
			ssize_t got = read_stored(in, in->packed, PACKED_BYTES, err);
			if (got < 0)
				return (int)got;
			in->rest = (ZSTD_inBuffer){in->packed, (size_t)got, 0};
		}
		size_t before = out.pos, left = in->rest.size - in->rest.pos;
		if (!left && in->stored_end && !in->hint) {
			in->eof = true;
			break;
		}
		in->hint = ZSTD_decompressStream(in->unpacker, &out, &in->rest);
		if (ZSTD_isError(in->hint))
			return err_input(err, "%s: at packed byte %llu: damaged zstd stream (%s)",
					 in->name, (unsigned long long)(in->stored_done - left),
					 ZSTD_getErrorName(in->hint));
		if (in->hint && !left && in->stored_end && out.pos == before)
			return err_input(err,
					 "%s: at packed byte %llu: the zstd stream ends early: "
					 "the file is cut short",
					 in->name, (unsigned long long)in->stored_done);
	}
	in->end = out.pos;
	return 0;
}

static int fill_plain(struct input *in, struct err *err)
{
	ssize_t got = read_stored(in, in->own + in->end, in->room - in->end, err);

	if (got < 0)
		return (int)got;
	in->end += (size_t)got;
	in->eof = in->stored_end;
	return 0;
}

/* Makes room for want bytes from the window's start on, at its buffer's beginning. */
static int make_room(struct input *in, size_t want, struct err *err)
{
	if (in->start) {
		memmove(in->own, in->own + in->start, in->end - in->start);
		in->end -= in->start;
		in->start = 0;
	}
	if (want > in->room) {
		uint8_t *bigger = realloc(in->own, want);
		if (!bigger)
			return err_run(err, ENOMEM, "%s: out of memory", in->name);
		in->own = bigger;
		in->window = bigger;
		in->room = want;
	}
	return 0;
}

ssize_t input_peek(struct input *in, size_t want, const uint8_t **data, struct err *err)
{
	if (want > WINDOW_MAX)
		want = WINDOW_MAX;
	while (in->end - in->start < want && !in->eof) {
		int rc = make_room(in, want, err);
		if (!rc)
			rc = in->unpacker ? fill_packed(in, err) : fill_plain(in, err);
		if (rc)
			return rc;
	}
	*data = in->window + in->start;
	return (ssize_t)(in->end - in->start);
}

void input_skip(struct input *in, size_t n)
{
	in->start += n;
	in->offset += n;
}

int input_line(struct input *in, const char **line, size_t *n, struct err *err)
{
	const uint8_t *data, *end = NULL;
	ssize_t have = input_peek(in, 1, &data, err);

	if (have <= 0)
		return (int)have;
	in->line++;
	end = memchr(data, '\n', min_u64((uint64_t)have, LINE_MAX_LEN + 1));
	if (!end && have <= LINE_MAX_LEN) {
		have = input_peek(in, LINE_MAX_LEN + 1, &data, err);
		if (have < 0)
			return (int)have;
		end = memchr(data, '\n', min_u64((uint64_t)have, LINE_MAX_LEN + 1));
	}
	if (!end && have > LINE_MAX_LEN)
		return input_bad_line(in, err, "a line of over %d bytes: is this text?",
				      LINE_MAX_LEN);
	*line = (const char *)data;
	*n = end ? (size_t)(end - data) : (size_t)have;
	input_skip(in, *n + (end != NULL));
	if (*n && data[*n - 1] == '\r')
		--*n;
	return 1;
}

static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c |= 32;
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
}

bool text_number(const char **at, const char *end, unsigned base, uint64_t *value)
{
	const char *start = *at;
	uint64_t v = 0;

	for (; *at < end && digit_of(**at) < base; ++*at) {
		unsigned digit = digit_of(**at);

		if (v > (UINT64_MAX - digit) / base)
			return false;
		v = v * base + digit;
	}
	*value = v;
	return *at > start;
}

static bool is_zstd(const uint8_t *p, size_t n)
{
	/* A frame, or a skippable one before it, as parallel packers write. */
	return n >= 4 && ((p[0] == 0x28 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd) ||
			  ((p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18));
}

/* What the window holds turns out to be packed: hands it to an unpacker. */
static int start_unpacking(struct input *in, struct err *err)
{
	in->unpacker = ZSTD_createDCtx();
	in->packed = malloc(PACKED_BYTES);
	if (!in->unpacker || !in->packed)
		return err_run(err, ENOMEM, "%s: out of memory", in->name);
	memcpy(in->packed, in->own, in->end);
	in->rest = (ZSTD_inBuffer){in->packed, in->end, 0};
	in->end = 0;
	in->eof = false;
	in->seekable = false;
	in->hint = 1;
	return 0;
}

/* The first bytes, and the unpacker where they ask for one. */
static int start_window(struct input *in, struct err *err)
{
	int rc;

	if (in->mem && !is_zstd(in->mem, in->mem_bytes)) {
		in->window = in->mem;
		in->end = in->mem_bytes;
		in->stored_done = in->mem_bytes;
		in->eof = true;
		return 0;
	}
	in->own = malloc(WINDOW_BYTES);
	if (!in->own)
		return err_run(err, ENOMEM, "%s: out of memory", in->name);
	in->window = in->own;
	in->room = PACKED_BYTES; /* so that it fits the unpacker's buffer if it must move */
	rc = fill_plain(in, err);
	in->room = WINDOW_BYTES;
	if (!rc && is_zstd(in->own, in->end))
		rc = start_unpacking(in, err);
	return rc;
}

static int open_file(struct input *in, const char *path, struct err *err)
{
	struct stat st;

	if (strcmp(path, "-") == 0) {
		in->file = stdin;
		return 0;
	}
	in->file = fopen(path, "rbe");
	if (!in->file)
		return err_input(err, "%s: cannot open: %s", path, strerror(errno));
	setvbuf(in->file, NULL, _IONBF, 0); /* the window is the buffer */
	if (fstat(fileno(in->file), &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return err_input(err, "%s: is a directory: name a file in it", path);
		in->seekable = S_ISREG(st.st_mode);
		in->stored_total = in->seekable ? (uint64_t)st.st_size : 0;
	}
	return 0;
}

static int open_any(const char *name, const char *path, const void *data, size_t n,
		    struct input **out, struct err *err)
{
	static const uint8_t nothing[1];
	struct input *in = calloc(1, sizeof *in);
	int rc = 0;

	if (!in || !(in->name = strdup(name))) {
		free(in);
		return err_run(err, ENOMEM, "%s: out of memory", name);
	}
	if (path) {
		rc = open_file(in, path, err);
	} else {
		in->mem = data ? data : nothing;
		in->mem_bytes = in->stored_total = n;
		in->seekable = true;
	}
	if (!rc)
		rc = start_window(in, err);
	if (rc)
		input_close(in);
	else
		*out = in;
	return rc;
}

int input_open(const char *path, struct input **in, struct err *err)
{
	return open_any(strcmp(path, "-") == 0 ? "standard input" : path, path, NULL, 0, in, err);
}

int input_open_memory(const char *name, const void *data, size_t n, struct input **in,
		      struct err *err)
{
	return open_any(name, NULL, data, n, in, err);
}

void input_close(struct input *in)
{
	if (!in)
		return;
	if (in->file && in->file != stdin)
		fclose(in->file);
	ZSTD_freeDCtx(in->unpacker);
	free(in->packed);
	free(in->own);
	free(in->name);
	free(in);
}

const char *input_name(const struct input *in)
{
	return in->name;
}

uint64_t input_offset(const struct input *in)
{
	return in->offset;
}

struct source_progress input_progress(const struct input *in)
{
	/* Plainly stored bytes in the window are not yet done; packed ones are few. */
	uint64_t ahead = in->unpacker ? in->rest.size - in->rest.pos : in->end - in->start;

	return (struct source_progress){in->stored_done - ahead, in->stored_total};
}

bool input_seekable(const struct input *in, uint64_t *size)
{
	*size = in->stored_total;
	return in->seekable;
}

bool input_in_memory(const struct input *in)
{
	return in->mem;
}

int input_pread(struct input *in, void *buf, size_t n, uint64_t offset, struct err *err)
{
	int rc;

	if (offset > in->stored_total || n > in->stored_total - offset)
		return input_bad(in, offset, err, "the file ends before it should");
	if (in->mem) {
		memcpy(buf, in->mem + offset, n);
		return 0;
	}
	rc = os_read_at(&os_io, fileno(in->file), buf, n, offset);
	if (rc)
		return err_run(err, -rc, "%s: at byte %llu: cannot read: %s", in->name,
			       (unsigned long long)offset, strerror(-rc));
	return 0;
}

int input_seek(struct input *in, uint64_t offset, struct err *err)
{
	if (in->mem) {
		in->start = min_u64(offset, in->mem_bytes);
	} else {
		if (fseeko(in->file, (off_t)offset, SEEK_SET))
			return err_run(err, errno, "%s: cannot seek: %s", in->name,
				       strerror(errno));
		in->start = in->end = 0;
		in->stored_done = offset;
		in->eof = in->stored_end = false;
	}
	in->offset = offset;
	return 0;
}
