/*
 * An error a person can act on: one line that says what, where and the mend.
 *
 * Functions return 0 (or a count) or -errno; those whose failure a user sees
 * also take a struct err as their last parameter and fill it exactly when they
 * fail. Two classes: what the user gave us is wrong (usage, job file, trace:
 * exit code 2), or the run failed (disk full, no memory: exit code 1). NULL is
 * allowed where the caller wants the code alone.
 */
#ifndef BALLAST_CORE_ERR_H
#define BALLAST_CORE_ERR_H

#include "core/types.h"

struct err {
	int exit_code; /* 0 while unset, 2 for bad input, 1 for a failed run */
	char msg[640]; /* one line, without a newline at its end */
};

/* Bad input. Returns -EINVAL. */
int err_input(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A failed run; errnum is not appended to the message. Returns -errnum, -EIO for an errnum of 0. */
int err_run(struct err *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What the two return is never 0: told to the compiler and to the static analyser. */
static inline int err_failed(int rc)
{
	if (rc >= 0)
		__builtin_unreachable();
	return rc;
}

#define err_input(...) err_failed(err_input(__VA_ARGS__))
#define err_run(...)   err_failed(err_run(__VA_ARGS__))

/* Puts "PREFIX: " in front of the message, e.g. a file name. Keeps the class. */
void err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
