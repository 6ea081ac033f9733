/* mrc: by hand, and against a slow twin that hands out page by page. */
#include "tax/alloc.h"

#include "core/rng.h"
#include "test.h"

#include <errno.h>
#include <string.h>

static const struct allocator *mrc(void)
{
	return (const struct allocator *)policy_find(allocators, "mrc");
}

static void divide(const struct claim *claims, size_t n, uint64_t memory, uint64_t *target)
{
	const struct alloc_ask ask = {claims, n, memory, 0};
	struct err err = {0};

	if (alloc_targets(mrc(), &ask, target, &err))
		printf("  %s\n", err.msg);
	CU_ASSERT_EQUAL_FATAL(err.exit_code, 0);
}

static void by_hand(void)
{
	/* Ten misses a page for ten pages; three a page for twenty. */
	const uint64_t steep[] = {100, 0}, gentle[] = {60, 30, 0};
	const struct miss_curve a = {2, 10, steep}, b = {3, 10, gentle};
	struct claim c[2] = {{.max = 30, .shares = 1, .curve = &b},
			     {.max = 30, .shares = 1000, .curve = &a}};
	uint64_t target[2];

	divide(c, 2, 7, target);
	CU_ASSERT(target[0] == 0 && target[1] == 7);
	divide(c, 2, 15, target);
	CU_ASSERT(target[0] == 5 && target[1] == 10);
	divide(c, 2, 30, target);
	CU_ASSERT(target[0] == 20 && target[1] == 10);
	divide(c, 2, 50, target); /* 20 more of use to nobody: shares */
	CU_ASSERT(target[0] == 20 && target[1] == 30);
	divide(c, 2, 70, target);
	CU_ASSERT(target[0] == 30 && target[1] == 30);
	c[0].min = 12; /* what it has in any case counts first */
	divide(c, 2, 15, target);
	CU_ASSERT(target[0] == 12 && target[1] == 3);
	c[1].max = 4;
	divide(c, 2, 18, target);
	CU_ASSERT(target[0] == 14 && target[1] == 4);
	c[0].shares = 0;
	divide(c, 2, 30, target);
	CU_ASSERT(target[0] == 12 && target[1] == 4);
}

/* Nothing for seven pages and all for the eighth is 100 / 8 a page, more than 10. */
static void cliffs(void)
{
	const uint64_t cliff[] = {100, 100, 100, 100, 100, 100, 100, 100, 0}, line[] = {100, 0};
	const struct miss_curve a = {9, 1, cliff}, b = {2, 10, line};
	const struct claim c[2] = {{.max = 20, .shares = 1, .curve = &b},
				   {.max = 20, .shares = 1, .curve = &a}};
	uint64_t target[2];

	divide(c, 2, 8, target);
	CU_ASSERT(target[0] == 0 && target[1] == 8);
	divide(c, 2, 12, target);
	CU_ASSERT(target[0] == 4 && target[1] == 8);
}

#define CLAIMS 6
#define POINTS 50

static int falling(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x < *y) - (*x > *y);
}

/* A convex curve: falling falls, many of them equal or zero. */
static void random_curve(struct rng *rng, uint64_t *misses)
{
	uint64_t fall[POINTS - 1], range = 1 + rng_below(rng, 30);

	for (int i = 0; i < POINTS - 1; i++)
		fall[i] = rng_below(rng, range);
	qsort(fall, POINTS - 1, sizeof *fall, falling);
	misses[POINTS - 1] = rng_below(rng, 5);
	for (int i = POINTS - 1; i-- > 0;)
		misses[i] = misses[i + 1] + fall[i];
}

static uint64_t next_fall(const struct claim *c, uint64_t has)
{
	const uint64_t *misses = c->curve->misses;

	if (!c->shares || has >= c->max || has + 1 >= POINTS)
		return 0;
	return misses[has] - misses[has + 1];
}

/* Page by page to the greatest fall, of equals to the first. What is of no use stays. */
static uint64_t twin(const struct claim *c, size_t n, uint64_t memory, uint64_t *target)
{
	for (size_t i = 0; i < n; i++) {
		target[i] = c[i].min;
		memory -= c[i].min;
	}
	for (; memory; memory--) {
		size_t best = 0;
		for (size_t i = 1; i < n; i++) {
			if (next_fall(&c[i], target[i]) > next_fall(&c[best], target[best]))
				best = i;
		}
		if (!next_fall(&c[best], target[best]))
			return memory;
		target[best]++;
	}
	return 0;
}

static void page_by_page(void)
{
	struct rng rng;

	rng_init(&rng, test_seed(11), "alloc mrc", 0);
	for (int round = 0; round < 3000; round++) {
		uint64_t misses[CLAIMS][POINTS], target[CLAIMS], expected[CLAIMS];
		struct miss_curve curve[CLAIMS];
		struct claim c[CLAIMS] = {0};
		uint64_t min = 0, most = 0, sum = 0;
		size_t n = 1 + rng_below(&rng, CLAIMS);
		for (size_t i = 0; i < n; i++) {
			random_curve(&rng, misses[i]);
			curve[i] = (struct miss_curve){POINTS, 1, misses[i]};
			c[i].curve = &curve[i];
			c[i].min = rng_below(&rng, 20);
			c[i].max = c[i].min + rng_below(&rng, 60);
			c[i].shares = (uint32_t)rng_below(&rng, 4);
			min += c[i].min;
			most += c[i].shares ? c[i].max : c[i].min;
		}
		uint64_t memory = min + rng_below(&rng, 200);
		uint64_t left = twin(c, n, memory, expected);
		divide(c, n, memory, target);
		for (size_t i = 0; i < n; i++) {
			/* What was left was divided by shares. */
			CU_ASSERT(left ? target[i] >= expected[i] : target[i] == expected[i]);
			CU_ASSERT(target[i] >= c[i].min && target[i] <= c[i].max);
			sum += target[i];
		}
		CU_ASSERT_EQUAL(sum, min_u64(memory, most));
	}
}

static void refused(const struct miss_curve *curve, const char *says)
{
	const uint64_t flat[] = {1};
	const struct miss_curve good = {1, 1, flat};
	const struct claim c[2] = {{.max = 1, .curve = &good}, {.max = 1, .curve = curve}};
	const struct alloc_ask ask = {c, 2, 10, 0};
	uint64_t target[2];
	struct err err = {0};

	CU_ASSERT_EQUAL(alloc_targets(mrc(), &ask, target, &err), -EINVAL);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	if (strcmp(err.msg, says) != 0)
		printf("  %s\n", err.msg);
	CU_ASSERT_STRING_EQUAL(err.msg, says);
}

static void bad_curves(void)
{
	const uint64_t rising[] = {5, 5, 6};

	refused(NULL,
		"claim 2 has no miss curve, and mrc divides by them: only sample.sampler = mrc "
		"makes any");
	refused(&(struct miss_curve){0, 1, rising},
		"claim 2: a miss curve of 0 points every 1 pages");
	refused(&(struct miss_curve){3, 0, rising},
		"claim 2: a miss curve of 3 points every 0 pages");
	refused(&(struct miss_curve){1u << 20, 1, rising},
		"claim 2: a miss curve of 1048576 points every 1 pages");
	refused(&(struct miss_curve){3, 1, rising}, "claim 2: its miss curve rises at point 3");
}

TESTS("tax/alloc-mrc", {"by hand", by_hand}, {"cliffs", cliffs}, {"page by page", page_by_page},
      {"bad curves", bad_curves})
