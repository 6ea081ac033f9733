#include "live/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIGN	 "@ballast "
#define DIGITS	 15 /* exact in a double, and in thousandths in 64 bits */
#define DECIMALS 6

/* One word of a line. */
struct word {
	const char *at;
	size_t n;
};

static bool take_word(struct word *rest, struct word *w)
{
	while (rest->n && *rest->at == ' ')
		rest->at++, rest->n--;
	*w = (struct word){rest->at, 0};
	while (w->n < rest->n && rest->at[w->n] != ' ')
		w->n++;
	rest->at += w->n;
	rest->n -= w->n;
	return w->n > 0;
}

static bool is(struct word w, const char *text)
{
	return w.n == strlen(text) && memcmp(w.at, text, w.n) == 0;
}

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* A name of a program or a key, with room for size bytes. */
static bool take_name(struct word w, char *name, size_t size)
{
	if (w.n == 0 || w.n >= size)
		return false;
	for (size_t i = 0; i < w.n; i++) {
		if (!is_name_character(w.at[i]))
			return false;
	}
	memcpy(name, w.at, w.n);
	name[w.n] = '\0';
	return true;
}

static bool take_digits(struct word *w, size_t most, uint64_t *n, unsigned *digits)
{
	*digits = 0;
	for (*n = 0; w->n && *w->at >= '0' && *w->at <= '9'; w->at++, w->n--) {
		if (++*digits > most)
			return false;
		*n = *n * 10 + (uint64_t)(*w->at - '0');
	}
	return *digits > 0;
}

/* A decimal: sign, whole part, and its decimals in millionths. */
struct number {
	bool negative;
	uint64_t whole, millionths;
};

static bool take_number(struct word w, struct number *number)
{
	unsigned digits;

	*number = (struct number){0};
	if (w.n && *w.at == '-') {
		number->negative = true;
		w.at++, w.n--;
	}
	if (!take_digits(&w, DIGITS, &number->whole, &digits))
		return false;
	if (w.n && *w.at == '.') {
		w.at++, w.n--;
		if (!take_digits(&w, DECIMALS, &number->millionths, &digits))
			return false;
		for (; digits < DECIMALS; digits++)
			number->millionths *= 10;
	}
	return w.n == 0;
}

static bool count_of(const struct number *number, uint64_t *count)
{
	*count = number->whole;
	return !number->negative && number->millionths == 0;
}

static bool add_value(struct console_record *r, struct word key, const struct number *number)
{
	struct console_value *v = &r->value[r->values];
	double size = (double)number->whole + (double)number->millionths / 1e6;

	if (r->values == CONSOLE_VALUES || !take_name(key, v->key, sizeof v->key))
		return false;
	for (uint32_t i = 0; i < r->values; i++) {
		if (strcmp(r->value[i].key, v->key) == 0)
			return false;
	}
	v->value = number->negative ? -size : size;
	r->values++;
	return true;
}

/* The keys that every line of its sort has, each once. */
enum { HAS_T = 1, HAS_OPS = 2, HAS_DONE = 4, HAS_STEAL = 8, HAS_BAD = 16 };

static bool take_key(struct console_record *r, struct word w, unsigned *has)
{
	static const char *const names[] = {"t", "ops", "done", "steal_ms", "bad"};
	uint64_t *const to[] = {&r->t_ms, &r->ops, &r->done, &r->steal_ms, &r->bad};
	const char *equals = memchr(w.at, '=', w.n);
	struct number number;

	if (!equals)
		return false;
	struct word key = {w.at, (size_t)(equals - w.at)};
	if (!take_number((struct word){equals + 1, w.n - key.n - 1}, &number))
		return false;
	for (size_t i = r->end ? 4 : 0; i < (r->end ? 5u : 4u); i++) {
		if (!is(key, names[i]))
			continue;
		if (*has & 1u << i)
			return false;
		*has |= 1u << i;
		if (i > 0)
			return count_of(&number, to[i]);
		r->t_ms = number.whole * 1000 + number.millionths / 1000;
		return !number.negative;
	}
	return add_value(r, key, &number);
}

int console_parse(const char *line, size_t n, struct console_record *r)
{
	struct word rest = {line, n}, w;
	unsigned has = 0;

	if (n && line[n - 1] == '\r') /* a terminal's */
		rest.n--;
	if (rest.n < strlen(SIGN) || memcmp(line, SIGN, strlen(SIGN)) != 0)
		return 0;
	rest.at += strlen(SIGN);
	rest.n -= strlen(SIGN);
	*r = (struct console_record){0};
	if (!take_word(&rest, &w) || !take_name(w, r->name, sizeof r->name))
		return -EINVAL;
	while (take_word(&rest, &w)) {
		if (!r->end && has == 0 && r->values == 0 && is(w, "end"))
			r->end = true;
		else if (!take_key(r, w, &has))
			return -EINVAL;
	}
	return has == (r->end ? HAS_BAD : HAS_T | HAS_OPS | HAS_DONE | HAS_STEAL) ? 1 : -EINVAL;
}

double console_value(const struct console_record *r, const char *key, double fallback)
{
	for (uint32_t i = 0; i < r->values; i++) {
		if (strcmp(r->value[i].key, key) == 0)
			return r->value[i].value;
	}
	return fallback;
}

/* A line has ended. */
static void end_line(struct console *c, console_fn *fn, void *ctx)
{
	struct console_record record;
	int rc = console_parse(c->line, c->used, &record);

	if (rc > 0 && !c->too_long) {
		c->records++;
		fn(ctx, &record);
	} else if (rc) {
		c->damaged++;
	}
	c->used = 0;
	c->too_long = false;
}

void console_feed(struct console *c, const void *data, size_t size, console_fn *fn, void *ctx)
{
	const char *at = data, *const end = at + size;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((newline ? newline : end) - at);
		size_t room = sizeof c->line - c->used;
		size_t taken = n < room ? n : room;

		memcpy(c->line + c->used, at, taken);
		c->used += taken;
		c->too_long |= taken < n;
		at += n;
		if (newline) {
			at++;
			end_line(c, fn, ctx);
		}
	}
}

int console_open(struct console *c, const char *path, struct err *err)
{
	*c = (struct console){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
	if (c->fd < 0)
		return err_run(err, errno, "%s: the guest's log cannot be read: %s", path,
			       strerror(errno));
	return 0;
}

int console_read(struct console *c, console_fn *fn, void *ctx)
{
	char data[16384];
	struct stat st;
	ssize_t n;

	if (fstat(c->fd, &st))
		return -errno;
	if ((uint64_t)st.st_size < c->at) {
		c->at = c->used = 0;
		c->too_long = false;
	}
	while ((n = pread(c->fd, data, sizeof data, (off_t)c->at)) > 0) {
		c->at += (uint64_t)n;
		console_feed(c, data, (size_t)n, fn, ctx);
		if (c->at >= (uint64_t)st.st_size) /* what comes meanwhile is the next call's */
			break;
	}
	return n < 0 ? -errno : 0;
}

void console_close(struct console *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}
