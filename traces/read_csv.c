#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * The first line names the columns, in any order: page and op, and where they
 * are wanted time_ns, content and vm.
 *
 *   page     decimal or 0x and hexadecimal; a file's page, or an address space
 *   op       r, read, w, write; switch, fork, map, unmap, protect, file_read,
 *            file_write, dma, end
 *   time_ns  absolute, never falling; the first record is where time begins
 *   content  with a write: the id of what the page then holds; else the
 *            operand that traces/record.h tells of; may be empty
 *   vm       an index from 0
 *
 * Lines without a character are passed over.
 */
enum column { COL_PAGE, COL_OP, COL_TIME, COL_CONTENT, COL_VM, COLUMNS };

static const char *const column_names[COLUMNS] = {"page", "op", "time_ns", "content", "vm"};

struct field {
	const char *text;
	size_t n;
};

struct csv {
	struct source source;
	struct input *in;
	enum column column[COLUMNS]; /* of each field of a line */
	unsigned columns;
	bool has[COLUMNS];

	bool pending; /* a row waits for room in the batch: */
	unsigned kind;
	uint64_t page, operand, vm, ticks;

	bool timed; /* a row came before */
	uint64_t time;
	uint64_t vm_now;
	struct batch batch;
};

/* A day of nanoseconds takes 1300 sleeps; more than this is hardly meant. */
#define GAP_MAX (UINT64_C(1) << 50)

static bool is(struct field f, const char *word)
{
	return strlen(word) == f.n && memcmp(f.text, word, f.n) == 0;
}

/* The field up to the next comma, without blanks around it; *at is NULL after the last. */
static struct field next_field(const char **at, const char *end)
{
	const char *comma = memchr(*at, ',', (size_t)(end - *at));
	struct field f = {*at, (size_t)((comma ? comma : end) - *at)};

	*at = comma ? comma + 1 : NULL;
	for (; f.n && (*f.text == ' ' || *f.text == '\t'); f.n--)
		f.text++;
	while (f.n && (f.text[f.n - 1] == ' ' || f.text[f.n - 1] == '\t'))
		f.n--;
	return f;
}

static bool parse_number(struct field f, uint64_t *value)
{
	const char *at = f.text, *end = f.text + f.n;
	bool hex = f.n > 2 && at[0] == '0' && (at[1] | 32) == 'x';

	at += hex ? 2 : 0;
	return text_number(&at, end, hex ? 16 : 10, value) && at == end;
}

static int number(struct csv *c, struct field f, enum column column, uint64_t *value, uint64_t max,
		  struct err *err)
{
	if (!parse_number(f, value))
		return input_bad_line(c->in, err, "%s is '%.*s': want a number",
				      column_names[column], (int)min_u64(f.n, 40), f.text);
	if (*value > max)
		return input_bad_line(c->in, err, "%s is %llu: at most %llu", column_names[column],
				      (unsigned long long)*value, (unsigned long long)max);
	return 0;
}

/* ---- the header line ----------------------------------------------------- */

static int add_column(struct csv *c, struct field f, struct err *err)
{
	enum column column = 0;

	while (column < COLUMNS && !is(f, column_names[column]))
		column++;
	if (column == COLUMNS)
		return input_bad_line(c->in, err,
				      "stray column '%.*s': columns are page, op, time_ns, "
				      "content, vm",
				      (int)min_u64(f.n, 40), f.text);
	if (c->has[column])
		return input_bad_line(c->in, err, "column %s is there twice", column_names[column]);
	c->has[column] = true;
	c->column[c->columns++] = column;
	return 0;
}

