/*
 * Text of perf script: a sample a line, of which a format takes what it knows.
 *
 * A line is "COMM PID/TID [CPU] TIME: COUNT EVENT: REST", where CPU, COUNT, the
 * PID and its slash may be missing; COMM may hold blanks, so a line is found by
 * its TIME, the first word of digits, a point, digits and a colon. Lines that
 * are empty or begin with # are passed over. Time becomes the delta of the
 * record that follows, in microseconds, perf's own grain.
 */
#ifndef BALLAST_TRACES_EVENTS_H
#define BALLAST_TRACES_EVENTS_H

#include "traces/private.h"

struct event {
	uint64_t pid;	  /* 0: not told */
	uint64_t us;	  /* of its time */
	const char *name; /* of the event, name_bytes without its colon */
	size_t name_bytes;
	const char *rest, *end; /* behind it and its blanks */
};

struct events {
	struct source source;
	struct input *in;
	int (*take)(struct events *e, const struct event *ev, struct err *err);
	bool timed;	/* a line came before: */
	uint64_t us;	/* its time */
	uint64_t ticks; /* until the next record */
	bool entered;	/* some address space was: */
	uint64_t first_space, space;
	bool pending; /* pages still to be touched: */
	enum rec_kind kind;
	uint64_t page, last;
	uint64_t wanted; /* the space that they lie in */
	struct touches touches;
};

/* False if the line has no time or no event. */
bool event_parse(const char *line, size_t n, struct event *ev);

/* Bytes of the first line that is no comment's and not empty; 0 if none is whole. */
size_t text_line_bytes(const uint8_t *head, size_t n);

/* For take(): what follows lies in that address space; the first one met is 0. */
void events_enter(struct events *e, uint64_t space);

/* For take(): the line stands for an access to each of these pages. Last of its calls. */
void events_touch(struct events *e, enum rec_kind kind, uint64_t first, uint64_t last);

/* Makes the source over the input, which then is its own. */
MUST_CHECK int events_open(struct input *in, const char *format,
			   int (*take)(struct events *e, const struct event *ev, struct err *err),
			   struct source **source, struct err *err);

#endif
