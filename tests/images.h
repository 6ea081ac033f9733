/*
 * What the tests of memory images share: images made by hand in memory, and
 * images read to their end.
 */
#ifndef BALLAST_TESTS_IMAGES_H
#define BALLAST_TESTS_IMAGES_H

#include "test.h"

#include "core/rng.h"
#include "traces/image.h"

#include <elf.h>
#include <string.h>
#include <zstd.h>

struct bytes {
	uint8_t *p;
	size_t n, room;
};

/* n bytes more at the end; data NULL: zeroes. Where they lie. */
static inline uint8_t *bytes_add(struct bytes *b, const void *data, size_t n)
{
	if (b->n + n >= b->room) {
		b->room = 2 * (b->n + n) + 64;
		b->p = realloc(b->p, b->room);
	}
	if (!b->p)
		abort();
	if (data)
		memcpy(b->p + b->n, data, n);
	else
		memset(b->p + b->n, 0, n);
	b->n += n;
	return b->p + b->n - n;
}

static inline void bytes_free(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){0};
}

/* A page that differs for every tag, also in its last byte. */
static inline void bytes_add_page(struct bytes *b, uint64_t tag)
{
	uint64_t *words = (uint64_t *)(void *)bytes_add(b, NULL, PAGE_SIZE);

	for (size_t i = 0; i < PAGE_SIZE / 8; i++) {
		uint64_t word = (tag + 1) * 0x9e3779b97f4a7c15u + i;

		memcpy(words + i, &word, sizeof word);
	}
}

static inline bool is_page(const uint8_t *page, uint64_t tag)
{
	struct bytes b = {0};

	bytes_add_page(&b, tag);
	bool same = memcmp(b.p, page, PAGE_SIZE) == 0;
	bytes_free(&b);
	return same;
}

/* Packed, memory can only be read from front to back, as a pipe. */
static inline struct bytes bytes_packed(const struct bytes *b)
{
	size_t room = ZSTD_compressBound(b->n);
	struct bytes packed = {malloc(room + 1), 0, room + 1};

	if (!packed.p)
		abort();
	packed.n = ZSTD_compress(packed.p, room, b->p, b->n, 1);
	return packed;
}

/* ---- LiME and ELF -------------------------------------------------------- */

static inline void lime_add_range(struct bytes *b, uint64_t first, uint64_t last)
{
	const uint32_t words[2] = {0x4c694d45, 1};
	const uint64_t more[3] = {first, last, 0};

	bytes_add(b, words, sizeof words);
	bytes_add(b, more, sizeof more);
}

struct segment {
	uint64_t vaddr, paddr, offset, filesz, memsz;
};

/* An ELF core's headers: a note, then the segments. What follows is the caller's. */
static inline struct bytes elf_headers(const struct segment *segments, size_t n)
{
	struct bytes b = {0};
	Elf64_Ehdr h = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof h,
		.e_ehsize = sizeof h,
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (uint16_t)(n + 1),
	};
	Elf64_Phdr note = {.p_type = PT_NOTE, .p_offset = sizeof h};

	bytes_add(&b, &h, sizeof h);
	bytes_add(&b, &note, sizeof note);
	for (size_t i = 0; i < n; i++) {
		Elf64_Phdr p = {
			.p_type = PT_LOAD,
			.p_flags = PF_R,
			.p_vaddr = segments[i].vaddr,
			.p_paddr = segments[i].paddr,
			.p_offset = segments[i].offset,
			.p_filesz = segments[i].filesz,
			.p_memsz = segments[i].memsz,
		};
		bytes_add(&b, &p, sizeof p);
	}
	return b;
}

/* Where the first byte after n segments' headers lies. */
static inline uint64_t elf_data(size_t n)
{
	return sizeof(Elf64_Ehdr) + (n + 1) * sizeof(Elf64_Phdr);
}

/* ---- reading ------------------------------------------------------------- */

struct read_pages {
	struct bytes data;  /* whole pages */
	struct bytes addrs; /* a uint64_t each */
	struct image_info info;
};

static inline void read_pages_free(struct read_pages *r)
{
	bytes_free(&r->data);
	bytes_free(&r->addrs);
}

static inline uint64_t read_addr(const struct read_pages *r, size_t i)
{
	uint64_t addr;

	memcpy(&addr, r->addrs.p + 8 * i, sizeof addr);
	return addr;
}

/* Reads the image to its end; 0 or -errno. */
static inline int image_read_all(const struct bytes *b, const char *format, struct read_pages *r,
				 struct err *err)
{
	struct image *image;
	struct image_run run;
	ssize_t n;
	int rc = image_open_memory("memory", b->p, b->n, format, &image, err);

	*r = (struct read_pages){0};
	if (rc)
		return rc;
	while ((n = image_next(image, &run, err)) > 0) {
		CU_ASSERT_EQUAL((size_t)n, run.pages);
		bytes_add(&r->data, run.data, run.pages * PAGE_SIZE);
		for (size_t i = 0; i < run.pages; i++) {
			uint64_t addr = run.addr + i * PAGE_SIZE;
			bytes_add(&r->addrs, &addr, sizeof addr);
		}
	}
	struct err again = {0};
	CU_ASSERT_EQUAL(image_next(image, &run, &again), n); /* the end and errors stay */
	if (n < 0)
		CU_ASSERT_STRING_EQUAL(again.msg, err->msg);
	r->info = *image_info(image);
	CU_ASSERT_EQUAL(r->info.pages * PAGE_SIZE, r->data.n);
	image_close(image);
	return (int)n;
}

/* The image is refused as bad input with that in the message, also when it comes from a pipe. */
static inline void check_refused(const struct bytes *b, const char *format, const char *want)
{
	struct bytes packed = bytes_packed(b);

	for (int piped = 0; piped < 2; piped++) {
		struct read_pages r;
		struct err err = {0};
		int rc = image_read_all(piped ? &packed : b, format, &r, &err);

		CU_ASSERT(rc < 0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		CU_ASSERT_EQUAL(strncmp(err.msg, "memory: at byte ", 16), 0);
		CU_ASSERT(piped || strstr(err.msg, want));
		if (rc == 0 || (!piped && !strstr(err.msg, want)))
			printf("  wanted \"%s\", got \"%s\"\n", want, err.msg);
		read_pages_free(&r);
	}
	bytes_free(&packed);
}

/* The image has exactly these pages: tag i at addrs[i]; also when it comes from a pipe. */
static inline void check_pages(const struct bytes *b, const char *format, const uint64_t *addrs,
			       size_t n, struct image_info *info)
{
	struct bytes packed = bytes_packed(b);

	for (int piped = 0; piped < 2; piped++) {
		struct read_pages r;
		struct err err = {0};
		int rc = image_read_all(piped ? &packed : b, format, &r, &err);

		if (rc)
			printf("  %s\n", err.msg);
		CU_ASSERT_EQUAL(rc, 0);
		CU_ASSERT_EQUAL(r.info.pages, n);
		for (size_t i = 0; i < n && r.info.pages == n; i++) {
			CU_ASSERT_EQUAL(read_addr(&r, i), addrs[i]);
			CU_ASSERT(is_page(r.data.p + i * PAGE_SIZE, i));
		}
		*info = r.info;
		read_pages_free(&r);
	}
	bytes_free(&packed);
}

#endif