static int read_header(struct csv *c, struct err *err)
{
	const char *line, *end;
	size_t n;
	int rc = input_line(c->in, &line, &n, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return input_bad_line(c->in, err,
				      "empty: the first line names the columns, page and op");
	end = line + n;
	if (n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) /* a spreadsheet's byte order mark */
		line += 3;
	rc = 0;
	while (!rc && line)
		rc = add_column(c, next_field(&line, end), err);
	if (!rc && (!c->has[COL_PAGE] || !c->has[COL_OP]))
		rc = input_bad_line(c->in, err,
				    "column %s is missing: the first line names the "
				    "columns",
				    column_names[c->has[COL_PAGE] ? COL_OP : COL_PAGE]);
	return rc;
}

/* ---- rows ---------------------------------------------------------------- */

static int parse_op(struct csv *c, struct field f, struct err *err)
{
	static const enum rec_kind named[] = {REC_READ,	 REC_WRITE,	REC_SWITCH,	REC_MAP,
					      REC_UNMAP, REC_FILE_READ, REC_FILE_WRITE, REC_DMA,
					      REC_END,	 REC_FORK,	REC_PROTECT};

	if (is(f, "r") || is(f, "w")) {
		c->kind = *f.text == 'w';
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		if (is(f, kind_name(named[i]))) {
			c->kind = named[i];
			return 0;
		}
	}
	return input_bad_line(
		c->in, err,
		"op is '%.*s': want r, w, read, write, switch, fork, map, unmap, protect, "
		"file_read, file_write, dma or end",
		(int)min_u64(f.n, 40), f.text);
}

static int parse_when(struct csv *c, struct field f, struct err *err)
{
	uint64_t time;
	int rc = number(c, f, COL_TIME, &time, UINT64_MAX, err);

	if (rc)
		return rc;
	if (c->timed && time < c->time)
		return input_bad_line(c->in, err, "time_ns runs back from %llu to %llu",
				      (unsigned long long)c->time, (unsigned long long)time);
	if (c->timed && time - c->time > GAP_MAX)
		return input_bad_line(c->in, err, "time_ns leaps over more than %llu ns",
				      (unsigned long long)GAP_MAX);
	c->ticks = c->timed ? time - c->time : 0;
	c->time = time;
	c->timed = true;
	return 0;
}

static int parse_field(struct csv *c, enum column column, struct field f, bool *content,
		       struct err *err)
{
	switch (column) {
	case COL_PAGE:
		return number(c, f, column, &c->page, REC_PAGE_MAX, err);
	case COL_OP:
		return parse_op(c, f, err);
	case COL_TIME:
		return parse_when(c, f, err);
	case COL_CONTENT:
		*content = f.n > 0;
		return *content ? number(c, f, column, &c->operand, UINT64_MAX, err) : 0;
	default:
		return number(c, f, column, &c->vm, VMS_MAX - 1, err);
	}
}

static int parse_row(struct csv *c, const char *line, size_t n, struct err *err)
{
	const char *end = line + n;
	bool content = false;
	unsigned i = 0;
	int rc = 0;

	c->operand = 0;
	while (line && i < c->columns && !rc)
		rc = parse_field(c, c->column[i++], next_field(&line, end), &content, err);
	if (rc)
		return rc;
	if (line || i < c->columns)
		return input_bad_line(c->in, err, "%s fields than the %u columns of the first line",
				      line ? "more" : "fewer", c->columns);
	if (content && c->kind == REC_WRITE)
		c->kind = REC_WRITE_ID;
	if (content != rec_is_wide(c->kind))
		return input_bad_line(c->in, err,
				      content ? "content does not go with '%s'"
					      : "'%s' needs a content",
				      kind_name(c->kind));
	c->pending = true;
	return 0;
}

/* The next row that says something; 1, 0 at the end, or -errno. */
static int read_row(struct csv *c, struct err *err)
{
	const char *line;
	size_t n;
	int rc;

	do {
		rc = input_line(c->in, &line, &n, err);
	} while (rc > 0 && n == 0);
	if (rc > 0) {
		rc = parse_row(c, line, n, err);
		return rc ? rc : 1;
	}
	return rc;
}

static void emit(struct csv *c)
{
	if (c->vm != c->vm_now) {
		batch_add(&c->batch, rec_make(REC_VM, c->vm, 0));
		c->vm_now = c->vm;
		c->source.info.vms = (uint32_t)max_u64(c->source.info.vms, c->vm + 1);
	}
	batch_add(&c->batch, rec_make(c->kind, c->page, c->ticks));
	if (rec_is_wide(c->kind))
		batch_add(&c->batch, c->operand);
	c->ticks = 0;
	c->pending = false;
}

static ssize_t csv_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct csv *c = (struct csv *)source;

	c->batch.n = 0;
	for (;;) {
		if (!c->pending) {
			int rc = read_row(c, err);
			if (rc < 0)
				return rc;
			if (rc == 0)
				break;
		}
		if (!batch_sleep(&c->batch, &c->ticks))
			break;
		emit(c);
	}
	*batch = c->batch.word;
	return (ssize_t)c->batch.n;
}

static void csv_close(struct source *source)
{
	input_close(((struct csv *)source)->in);
	free(source);
}

static struct source_progress csv_progress(const struct source *source)
{
	return input_progress(((const struct csv *)source)->in);
}

static const struct source_ops csv_ops = {csv_next, csv_close, csv_progress};

static int csv_open(struct input *in, struct source **source, struct err *err)
{
	struct csv *c = calloc(1, sizeof *c);
	int rc;

	if (!c)
		return err_run(err, ENOMEM, "%s: out of memory", input_name(in));
	source_init(&c->source, &csv_ops, "csv");
	c->in = in;
	rc = read_header(c, err);
	if (rc)
		free(c);
	else
		*source = &c->source;
	return rc;
}

/* A first line of which one field is "page". */
static bool csv_looks(const uint8_t *head, size_t n)
{
	const char *at = (const char *)head, *end = memchr(head, '\n', n);

	if (!end)
		end = at + n;
	if (end > at && end[-1] == '\r')
		end--;
	while (at) {
		if (is(next_field(&at, end), "page"))
			return true;
	}
	return false;
}

const struct reader reader_csv = {
	.policy = {.name = "csv", .help = "text with a line of column names: page, op, ..."},
	.suffix = ".csv",
	.looks = csv_looks,
	.open = csv_open,
};
