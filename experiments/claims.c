#include "experiments/claims.h"

#include "core/opt.h"
#include "core/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum column { COL_NAME, COL_MIN, COL_MAX, COL_SHARES, COL_ACTIVE, COLUMNS };

static const char *const column_names[COLUMNS] = {"name", "min_mb", "max_mb", "shares",
						  "active_mb"};

#define LINE_LEN_MAX 1000
#define DECIMALS     9
#define PAGES_PER_MB ((1u << 20) / PAGE_SIZE)

struct table {
	FILE *in;
	const char *file;
	struct claims *claims;
	uint32_t line;
	char text[LINE_LEN_MAX + 1];
	enum column column[COLUMNS]; /* of each field */
};

#define bad(t, err, ...) err_failed(bad_line(t, err, __VA_ARGS__))

static int PRINTF_LIKE(3, 4) bad_line(const struct table *t, struct err *err, const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return err_input(err, "%s:%u: %s", t->file, t->line, what);
}

static int cannot_read(const struct table *t, int errnum, struct err *err)
{
	if (errnum == EISDIR)
		return err_input(err, "%s: is a directory, not a table of claims", t->file);
	return err_run(err, errnum, "%s: cannot read: %s", t->file, strerror(errnum));
}

/* The next line without its end, in t->text: 1, 0 at the end of the file, or -errno. */
static int read_line(struct table *t, struct err *err)
{
	size_t n = 0;

	errno = 0;
	int c = getc(t->in);
	if (c == EOF && !ferror(t->in))
		return 0;
	if (t->line == UINT32_MAX)
		return bad(t, err, "more lines than that are not read");
	t->line++;
	for (; c != EOF && c != '\n'; c = getc(t->in)) {
		if (c == '\0')
			return bad(t, err, "a byte of 0: this is not text");
		if (n == LINE_LEN_MAX)
			return bad(t, err, "the line is longer than %d bytes", LINE_LEN_MAX);
		t->text[n++] = (char)c;
	}
	if (ferror(t->in))
		return cannot_read(t, errno ? errno : EIO, err);
	n -= n && t->text[n - 1] == '\r';
	t->text[n] = '\0';
	return 1;
}

