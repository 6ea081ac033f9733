/*
 * What a guest's programs tell of themselves (live/guest/report.h), read from
 * the log that the guest's console goes to while it is being written.
 *
 * A log may hold anything: it is the guest's. Only lines that begin with
 * "@ballast " are looked at; one that is not what the format says, or that is
 * longer than CONSOLE_LINE, is counted as damaged and passed over. Numbers that
 * would not fit are damage, never wrapped. A log that has become shorter is a
 * new one. One thread.
 *
 *   @ballast NAME t=SECONDS ops=N done=TOTAL steal_ms=M KEY=VALUE...
 *   @ballast NAME end bad=N KEY=VALUE...
 */
#ifndef BALLAST_LIVE_CONSOLE_H
#define BALLAST_LIVE_CONSOLE_H

#include "core/err.h"

#define CONSOLE_LINE   512 /* bytes without its end */
#define CONSOLE_VALUES 12
#define CONSOLE_NAME   32 /* with its final 0, here and below */
#define CONSOLE_KEY    16

struct console_value {
	char key[CONSOLE_KEY];
	double value;
};

struct console_record {
	char name[CONSOLE_NAME]; /* of the program: letters, digits, '-' and '_' */
	bool end;		 /* then only bad is said, else all the others */
	uint64_t t_ms;		 /* guest time since the program began */
	uint64_t ops;		 /* since its line before */
	uint64_t done;		 /* since it began */
	uint64_t steal_ms;	 /* by the guest's kernel */
	uint64_t bad;		 /* wrong results */
	uint32_t values;
	struct console_value value[CONSOLE_VALUES]; /* others, in their order; keys differ */
};

/* 1: a record. 0: a line for people. -EINVAL: a record that is damaged. n without the line's end.
 */
int console_parse(const char *line, size_t n, struct console_record *record);

/* The value of that key, or fallback. */
double console_value(const struct console_record *record, const char *key, double fallback);

typedef void console_fn(void *ctx, const struct console_record *record);

struct console {
	int fd;
	uint64_t at;		   /* bytes of the log that were read */
	uint64_t records, damaged; /* lines */
	size_t used;		   /* of line */
	bool too_long;		   /* what is left of this line is passed over */
	char line[CONSOLE_LINE];
};

/* Takes the next bytes of a log; fn is called for each record that they end. */
void console_feed(struct console *c, const void *data, size_t size, console_fn *fn, void *ctx);

/* A log from its beginning. -ENOENT while it is not there; *c is then closed. */
MUST_CHECK int console_open(struct console *c, const char *path, struct err *err);

/* What was written since the last call. 0 or -errno. */
MUST_CHECK int console_read(struct console *c, console_fn *fn, void *ctx);

void console_close(struct console *c);

#endif
