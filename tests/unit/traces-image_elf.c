/* ELF cores of processes and machines, made by hand; then with headers that lie. */
#include "images.h"

#include <stddef.h>

static void test_a_process(void)
{
	const uint64_t at = elf_data(3);
	const struct segment s[] = {
		{.vaddr = 0x400000, .offset = at, .filesz = 8192, .memsz = 8192},
		{.vaddr = 0x7f0000000000, .offset = at + 8192, .filesz = 0, .memsz = 0x5000},
		{.vaddr = 0x7ffff0000000, .offset = at + 8192, .filesz = 4096, .memsz = 0x3000},
	};
	struct bytes b = elf_headers(s, 3);
	struct image_info info;

	CU_ASSERT_NOT_EQUAL(at % PAGE_SIZE, 0); /* data need not lie on a page of the file */
	for (uint64_t i = 0; i < 3; i++)
		bytes_add_page(&b, i);
	check_pages(&b, NULL, (uint64_t[]){0x400000, 0x401000, 0x7ffff0000000}, 3, &info);
	CU_ASSERT_EQUAL(info.space, IMAGE_VIRTUAL);
	CU_ASSERT_EQUAL(info.absent_pages, 5 + 2);
	CU_ASSERT_EQUAL(info.partial_bytes, 0);
	bytes_free(&b);
}

/* Headers in any order, gaps between the data: pages come in the order of the file. */
static void test_a_machine(void)
{
	const uint64_t at = elf_data(3);
	const struct segment s[] = {
		{.vaddr = 0,
		 .paddr = 0x100000,
		 .offset = at + 10000,
		 .filesz = 4096,
		 .memsz = 4096},
		{.vaddr = 0, .paddr = 0, .offset = at + 700, .filesz = 4096, .memsz = 4096},
		{.vaddr = 0,
		 .paddr = 0x200000,
		 .offset = at + 90000,
		 .filesz = 4096,
		 .memsz = 4096},
	};
	struct bytes b = elf_headers(s, 3);
	struct image_info info;

	bytes_add(&b, NULL, 700);
	bytes_add_page(&b, 0);
	bytes_add(&b, NULL, 10000 - 700 - 4096);
	bytes_add_page(&b, 1);
	bytes_add(&b, NULL, 90000 - 10000 - 4096);
	bytes_add_page(&b, 2);
	check_pages(&b, NULL, (uint64_t[]){0, 0x100000, 0x200000}, 3, &info);
	CU_ASSERT_EQUAL(info.space, IMAGE_PHYSICAL);
	bytes_free(&b);
}

/* Addresses off the page, as programs' headers have them: only what is whole counts. */
static void test_unaligned_segments(void)
{
	const uint64_t at = elf_data(2);
	const struct segment s[] = {
		{.vaddr = 0x1ff8, .offset = at, .filesz = 8 + 4096 + 8, .memsz = 4112},
		{.vaddr = 0x3008, .offset = at + 4112, .filesz = 4088, .memsz = 4088},
	};
	struct bytes b = elf_headers(s, 2);
	struct image_info info;

	bytes_add(&b, NULL, 8);
	bytes_add_page(&b, 0);
	bytes_add_page(&b, 1);
	check_pages(&b, NULL, (uint64_t[]){0x2000, 0x3000}, 2, &info);
	CU_ASSERT_EQUAL(info.partial_bytes, 8);
	bytes_free(&b);
}

