/*
 * What the readers of memory images share; for traces/ and its tests.
 *
 * A reader checks headers in open() and then, extent by extent, says which
 * address the next bytes have. It moves through the file by image_move() and
 * image_take() alone, which never trust an offset.
 */
#ifndef BALLAST_TRACES_IMAGE_PRIVATE_H
#define BALLAST_TRACES_IMAGE_PRIVATE_H

#include "traces/image.h"
#include "traces/private.h"

/* Bytes at the input's place that go to addr, addr + 1 ... */
struct image_extent {
	uint64_t addr, bytes; /* addr + bytes is at most 2^64 */
	bool to_end;	      /* of the file, however long; bytes is then UINT64_MAX */
};

struct image_reader {
	struct policy policy;
	/* Whether the first bytes look like this format; NULL: cannot be told. */
	bool (*looks)(const uint8_t *head, size_t n);
	/* Checks the headers. What it hangs on image->state, close() frees, also on failure. */
	int (*open)(struct image *image, struct err *err);
	/* Moves to the next extent with a byte or more: 1, 0 at the end, or -errno. */
	int (*next)(struct image *image, struct image_extent *extent, struct err *err);
	void (*close)(struct image *image); /* or NULL */
};

extern const struct image_reader image_raw, image_elf, image_lime;

struct image {
	const struct image_reader *reader;
	struct input *in;
	void *state; /* the reader's own */
	struct image_info info;
	struct image_extent extent; /* bytes: that are left of it */
	uint64_t addr;		    /* of the next byte */
	size_t from, fill;	    /* piece[from] to piece[fill - 1] hold the page before addr */
	uint8_t piece[PAGE_SIZE];
	int failed; /* 0, or what every further call returns, with... */
	struct err failure;
};

/* Goes to a byte of the file; back only where the input can be sought. */
MUST_CHECK int image_move(struct image *image, uint64_t offset, struct err *err);

/* Copies the next n bytes (at most PAGE_SIZE) and steps over them; what names them. */
MUST_CHECK int image_take(struct image *image, void *buf, size_t n, const char *what,
			  struct err *err);

/* The file ends where it should not: names the place, and what was to come. Returns -EINVAL. */
int image_cut(const struct image *image, uint64_t end, const char *what, struct err *err);
#define image_cut(...) err_failed(image_cut(__VA_ARGS__))

#endif
