/* Raw images: page after page, nothing else (/dev/mem, QEMU's pmemsave, a VM's memory file). */
#include "traces/image_private.h"

static int raw_open(struct image *image, struct err *err)
{
	uint64_t size;

	image->info.space = IMAGE_OFFSET;
	image->extent = (struct image_extent){.to_end = true, .bytes = UINT64_MAX};
	if (!input_seekable(image->in, &size) || size % PAGE_SIZE == 0)
		return 0;
	return input_bad(image->in, size, err,
			 "the image ends %llu bytes into a page (pages are %u bytes): it is cut "
			 "short, copy it once more; or is it another --format?",
			 (unsigned long long)(size % PAGE_SIZE), PAGE_SIZE);
}

/* The one extent was there from the start. */
static int raw_next(struct image *image, struct image_extent *extent, struct err *err)
{
	(void)image;
	(void)extent;
	(void)err;
	return 0;
}

const struct image_reader image_raw = {
	.policy = {.name = "raw", .help = "pages one after the other, without a header"},
	.open = raw_open,
	.next = raw_next,
};
