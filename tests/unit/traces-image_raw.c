/* Raw images: whole pages, by offset; a cut is told at its byte. */
#include "images.h"

static void test_pages_by_offset(void)
{
	struct bytes b = {0};
	struct image_info info;

	for (uint64_t i = 0; i < 3; i++)
		bytes_add_page(&b, i);
	check_pages(&b, NULL, (uint64_t[]){0, 0x1000, 0x2000}, 3, &info);
	CU_ASSERT_EQUAL(info.absent_pages, 0);
	CU_ASSERT_EQUAL(info.partial_bytes, 0);
	bytes_free(&b);
}

static void test_a_cut_in_mid_page(void)
{
	struct bytes b = {0}, packed;
	struct read_pages r;
	struct err err;

	bytes_add_page(&b, 0);
	bytes_add_page(&b, 1);
	b.n = 4096 + 123;
	check_refused(&b, NULL, "at byte 4219: the image ends 123 bytes into a page");
	packed = bytes_packed(&b); /* no size to look at first */
	CU_ASSERT(image_read_all(&packed, NULL, &r, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(err.msg, "at byte 4219 unpacked: the image ends 123 bytes into a page"));
	CU_ASSERT_EQUAL(r.info.pages, 1);
	read_pages_free(&r);
	b.n = 1;
	check_refused(&b, NULL, "at byte 1: the image ends 1 bytes into a page");
	bytes_free(&packed);
	bytes_free(&b);
}

TESTS("traces/image_raw", {"pages by offset", test_pages_by_offset},
      {"a cut in mid-page", test_a_cut_in_mid_page})
