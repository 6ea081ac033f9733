#include "core/job_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where a '(' of include() has come to. */
enum paren { PAREN_NONE, PAREN_OPEN, PAREN_FILLED };

struct scan {
	char *p, *end;
	const char *name;
	unsigned line;
	unsigned open_line[2]; /* of the braces that are open */
	int depth;	       /* 0 outside, 1 in a section, 2 in a list */
	char *list;	       /* the '{' of the list that we are in */
	unsigned values;       /* in that list */
	enum paren paren;
	char last;	  /* the last punctuation, 0 after a word or string */
	const char *word; /* the token before, if it was a word or string; else NULL */
	size_t word_len;
	struct err *err;
};

static int scan_error(struct scan *s, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int scan_error(struct scan *s, unsigned line, const char *fmt, ...)
{
	char msg[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	return err_input(s->err, "%s:%u: %s", s->name, line, msg);
}

static void blank(char *from, const char *to)
{
	for (; from < to; from++) {
		if (*from != '\n')
			*from = ' ';
	}
}

static void skip_line_comment(struct scan *s)
{
	char *start = s->p, *newline = memchr(s->p, '\n', (size_t)(s->end - s->p));

	s->p = newline ? newline : s->end;
	blank(start, s->p);
}

static int skip_block_comment(struct scan *s)
{
	char *start = s->p, *close = strstr(s->p + 2, "*/");
	unsigned line = s->line;

	if (!close)
		return scan_error(s, line, "this comment is not closed; end it with */");
	for (s->p = start; s->p < close + 2; s->p++)
		s->line += *s->p == '\n';
	blank(start, s->p);
	return 0;
}

/* A word or string from text on has been read: may it stand here? */
static int check_place(struct scan *s, const char *text, size_t len, bool quoted)
{
	int rc = 0;

	if (len > JOB_VALUE_MAX)
		return scan_error(s, s->line, "a value of %zu bytes; at most %d are taken", len,
				  JOB_VALUE_MAX);
	if (s->depth == 2 && ++s->values > JOB_LIST_MAX)
		return scan_error(s, s->line, "a list of more than %d values", JOB_LIST_MAX);
	if (s->paren == PAREN_FILLED)
		return scan_error(s, s->line, "')' is missing; write include(\"FILE\")");
	if (s->paren == PAREN_OPEN) {
		s->paren = PAREN_FILLED;
		return 0;
	}
	if (s->depth == 1 && len == 0 && s->last != '=')
		return scan_error(s, s->line, "an empty key; write KEY = VALUE");
	s->last = 0;
	if (s->depth > 0)
		return 0;
	if (s->word) {
		char kind[24];

		snprintf(kind, sizeof kind, "%.*s", (int)(s->word_len < 20 ? s->word_len : 20),
			 s->word);
		rc = job_check_title(kind, text, len, s->err);
		if (rc)
			err_prefix(s->err, "%s:%u", s->name, s->line);
	} else if (quoted || memchr(text, '|', len)) {
		/* libConfuse would follow such a name as a path through its sections. */
		return scan_error(s, s->line,
				  "'%.*s' is no section; write one as in host { memory = 256mb }",
				  (int)(len < 40 ? len : 40), text);
	}
	s->word = text;
	s->word_len = len;
	return rc;
}

/* s->p is at a backslash in double quotes. */
static int check_escape(struct scan *s)
{
	const char *p = s->p + 1;

	if (isdigit((unsigned char)*p))
		return scan_error(s, s->line, "'\\%c' is no escape known here; write \\xHH", *p);
	if (*p == 'x' && *++p == '0' && !(isxdigit((unsigned char)p[1]) && p[1] != '0'))
		return scan_error(s, s->line, "a value cannot hold a NUL byte");
	return 0;
}

/* s->p is at "${" in double quotes: the name must end before the string does. */
static int check_variable(struct scan *s, char quote)
{
	size_t len = strcspn(s->p, "}\"\n");

	if (s->p[len] != '}')
		return scan_error(s, s->line, "'${' is not closed before %c; write ${NAME}", quote);
	s->p += len;
	return 0;
}

static int scan_string(struct scan *s)
{
	char quote = *s->p;
	const char *start = ++s->p;
	int rc = 0;

	for (; *s->p != quote; s->p++) {
		if (*s->p == '\\' && quote == '"')
			rc = check_escape(s);
		else if (quote == '"' && s->p[0] == '$' && s->p[1] == '{')
			rc = check_variable(s, quote);
		if (rc)
			return rc;
		if (*s->p == '\\')
			s->p++;
		if (s->p >= s->end || *s->p == '\n')
			return scan_error(s, s->line, "this string is not closed; end it with %c",
					  quote);
	}
	rc = check_place(s, start, (size_t)(s->p - start), true);
	s->p++;
	return rc;
}

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_-.%/:~@!?&;<>[]^`|", c));
}

static int scan_word(struct scan *s)
{
	const char *start = s->p;

	for (; in_word(*s->p); s->p++) {
		if (*s->p == '/' && (s->p[1] == '/' || s->p[1] == '*'))
			return scan_error(s, s->line, "'/%c' inside a word; put it in quotes",
					  s->p[1]);
	}
	return check_place(s, start, (size_t)(s->p - start), false);
}

static int open_brace(struct scan *s)
{
	if (s->depth == 2)
		return scan_error(s, s->line, "'{' in a list");
	s->open_line[s->depth++] = s->line;
	s->list = s->depth == 2 ? s->p : NULL;
	s->values = 0;
	return 0;
}

static int close_brace(struct scan *s)
{
	if (s->depth == 0)
		return scan_error(s, s->line, "this '}' closes nothing");
	if (s->depth-- == 2 && s->values == 0) {
		/* libConfuse tells nobody of an empty list; an empty string says the same. */
		*s->list = '"';
		*s->p = '"';
	}
	return 0;
}

static int scan_punctuation(struct scan *s)
{
	unsigned char c = (unsigned char)*s->p;
	int rc = 0;

	s->word = NULL;
	s->last = (char)c;
	if (s->paren != PAREN_NONE && c != ')')
		return scan_error(s, s->line, "')' is missing; write include(\"FILE\")");
	switch (c) {
	case '{':
		rc = open_brace(s);
		break;
	case '}':
		rc = close_brace(s);
		break;
	case '(':
		s->paren = PAREN_OPEN;
		break;
	case ')':
		if (s->paren != PAREN_FILLED)
			return scan_error(s, s->line, "')' out of place; write include(\"FILE\")");
		s->paren = PAREN_NONE;
		break;
	case '=':
	case ',':
		break;
	case '+':
		return scan_error(s, s->line, "'+' and '+=' are not known; write the whole list");
	default:
		if (c < ' ' || c >= 0x7f)
			return scan_error(s, s->line,
					  "byte 0x%02x outside quotes; is this a job file?", c);
		return scan_error(s, s->line, "'%c' outside quotes; put the value in quotes", c);
	}
	s->p++;
	return rc;
}

static int scan_token(struct scan *s)
{
	switch (*s->p) {
	case '\n':
		s->line++;
		s->p++;
		return 0;
	case '\r':
		*s->p = ' ';
		/* fall through */
	case ' ':
	case '\t':
		s->p++;
		return 0;
	case '#':
		skip_line_comment(s);
		return 0;
	case '"':
	case '\'':
		return scan_string(s);
	case '/':
		if (s->p[1] == '/') {
			skip_line_comment(s);
			return 0;
		}
		if (s->p[1] == '*')
			return skip_block_comment(s);
		return scan_word(s);
	default:
		return in_word(*s->p) ? scan_word(s) : scan_punctuation(s);
	}
}

int job_scan(char *text, size_t size, const char *name, struct err *err)
{
	struct scan s = {.p = text, .end = text + size, .name = name, .line = 1, .err = err};
	const char *nul = memchr(text, '\0', size);

	if (nul) {
		for (const char *p = text; p < nul; p++)
			s.line += *p == '\n';
		return scan_error(&s, s.line, "a NUL byte; is this a job file?");
	}
	while (s.p < s.end) {
		int rc = scan_token(&s);

		if (rc)
			return rc;
	}
	if (s.depth > 0)
		return scan_error(&s, s.open_line[s.depth - 1], "this '{' is not closed");
	if (s.paren != PAREN_NONE)
		return scan_error(&s, s.line, "')' is missing; write include(\"FILE\")");
	return 0;
}
