/*
 * LiME: each range of a machine's memory behind a header of its own (32 bytes,
 * little-endian), in ascending order, to the end of the file. Also what AVML
 * writes uncompressed.
 */
#include "traces/image_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIME_MAGIC   0x4c694d45u
#define LIME_VERSION 1

struct lime_header {
	uint32_t magic, version;
	uint64_t first, last; /* addresses, last included */
	uint64_t reserved;
};

static bool lime_looks(const uint8_t *head, size_t n)
{
	uint32_t magic = LIME_MAGIC;

	return n >= sizeof magic && memcmp(head, &magic, sizeof magic) == 0;
}

/* The range before: its last address. */
struct lime {
	bool any;
	uint64_t last;
};

static int lime_open(struct image *image, struct err *err)
{
	image->info.space = IMAGE_PHYSICAL;
	image->state = calloc(1, sizeof(struct lime));
	return image->state ? 0 : err_run(err, ENOMEM, "%s: out of memory", input_name(image->in));
}

static void lime_close(struct image *image)
{
	free(image->state);
}

static int check(const struct image *image, const struct lime_header *h, uint64_t at,
		 struct err *err)
{
	const struct lime *lime = image->state;

	if (h->magic != LIME_MAGIC)
		return input_bad(image->in, at, err,
				 "a LiME header should be here, with magic %#x and not %#x: the "
				 "image is damaged, copy it once more",
				 LIME_MAGIC, h->magic);
	if (h->version != LIME_VERSION)
		return input_bad(image->in, at + 4, err,
				 "LiME version %u: only version 1 is read; write the image with "
				 "format=lime and without compression",
				 h->version);
	if (h->last < h->first || h->last - h->first == UINT64_MAX)
		return input_bad(image->in, at + 8, err,
				 "a range from %#llx to %#llx: the header is damaged, copy the "
				 "image once more",
				 (unsigned long long)h->first, (unsigned long long)h->last);
	if (lime->any && h->first <= lime->last)
		return input_bad(image->in, at + 8, err,
				 "the range from %#llx on starts within or before the one that "
				 "ends at %#llx: pages would count twice; copy the image once more",
				 (unsigned long long)h->first, (unsigned long long)lime->last);
	return 0;
}

static int lime_next(struct image *image, struct image_extent *extent, struct err *err)
{
	struct lime_header h;
	const uint8_t *data;
	uint64_t at = input_offset(image->in), size;
	ssize_t have = input_peek(image->in, 1, &data, err);

	if (have <= 0)
		return (int)have;
	int rc = image_take(image, &h, sizeof h, "the rest of a LiME header", err);
	if (!rc)
		rc = check(image, &h, at, err);
	if (rc)
		return rc;
	*extent = (struct image_extent){.addr = h.first, .bytes = h.last - h.first + 1};
	if (input_seekable(image->in, &size) && extent->bytes > size - at - sizeof h)
		return input_bad(image->in, at + 8, err,
				 "the range from %#llx to %#llx is longer than the %llu bytes that "
				 "are left of the file: it is cut short, copy it once more",
				 (unsigned long long)h.first, (unsigned long long)h.last,
				 (unsigned long long)(size - at - sizeof h));
	*(struct lime *)image->state = (struct lime){true, h.last};
	return 1;
}

const struct image_reader image_lime = {
	.policy = {.name = "lime", .help = "LiME version 1, also of AVML: ranges with headers"},
	.looks = lime_looks,
	.open = lime_open,
	.next = lime_next,
	.close = lime_close,
};
