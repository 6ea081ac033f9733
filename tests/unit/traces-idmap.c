/* The map against a slow twin, with the keys that are special to it. */
#include "traces.h"

static void test_twin(void)
{
	static uint64_t keys[5000], values[5000];
	struct idmap *map;
	struct rng rng;
	size_t n = 0;

	rng_init(&rng, test_seed(6), "test", 0);
	CU_ASSERT_EQUAL_FATAL(idmap_new(&map), 0);
	for (int i = 0; i < 20000; i++) {
		uint64_t key = rng_below(&rng, 4000), *found;
		size_t at = 0;

		if (key < 8)
			key = UINT64_MAX - key;
		else if (key % 3 == 0)
			key <<= 40;
		while (at < n && keys[at] != key)
			at++;
		found = idmap_find(map, key);
		CU_ASSERT_EQUAL(found != NULL, at < n);
		if (found) {
			CU_ASSERT_EQUAL(*found, values[at]);
			*found = values[at] = rng_u64(&rng);
		} else {
			keys[n] = key;
			values[n] = rng_u64(&rng);
			CU_ASSERT_EQUAL(idmap_add(map, key, values[n]), 0);
			n++;
		}
		CU_ASSERT_EQUAL(idmap_size(map), n);
	}
	idmap_free(map);
}

TESTS("traces/idmap", {"twin", test_twin})
