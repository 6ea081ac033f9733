#include "test.h"

#include "core/rng.h"
#include "live/heap_pages.h"

#include <errno.h>

#define PAGES 1000 /* no multiple of 64 */

static struct heap_pages heap;

static void open_heap(uint64_t first_page)
{
	heap_pages_init(&heap, PAGES, first_page, calloc(1, heap_pages_bytes(PAGES)));
}

static void close_heap(void)
{
	free(heap.used);
}

static uint32_t take(uint32_t n)
{
	uint32_t first = PAGES;
	bool zero = false;

	return heap_pages_take(&heap, n, 1, &first, &zero) == 0 ? first : PAGES;
}

static void small_from_below_large_from_above(void)
{
	bool zero = false;
	uint32_t first;

	open_heap(512);
	CU_ASSERT_EQUAL(take(PAGES + 1), PAGES);
	CU_ASSERT_EQUAL(take(0), PAGES);
	CU_ASSERT_EQUAL(take(16), 0);
	CU_ASSERT_EQUAL(take(17), PAGES - 17);
	CU_ASSERT_EQUAL(take(3), 16);
	CU_ASSERT_EQUAL(take(100), PAGES - 117);
	CU_ASSERT_EQUAL(take(50), PAGES - 167);
	CU_ASSERT_EQUAL(take(100), PAGES - 267);
	heap_pages_give(&heap, PAGES - 117, 100);
	heap_pages_give(&heap, PAGES - 267, 100);
	heap_pages_give(&heap, 2, 1);
	CU_ASSERT_EQUAL(take(20), PAGES - 37); /* the shortest row */
	CU_ASSERT_EQUAL(take(2), 19);
	CU_ASSERT_EQUAL(take(1), 2);
	CU_ASSERT_EQUAL(take(833), PAGES);
	CU_ASSERT_EQUAL(heap_pages_take(&heap, 812, 1, &first, &zero), 0);
	CU_ASSERT_EQUAL(first, 21);
	CU_ASSERT_FALSE(zero);
	CU_ASSERT_EQUAL(heap_pages_take(&heap, 80, 1, &first, &zero), 0);
	CU_ASSERT_EQUAL(heap_pages_take_one(&heap, &first), -ENOMEM);
	close_heap();
}

/* Alignment is that of addresses: page 0 is page 515 of the address space. */
static void addresses_are_aligned(void)
{
	uint32_t first = 0;
	bool zero;

	open_heap(515);
	CU_ASSERT_EQUAL_FATAL(heap_pages_take(&heap, 1, 512, &first, &zero), 0);
	CU_ASSERT_EQUAL(first, 1024 - 515);
	CU_ASSERT_EQUAL(heap_pages_take(&heap, 1, 512, &first, &zero), -ENOMEM);
	CU_ASSERT_EQUAL_FATAL(heap_pages_take(&heap, 2, 4, &first, &zero), 0);
	CU_ASSERT_EQUAL(first, 1); /* 516 */
	CU_ASSERT_EQUAL(heap_pages_take(&heap, 1, 4096, &first, &zero), -ENOMEM);
	close_heap();
}

static void the_balloon_takes_what_has_frames_first(void)
{
	uint32_t page = 0, some[8];

	open_heap(0);
	CU_ASSERT_EQUAL(take(10), 0);
	heap_pages_give(&heap, 2, 3);
	CU_ASSERT_EQUAL(heap_pages_take_one(&heap, &page), 0);
	CU_ASSERT_EQUAL(page, 2);
	CU_ASSERT_EQUAL(heap_pages_take_used(&heap, some, 8), 2);
	CU_ASSERT_EQUAL(some[0], 3);
	CU_ASSERT_EQUAL(some[1], 4);
	CU_ASSERT_EQUAL(heap_pages_take_one(&heap, &page), 0);
	CU_ASSERT_EQUAL(page, 10);
	CU_ASSERT_TRUE(heap_pages_has(&heap, 9));
	CU_ASSERT_FALSE(heap_pages_has(&heap, 3));
	CU_ASSERT_FALSE(heap_pages_has(&heap, 20));
	heap_pages_give_back(&heap, 4);
	CU_ASSERT_EQUAL(heap_pages_take_used(&heap, some, 8), 1);
	CU_ASSERT_EQUAL(some[0], 4);
	bool zero;
	heap_pages_give_zero(&heap, 3);
	CU_ASSERT_EQUAL(heap_pages_take_used(&heap, some, 8), 0);
	CU_ASSERT_EQUAL(heap_pages_take(&heap, 1, 1, &page, &zero), 0);
	CU_ASSERT_EQUAL(page, 3);
	CU_ASSERT_TRUE(zero);
	const struct heap_count c = heap_pages_count(&heap);
	CU_ASSERT_EQUAL(c.pages, PAGES);
	CU_ASSERT_EQUAL(c.free, PAGES - 7 - 1 - 3); /* 7 in use, 3 again; 2, 4 and 10 are out */
	CU_ASSERT_EQUAL(c.zero_free, c.free);
	heap_pages_recall(&heap); /* 2, 4 and 10 */
	CU_ASSERT_EQUAL(heap_pages_count(&heap).free, PAGES - 8);
	CU_ASSERT_EQUAL(heap_pages_count(&heap).zero_free, PAGES - 8);
	close_heap();
}

