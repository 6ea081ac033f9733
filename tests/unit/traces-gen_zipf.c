/* Zipf against its law by chi-square; the scatter that follows is a bijection. */
#include "traces.h"

#include "traces/gen.h"

#include <math.h>

#define DRAWS 1000000u

/* The page of each rank, as the law scatters them. */
static void ranks_to_pages(uint64_t pages, uint64_t seed, uint64_t *page)
{
	struct scatter s;
	struct rng order;

	rng_init(&order, seed, "gen.order", 0);
	scatter_init(&s, pages, &order);
	for (uint64_t i = 0; i < pages; i++)
		page[i] = scatter(&s, i);
}

/*
 * Draws, counts by rank and compares with k^-alpha over its sum, cells of less
 * than 10 expected merged. Returns the distance from the mean in sigmas.
 */
static double distance(uint64_t pages, double alpha, uint64_t seed)
{
	struct gen_opts o = {.law = &law_zipf.policy,
			     .refs = DRAWS,
			     .pages = (int64_t)pages,
			     .seed = (int64_t)seed,
			     .alpha = alpha};
	size_t *count = calloc(pages, sizeof *count), cells = 0, seen = 0;
	uint64_t *page = calloc(pages, sizeof *page);
	double sum = 0, chi2 = 0, expected = 0;
	struct source *source;
	const rec_t *batch;
	struct err err;
	ssize_t n;

	CU_ASSERT_EQUAL_FATAL(source_generate(&o, &source, &err), 0);
	while ((n = source_next(source, &batch, &err)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			count[rec_page(batch[i])]++;
	}
	source_close(source);
	ranks_to_pages(pages, seed, page);
	for (uint64_t k = 1; k <= pages; k++)
		sum += pow((double)k, -alpha);
	for (uint64_t k = 1; k <= pages; k++) {
		expected += DRAWS * pow((double)k, -alpha) / sum;
		seen += count[page[k - 1]];
		if (expected >= 10 || k == pages) {
			chi2 += ((double)seen - expected) * ((double)seen - expected) / expected;
			cells++;
			expected = 0;
			seen = 0;
		}
	}
	free(count);
	free(page);
	return cells > 1 ? (chi2 - (double)(cells - 1)) / sqrt(2.0 * (double)(cells - 1)) : 0;
}

/* Chi-square over many cells is nearly normal; over few it has a tail, hence 4 sigmas. */
static void test_law(void)
{
	static const uint64_t pages[] = {1, 2, 3, 127, 128, 129, 200, 1000, 65536, 100003};
	static const double alphas[] = {0, 0.5, 0.9, 1, 1.3, 2.5};
	unsigned long long seed = test_seed(11);

	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		for (size_t j = 0; j < ARRAY_LEN(alphas); j++) {
			double d = distance(pages[i], alphas[j], seed + i * 10 + j);

			if (fabs(d) >= 4)
				printf("  %llu pages, alpha %g: %g sigma\n",
				       (unsigned long long)pages[i], alphas[j], d);
			CU_ASSERT(fabs(d) < 4);
		}
	}
}

/* The test itself can tell 0.90 from 0.91. */
static void test_test(void)
{
	static size_t count[1000];
	struct gen_opts o = {
		.law = &law_zipf.policy, .refs = DRAWS, .pages = 1000, .seed = 5, .alpha = 0.91};
	static uint64_t page[1000];
	struct source *source;
	const rec_t *batch;
	double sum = 0, chi2 = 0;
	struct err err;
	ssize_t n;

	CU_ASSERT_EQUAL_FATAL(source_generate(&o, &source, &err), 0);
	while ((n = source_next(source, &batch, &err)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			count[rec_page(batch[i])]++;
	}
	source_close(source);
	ranks_to_pages(1000, 5, page);
	for (int k = 1; k <= 1000; k++)
		sum += pow(k, -0.9);
	for (int k = 1; k <= 1000; k++) {
		double expected = DRAWS * pow(k, -0.9) / sum,
		       d = (double)count[page[k - 1]] - expected;
		chi2 += d * d / expected;
	}
	CU_ASSERT((chi2 - 999) / sqrt(2 * 999) > 4);
}

static void test_scatter(void)
{
	static unsigned char seen[70000];

	for (uint64_t n = 1; n <= 65537; n = n < 600 ? n + 1 : n * 2 - 511) {
		uint64_t *page = calloc(n, sizeof *page), in_order = 0;

		memset(seen, 0, sizeof seen);
		ranks_to_pages(n, n, page);
		for (uint64_t i = 0; i < n; i++) {
			CU_ASSERT_FATAL(page[i] < n);
			CU_ASSERT_FATAL(!seen[page[i]]);
			seen[page[i]] = 1;
			in_order += i && page[i] == page[i - 1] + 1;
		}
		if (n > 1000)
			CU_ASSERT(in_order < n / 50); /* neighbours in rank are none in address */
		free(page);
	}
}

TESTS("traces/gen_zipf", {"law", test_law}, {"the test tells", test_test},
      {"scatter", test_scatter})
