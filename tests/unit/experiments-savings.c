/* Estimates of compression and patches on pages whose savings are known beforehand. */
#include "test.h"

#include "core/rng.h"
#include "experiments/savings.h"

#include <lz4.h>
#include <math.h>
#include <string.h>

static void fill_random(uint8_t *page, size_t n, struct rng *rng)
{
	for (size_t i = 0; i < n; i++)
		page[i] = (uint8_t)rng_u64(rng);
}

/* LZ4 unpacks what patch_size() measured: the size is that of a real patch. */
static void test_a_patch_can_be_applied(void)
{
	uint8_t base[PAGE_SIZE], page[PAGE_SIZE], back[PAGE_SIZE];
	char patch[PAGE_SIZE];
	LZ4_stream_t stream;
	struct rng rng;

	rng_init(&rng, test_seed(7), "test", 0);
	fill_random(base, sizeof base, &rng);
	memcpy(page, base, sizeof page);
	for (unsigned i = 0; i < 5; i++)
		fill_random(page + 200 + 700 * i, 40, &rng);
	LZ4_initStream(&stream, sizeof stream);
	LZ4_loadDict(&stream, (const char *)base, PAGE_SIZE);
	int n = LZ4_compress_fast_continue(&stream, (const char *)page, patch, PAGE_SIZE,
					   sizeof patch, 1);
	CU_ASSERT_EQUAL(patch_size(page, base), (unsigned)n);
	CU_ASSERT_EQUAL(LZ4_decompress_safe_usingDict(patch, (char *)back, n, PAGE_SIZE,
						      (const char *)base, PAGE_SIZE),
			(int)PAGE_SIZE);
	CU_ASSERT_EQUAL(memcmp(back, page, PAGE_SIZE), 0);
}

static void test_sizes(void)
{
	uint8_t base[PAGE_SIZE], page[PAGE_SIZE];
	struct rng rng;

	rng_init(&rng, test_seed(8), "test", 0);
	fill_random(base, sizeof base, &rng);
	fill_random(page, sizeof page, &rng);
	CU_ASSERT_EQUAL(compressed_size(page), PAGE_SIZE);
	CU_ASSERT_EQUAL(patch_size(page, base), PAGE_SIZE);
	CU_ASSERT(patch_size(base, base) < 64);
	/* 100 bytes in one place differ: they, and a few bytes to say what stays. */
	memcpy(page, base, PAGE_SIZE);
	fill_random(page + 1000, 100, &rng);
	unsigned size = patch_size(page, base);
	CU_ASSERT(size >= 100 && size < 180);
	memset(page, 'x', PAGE_SIZE);
	CU_ASSERT(compressed_size(page) < 64);
	fill_random(page, PAGE_SIZE / 2, &rng);
	size = compressed_size(page);
	CU_ASSERT(size >= PAGE_SIZE / 2 && size < PAGE_SIZE / 2 + 64);
}

/*
 * n contents, by turns random, half random and half constant, and a copy of the
 * one before but for its first 16 bytes; with zero pages and duplicates that
 * must not matter.
 */
struct world {
	size_t n;
	uint8_t *data;
	struct sample *sample;
	struct census *census;
	struct similar *similar;
	bool *wanted;
};

static void make_world(struct world *w, size_t n, size_t max)
{
	struct rng rng;

	rng_init(&rng, test_seed(9), "test", 0);
	w->n = n;
	w->data = calloc(n + 3, PAGE_SIZE);
	w->wanted = calloc(max + 1, sizeof *w->wanted);
	for (size_t i = 0; i < n; i++) {
		uint8_t *p = w->data + i * PAGE_SIZE;

		if (i % 3 == 0)
			fill_random(p, PAGE_SIZE, &rng);
		if (i % 3 == 1) {
			memset(p, (int)i, PAGE_SIZE);
			fill_random(p, PAGE_SIZE / 2, &rng);
		}
		if (i % 3 == 2) {
			memcpy(p, p - 2 * PAGE_SIZE, PAGE_SIZE);
			fill_random(p, 16, &rng);
		}
	}
	memcpy(w->data + (n + 2) * PAGE_SIZE, w->data, PAGE_SIZE); /* the first one twice */
	struct image_run run = {0, w->data, n + 3};
	CU_ASSERT_EQUAL_FATAL(sample_new(max, &w->sample), 0);
	CU_ASSERT_EQUAL_FATAL(census_new(w->sample, &w->census), 0);
	CU_ASSERT_EQUAL_FATAL(census_begin(w->census), 0);
	CU_ASSERT_EQUAL_FATAL(census_add(w->census, &run), 0);
	savings_wanted(w->sample, w->census, w->wanted);
	CU_ASSERT_EQUAL_FATAL(similar_new(w->sample, w->wanted, &w->similar), 0);
	similar_add(w->similar, 0, w->data, n + 3);
}

static void free_world(struct world *w)
{
	similar_free(w->similar);
	census_free(w->census);
	sample_free(w->sample);
	free(w->wanted);
	free(w->data);
}

