/* oVirt's rules, step by step, by hand; the host has 1000 pages throughout. */
#include "tax/private.h"

#include "test.h"

static uint64_t step(struct claim c, uint64_t held_by_another)
{
	const struct claim claims[] = {
		c, {held_by_another, held_by_another, held_by_another, held_by_another, 0}};
	const struct alloc_ask ask = {claims, 2, 1000, 0};
	uint64_t target[2];
	struct err err = {0};

	CU_ASSERT_EQUAL_FATAL(alloc_targets(&allocator_mom, &ask, target, &err), 0);
	CU_ASSERT_EQUAL(target[1], held_by_another);
	return target[0];
}

static void grows_without_pressure(void)
{
	/* Half of the host is free: 5 % more, or what it uses and a fifth of its maximum. */
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 100, 500, 0}, 0), 525);
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 400, 500, 0}, 0), 600);
	CU_ASSERT_EQUAL(step((struct claim){0, 510, 400, 500, 0}, 0), 510);
	/* A fifth free is no pressure; a page less is: 5 % less, down to 100 + 199/1000 of 801. */
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 100, 800, 0}, 0), 840);
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 100, 801, 0}, 0), 761);
	/* A change of 1/400 is not worth it: 2 pages of 800; but 2 of 790, or 3 of 800. */
	CU_ASSERT_EQUAL(step((struct claim){0, 792, 100, 790, 0}, 0), 792);
	CU_ASSERT_EQUAL(step((struct claim){0, 802, 100, 800, 0}, 0), 800);
	CU_ASSERT_EQUAL(step((struct claim){0, 803, 100, 800, 0}, 0), 803);
}

static void shrinks_under_pressure(void)
{
	/* A tenth free: to 400 + a tenth of 900, by 45 at most. */
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 400, 900, 0}, 0), 855);
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 780, 900, 0}, 0), 870);
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 890, 900, 0}, 0), 900); /* never grows */
	CU_ASSERT_EQUAL(step((struct claim){880, 1000, 400, 900, 0}, 0), 880);
	/* 2 % free: to 375 + 7 - 19, into what it uses; 5 % more is still critical. */
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 375, 380, 0}, 600), 363);
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 380, 400, 0}, 550), 380); /* 380 + 20 - 20 */
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 380, 400, 0}, 549), 400); /* 380 + 20.4 */
	/* More is held than there is: nothing is free. */
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 100, 600, 0}, 600), 570);
	CU_ASSERT_EQUAL(step((struct claim){0, 1000, 600, 600, 0}, 600), 570);
}

/* 1000 -> 950 -> 903 -> 858, 5 % each; 700 + 858 * 142 / 1000 = 821; 700 + 146 is above that. */
static void comes_to_rest(void)
{
	const struct claim c = {0, 1000, 700, 1000, 0};
	const struct alloc_ask ask = {&c, 1, 1000, 0};
	struct err err = {0};
	unsigned steps;
	uint64_t target;

	CU_ASSERT_EQUAL_FATAL(alloc_settle(&allocator_mom, &ask, 100, &target, &steps, &err), 0);
	CU_ASSERT(target == 821 && steps == 4);
	CU_ASSERT_EQUAL_FATAL(alloc_settle(&allocator_mom, &ask, 2, &target, &steps, &err), 0);
	CU_ASSERT(target == 903 && steps == 2);
}

/* Two guests that use little: at a fifth free they grow, and shrink again. It never rests. */
static void may_never_rest(void)
{
	const struct claim c[] = {{0, 900, 100, 400, 0}, {0, 900, 100, 400, 0}};
	const struct alloc_ask ask = {c, 2, 1000, 0};
	struct err err = {0};
	unsigned steps;
	uint64_t target[2];

	CU_ASSERT_EQUAL_FATAL(alloc_settle(&allocator_mom, &ask, 500, target, &steps, &err), 0);
	CU_ASSERT_EQUAL(steps, 500);
}

static void without_memory(void)
{
	const struct claim c = {0, 10, 5, 10, 0};
	const struct alloc_ask ask = {&c, 1, 0, 0};
	struct err err = {0};
	unsigned steps;
	uint64_t target;

	/* A twentieth of 10 pages is none: whole pages stop it there. */
	CU_ASSERT_EQUAL_FATAL(alloc_settle(&allocator_mom, &ask, 50, &target, &steps, &err), 0);
	CU_ASSERT(target == 10 && steps == 0);
}

TESTS("tax/alloc-mom", {"grows", grows_without_pressure}, {"shrinks", shrinks_under_pressure},
      {"comes to rest", comes_to_rest}, {"may never rest", may_never_rest},
      {"without memory", without_memory})
