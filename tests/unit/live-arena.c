#include "test.h"

#include "live/arena.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void it_is_found_again(void)
{
	struct arena a = {.fd = -1}, b = {.fd = -1};
	uint64_t *sums;

	CU_ASSERT_EQUAL_FATAL(arena_open(&a, -1, 100, 700), 0);
	struct arena_guest *g = arena_add(&a, "one", 600), *h = arena_add(&a, "two", 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	for (int i = 0; i < 600; i++) {
		CU_ASSERT_EQUAL(arena_entries(&a, g)[i], 0);
		arena_entries(&a, g)[i] = 1000 + (pte_t)i;
		arena_at(&a, g)[i] = (uint32_t)i;
	}
	arena_entries(&a, h)[0] = 5;
	sums = arena_sums(&a);
	sums[699] = 77;
	g->used = 1;
	CU_ASSERT_EQUAL_FATAL(arena_open(&b, dup(a.fd), 100, 700), 0);
	size_t place = (size_t)(g - a.head->guest);
	CU_ASSERT_TRUE_FATAL(place < KEPT_GUESTS);
	const struct arena_guest *again = b.head->guest + place;
	CU_ASSERT_STRING_EQUAL(again->name, "one");
	CU_ASSERT_EQUAL(arena_entries(&b, again)[599], 1599);
	CU_ASSERT_EQUAL(arena_at(&b, again)[599], 599);
	CU_ASSERT_EQUAL(arena_sums(&b)[699], 77);
	arena_drop(&b, &b.head->guest[0]);
	CU_ASSERT_EQUAL(arena_entries(&b, again)[599], 0);
	const struct arena_guest *reused = arena_add(&b, "three", 600);
	CU_ASSERT_PTR_EQUAL(reused, again);
	CU_ASSERT_EQUAL(arena_entries(&b, reused)[599], 0);
	arena_close(&a);
	arena_close(&b);
}

static void another_hosts_is_refused(void)
{
	struct arena a, b;

	CU_ASSERT_EQUAL_FATAL(arena_open(&a, -1, 100, 700), 0);
	CU_ASSERT_EQUAL(arena_open(&b, dup(a.fd), 101, 700), -EUCLEAN);
	CU_ASSERT_EQUAL(arena_open(&b, dup(a.fd), 100, 701), -EUCLEAN);
	struct arena_guest *g = arena_add(&a, "one", 600);
	g->used = 1;
	g->at = UINT64_MAX - 8;
	CU_ASSERT_EQUAL(arena_open(&b, dup(a.fd), 100, 700), -EUCLEAN);
	CU_ASSERT_EQUAL(b.fd, -1);
	arena_close(&a);
}

static void guests_are_bounded(void)
{
	struct arena a;

	CU_ASSERT_EQUAL_FATAL(arena_open(&a, -1, 100, 700), 0);
	for (int i = 0; i < KEPT_GUESTS; i++)
		CU_ASSERT_PTR_NOT_NULL(arena_add(&a, "x", 1));
	CU_ASSERT_PTR_NULL(arena_add(&a, "x", 1));
	arena_drop(&a, &a.head->guest[9]);
	CU_ASSERT_PTR_EQUAL(arena_add(&a, "x", 1), &a.head->guest[9]);
	arena_close(&a);
}

TESTS("live/arena", {"found again", it_is_found_again},
      {"another host's", another_hosts_is_refused}, {"many guests", guests_are_bounded})
