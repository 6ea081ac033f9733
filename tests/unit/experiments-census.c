/* A census against a slow twin that sorts whole contents. */
#include "test.h"

#include "core/rng.h"
#include "experiments/census.h"

#include <string.h>

#define IMAGES 3

/* Images with pages of a few contents, in memory. */
struct world {
	size_t n[IMAGES], total;
	uint8_t *data; /* all pages, image after image */
	size_t first[IMAGES];
};

static void make_page(uint8_t *page, uint64_t content)
{
	memset(page, 0, PAGE_SIZE); /* content 0 is the zero page */
	memcpy(page + content % 500 * 8, &content, sizeof content);
}

/* Half of the pages of few contents, so that some are shared by very many. */
static struct world make_world(struct rng *rng, size_t pages, uint64_t contents)
{
	struct world w = {0};

	for (unsigned i = 0; i < IMAGES; i++) {
		w.first[i] = w.total;
		w.n[i] = 1 + rng_below(rng, pages);
		w.total += w.n[i];
	}
	w.data = malloc(w.total * PAGE_SIZE);
	if (!w.data)
		abort();
	for (size_t i = 0; i < w.total; i++)
		make_page(w.data + i * PAGE_SIZE, rng_below(rng, rng_below(rng, 2) ? 3 : contents));
	return w;
}

/* In runs of up to 64 pages, as images lend them, each image from address 1 MiB on. */
static struct census *take(const struct world *w, struct sample *sample)
{
	struct census *c;

	CU_ASSERT_EQUAL_FATAL(census_new(sample, &c), 0);
	for (unsigned i = 0; i < IMAGES; i++) {
		CU_ASSERT_EQUAL_FATAL(census_begin(c), 0);
		for (size_t at = 0; at < w->n[i];) {
			size_t n = min_u64(1 + (at * 7 + i) % 64, w->n[i] - at);
			struct image_run run = {(1 << 20) + at * PAGE_SIZE,
						w->data + (w->first[i] + at) * PAGE_SIZE, n};
			CU_ASSERT_EQUAL(census_add(c, &run), 0);
			at += n;
		}
	}
	return c;
}

static int by_content(const void *a, const void *b)
{
	const uint8_t *const *x = a, *const *y = b;
	int order = memcmp(*x, *y, PAGE_SIZE);

	return order ? order : (*x > *y) - (*x < *y); /* then by place */
}

/* The pages sorted; a group of equal ones starts at i and ends before the result. */
static const uint8_t **sorted(const struct world *w, size_t first, size_t n)
{
	const uint8_t **page = calloc(n + 1, sizeof *page);

	for (size_t i = 0; i < n; i++)
		page[i] = w->data + (first + i) * PAGE_SIZE;
	qsort(page, n, sizeof *page, by_content);
	return page;
}

static size_t group_end(const uint8_t **page, size_t i, size_t n)
{
	size_t k = i + 1;

	while (k < n && memcmp(page[i], page[k], PAGE_SIZE) == 0)
		k++;
	return k;
}

static bool zero(const uint8_t *page)
{
	static const uint8_t none[PAGE_SIZE];

	return memcmp(page, none, PAGE_SIZE) == 0;
}

static struct census_counts slow_counts(const struct world *w, size_t first, size_t n)
{
	const uint8_t **page = sorted(w, first, n);
	struct census_counts c = {.pages = n};

	for (size_t i = 0, end; i < n; i = end) {
		end = group_end(page, i, n);
		c.distinct++;
		if (zero(page[i]))
			c.zero = end - i;
		else
			c.once += end - i == 1;
	}
	free(page);
	return c;
}

static void check_counts(const struct world *w, const struct census *c)
{
	struct census_counts got = census_all(c), want = slow_counts(w, 0, w->total);

	CU_ASSERT_EQUAL(memcmp(&got, &want, sizeof got), 0);
	for (unsigned i = 0; i < IMAGES; i++) {
		got = census_image(c, i);
		want = slow_counts(w, w->first[i], w->n[i]);
		want.once = 0;
		CU_ASSERT_EQUAL(memcmp(&got, &want, sizeof got), 0);
	}
}

