#include "traces/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * perf script's text, a sample a line: "COMM PID/TID TIME: EVENT: ADDRESS ...",
 * as of perf record -d -e page-faults, or of perf mem. An event whose name
 * speaks of stores is a write, any other a read: a page fault does not say. A
 * process other than the first is an address space of its own. Samples without
 * an address are passed over.
 */
static int take_sample(struct events *e, const struct event *ev, struct err *err)
{
	const char *at = ev->rest;
	uint64_t address, page;

	if (!text_number(&at, ev->end, 16, &address) || (at < ev->end && *at != ' '))
		return input_bad_line(e->in, err,
				      "no address behind the event: record with perf record -d, "
				      "print with -F comm,pid,tid,time,event,addr");
	if (!address_page(address, &page))
		return input_bad_line(e->in, err, "%llx is no address of 48 bits",
				      (unsigned long long)address);
	if (address == 0)
		return 0;
	events_enter(e, ev->pid);
	enum rec_kind kind = memmem(ev->name, ev->name_bytes, "store", 5) ? REC_WRITE : REC_READ;
	events_touch(e, kind, page, page);
	return 0;
}

static int perf_open(struct input *in, struct source **source, struct err *err)
{
	return events_open(in, "perf", take_sample, source, err);
}

static bool perf_looks(const uint8_t *head, size_t n)
{
	struct event ev;

	return event_parse((const char *)head, text_line_bytes(head, n), &ev) &&
	       memmem(ev.name, ev.name_bytes, "damon", 5) == NULL;
}

const struct reader reader_perf = {
	.policy = {.name = "perf", .help = "text of perf script: page faults, or perf mem"},
	.suffix = ".perf",
	.looks = perf_looks,
	.open = perf_open,
};
