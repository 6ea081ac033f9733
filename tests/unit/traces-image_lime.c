/* LiME images: ranges with headers, each field of which may lie. */
#include "images.h"

static struct bytes two_ranges(void)
{
	struct bytes b = {0};

	lime_add_range(&b, 0x1000, 0x2fff);
	bytes_add_page(&b, 0);
	bytes_add_page(&b, 1);
	lime_add_range(&b, 0x100000, 0x100fff); /* at byte 8224 */
	bytes_add_page(&b, 2);
	return b;
}

static void test_ranges(void)
{
	struct bytes b = two_ranges();
	struct image_info info;

	check_pages(&b, NULL, (uint64_t[]){0x1000, 0x2000, 0x100000}, 3, &info);
	CU_ASSERT_EQUAL(info.space, IMAGE_PHYSICAL);
	CU_ASSERT_EQUAL(info.partial_bytes, 0);
	bytes_free(&b);
}

/* The last page of the address space. */
static void test_the_highest_address(void)
{
	struct bytes b = {0};
	struct image_info info;

	lime_add_range(&b, 0xfffffffffffff000, UINT64_MAX);
	bytes_add_page(&b, 0);
	check_pages(&b, NULL, (uint64_t[]){0xfffffffffffff000}, 1, &info);
	bytes_free(&b);
}

static void refused_with(size_t at, const void *field, size_t n, const char *want)
{
	struct bytes b = two_ranges();

	memcpy(b.p + at, field, n);
	check_refused(&b, "lime", want);
	bytes_free(&b);
}

static void test_headers_that_lie(void)
{
	const uint64_t zero = 0, one = 1, low = 0x2fff, huge = UINT64_MAX, over = 0x101000;

	refused_with(8224, &zero, 4, "at byte 8224: a LiME header should be here");
	refused_with(4, &zero, 4, "at byte 4: LiME version 0");
	refused_with(8224 + 4, &huge, 4, "at byte 8228: LiME version 4294967295");
	refused_with(16, &one, 8, "at byte 8: a range from 0x1000 to 0x1");
	refused_with(8224 + 8, &low, 8, "at byte 8232: the range from 0x2fff on starts within");
	refused_with(8224 + 8, &one, 8, "at byte 8232: the range from 0x1 on starts within");
	refused_with(8224 + 16, &over, 8, "is longer than the 4096 bytes that are left");
	refused_with(8224 + 16, &huge, 8, "is longer than the 4096 bytes that are left");
	struct bytes b = two_ranges();
	memcpy(b.p + 8, &zero, 8);
	memcpy(b.p + 16, &huge, 8); /* 2^64 bytes: one more than a length can say */
	check_refused(&b, NULL, "at byte 8: a range from 0 to 0xffffffffffffffff");
	bytes_free(&b);
}

/* Whatever byte it is cut at, it is an error, but between two ranges. */
static void test_every_length_cut(void)
{
	struct bytes b = two_ranges();

	for (size_t n = b.n - 1; n > 0; n -= n > 8300 || n < 99 ? 1 : n % 61 + 1) {
		if (n == 8224)
			continue;
		b.n = n;
		check_refused(&b, "lime",
			      n < 32 || (n > 8224 && n < 8256) ? "LiME header" : "cut short");
	}
	bytes_free(&b);
}

TESTS("traces/image_lime", {"ranges", test_ranges},
      {"the highest address", test_the_highest_address},
      {"headers that lie", test_headers_that_lie}, {"every length cut", test_every_length_cut})