/* Everything sampled: no error, and the sums are those of a third each. */
static void test_all_of_them(void)
{
	struct world w;
	struct savings s;

	make_world(&w, 300, 1000);
	savings_estimate(w.sample, w.census, w.wanted, w.similar, &s);
	CU_ASSERT_EQUAL(s.compress.population, 300);
	CU_ASSERT_EQUAL(s.compress.sample, 300);
	CU_ASSERT_EQUAL(s.patch.population, 299); /* but the one that is there twice */
	CU_ASSERT_EQUAL(s.patch.sample, 299);
	CU_ASSERT_EQUAL(s.compress.error, 0);
	CU_ASSERT_EQUAL(s.patch.error, 0);
	/* 100 pages come down to a half and a little; the others stay. */
	CU_ASSERT_EQUAL(s.fit[0], 100);
	CU_ASSERT_EQUAL(s.fit[1], 0);
	CU_ASSERT_EQUAL(s.fit[2], 0);
	CU_ASSERT(s.compress.pages > 49 && s.compress.pages < 50);
	/* 100 pages are patches of some 50 bytes. Halves that are constant have none. */
	CU_ASSERT_EQUAL(s.candidates, 100);
	CU_ASSERT_EQUAL(s.patched, 100);
	CU_ASSERT(s.patch_bytes >= 100 * 16 && s.patch_bytes < 100 * 64);
	CU_ASSERT(fabs(s.patch.pages - (100 - (double)s.patch_bytes / PAGE_SIZE)) < 1e-6);
	CU_ASSERT(fabs(s.both.pages - s.compress.pages - s.patch.pages) < 1e-6);
	free_world(&w);
}

/*
 * A third saves about half a page: the mean is 1/6, the deviation sqrt(1/12 -
 * 1/36) = 0.236; of 300 of 3000, 1.96 * 0.236 / sqrt(300) * sqrt(0.9) * 3000 = 76.
 */
static void test_a_sample_of_them(void)
{
	struct world w;
	struct savings s;

	make_world(&w, 3000, 300);
	savings_estimate(w.sample, w.census, w.wanted, w.similar, &s);
	CU_ASSERT_EQUAL(s.compress.population, 3000);
	CU_ASSERT_EQUAL(s.compress.sample, 300);
	CU_ASSERT(s.compress.error > 66 && s.compress.error < 86);
	CU_ASSERT(fabs(s.compress.pages - 495) < 2 * s.compress.error);
	CU_ASSERT(fabs(s.patch.pages - 988) < 2 * s.patch.error);
	CU_ASSERT(fabs(s.both.pages - 495 - 988) < 2 * s.both.error);
	free_world(&w);
}

/* Pages that come down to 7/8 and a little are not worth storing compressed. */
static void test_what_hardly_shrinks(void)
{
	uint8_t pages[20][PAGE_SIZE];
	struct sample *sample;
	struct census *census;
	struct savings s;
	bool wanted[20];
	struct rng rng;

	rng_init(&rng, test_seed(10), "test", 0);
	memset(pages, 'x', sizeof pages);
	for (unsigned i = 0; i < 20; i++)
		fill_random(pages[i], PAGE_SIZE / 8 * 7, &rng);
	CU_ASSERT(compressed_size(pages[0]) < PAGE_SIZE);
	CU_ASSERT_EQUAL_FATAL(sample_new(20, &sample), 0);
	CU_ASSERT_EQUAL_FATAL(census_new(sample, &census), 0);
	CU_ASSERT_EQUAL_FATAL(census_begin(census), 0);
	CU_ASSERT_EQUAL_FATAL(census_add(census, &(struct image_run){0, pages[0], 20}), 0);
	savings_wanted(sample, census, wanted);
	savings_estimate(sample, census, wanted, NULL, &s);
	CU_ASSERT_EQUAL(s.compress.sample, 20);
	CU_ASSERT_EQUAL(s.fit[0], 0);
	CU_ASSERT_EQUAL(s.compress.pages, 0);
	CU_ASSERT(s.compressed_bytes < 20 * PAGE_SIZE);
	census_free(census);
	sample_free(sample);
}

static void test_without_similar_pages(void)
{
	struct world w;
	struct savings s;

	make_world(&w, 30, 100);
	savings_estimate(w.sample, w.census, w.wanted, NULL, &s);
	CU_ASSERT_EQUAL(s.patch.sample, 0);
	CU_ASSERT_EQUAL(s.patch.pages, 0);
	CU_ASSERT(fabs(s.both.pages - s.compress.pages) < 1e-9);
	free_world(&w);
}

TESTS("experiments/savings", {"a patch can be applied", test_a_patch_can_be_applied},
      {"sizes", test_sizes}, {"all of them", test_all_of_them},
      {"a sample of them", test_a_sample_of_them},
      {"what hardly shrinks", test_what_hardly_shrinks},
      {"without similar pages", test_without_similar_pages})