static int by_rank(const void *a, const void *b)
{
	const struct census_content *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

/* Histogram and ranking, from the sorted pages. */
static void check_groups(const struct world *w, const struct census *c, size_t max)
{
	const uint8_t **page = sorted(w, 0, w->total);
	struct census_content *want = calloc(w->total, sizeof *want),
			      *got = calloc(max + 1, sizeof *got);
	struct census_bucket bucket[CENSUS_BUCKETS], slow[CENSUS_BUCKETS] = {0};
	size_t groups = 0;

	for (size_t i = 0, end; i < w->total; i = end) {
		uint64_t ordinal = (uint64_t)(page[i] - w->data) / PAGE_SIZE;
		end = group_end(page, i, w->total);
		if (!zero(page[i])) {
			unsigned b = 0;
			while ((size_t)2 << b <= end - i)
				b++;
			slow[b].contents++;
			slow[b].pages += end - i;
			CU_ASSERT_EQUAL(census_count(c, content_id(page[i])), end - i);
		}
		if (end - i > 1)
			want[groups++] = (struct census_content){content_id(page[i]), end - i,
								 ordinal, content_look(page[i])};
	}
	census_histogram(c, bucket);
	CU_ASSERT_EQUAL(memcmp(bucket, slow, sizeof slow), 0);
	qsort(want, groups, sizeof *want, by_rank);
	CU_ASSERT_EQUAL(census_top(c, got, max), min_u64(max, groups));
	for (size_t i = 0; i < min_u64(max, groups); i++) {
		CU_ASSERT_EQUAL(got[i].id.high, want[i].id.high);
		CU_ASSERT_EQUAL(got[i].id.low, want[i].id.low);
		CU_ASSERT_EQUAL(got[i].count, want[i].count);
		CU_ASSERT_EQUAL(got[i].ordinal, want[i].ordinal);
		CU_ASSERT_EQUAL(got[i].look, want[i].look);
	}
	free(page);
	free(want);
	free(got);
}

static void test_random_mixtures(void)
{
	struct rng rng;

	rng_init(&rng, test_seed(3), "test", 0);
	for (int round = 0; round < 30; round++) {
		struct world w = make_world(&rng, 300, 1 + rng_below(&rng, 400));
		struct census *c = take(&w, NULL);

		check_counts(&w, c);
		check_groups(&w, c, rng_below(&rng, 60));
		census_free(c);
		free(w.data);
	}
}

/* Enough contents that every shard grows many times; memory stays as promised. */
static void test_a_large_table(void)
{
	enum { N = 80000 };
	struct census *c;
	uint8_t page[PAGE_SIZE];
	uint64_t wrong = 0;

	CU_ASSERT_EQUAL_FATAL(census_new(NULL, &c), 0);
	CU_ASSERT_EQUAL_FATAL(census_begin(c), 0);
	for (int pass = 0; pass < 2; pass++) {
		for (uint64_t i = 1; i <= N; i++) {
			make_page(page, i);
			CU_ASSERT_EQUAL_FATAL(
				census_add(c, &(struct image_run){i * PAGE_SIZE, page, 1}), 0);
		}
	}
	for (uint64_t i = 1; i <= N; i++) {
		make_page(page, i);
		wrong += census_count(c, content_id(page)) != 2;
	}
	make_page(page, N + 1);
	CU_ASSERT_EQUAL(census_count(c, content_id(page)), 0);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(census_all(c).distinct, N);
	CU_ASSERT_EQUAL(census_all(c).once, 0);
	CU_ASSERT(census_bytes(c) < 36 * N);
	census_free(c);
}

/* Ordinals over all images lead back to image and address, also where addresses jump. */
static void test_places(void)
{
	static const uint8_t pages[2 * PAGE_SIZE];
	const struct image_run run[] = {
		{0x1000, pages, 2}, /* ordinals 0, 1 */
		{0x3000, pages, 1}, /* 2: goes on */
		{0x9000, pages, 2}, /* 3, 4 */
		{0xb000, pages, 1}, /* 5: the next image, where the last would go on */
		{0, pages, 1},	    /* 6 */
	};
	const struct {
		size_t image;
		uint64_t addr;
	} want[] = {{0, 0x1000}, {0, 0x2000}, {0, 0x3000}, {0, 0x9000},
		    {0, 0xa000}, {1, 0xb000}, {1, 0}};
	struct census *c;

	CU_ASSERT_EQUAL_FATAL(census_new(NULL, &c), 0);
	CU_ASSERT_EQUAL(census_begin(c), 0);
	for (unsigned i = 0; i < ARRAY_LEN(run); i++) {
		if (i == 3)
			CU_ASSERT_EQUAL(census_begin(c), 0);
		CU_ASSERT_EQUAL(census_add(c, &run[i]), 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
		size_t image;
		uint64_t addr;

		census_where(c, i, &image, &addr);
		CU_ASSERT_EQUAL(image, want[i].image);
		CU_ASSERT_EQUAL(addr, want[i].addr);
	}
	census_free(c);
}

/* Every content but zero is offered, once. */
static void test_contents_are_offered(void)
{
	struct rng rng;
	struct sample *sample;

	rng_init(&rng, test_seed(4), "test", 0);
	struct world w = make_world(&rng, 300, 100);
	CU_ASSERT_EQUAL_FATAL(sample_new(1000, &sample), 0);
	struct census *c = take(&w, sample);
	struct census_counts all = census_all(c);
	CU_ASSERT_EQUAL(sample->n, all.distinct - (all.zero > 0));
	for (size_t i = 0; i < sample->n; i++) {
		struct content_id id = content_id(sample_data(sample, i));
		CU_ASSERT_EQUAL(id.high, sample->page[i].id.high);
		CU_ASSERT_EQUAL(memcmp(sample_data(sample, i),
				       w.data + sample->page[i].ordinal * PAGE_SIZE, PAGE_SIZE),
				0);
	}
	census_free(c);
	sample_free(sample);
	free(w.data);
}

TESTS("experiments/census", {"random mixtures", test_random_mixtures},
      {"a large table", test_a_large_table}, {"places", test_places},
      {"contents are offered", test_contents_are_offered})
