#include "traces/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * DAMON's tracepoint in perf script's text: "...TIME: damon:damon_aggregated:
 * target_id=N nr_regions=N START-END: ACCESSES AGE", bytes in decimal. DAMON
 * knows regions, not pages: each page of a region that was seen accessed in an
 * aggregation is read once, in order of address, which is the most that it can
 * have meant. Targets are address spaces.
 */

#define REGION_PAGES_MAX (UINT64_C(1) << 28) /* 1 TiB */

/* "WORD" and a decimal number behind it; *at moves over both and a blank. */
static bool number_after(const char **at, const char *end, const char *word, uint64_t *value)
{
	size_t n = strlen(word);

	if ((size_t)(end - *at) < n || memcmp(*at, word, n) != 0)
		return false;
	*at += n;
	if (!text_number(at, end, 10, value))
		return false;
	*at += *at < end && **at == ' ';
	return true;
}

static int take_region(struct events *e, const struct event *ev, struct err *err)
{
	uint64_t target, regions, start, stop, accesses, first, last;
	const char *at = ev->rest, *end = ev->end;

	if (!memmem(ev->name, ev->name_bytes, "damon_aggregated", 16))
		return 0;
	if (!number_after(&at, end, "target_id=", &target) ||
	    !number_after(&at, end, "nr_regions=", &regions) ||
	    !number_after(&at, end, "", &start) || !number_after(&at, end, "-", &stop) ||
	    !number_after(&at, end, ": ", &accesses))
		return input_bad_line(e->in, err,
				      "no region behind damon_aggregated: want 'target_id=N "
				      "nr_regions=N START-END: ACCESSES AGE'");
	if (stop <= start || !address_page(start, &first) || !address_page(stop - 1, &last) ||
	    last < first || last - first >= REGION_PAGES_MAX)
		return input_bad_line(e->in, err,
				      "a region from %llu to %llu: want addresses of 48 bits and "
				      "1 TiB at most",
				      (unsigned long long)start, (unsigned long long)stop);
	if (accesses == 0)
		return 0;
	events_enter(e, target);
	events_touch(e, REC_READ, first, last);
	return 0;
}

static int damon_open(struct input *in, struct source **source, struct err *err)
{
	return events_open(in, "damon", take_region, source, err);
}

static bool damon_looks(const uint8_t *head, size_t n)
{
	struct event ev;

	return event_parse((const char *)head, text_line_bytes(head, n), &ev) &&
	       memmem(ev.name, ev.name_bytes, "damon_aggregated", 16) != NULL;
}

const struct reader reader_damon = {
	.policy = {.name = "damon", .help = "text of perf script: damon:damon_aggregated"},
	.suffix = ".damon",
	.looks = damon_looks,
	.open = damon_open,
};
