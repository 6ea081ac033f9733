/*
 * A progress bar on standard error, if that is a terminal; nothing otherwise.
 *
 * Drawn at most ten times a second, so that an update may come with every
 * batch; it erases itself at the end. A total of 0 is unknown: then there is
 * neither a bar nor a time left.
 */
#ifndef BALLAST_EXPERIMENTS_PROGRESS_H
#define BALLAST_EXPERIMENTS_PROGRESS_H

#include "core/types.h"

struct progress {
	bool on; /* a terminal is there */
	const char *label, *unit;
	uint64_t start_ns, drawn_ns;
};

/* label ("replay") and unit ("records") are borrowed until the end. */
void progress_start(struct progress *p, const char *label, const char *unit);
void progress_update(struct progress *p, uint64_t done, uint64_t total);
void progress_clear(struct progress *p); /* before lines are printed; the next update draws again */
void progress_end(struct progress *p);

/* The line as it is drawn, for done of total after elapsed_ns. */
void progress_line(const struct progress *p, uint64_t done, uint64_t total, uint64_t elapsed_ns,
		   char *buf, size_t size);

#endif
