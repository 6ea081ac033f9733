/*
 * Other programs, run to their end for what they print.
 */
#ifndef BALLAST_EXPERIMENTS_SPAWN_H
#define BALLAST_EXPERIMENTS_SPAWN_H

#include "core/err.h"

/*
 * Runs argv (NULL-ended, found by PATH) with no input; *out is its standard
 * output, NUL-ended, the caller's to free. Where it cannot be started, or ends
 * with another code than 0, the error has its last line of standard error;
 * -ENOENT: there is no such program.
 */
MUST_CHECK int spawn_read(const char *const *argv, char **out, struct err *err);

#endif
