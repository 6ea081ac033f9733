/*
 * The page cache against a textbook two-list LRU: the same hits, reference by
 * reference.
 */
#include "guest.h"

#include "core/rng.h"

#include <string.h>

#define FILES 3000

/* Lists as arrays, newest first. Slow, and unlike the guest's in every respect. */
struct twin {
	uint32_t active[FILES], inactive[FILES], n_active, n_inactive;
	bool used[FILES];
	uint32_t free, low, high, target;
};

static int find(const uint32_t *list, uint32_t n, uint32_t x)
{
	for (uint32_t i = 0; i < n; i++) {
		if (list[i] == x)
			return (int)i;
	}
	return -1;
}

static void push(uint32_t *list, uint32_t *n, uint32_t x)
{
	memmove(list + 1, list, *n * sizeof *list);
	list[0] = x;
	++*n;
}

static void cut(uint32_t *list, uint32_t *n, uint32_t i)
{
	memmove(list + i, list + i + 1, (*n - i - 1) * sizeof *list);
	--*n;
}

/* The oldest inactive page goes; one that was used is active from then on. */
static void evict(struct twin *t)
{
	for (;;) {
		uint32_t all = t->n_active + t->n_inactive,
			 target = t->target < all / 2 ? t->target : all / 2;
		while (t->n_inactive <= target && t->n_active) {
			uint32_t x = t->active[--t->n_active];
			bool again = t->used[x];
			t->used[x] = false;
			push(again ? t->active : t->inactive, again ? &t->n_active : &t->n_inactive,
			     x);
		}
		uint32_t x = t->inactive[--t->n_inactive];
		if (!t->used[x]) {
			t->free++;
			return;
		}
		t->used[x] = false;
		push(t->active, &t->n_active, x);
	}
}

static bool reference(struct twin *t, uint32_t x)
{
	int at = find(t->inactive, t->n_inactive, x);

	if (at >= 0 && t->used[x]) {
		t->used[x] = false;
		cut(t->inactive, &t->n_inactive, (uint32_t)at);
		push(t->active, &t->n_active, x);
		return true;
	}
	if (at >= 0 || find(t->active, t->n_active, x) >= 0) {
		t->used[x] = true;
		return true;
	}
	if (t->free <= t->low) {
		while (t->free < t->high)
			evict(t);
	}
	t->free--;
	t->used[x] = false;
	push(t->inactive, &t->n_inactive, x);
	return false;
}

/* Popular ones more often, and now and then a scan that nobody comes back to. */
static uint32_t draw(struct rng *rng, uint32_t i)
{
	uint64_t a = rng_below(rng, FILES), b = rng_below(rng, FILES);

	return i % 20000 < 4000 ? i % FILES : (uint32_t)(a * b / FILES);
}

static void compare(uint32_t inactive, unsigned long long seed)
{
	struct gfile *file[FILES];
	struct test_guest t;
	struct rng rng;
	uint64_t hits = 0, wrong = 0;
	const uint32_t refs = 100000 / TEST_SCALE;

	guest_new(&t, (struct guest_shape){.inactive = inactive});
	for (int i = 0; i < FILES; i++)
		CU_ASSERT_EQUAL_FATAL(file_new(t.g, 1, 1, CONTENT_OWN, &file[i]), 0);
	guest_fill(t.g, 1200);
	struct twin *twin = calloc(1, sizeof *twin);
	twin->free = pages_free(t.g);
	twin->low = t.g->mark_low;
	twin->high = t.g->mark_high;
	twin->target = inactive;
	rng_init(&rng, seed, "test", 0);
	for (uint32_t i = 0; i < refs; i++) {
		uint32_t x = draw(&rng, i);
		uint64_t before = t.g->stats.hits;
		CU_ASSERT_EQUAL_FATAL(file_read(t.g, file[x], 0, 1), 0);
		guest_sleep(t.g);
		bool hit = reference(twin, x);
		hits += hit;
		wrong += hit != (t.g->stats.hits > before);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(t.g->stats.hits, hits);
	CU_ASSERT_EQUAL(t.g->stats.hits + t.g->stats.misses, refs);
	CU_ASSERT(hits > refs / 10 && hits < refs - refs / 10);
	CU_ASSERT_EQUAL(pages_free(t.g), twin->free);
	free(twin);
	guest_free(&t);
}

static void textbook(void)
{
	unsigned long long seed = test_seed(1);

	compare(2048, seed);
	compare(80, seed + 1);
}

/* Used once: gone with the next scan. Used twice: it stays. */
static void second_use(void)
{
	struct test_guest t;
	struct gfile *once, *twice;

	guest_new(&t, (struct guest_shape){0});
	CU_ASSERT_EQUAL_FATAL(file_new(t.g, 10, 10, CONTENT_OWN, &once), 0);
	CU_ASSERT_EQUAL_FATAL(file_new(t.g, 10, 10, CONTENT_OWN, &twice), 0);
	CU_ASSERT_EQUAL(file_read(t.g, twice, 0, 10), 0);
	CU_ASSERT_EQUAL(file_read(t.g, twice, 0, 10), 0);
	CU_ASSERT_EQUAL(file_read(t.g, once, 0, 10), 0);
	guest_sleep(t.g);
	CU_ASSERT_EQUAL(t.g->list[LIST_CACHE_INACTIVE].n, 20);
	CU_ASSERT_EQUAL(reclaim(t.g, 10), 10);
	CU_ASSERT_EQUAL(once->cached, 0);
	CU_ASSERT_EQUAL(twice->cached, 10);
	CU_ASSERT_EQUAL(file_read(t.g, twice, 0, 10), 0);
	CU_ASSERT_EQUAL(t.g->list[LIST_CACHE_ACTIVE].n + t.g->list[LIST_CACHE_INACTIVE].n, 10);
	CU_ASSERT_EQUAL(t.g->stats.hits, 20);
	guest_free(&t);
}

/* The hand clears the accessed bit of the process's page table. */
static void accessed_bit(void)
{
	struct test_guest t;
	struct gproc *p;
	uint32_t page;

	guest_new(&t, (struct guest_shape){0});
	CU_ASSERT_EQUAL_FATAL(proc_new(t.g, &p), 0);
	for (uint64_t vpn = 0; vpn < 3; vpn++)
		CU_ASSERT_EQUAL(proc_touch(p, vpn, ACCESS_WRITE), 0);
	*proc_entry(p, 1) &= ~GPTE_ACCESSED;
	page = lru_victim(t.g, GPAGE_ANON); /* 0 was used and goes round */
	CU_ASSERT_EQUAL(t.g->page[page].index, 1);
	CU_ASSERT_FALSE(*proc_entry(p, 0) & GPTE_ACCESSED);
	CU_ASSERT(*proc_entry(p, 2) & GPTE_ACCESSED);
	lru_add(t.g, page);
	guest_free(&t);
}

TESTS("traces/guest_lru", {"hits of a textbook two-list LRU", textbook},
      {"used once, used twice", second_use}, {"accessed bits", accessed_bit})
