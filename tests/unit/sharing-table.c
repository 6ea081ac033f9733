#include "sharing/table.h"

#include "core/rng.h"

#include "test.h"

#include <string.h>

#define ENTRIES 40000

/* The slow twin: an array of what was added, by index. */
struct twin {
	bool used, shared;
	uint64_t hash;
	uint16_t owner;
	uint32_t place;
};

static bool same(const struct table *t, uint32_t index, const struct twin *w)
{
	const struct hash_frame *e = table_entry(t, index);

	return entry_hash(e) == w->hash && entry_shared(e) == w->shared &&
	       entry_owner(e) == w->owner && e->place == w->place;
}

/* Whether the chain of its hash leads to the frame. */
static bool reachable(const struct table *t, uint32_t index)
{
	uint64_t hash = entry_hash(table_entry(t, index));
	uint32_t at = table_find(t, hash, *table_head(t, hash));

	while (at && at != index)
		at = table_find(t, hash, entry_next(table_entry(t, at)));
	return at == index;
}

static size_t audit_quietly(const struct table *t)
{
	FILE *out = fopen("/dev/null", "w");
	size_t bad = table_audit(t, out);

	fclose(out);
	return bad;
}

/* Random frames come, turn and go, through many splits; few hashes, so that some are equal. */
static void against_twin(void)
{
	static struct twin twin[2 * ENTRIES];
	struct meter meter = {0};
	struct table t;
	struct rng rng;
	uint32_t index, used = 0;

	rng_init(&rng, test_seed(1), "table", 0);
	CU_ASSERT_EQUAL_FATAL(table_init(&t, &meter), 0);
	for (int step = 0; step < 4 * ENTRIES; step++) {
		uint32_t at = 1 + (uint32_t)rng_below(&rng, t.end);
		struct twin w = {true, rng_below(&rng, 2), rng_below(&rng, ENTRIES) * 0x9e3779b1,
				 (uint16_t)rng_below(&rng, OWNER_FREE), (uint32_t)rng_u64(&rng)};
		if (at < t.end && twin[at].used && rng_below(&rng, 3) == 0) {
			table_remove(&t, at);
			twin[at].used = false;
			used--;
		} else if (at < t.end && twin[at].used && rng_below(&rng, 3) == 0) {
			w.hash = twin[at].hash;
			table_turn(&t, at, w.shared, w.owner, w.place);
			twin[at] = w;
		} else if (used < ENTRIES) {
			CU_ASSERT_EQUAL_FATAL(
				table_add(&t, w.hash, w.shared, w.owner, w.place, &index), 0);
			CU_ASSERT_FALSE_FATAL(twin[index].used);
			twin[index] = w;
			used++;
		}
		CU_ASSERT_EQUAL_FATAL(t.used, used);
	}
	CU_ASSERT_EQUAL(table_audit(&t, stdout), 0);
	for (uint32_t i = 1; i < t.end; i++) {
		if (twin[i].used)
			CU_ASSERT_TRUE_FATAL(same(&t, i, &twin[i]) && reachable(&t, i));
	}
	CU_ASSERT_TRUE(used > ENTRIES / 4);
	table_fini(&t);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

/* 16 bytes a frame and 2 for its half of a bucket, and no more than a slab of each to spare. */
static void bytes_per_frame(void)
{
	struct meter meter = {0};
	struct table t;
	uint32_t index, longest = 0;
	const uint32_t n = 1000000;

	CU_ASSERT_EQUAL_FATAL(table_init(&t, &meter), 0);
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(
			table_add(&t, i * UINT64_C(0x9e3779b97f4a7c15) >> 16, false, 1, i, &index),
			0);
	CU_ASSERT_EQUAL(t.bytes, meter.bytes);
	printf("  %.2f bytes a frame\n", (double)t.bytes / n);
	CU_ASSERT_TRUE(t.bytes <= 18 * (uint64_t)n + 2 * SLAB_BYTES + 8192);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t hash = i * UINT64_C(0x9e3779b97f4a7c15) >> 16;
		uint32_t length = 0;
		for (uint32_t at = *table_head(&t, hash); at; at = entry_next(table_entry(&t, at)))
			length++;
		longest = length > longest ? length : longest;
	}
	CU_ASSERT_TRUE(longest < 32);
	table_fini(&t);
}

static void audit_finds(void)
{
	struct meter meter = {0};
	struct table t;
	uint32_t a, b;

	CU_ASSERT_EQUAL_FATAL(table_init(&t, &meter), 0);
	CU_ASSERT_EQUAL(table_add(&t, 5, false, 1, 10, &a), 0);
	CU_ASSERT_EQUAL(table_add(&t, 5, true, 2, 20, &b), 0);
	CU_ASSERT_EQUAL(audit_quietly(&t), 0);
	t.hints++;
	CU_ASSERT_NOT_EQUAL(audit_quietly(&t), 0);
	t.hints--;
	t.used--;
	CU_ASSERT_NOT_EQUAL(audit_quietly(&t), 0);
	t.used++;
	struct hash_frame saved = *table_entry(&t, a);
	table_entry(&t, a)->hash_owner ^= 1 << 16; /* another chain's hash */
	CU_ASSERT_NOT_EQUAL(audit_quietly(&t), 0);
	*table_entry(&t, a) = saved;
	table_entry(&t, a)->link = b << 1; /* a ring */
	CU_ASSERT_NOT_EQUAL(audit_quietly(&t), 0);
	*table_entry(&t, a) = saved;
	CU_ASSERT_EQUAL(audit_quietly(&t), 0);
	table_fini(&t);
}

TESTS("sharing/table", {"against a twin", against_twin}, {"bytes per frame", bytes_per_frame},
      {"audit", audit_finds})
