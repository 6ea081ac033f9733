#include "traces/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS 1000u
#define GAP_MAX (UINT64_C(1) << 50)

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

static const char *word_end(const char *at, const char *end)
{
	while (at < end && *at != ' ' && *at != '\t')
		at++;
	return at;
}

/* "SECONDS.FRACTION:", cut to microseconds. */
static bool is_time(const char *at, const char *end, uint64_t *us)
{
	uint64_t seconds, fraction = 0;
	unsigned digits = 0;

	if (!text_number(&at, end, 10, &seconds) || seconds > GAP_MAX / 1000000 || at == end ||
	    *at++ != '.')
		return false;
	for (; at < end && *at >= '0' && *at <= '9'; at++, digits++)
		fraction = digits < 6 ? 10 * fraction + (uint64_t)(*at - '0') : fraction;
	if (digits == 0 || digits > 9 || at + 1 != end || *at != ':')
		return false;
	for (; digits < 6; digits++)
		fraction *= 10;
	*us = seconds * 1000000 + fraction;
	return true;
}

/* "PID/TID" or "PID"; "[CPU]" and anything else is none. */
static bool is_pid(const char *at, const char *end, uint64_t *pid)
{
	uint64_t tid;

	if (!text_number(&at, end, 10, pid) || *pid > REC_PAGE_MAX)
		return false;
	return at == end || (*at == '/' && ++at && text_number(&at, end, 10, &tid) && at == end);
}

bool event_parse(const char *line, size_t n, struct event *ev)
{
	const char *at = line, *end = line + n, *stop;
	bool timed = false;

	*ev = (struct event){.end = end};
	for (at = skip_blanks(at, end); at < end && !timed; at = skip_blanks(stop, end)) {
		uint64_t pid;
		stop = word_end(at, end);
		timed = is_time(at, stop, &ev->us);
		if (!timed && is_pid(at, stop, &pid))
			ev->pid = pid;
	}
	for (; timed && at < end; at = skip_blanks(stop, end)) {
		stop = word_end(at, end);
		if (stop[-1] != ':') /* a count */
			continue;
		ev->name = at;
		ev->name_bytes = (size_t)(stop - at) - 1;
		ev->rest = skip_blanks(stop, end);
		return true;
	}
	return false;
}

static bool is_passed_over(const char *line, size_t n)
{
	const char *at = skip_blanks(line, line + n);

	return at == line + n || *at == '#';
}

size_t text_line_bytes(const uint8_t *head, size_t n)
{
	const uint8_t *newline = memchr(head, '\n', n);
	size_t bytes = newline ? (size_t)(newline - head) : 0;

	return bytes && !is_passed_over((const char *)head, bytes) ? bytes : 0;
}

void events_enter(struct events *e, uint64_t space)
{
	if (!e->entered)
		e->first_space = space;
	e->entered = true;
	e->wanted = space == e->first_space ? 0 : space;
}

void events_touch(struct events *e, enum rec_kind kind, uint64_t first, uint64_t last)
{
	e->pending = true;
	e->kind = kind;
	e->page = first;
	e->last = last;
}

static int take_time(struct events *e, uint64_t us, struct err *err)
{
	if (e->timed && us > e->us)
		e->ticks += us - e->us;
	if (e->ticks > GAP_MAX)
		return input_bad_line(e->in, err, "time leaps by more than 35 years");
	if (!e->timed || us > e->us) /* of several processors, lines may lag behind */
		e->us = us;
	e->timed = true;
	return 0;
}

static int take_line(struct events *e, const char *line, size_t n, struct err *err)
{
	struct event ev;

	if (is_passed_over(line, n))
		return 0;
	if (!event_parse(line, n, &ev))
		return input_bad_line(
			e->in, err,
			"'%.*s' is no sample of perf script's: want 'COMM PID/TID "
			"TIME: EVENT: ...', as -F comm,pid,tid,time,event,addr prints",
			(int)min_u64(n, 60), line);
	int rc = take_time(e, ev.us, err);
	return rc ? rc : e->take(e, &ev, err);
}

/* Touches pages of the line until they are done or the batch is full. */
static void touch_pending(struct events *e)
{
	struct batch *b = &e->touches.batch;

	if (!batch_sleep(b, &e->ticks))
		return;
	if (e->wanted != e->space) {
		batch_add(b, rec_make(REC_SWITCH, e->wanted, 0));
		e->space = e->wanted;
		e->touches.last = TOUCHES_NONE;
	}
	while (e->pending && !batch_full(b)) {
		touches_add(&e->touches, e->kind, e->page, e->ticks);
		e->ticks = 0;
		e->pending = e->page++ != e->last;
	}
}

static ssize_t events_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct events *e = (struct events *)source;
	struct batch *b = &e->touches.batch;

	b->n = 0;
	for (;;) {
		if (e->pending)
			touch_pending(e);
		if (batch_full(b) || e->pending)
			break;
		const char *line;
		size_t n;
		int rc = input_line(e->in, &line, &n, err);
		if (rc == 0)
			break;
		if (rc > 0)
			rc = take_line(e, line, n, err);
		if (rc < 0)
			return rc;
	}
	*batch = b->word;
	return (ssize_t)b->n;
}

static void events_close(struct source *source)
{
	input_close(((struct events *)source)->in);
	free(source);
}

static struct source_progress events_progress(const struct source *source)
{
	return input_progress(((const struct events *)source)->in);
}

static const struct source_ops events_ops = {events_next, events_close, events_progress};

int events_open(struct input *in, const char *format,
		int (*take)(struct events *e, const struct event *ev, struct err *err),
		struct source **source, struct err *err)
{
	struct events *e = calloc(1, sizeof *e);

	if (!e)
		return err_run(err, ENOMEM, "%s: out of memory", input_name(in));
	source_init(&e->source, &events_ops, format);
	e->source.info.space = TRACE_VPN;
	e->source.info.tick_ns = TICK_NS;
	e->touches.last = TOUCHES_NONE;
	e->in = in;
	e->take = take;
	*source = &e->source;
	return 0;
}
