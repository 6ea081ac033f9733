/*
 * The cut of the line where pages, shares and taxes are extreme, too large for
 * page-by-page revocation: a division is right if and only if the last page
 * that anyone holds stands before the first that anyone lacks.
 */
#include "tax/private.h"

#include "core/rng.h"
#include "test.h"

#define VMS  200
#define SETS 60

typedef unsigned __int128 wide_t;

struct place {
	wide_t charge, shares;
	size_t vm;
};

static struct place place_of(const struct alloc_ask *ask, size_t vm, uint64_t page)
{
	return (struct place){alloc_charge(&ask->claims[vm], page, ask->tax),
			      ask->claims[vm].shares, vm};
}

static bool stands_before(struct place a, struct place b)
{
	wide_t left = a.charge * b.shares, right = b.charge * a.shares;

	return left != right ? left < right : a.vm < b.vm;
}

static bool is_a_cut(const struct alloc_ask *ask, const uint64_t *target)
{
	struct place last = {0}, next = {0};
	bool any_last = false, any_next = false;

	for (size_t i = 0; i < ask->n; i++) {
		const struct claim *c = &ask->claims[i];

		if (!c->shares)
			continue;
		struct place here = place_of(ask, i, target[i]);
		if (target[i] > c->min && (!any_last || stands_before(last, here))) {
			last = here;
			any_last = true;
		}
		here = place_of(ask, i, target[i] + 1);
		if (target[i] < c->max && (!any_next || stands_before(here, next))) {
			next = here;
			any_next = true;
		}
	}
	return !any_last || !any_next || stands_before(last, next);
}

/* Sizes and shares over all orders of magnitude. */
static uint64_t any_size(struct rng *rng, unsigned bits)
{
	return rng_below(rng, (UINT64_C(1) << (1 + rng_below(rng, bits))) + 1) >> 1;
}

static void random_claims(struct rng *rng, struct claim *claims, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct claim *c = &claims[i];

		c->max = any_size(rng, 37);
		c->min = rng_below(rng, 3) ? 0 : rng_below(rng, c->max + 1);
		c->active = rng_below(rng, c->max + 1);
		c->shares = (uint32_t)any_size(rng, 32);
		c->pages = 0;
	}
}

static void extremes(void)
{
	static struct claim claims[VMS];
	static uint64_t target[VMS];
	struct rng rng;

	rng_init(&rng, test_seed(17), "line", 0);
	for (int set = 0; set < SETS; set++) {
		struct alloc_ask ask = {claims, 1 + rng_below(&rng, VMS), 0, 0};
		uint64_t min = 0, max = 0, sum = 0;

		random_claims(&rng, claims, ask.n);
		for (size_t i = 0; i < ask.n; i++) {
			min += claims[i].min;
			max += claims[i].shares ? claims[i].max : claims[i].min;
		}
		ask.memory = min + rng_below(&rng, max - min + 1);
		ask.tax = set % 2 ? TAX_WHOLE - 1 : (uint32_t)rng_below(&rng, TAX_WHOLE);
		CU_ASSERT_EQUAL_FATAL(divide_by_price(&ask, ask.tax, false, target), 0);
		for (size_t i = 0; i < ask.n; i++) {
			CU_ASSERT(target[i] >= claims[i].min && target[i] <= claims[i].max);
			sum += target[i];
		}
		CU_ASSERT_EQUAL(sum, ask.memory);
		CU_ASSERT(is_a_cut(&ask, target));
	}
}

/* The corners of every bound at once: the widest products. */
static void corners(void)
{
	const struct claim c[] = {
		{0, ALLOC_PAGES_MAX, 0, 0, UINT32_MAX},
		{0, ALLOC_PAGES_MAX, ALLOC_PAGES_MAX, 0, 1},
		{0, ALLOC_PAGES_MAX, ALLOC_PAGES_MAX / 2, 0, UINT32_MAX},
		{ALLOC_PAGES_MAX, ALLOC_PAGES_MAX, 0, 0, 1},
		{0, 0, 0, 0, UINT32_MAX},
	};
	const uint32_t taxes[] = {0, 1, TAX_WHOLE / 2, TAX_WHOLE - 1};
	uint64_t target[ARRAY_LEN(c)];

	for (size_t i = 0; i < ARRAY_LEN(taxes); i++) {
		for (uint64_t spare = 0; spare <= 3 * ALLOC_PAGES_MAX;
		     spare += ALLOC_PAGES_MAX / 2) {
			const struct alloc_ask ask = {c, ARRAY_LEN(c), ALLOC_PAGES_MAX + spare,
						      taxes[i]};

			CU_ASSERT_EQUAL_FATAL(divide_by_price(&ask, ask.tax, false, target), 0);
			CU_ASSERT(is_a_cut(&ask, target));
			CU_ASSERT_EQUAL(target[0] + target[1] + target[2], spare);
			CU_ASSERT(target[3] == ALLOC_PAGES_MAX && target[4] == 0);
		}
	}
}

/* Many alike: the pages that do not divide go to the first of them. */
static void ties_by_index(void)
{
	static struct claim claims[VMS];
	static uint64_t target[VMS];

	for (size_t i = 0; i < VMS; i++)
		claims[i] = (struct claim){0, 1000, 300, 0, 7};
	for (uint64_t extra = 0; extra < VMS; extra += 33) {
		const struct alloc_ask ask = {claims, VMS, UINT64_C(600) * VMS + extra, 750000};

		CU_ASSERT_EQUAL_FATAL(divide_by_price(&ask, ask.tax, false, target), 0);
		for (size_t i = 0; i < VMS; i++)
			CU_ASSERT_EQUAL(target[i], 600u + (i < extra));
	}
}

TESTS("tax/line", {"extremes", extremes}, {"corners", corners}, {"ties by index", ties_by_index})
