/* What a page holds: its identity against xxHash's canonical form, its looks by hand. */
#include "test.h"

#include "core/rng.h"
#include "experiments/contents.h"

#include <string.h>
#include <xxhash.h>

static void fill_random(uint8_t *page, struct rng *rng)
{
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		page[i] = (uint8_t)rng_u64(rng);
}

/* The first 24 digits of what xxh128sum prints. */
static void test_identity(void)
{
	uint8_t page[PAGE_SIZE];
	struct rng rng;

	rng_init(&rng, test_seed(1), "test", 0);
	for (int round = 0; round < 100; round++) {
		XXH128_canonical_t canonical;
		char want[33], got[25];

		fill_random(page, &rng);
		XXH128_canonicalFromHash(&canonical, XXH3_128bits(page, PAGE_SIZE));
		for (int i = 0; i < 16; i++)
			snprintf(want + 2 * i, 3, "%02x", canonical.digest[i]);
		struct content_id id = content_id(page);
		snprintf(got, sizeof got, "%016llx%08x", (unsigned long long)id.high, id.low);
		CU_ASSERT_EQUAL(memcmp(got, want, 24), 0);
	}
}

static void test_zero_is_zero_alone(void)
{
	static uint8_t page[PAGE_SIZE];

	CU_ASSERT(content_is_zero(page));
	for (unsigned i = 0; i < PAGE_SIZE; i++) {
		page[i] = 1;
		CU_ASSERT_FALSE(content_is_zero(page));
		page[i] = 0;
	}
	memset(page, 1, sizeof page);
	CU_ASSERT_FALSE(content_is_zero(page));
}

static void test_looks(void)
{
	uint8_t page[PAGE_SIZE];
	struct rng rng;

	memset(page, 0, sizeof page);
	CU_ASSERT_EQUAL(content_look(page), LOOK_ZERO);
	for (unsigned i = 0; i < 512; i++)
		page[8 * i] = (uint8_t)(i % 255 + 1);
	CU_ASSERT_EQUAL(content_look(page), LOOK_SPARSE); /* 512 of 4096 */
	page[4095] = 7;
	CU_ASSERT_EQUAL(content_look(page), LOOK_DATA);
	memcpy(page, "\177ELF", 4);
	CU_ASSERT_EQUAL(content_look(page), LOOK_ELF);
	memset(page, 0xff, sizeof page);
	CU_ASSERT_EQUAL(content_look(page), LOOK_ONES);
	page[17] = 0xfe;
	CU_ASSERT_EQUAL(content_look(page), LOOK_DATA);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		page[i] = "deadbeef"[i % 8];
	CU_ASSERT_EQUAL(content_look(page), LOOK_FILL);
	page[4095] = '\n';
	CU_ASSERT_EQUAL(content_look(page), LOOK_TEXT);
	memset(page + 2048, 0, 2048); /* the end of a file, padded */
	CU_ASSERT_EQUAL(content_look(page), LOOK_TEXT);
	memset(page, 0x80, 300); /* an eighth of 2048 would be 256 */
	CU_ASSERT_EQUAL(content_look(page), LOOK_DATA);
	rng_init(&rng, 1, "test", 0);
	fill_random(page, &rng);
	CU_ASSERT_EQUAL(content_look(page), LOOK_DATA);
	CU_ASSERT_STRING_EQUAL(content_look_name(LOOK_ONES), "0xff throughout");
	CU_ASSERT_STRING_EQUAL(content_look_name(LOOK_DATA), "data");
}

TESTS("experiments/contents", {"identity", test_identity},
      {"zero is zero alone", test_zero_is_zero_alone}, {"looks", test_looks})
