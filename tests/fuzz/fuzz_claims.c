/* Tables of claims: whatever the text, one line of error, or targets that keep every promise. */
#include "experiments/claims.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static void divide(const struct allocator *allocator, const struct alloc_ask *ask, uint64_t most)
{
	uint64_t *target = calloc(ask->n, sizeof *target), sum = 0;
	struct err err = {0};
	unsigned steps;

	expect(target != NULL);
	if (allocator->gradual)
		expect(alloc_settle(allocator, ask, 20, target, &steps, &err) == 0);
	else
		expect(alloc_targets(allocator, ask, target, &err) == 0);
	for (size_t i = 0; i < ask->n; i++) {
		expect(target[i] >= ask->claims[i].min && target[i] <= ask->claims[i].max);
		sum += target[i];
	}
	if (!allocator->gradual && strcmp(allocator->policy.name, "none") != 0)
		expect(sum == min_u64(ask->memory, most));
	free(target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *in = size ? fmemopen((void *)data, size, "r") : NULL;
	uint64_t min = 0, most = 0;
	struct err err = {0};
	struct claims claims;

	if (!in)
		return 0;
	int rc = claims_read(in, "fuzz", &claims, &err);
	fclose(in);
	if (rc) {
		expect(err.exit_code == 2 && *err.msg && !strchr(err.msg, '\n'));
		return 0;
	}
	expect(claims.n > 0);
	for (size_t i = 0; i < claims.n; i++) {
		min += claims.claim[i].min;
		most += claims.claim[i].shares ? claims.claim[i].max : claims.claim[i].min;
	}
	struct alloc_ask ask = {claims.claim, claims.n, min + (most - min) / 2,
				data[size - 1] * 3900u};
	for (size_t i = 0; allocators[i]; i++) {
		const struct allocator *allocator = (const struct allocator *)allocators[i];
		if (!allocator->curves) /* a table has none */
			divide(allocator, &ask, most);
	}
	claims_release(&claims);
	return 0;
}
