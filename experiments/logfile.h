/*
 * A log beside a host's socket, whose name anybody can foresee: where others may
 * write, as in /tmp, they may have laid something there before.
 */
#ifndef BALLAST_EXPERIMENTS_LOGFILE_H
#define BALLAST_EXPERIMENTS_LOGFILE_H

#include "core/err.h"

/*
 * A file of this user's alone, empty, to be written at its end. Anything else
 * that lies there, a link among them, is left as it is: -errno.
 */
MUST_CHECK int logfile_open(const char *path, int *fd, struct err *err);

/*
 * Its last line that is not empty, ": " before it, or "": what a guest wrote, that
 * is trusted with nobody's terminal, so only what can be seen.
 */
void logfile_last_line(const char *path, char *line, size_t size);

#endif
