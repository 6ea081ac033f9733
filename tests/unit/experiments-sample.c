/* A sample is the contents with the smallest hashes, each with its own bytes. */
#include "test.h"

#include "core/rng.h"
#include "experiments/sample.h"

#include <string.h>

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Against a sort of all that was offered. */
static void check(size_t max, size_t offered, struct rng *rng)
{
	uint64_t *all = calloc(offered + 1, sizeof *all), *kept = calloc(max + 1, sizeof *kept);
	struct sample *sample;
	uint8_t page[PAGE_SIZE] = {0};

	CU_ASSERT_EQUAL_FATAL(sample_new(max, &sample), 0);
	for (size_t i = 0; i < offered; i++) {
		struct content_id id = {rng_u64(rng), (uint32_t)i};

		all[i] = id.high;
		memcpy(page + 4000, &id.high, 8);
		sample_offer(sample, id, 3 * i, page);
	}
	qsort(all, offered, sizeof *all, by_value);
	CU_ASSERT_EQUAL_FATAL(sample->n, min_u64(max, offered));
	for (size_t i = 0; i < sample->n; i++) {
		kept[i] = sample->page[i].id.high;
		CU_ASSERT_EQUAL(memcmp(sample_data(sample, i) + 4000, &kept[i], 8), 0);
		CU_ASSERT_EQUAL(sample->page[i].ordinal, 3 * (uint64_t)sample->page[i].id.low);
	}
	qsort(kept, sample->n, sizeof *kept, by_value);
	CU_ASSERT_EQUAL(memcmp(kept, all, sample->n * sizeof *kept), 0);
	sample_free(sample);
	free(all);
	free(kept);
}

static void test_the_smallest_hashes(void)
{
	struct rng rng;

	rng_init(&rng, test_seed(2), "test", 0);
	for (size_t max = 0; max < 40; max++)
		check(max, rng_below(&rng, 200), &rng);
	check(500, 20000, &rng);
	check(500, 500, &rng);
}

TESTS("experiments/sample", {"the smallest hashes", test_the_smallest_hashes})
