#include "core/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The header's macros wrap these. */
#undef err_input
#undef err_run

/*
 * Bytes of the character at s if it is one of UTF-8 beyond ASCII that a terminal shows:
 * well formed, no surrogate, no control of the second set (RFC 3629). 0: it is none.
 */
static size_t utf8(const char *s)
{
	static const struct {
		unsigned char first, last; /* of the first byte */
		size_t n;
		unsigned long least; /* else it is written longer than it needs */
	} shapes[] = {{0xc2, 0xdf, 2, 0xa0}, {0xe0, 0xef, 3, 0x800}, {0xf0, 0xf4, 4, 0x10000}};
	const unsigned char *u = (const unsigned char *)s;

	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		if (u[0] < shapes[i].first || u[0] > shapes[i].last)
			continue;
		unsigned long c = u[0] & (0x7fu >> shapes[i].n);
		for (size_t k = 1; k < shapes[i].n; k++) {
			if ((u[k] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (u[k] & 0x3f);
		}
		bool surrogate = c >= 0xd800 && c <= 0xdfff;
		return c >= shapes[i].least && c <= 0x10ffff && !surrogate ? shapes[i].n : 0;
	}
	return 0;
}

/* An error is one line, whatever bytes a hostile name or value brought along. */
static void one_line(char *s)
{
	while (*s) {
		size_t n = (unsigned char)*s >= 0x80 ? utf8(s) : *s >= ' ' && *s != 0x7f;
		if (n == 0)
			*s = '?';
		s += n ? n : 1;
	}
}

int err_input(struct err *err, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(err->msg, sizeof err->msg, fmt, ap);
		va_end(ap);
		one_line(err->msg);
		err->exit_code = 2;
	}
	return -EINVAL;
}

int err_run(struct err *err, int errnum, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(err->msg, sizeof err->msg, fmt, ap);
		va_end(ap);
		one_line(err->msg);
		err->exit_code = 1;
	}
	return errnum > 0 ? -errnum : -EIO;
}

void err_prefix(struct err *err, const char *fmt, ...)
{
	char head[256], tail[sizeof err->msg];
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	vsnprintf(head, sizeof head, fmt, ap);
	va_end(ap);
	memcpy(tail, err->msg, sizeof tail);
	snprintf(err->msg, sizeof err->msg, "%s: %.*s", head, (int)(sizeof tail - sizeof head - 3),
		 tail);
	one_line(err->msg);
}