/* The field up to the next comma, without blanks around it; *at is NULL after the last. */
static char *next_field(char **at)
{
	char *field = *at + strspn(*at, " \t"), *comma = strchr(field, ',');
	char *end = comma ? comma : field + strlen(field);

	*at = comma ? comma + 1 : NULL;
	while (end > field && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return field;
}

/* ---- the first line ------------------------------------------------------ */

static int stray_column(const struct table *t, const char *name, struct err *err)
{
	const char *near = nearest_name(name, column_names, COLUMNS);

	if (near)
		return bad(t, err, "there is no column '%.40s'; did you mean '%s'?", name, near);
	return bad(t, err,
		   "there is no column '%.40s'; columns are name, min_mb, max_mb, shares and "
		   "active_mb",
		   name);
}

static int read_header(struct table *t, struct err *err)
{
	bool has[COLUMNS] = {false};
	int rc = read_line(t, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_input(err,
				 "%s: the file is empty; its first line should be "
				 "name,min_mb,max_mb,shares,active_mb",
				 t->file);
	char *at = t->text;
	if (strncmp(at, "\xef\xbb\xbf", 3) == 0) /* a spreadsheet's byte order mark */
		at += 3;
	for (unsigned n = 0; at; n++) {
		const char *name = next_field(&at);
		enum column column = 0;

		while (column < COLUMNS && strcmp(name, column_names[column]) != 0)
			column++;
		if (column == COLUMNS)
			return stray_column(t, name, err);
		if (has[column])
			return bad(t, err, "column %s is there twice", name);
		has[column] = true;
		t->column[n] = column; /* n < COLUMNS, since each is there once */
	}
	for (unsigned i = 0; i < COLUMNS; i++) {
		if (!has[i])
			return bad(t, err,
				   "column %s is missing; the first line should be "
				   "name,min_mb,max_mb,shares,active_mb, in any order",
				   column_names[i]);
	}
	return 0;
}

/* ---- rows ---------------------------------------------------------------- */

static int parse_name(const struct table *t, const char *text, char *name, struct err *err)
{
	size_t n = strlen(text);

	if (n == 0)
		return bad(t, err, "the name is empty");
	if (n > CLAIM_NAME_MAX)
		return bad(t, err, "the name '%.20s...' has %zu characters; the most are %d", text,
			   n, CLAIM_NAME_MAX);
	for (const char *p = text; *p; p++) {
		if (!isprint((unsigned char)*p) || *p == '"')
			return bad(t, err,
				   "character %zu of the name is a quote or no printable ASCII; "
				   "write letters, digits and the like",
				   (size_t)(p - text) + 1);
	}
	memcpy(name, text, n + 1);
	return 0;
}

/* MB with decimals to the nearest page, halves up; exact in integers. */
static int parse_mb(const struct table *t, enum column column, const char *text, uint64_t *pages,
		    struct err *err)
{
	const char *name = column_names[column], *p = text;
	uint64_t whole = 0, fraction = 0, ten = 1;

	if (*p == '-' && isdigit((unsigned char)p[1]))
		return bad(t, err, "%s is %.40s: a size cannot be negative", name, text);
	for (; isdigit((unsigned char)*p); p++) {
		whole = whole * 10 + (unsigned)(*p - '0');
		if (whole > ALLOC_PAGES_MAX / PAGES_PER_MB)
			return bad(t, err, "%s is %.40s: the largest is %llu MB", name, text,
				   (unsigned long long)(ALLOC_PAGES_MAX / PAGES_PER_MB));
	}
	bool good = p > text;
	if (good && *p == '.') {
		const char *first = ++p;
		for (; isdigit((unsigned char)*p) && p - first < DECIMALS; p++, ten *= 10)
			fraction = fraction * 10 + (unsigned)(*p - '0');
		good = p > first;
	}
	if (!good || *p)
		return bad(t, err,
			   "%s is '%.40s': want MB with at most %d decimals, as in 256 or 243.5",
			   name, text, DECIMALS);
	*pages = whole * PAGES_PER_MB + (fraction * PAGES_PER_MB + ten / 2) / ten;
	return 0;
}

static int parse_shares(const struct table *t, const char *text, uint32_t *shares, struct err *err)
{
	int64_t n;
	int rc = parse_int(text, &n, err);

	if (rc) {
		err_prefix(err, "%s:%u: shares", t->file, t->line);
		return rc;
	}
	if (n < 0)
		return bad(t, err, "shares are %lld: 0 or more; 0 means exactly min_mb",
			   (long long)n);
	if (n > UINT32_MAX)
		return bad(t, err, "shares are %lld: the most are %u", (long long)n, UINT32_MAX);
	*shares = (uint32_t)n;
	return 0;
}

static int parse_field(const struct table *t, enum column column, const char *text,
		       struct claim *claim, struct claim_row *row, struct err *err)
{
	switch (column) {
	case COL_NAME:
		return parse_name(t, text, row->name, err);
	case COL_MIN:
		return parse_mb(t, column, text, &claim->min, err);
	case COL_MAX:
		return parse_mb(t, column, text, &claim->max, err);
	case COL_SHARES:
		return parse_shares(t, text, &claim->shares, err);
	default:
		return parse_mb(t, column, text, &claim->active, err);
	}
}

static int make_room(struct table *t, struct err *err)
{
	struct claims *c = t->claims;
	size_t room = c->room ? 2 * c->room : 64;

	if (c->n == ALLOC_CLAIMS_MAX)
		return bad(t, err, "more than %u rows are not read", ALLOC_CLAIMS_MAX);
	if (c->n < c->room)
		return 0;
	struct claim *claim = realloc(c->claim, room * sizeof *claim);
	if (claim)
		c->claim = claim;
	struct claim_row *row = claim ? realloc(c->row, room * sizeof *row) : NULL;
	if (!row)
		return err_run(err, ENOMEM, "%s: out of memory", t->file);
	c->row = row;
	c->room = room;
	return 0;
}

static int parse_row(struct table *t, struct err *err)
{
	struct claim claim = {0};
	struct claim_row row = {.line = t->line};
	char *at = t->text;
	unsigned n = 0;
	int rc = make_room(t, err);

	while (at && n < COLUMNS && !rc)
		rc = parse_field(t, t->column[n++], next_field(&at), &claim, &row, err);
	if (rc)
		return rc;
	if (at || n < COLUMNS)
		return bad(t, err, "%s than the %d fields that the first line names",
			   at ? "more" : "fewer", COLUMNS);
	claim.pages = claim.max;
	rc = claim_check(&claim, err);
	if (rc) {
		err_prefix(err, "%s:%u: '%s'", t->file, t->line, row.name);
		return rc;
	}
	t->claims->claim[t->claims->n] = claim;
	t->claims->row[t->claims->n++] = row;
	return 0;
}

/* ---- the table ----------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct claim_row *ra = *(const struct claim_row *const *)a;
	const struct claim_row *rb = *(const struct claim_row *const *)b;
	int order = strcmp(ra->name, rb->name);

	return order ? order : (ra->line > rb->line) - (ra->line < rb->line);
}

/* Tells of the name that comes again first. */
static int refuse_twins(const struct table *t, struct err *err)
{
	const struct claims *c = t->claims;
	const struct claim_row **sorted = malloc(c->n * sizeof *sorted), *first = NULL,
			       *twin = NULL;

	if (!sorted)
		return err_run(err, ENOMEM, "%s: out of memory", t->file);
	for (size_t i = 0; i < c->n; i++)
		sorted[i] = &c->row[i];
	qsort(sorted, c->n, sizeof *sorted, by_name);
	for (size_t i = 1; i < c->n; i++) {
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0 &&
		    (!twin || sorted[i]->line < twin->line)) {
			first = sorted[i - 1];
			twin = sorted[i];
		}
	}
	free(sorted);
	if (!twin)
		return 0;
	return err_input(err, "%s:%u: the name '%s' is taken since line %u", t->file, twin->line,
			 twin->name, first->line);
}

int claims_read(FILE *in, const char *file, struct claims *claims, struct err *err)
{
	struct table t = {.in = in, .file = file, .claims = claims};
	int rc, more = 1;

	*claims = (struct claims){0};
	rc = read_header(&t, err);
	while (!rc && more > 0) {
		more = read_line(&t, err);
		if (more < 0)
			rc = more;
		else if (more && t.text[strspn(t.text, " \t")])
			rc = parse_row(&t, err);
	}
	if (!rc && claims->n == 0)
		rc = err_input(err, "%s:%u: no VM follows the names of the columns", file, t.line);
	if (!rc)
		rc = refuse_twins(&t, err);
	if (rc)
		claims_release(claims);
	return rc;
}

void claims_release(struct claims *claims)
{
	free(claims->claim);
	free(claims->row);
	*claims = (struct claims){0};
}
