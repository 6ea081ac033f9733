/*
 * What the targets of the trace readers share: whatever the bytes, batches of
 * whole records or one line of error, whether the file lies in memory, comes
 * through the renumbering stage or is counted.
 */
#ifndef BALLAST_TESTS_FUZZ_TRACE_H
#define BALLAST_TESTS_FUZZ_TRACE_H

#include "traces/private.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_WORDS_MAX (1u << 18) /* a few bytes can stand for a great many records */

static inline void fuzz_expect(bool holds)
{
	if (!holds)
		abort();
}

/* Reads to the end, an error, or enough; closes the source. */
static inline void fuzz_drain(struct source *source, struct counter *counter)
{
	size_t words = 0;
	const rec_t *batch;
	struct err err = {0};
	ssize_t n = 1;
	rec_t any;

	while (words < FUZZ_WORDS_MAX && (n = source_next(source, &batch, &err)) > 0) {
		fuzz_expect(whole_records(batch, (size_t)n, &any) == (size_t)n);
		fuzz_expect(source_any(source) == any || source_any(source) == ~(rec_t)0);
		words += (size_t)n;
		if (counter && counter_add(counter, batch, (size_t)n, &err))
			break;
	}
	if (n < 0)
		fuzz_expect(err.exit_code == 2 && *err.msg && !strchr(err.msg, '\n'));
	source_close(source);
}

static inline int fuzz_trace(const uint8_t *data, size_t size, const char *format)
{
	struct trace_info info = {0};
	struct counter *counter;
	struct source *source;
	struct err err = {0};

	if (source_open_memory("fuzz", data, size, format, &source, &err)) {
		fuzz_expect(err.exit_code == 2 && *err.msg && !strchr(err.msg, '\n'));
		return 0;
	}
	fuzz_expect(counter_new(&counter) == 0);
	fuzz_drain(source, counter);
	counter_result(counter, &info, NULL);
	fuzz_expect(info.pages <= info.records && info.highest_page <= REC_PAGE_MAX);
	counter_free(counter);
	if (source_open_memory("fuzz", data, size, format, &source, &err) == 0 &&
	    source_renumber(source, &source, &err) == 0)
		fuzz_drain(source, NULL);
	return 0;
}

#endif
