#include "core/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The header's macros wrap these. */
#undef err_input
#undef err_run

/* An error is one line, whatever bytes a hostile name or value brought along. */
static void one_line(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
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
