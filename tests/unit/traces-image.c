/* What all images share: the choice of a reader, pages out of pieces, and large ones. */
#include "images.h"

#include "core/err.h"

static void test_the_magic_decides(void)
{
	struct segment s = {.vaddr = 0x1000, .offset = elf_data(1), .filesz = 4096, .memsz = 4096};
	struct bytes raw = {0}, lime = {0}, elf = elf_headers(&s, 1);
	struct image_info info;

	bytes_add_page(&raw, 0);
	lime_add_range(&lime, 0x1000, 0x1fff);
	bytes_add_page(&lime, 0);
	bytes_add_page(&elf, 0);
	check_pages(&raw, NULL, (uint64_t[]){0}, 1, &info);
	CU_ASSERT_STRING_EQUAL(info.format, "raw");
	CU_ASSERT_EQUAL(info.space, IMAGE_OFFSET);
	check_pages(&lime, "auto", (uint64_t[]){0x1000}, 1, &info);
	CU_ASSERT_STRING_EQUAL(info.format, "lime");
	CU_ASSERT_EQUAL(info.space, IMAGE_PHYSICAL);
	check_pages(&elf, "auto", (uint64_t[]){0x1000}, 1, &info);
	CU_ASSERT_STRING_EQUAL(info.format, "elf");
	check_refused(&raw, "elf", "no ELF file");
	check_refused(&raw, "lime", "LiME header");
	bytes_free(&raw);
	bytes_free(&lime);
	bytes_free(&elf);
}

static void test_formats_are_named(void)
{
	struct bytes raw = {0};
	struct read_pages r;
	struct err err = {0};

	bytes_add_page(&raw, 0);
	CU_ASSERT(image_read_all(&raw, "vmem", &r, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "'vmem': take auto, raw, elf or lime"));
	bytes_free(&raw);
}

/* Compressed dumps are not counted as if they were memory, unless one insists. */
static void test_foreign_files_are_named(void)
{
	struct bytes kdump = {0}, gzip = {0};
	struct read_pages r;
	struct err err;

	memcpy(bytes_add(&kdump, NULL, 8192), "KDUMP   ", 8);
	memcpy(bytes_add(&gzip, NULL, 5000), "\x1f\x8b", 2);
	check_refused(&kdump, NULL, "at byte 0: this looks like a compressed kdump: write it with");
	check_refused(&gzip, NULL, "packed by gzip");
	CU_ASSERT_EQUAL(image_read_all(&kdump, "raw", &r, &err), 0);
	CU_ASSERT_EQUAL(r.info.pages, 2);
	read_pages_free(&r);
	bytes_free(&kdump);
	bytes_free(&gzip);
}

static void test_an_empty_file(void)
{
	struct bytes none = {0};

	bytes_add(&none, NULL, 0);
	check_refused(&none, NULL, "at byte 0: the file is empty");
	check_refused(&none, "raw", "at byte 0: the file is empty");
	check_refused(&none, "elf", "at byte 0: the file is empty");
	bytes_free(&none);
}

static void test_no_such_file(void)
{
	struct image *image;
	struct err err = {0};

	CU_ASSERT(image_open("/no/such/image", NULL, &image, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/no/such/image: "));
	CU_ASSERT(image_open("/", NULL, &image, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
}

/*
 * Four pages from address 0x1000 on, cut into ranges of any lengths: side by
 * side they are four pages again, whatever the cuts.
 */
static void test_pieces_join(void)
{
	struct bytes memory = {0};
	struct rng rng;

	rng_init(&rng, test_seed(1), "test", 0);
	for (uint64_t tag = 0; tag < 4; tag++)
		bytes_add_page(&memory, tag);
	for (int round = 0; round < 200; round++) {
		struct bytes b = {0};
		struct image_info info;

		for (uint64_t at = 0; at < memory.n;) {
			uint64_t n = min_u64(1 + rng_below(&rng, 9000), memory.n - at);
			lime_add_range(&b, 0x1000 + at, 0x1000 + at + n - 1);
			bytes_add(&b, memory.p + at, n);
			at += n;
		}
		check_pages(&b, NULL, (uint64_t[]){0x1000, 0x2000, 0x3000, 0x4000}, 4, &info);
		CU_ASSERT_EQUAL(info.partial_bytes, 0);
		bytes_free(&b);
	}
	bytes_free(&memory);
}

/* A gap of one byte leaves two pieces of one page: 4095 bytes that are no page. */
static void test_pieces_alone_are_left_out(void)
{
	struct bytes b = {0};
	struct image_info info;

	lime_add_range(&b, 0x1000, 0x17ff);
	bytes_add(&b, NULL, 0x800);
	lime_add_range(&b, 0x1801, 0x2fff);
	bytes_add(&b, NULL, 0x7ff);
	bytes_add_page(&b, 0);
	lime_add_range(&b, 0x5000, 0x5000);
	bytes_add(&b, NULL, 1);
	check_pages(&b, NULL, (uint64_t[]){0x2000}, 1, &info);
	CU_ASSERT_EQUAL(info.partial_bytes, 4095 + 1);
	bytes_free(&b);
}

static void test_nothing_but_pieces(void)
{
	struct bytes b = {0};

	lime_add_range(&b, 0x1001, 0x2ffe);
	bytes_add(&b, NULL, 0x1ffe);
	check_refused(&b, NULL, "no whole page");
	bytes_free(&b);
}

/* Longer than every window on the way: 3000 pages. */
static void test_a_long_one(void)
{
	struct bytes b = {0};
	struct image_info info;
	uint64_t *addrs = calloc(3000, sizeof *addrs);

	lime_add_range(&b, UINT64_C(0x123456000), UINT64_C(0x123456000) + 3000 * 4096 - 1);
	for (uint64_t i = 0; i < 3000; i++) {
		bytes_add_page(&b, i);
		addrs[i] = UINT64_C(0x123456000) + i * PAGE_SIZE;
	}
	check_pages(&b, NULL, addrs, 3000, &info);
	free(addrs);
	bytes_free(&b);
}

TESTS("traces/image", {"the magic decides", test_the_magic_decides},
      {"formats are named", test_formats_are_named},
      {"foreign files are named", test_foreign_files_are_named},
      {"an empty file", test_an_empty_file}, {"no such file", test_no_such_file},
      {"pieces join", test_pieces_join},
      {"pieces alone are left out", test_pieces_alone_are_left_out},
      {"nothing but pieces", test_nothing_but_pieces}, {"a long one", test_a_long_one})
