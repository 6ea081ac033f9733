/*
 * Memory images: pages of memory out of a file, for whoever counts contents.
 *
 * A reader knows one layout (raw, ELF64 core, LiME) and says where runs of
 * bytes lie and which addresses they have; what is common is done once: bytes
 * are read in the order of the file, through a window, so that an image may be
 * larger than memory, come from a pipe or be packed with zstd.
 *
 * Only whole pages are lent. Pieces of a page join where one run of bytes
 * starts at the address at which the one before ended; pieces left alone
 * (firmware's memory maps end in mid-page) are counted in partial_bytes. What
 * an image says was there without holding it is counted in absent_pages.
 *
 * An image is hostile input: every length and offset is checked before use, an
 * image that returned an error returns it again, and each message names file
 * and offset. One image, one thread.
 */
#ifndef BALLAST_TRACES_IMAGE_H
#define BALLAST_TRACES_IMAGE_H

#include "core/err.h"
#include "core/policy.h"

#include <sys/types.h>

struct image; /* opaque: a reader at work */

enum image_space {
	IMAGE_OFFSET,	/* addresses are offsets in the file */
	IMAGE_PHYSICAL, /* of a machine's memory */
	IMAGE_VIRTUAL,	/* of a process */
};

/* The counts grow as pages are lent and are whole at the end. */
struct image_info {
	const char *format;
	enum image_space space;
	uint64_t pages;		/* lent */
	uint64_t absent_pages;	/* of memory that the image names but does not hold */
	uint64_t partial_bytes; /* held, but of no whole page */
};

/* Whole pages at ascending addresses, side by side in the file. */
struct image_run {
	uint64_t addr;
	const uint8_t *data; /* lent until the next call */
	size_t pages;
};

/* Every reader by name: "auto" first, then raw, elf, lime. */
extern const struct policy *const image_readers[];

/* Opens an image ("-": standard input); format NULL or "auto" looks at its first bytes. */
MUST_CHECK int image_open(const char *path, const char *format, struct image **image,
			  struct err *err);

/* The same, from memory that the caller keeps until image_close(); name is for messages. */
MUST_CHECK int image_open_memory(const char *name, const void *data, size_t n, const char *format,
				 struct image **image, struct err *err);
void image_close(struct image *image);

/* The next pages: how many (64 at most), 0 at the end, -errno with a message. */
MUST_CHECK ssize_t image_next(struct image *image, struct image_run *run, struct err *err);

const struct image_info *image_info(const struct image *image);

/* Bytes of the file that are read, and its size, 0 where that is unknown. */
void image_progress(const struct image *image, uint64_t *done, uint64_t *total);

#endif