/* 70,000 segments: their number stands in a section header. */
static void test_more_segments_than_16_bits(void)
{
	const size_t n = 70000;
	const uint64_t at = elf_data(n) + sizeof(Elf64_Shdr);
	struct segment *s = calloc(n, sizeof *s);
	uint64_t *addrs = calloc(n, sizeof *addrs);

	for (size_t i = 0; i < n; i++) {
		addrs[i] = (i + 1) * 0x10000;
		s[i] = (struct segment){addrs[i], 0, at + i * 8, 8, 8};
	}
	s[0] = (struct segment){addrs[0], 0, at + n * 8, 4096, 4096};
	struct bytes b = elf_headers(s, n);
	Elf64_Ehdr *h = (Elf64_Ehdr *)(void *)b.p;
	Elf64_Shdr section = {.sh_info = (uint32_t)n + 1};
	h->e_phnum = PN_XNUM;
	h->e_shoff = elf_data(n);
	h->e_shentsize = sizeof section;
	h->e_shnum = 1;
	bytes_add(&b, &section, sizeof section);
	bytes_add(&b, NULL, n * 8);
	bytes_add_page(&b, 0);
	struct read_pages r;
	struct err err;
	CU_ASSERT_EQUAL(image_read_all(&b, NULL, &r, &err), 0);
	CU_ASSERT_EQUAL(r.info.pages, 1);
	CU_ASSERT_EQUAL(r.info.partial_bytes, (n - 1) * 8);
	read_pages_free(&r);
	/* From a pipe the section header would have to come before the program headers. */
	struct bytes packed = bytes_packed(&b);
	CU_ASSERT(image_read_all(&packed, NULL, &r, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no way back: give the image as a plain file"));
	bytes_free(&packed);
	((Elf64_Ehdr *)(void *)b.p)->e_shoff = 0;
	check_refused(&b, NULL, "at byte 40: the number of program headers should stand");
	((Elf64_Ehdr *)(void *)b.p)->e_shoff = b.n - 8;
	check_refused(&b, NULL, "the first section header should be: it is cut short");
	((Elf64_Ehdr *)(void *)b.p)->e_shoff = at; /* zeroes */
	check_refused(&b, NULL, "0 program headers, where 65535 or more must be");
	bytes_free(&b);
	free(s);
	free(addrs);
}

static struct bytes two_pages(void)
{
	const uint64_t at = elf_data(2);
	const struct segment s[] = {
		{.vaddr = 0x1000, .offset = at, .filesz = 4096, .memsz = 4096},
		{.vaddr = 0x2000, .offset = at + 4096, .filesz = 4096, .memsz = 4096},
	};
	struct bytes b = elf_headers(s, 2);

	bytes_add_page(&b, 0);
	bytes_add_page(&b, 1);
	return b;
}

static void refused_with(size_t at, uint64_t value, size_t n, const char *want)
{
	struct bytes b = two_pages();

	memcpy(b.p + at, &value, n);
	check_refused(&b, NULL, want);
	bytes_free(&b);
}

#define EH(field) offsetof(Elf64_Ehdr, field)
#define PH(i, field)                                                                               \
	(sizeof(Elf64_Ehdr) + (1 + (i)) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field))

static void test_elf_headers_that_lie(void)
{
	refused_with(EI_CLASS, ELFCLASS32, 1, "at byte 4: a core of 32 bits or big-endian");
	refused_with(EI_DATA, ELFDATA2MSB, 1, "at byte 4: a core of 32 bits or big-endian");
	refused_with(EH(e_type), ET_EXEC, 2, "at byte 16: an ELF file of type 2, which is no core");
	refused_with(EH(e_phnum), 0, 2, "at byte 56: a core without program headers");
	refused_with(EH(e_phnum), 1, 2, "no program header is a PT_LOAD");
	refused_with(EH(e_phnum), 60000, 2, "a program header should be: it is cut short");
	refused_with(EH(e_phentsize), 32, 2, "at byte 54: program headers of 32 bytes, not 56");
	refused_with(EH(e_phoff), 63, 8, "at byte 32: program headers at byte 63");
	refused_with(EH(e_phoff), UINT64_MAX, 8, "the file ends where more memory should be");
	refused_with(EH(e_phoff), INT64_MAX, 8, "the file ends where more memory should be");
}

static void test_segments_that_lie(void)
{
	/* The headers of the two segments lie at bytes 120 and 176. */
	refused_with(PH(0, p_filesz), 4097, 8,
		     "at byte 152: a segment with more bytes in the file");
	refused_with(PH(1, p_memsz), 4095, 8, "at byte 208: a segment with more bytes in the file");
	refused_with(PH(0, p_memsz), UINT64_MAX, 8, "beyond the end of the address space");
	refused_with(PH(0, p_vaddr), UINT64_MAX - 4094, 8, "beyond the end of the address space");
	refused_with(PH(0, p_offset), UINT64_MAX - 4095, 8, "at byte 128: a segment of 4096 bytes");
	refused_with(PH(0, p_offset), 63, 8, "at byte 128: a segment of 4096 bytes at byte 63");
	refused_with(PH(1, p_offset), elf_data(2) + 4097, 8,
		     "at byte 184: a segment wants bytes up");
	refused_with(PH(1, p_vaddr), 0x1fff, 8,
		     "at byte 176: a segment at address 0x1fff overlaps");
	refused_with(PH(1, p_vaddr), 0x1000, 8, "overlaps that of the header at byte");
	refused_with(PH(0, p_memsz), 0x1001, 8, "overlaps that of the header at byte 120");
	refused_with(PH(1, p_offset), elf_data(2) + 4095, 8, "at byte 176: a segment at byte");
	refused_with(PH(1, p_offset), elf_data(2), 8, "of the file overlaps");
}

/* Filesz and memsz both huge: no sum may wrap around. */
static void test_sizes_that_wrap(void)
{
	struct bytes b = two_pages();
	const uint64_t huge = UINT64_MAX - 0xfff;

	memcpy(b.p + PH(0, p_filesz), &huge, 8);
	memcpy(b.p + PH(0, p_memsz), &huge, 8);
	memset(b.p + PH(0, p_vaddr), 0, 8);
	check_refused(&b, NULL, "at byte 128: a segment of 18446744073709547520 bytes");
	bytes_free(&b);
}

static void test_every_length_cut(void)
{
	struct bytes b = two_pages();

	for (size_t n = b.n - 1; n > 0; n -= n < 250 ? 1 : n % 61 + 1) {
		b.n = n;
		check_refused(&b, "elf", "cut short");
	}
	bytes_free(&b);
}

/* Headers behind the data: fine in a file, told in a pipe. */
static void test_headers_at_the_end(void)
{
	struct segment s = {.vaddr = 0x1000, .offset = 64, .filesz = 4096, .memsz = 4096};
	struct bytes head = elf_headers(&s, 1), b = {0}, packed;
	struct read_pages r;
	struct err err;

	((Elf64_Ehdr *)(void *)head.p)->e_phoff = 64 + 4096;
	bytes_add(&b, head.p, 64);
	bytes_add_page(&b, 0);
	bytes_add(&b, head.p + 64, head.n - 64);
	CU_ASSERT_EQUAL(image_read_all(&b, NULL, &r, &err), 0);
	CU_ASSERT_EQUAL(r.info.pages, 1);
	CU_ASSERT(is_page(r.data.p, 0));
	read_pages_free(&r);
	packed = bytes_packed(&b);
	CU_ASSERT(image_read_all(&packed, NULL, &r, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no way back: give the image as a plain file"));
	bytes_free(&packed);
	bytes_free(&head);
	bytes_free(&b);
}

TESTS("traces/image_elf", {"a process", test_a_process}, {"a machine", test_a_machine},
      {"unaligned segments", test_unaligned_segments},
      {"more segments than 16 bits", test_more_segments_than_16_bits},
      {"ELF headers that lie", test_elf_headers_that_lie},
      {"segments that lie", test_segments_that_lie}, {"sizes that wrap", test_sizes_that_wrap},
      {"every length cut", test_every_length_cut}, {"headers at the end", test_headers_at_the_end})
