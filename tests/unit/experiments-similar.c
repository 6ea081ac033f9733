/* Candidates of sampled pages: which pages share which block, worked out by hand. */
#include "test.h"

#include "core/rng.h"
#include "experiments/similar.h"

#include <string.h>

static uint8_t page[8][PAGE_SIZE];
static const bool all_wanted[8] = {true, true, true, true, true, true, true, true};

static void fill_random(void)
{
	struct rng rng;

	rng_init(&rng, test_seed(5), "test", 0);
	for (size_t i = 0; i < ARRAY_LEN(page); i++) {
		for (size_t k = 0; k < PAGE_SIZE; k++)
			page[i][k] = (uint8_t)rng_u64(&rng);
	}
}

static void copy_block(unsigned to, unsigned from, unsigned place)
{
	memcpy(page[to] + similar_offset[place], page[from] + similar_offset[place], SIMILAR_BLOCK);
}

static struct sample *sample_of(const unsigned *which, size_t n)
{
	struct sample *sample;

	CU_ASSERT_EQUAL_FATAL(sample_new(n, &sample), 0);
	for (size_t i = 0; i < n; i++)
		sample_offer(sample, content_id(page[which[i]]), which[i], page[which[i]]);
	return sample;
}

/* The candidates of page 'of' are exactly these, by number; -1: none. */
static void check(const struct similar *s, const struct sample *sample, unsigned of, int first,
		  int second)
{
	const uint8_t *candidate[2] = {NULL, NULL};
	const int want[2] = {first, second};

	for (size_t i = 0; i < sample->n; i++) {
		if (sample->page[i].ordinal != of)
			continue;
		CU_ASSERT_EQUAL(similar_candidates(s, i, candidate),
				(size_t)(first >= 0) + (second >= 0));
		for (unsigned k = 0; k < 2 && want[k] >= 0 && candidate[k]; k++)
			CU_ASSERT_EQUAL(memcmp(candidate[k], page[want[k]], PAGE_SIZE), 0);
	}
}

static void test_blocks(void)
{
	const unsigned which[] = {0, 3, 4, 5, 6, 7};
	struct similar *s;

	fill_random();
	copy_block(3, 1, 0); /* 3 resembles 1 in its first block and 2 in its second */
	copy_block(3, 2, 1);
	copy_block(4, 1, 0); /* 4 resembles 1, and 3, which came later than 1 */
	copy_block(5, 6, 1); /* 5 came before 6, which resembles it */
	copy_block(7, 2, 0); /* 7 resembles 2 in both: one candidate */
	copy_block(7, 2, 1);
	memcpy(page[1] + similar_offset[1], page[6] + similar_offset[0], SIMILAR_BLOCK);
	struct sample *sample = sample_of(which, ARRAY_LEN(which));
	CU_ASSERT_EQUAL_FATAL(similar_new(sample, all_wanted, &s), 0);
	similar_add(s, 0, page[0], 3);
	similar_add(s, 3, page[3], 5);
	check(s, sample, 0, -1, -1);
	check(s, sample, 3, 1, 2);
	check(s, sample, 4, 1, -1);
	check(s, sample, 5, -1, -1);
	check(s, sample, 6, 5, -1); /* and not 1, which has a block elsewhere */
	check(s, sample, 7, 2, -1);
	similar_free(s);
	sample_free(sample);
}

/* Half-empty pages have blocks of zeroes: the zero page is no candidate for them. */
static void test_the_zero_page_is_none(void)
{
	const unsigned which[] = {2};
	struct similar *s;

	fill_random();
	memset(page[0], 0, PAGE_SIZE);
	copy_block(1, 0, 0);
	copy_block(2, 0, 0);
	copy_block(2, 0, 1);
	struct sample *sample = sample_of(which, 1);
	CU_ASSERT_EQUAL_FATAL(similar_new(sample, all_wanted, &s), 0);
	similar_add(s, 0, page[0], 3);
	check(s, sample, 2, 1, -1);
	similar_free(s);
	sample_free(sample);
}

static void test_only_what_is_wanted(void)
{
	const unsigned which[] = {1};
	const bool none[1] = {false};
	const uint8_t *candidate[2];
	struct similar *s;

	fill_random();
	copy_block(1, 0, 0);
	struct sample *sample = sample_of(which, 1);
	CU_ASSERT_EQUAL_FATAL(similar_new(sample, none, &s), 0);
	similar_add(s, 0, page[0], 2);
	CU_ASSERT_EQUAL(similar_candidates(s, 0, candidate), 0);
	similar_free(s);
	sample_free(sample);
}

/* Thousands of sampled pages, each a copy of an earlier one but for its first word. */
static void test_many(void)
{
	enum { N = 3000 };
	uint8_t *pages = calloc(2 * N, PAGE_SIZE);
	bool *wanted = calloc(N, sizeof *wanted);
	struct sample *sample;
	struct similar *s;
	struct rng rng;
	size_t wrong = 0;

	rng_init(&rng, test_seed(6), "test", 0);
	CU_ASSERT_EQUAL_FATAL(sample_new(N, &sample), 0);
	for (size_t i = 0; i < N; i++) {
		uint8_t *old = pages + i * PAGE_SIZE, *new = pages + (N + i) * PAGE_SIZE;

		for (size_t k = 0; k < PAGE_SIZE; k += 32)
			memcpy(old + k, &(uint64_t){rng_u64(&rng)}, 8);
		memcpy(new, old, PAGE_SIZE);
		new[0]++;
		sample_offer(sample, content_id(new), N + i, new);
		wanted[i] = true;
	}
	CU_ASSERT_EQUAL_FATAL(similar_new(sample, wanted, &s), 0);
	similar_add(s, 0, pages, 2 * N);
	for (size_t i = 0; i < N; i++) {
		const uint8_t *candidate[2];
		const uint8_t *old = pages + (sample->page[i].ordinal - N) * PAGE_SIZE;

		wrong += similar_candidates(s, i, candidate) != 1 ||
			 memcmp(candidate[0], old, PAGE_SIZE) != 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	similar_free(s);
	sample_free(sample);
	free(wanted);
	free(pages);
}

TESTS("experiments/similar", {"blocks", test_blocks},
      {"the zero page is none", test_the_zero_page_is_none},
      {"only what is wanted", test_only_what_is_wanted}, {"many", test_many})
