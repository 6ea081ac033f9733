/* A guest's log, in pieces: what it says is read the same in one piece and in many. */
#include "live/console.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t n, sum;
};

static void note(void *ctx, const struct console_record *r)
{
	struct seen *s = ctx;

	if (strlen(r->name) == 0 || strlen(r->name) >= CONSOLE_NAME || r->values > CONSOLE_VALUES)
		abort();
	s->n++;
	s->sum = s->sum * 31 + r->t_ms + r->ops + r->done + r->steal_ms + r->bad;
	for (uint32_t i = 0; i < r->values; i++) {
		if (!(r->value[i].value > -1e15 && r->value[i].value < 1e15))
			abort();
		console_value(r, r->value[i].key, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct console whole = {.fd = -1}, parts = {.fd = -1};
	struct seen a = {0}, b = {0};

	if (size == 0)
		return 0;
	const size_t step = data[0] + 1u;
	console_feed(&whole, data + 1, size - 1, note, &a);
	for (size_t at = 1; at < size; at += step)
		console_feed(&parts, data + at, size - at < step ? size - at : step, note, &b);
	if (a.n != b.n || a.sum != b.sum || whole.damaged != parts.damaged ||
	    whole.records != a.n || whole.used != parts.used)
		abort();
	return 0;
}