/* Against an array of a byte a page: 0 free and zero, 1 free, 2 in use. */
static uint8_t twin[PAGES];

static uint32_t row_end(uint32_t at)
{
	while (at < PAGES && twin[at] < 2)
		at++;
	return at;
}

/* Every place that fits is looked at: small ones take the first, others the last of the best row.
 */
static uint32_t slow_find(uint32_t n, uint64_t align, uint64_t first_page)
{
	uint32_t best = PAGES, shortest = PAGES + 1, start = 0;

	for (uint32_t at = 0; at < PAGES; at++) {
		const uint32_t end = row_end(at);
		if (at == 0 || twin[at - 1] == 2)
			start = at;
		if (end - at < n || (first_page + at) % align)
			continue;
		if (n <= 16)
			return at;
		if (end - start <= shortest) {
			best = at;
			shortest = end - start;
		}
	}
	return best;
}

static uint32_t slow_lowest(void)
{
	for (uint8_t kind = 1;; kind--) {
		for (uint32_t i = 0; i < PAGES; i++) {
			if (twin[i] == kind)
				return i;
		}
		if (kind == 0)
			return PAGES;
	}
}

static void step(struct rng *rng)
{
	const uint32_t what = (uint32_t)rng_below(rng, 5), n = 1 + (uint32_t)rng_below(rng, 40);
	const uint64_t align = UINT64_C(1) << rng_below(rng, 5);
	uint32_t at = (uint32_t)rng_below(rng, PAGES), got = PAGES, expect;
	bool zero = false, all = true;

	if (what < 2) {
		expect = slow_find(n, align, 7);
		CU_ASSERT_EQUAL(heap_pages_take(&heap, n, align, &got, &zero),
				expect == PAGES ? -ENOMEM : 0);
		CU_ASSERT_EQUAL(got, expect);
		for (uint32_t i = 0; expect < PAGES && i < n; i++) {
			all = all && twin[expect + i] == 0;
			twin[expect + i] = 2;
		}
		CU_ASSERT_TRUE(expect == PAGES || zero == all);
	} else if (what == 2) {
		expect = slow_lowest();
		CU_ASSERT_EQUAL(heap_pages_take_one(&heap, &got), expect == PAGES ? -ENOMEM : 0);
		CU_ASSERT_EQUAL(got, expect);
		if (expect < PAGES)
			twin[expect] = 2;
	} else if (twin[at] == 2 && what == 3) {
		heap_pages_give_zero(&heap, at);
		twin[at] = 0;
	} else {
		for (uint32_t i = 0; i < n && at < PAGES; i++, at++) {
			if (twin[at] != 2)
				continue;
			heap_pages_give(&heap, at, 1);
			twin[at] = 1;
		}
	}
}

static void it_agrees_with_a_slow_twin(void)
{
	struct rng rng;
	uint32_t free = 0, zero = 0;

	rng_init(&rng, test_seed(3), "heap pages", 0);
	open_heap(7);
	for (int i = 0; i < 50000; i++)
		step(&rng);
	for (uint32_t i = 0; i < PAGES; i++) {
		free += twin[i] < 2;
		zero += twin[i] == 0;
	}
	const struct heap_count c = heap_pages_count(&heap);
	CU_ASSERT_EQUAL(c.free, free);
	CU_ASSERT_EQUAL(c.zero_free, zero);
	close_heap();
}

TESTS("pages of a process guest's heap",
      {"small from below, large from above", small_from_below_large_from_above},
      {"addresses are aligned", addresses_are_aligned},
      {"the balloon takes what has frames first", the_balloon_takes_what_has_frames_first},
      {"it agrees with a slow twin", it_agrees_with_a_slow_twin})
