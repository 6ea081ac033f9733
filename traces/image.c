#include "traces/image_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#undef image_cut

static const struct policy image_auto = {
	.name = "auto",
	.help = "by the first bytes of the file",
};

const struct policy *const image_readers[] = {
	&image_auto, &image_raw.policy, &image_elf.policy, &image_lime.policy, NULL,
};

/* How many first bytes a reader may look at. */
#define HEAD_BYTES 64

#define RUN_PAGES 64

/* Layouts that are no plain pages, and would be counted as rubbish if taken for raw. */
static const struct {
	const char *magic, *what, *mend;
} foreign[] = {
	{"KDUMP   ", "a compressed kdump", "write it with makedumpfile -E"},
	{"DISKDUMP", "a diskdump", "write it with makedumpfile -E"},
	{"makedumpfile", "a flattened kdump", "rearrange it with makedumpfile -R, as ELF"},
	{"AVML", "compressed by avml", "unpack it with avml-convert"},
	{"PAGEDU64", "a Windows crash dump", "convert it to a raw image"},
	{"QEVM", "a saved state of QEMU", "take QEMU's dump-guest-memory or pmemsave"},
	{"QFI\xfb", "a qcow2 disk", "take QEMU's dump-guest-memory or pmemsave"},
	{"\x1f\x8b", "packed by gzip", "unpack it, or pack it with zstd"},
	{"\xfd"
	 "7zXZ",
	 "packed by xz", "unpack it, or pack it with zstd"},
};

/* ---- moving through the file --------------------------------------------- */

int image_cut(const struct image *image, uint64_t end, const char *what, struct err *err)
{
	return input_bad(image->in, end, err,
			 "the file ends where %s should be: it is cut short, or its header lies; "
			 "copy the image once more",
			 what);
}

static int move_forward(struct image *image, uint64_t offset, struct err *err)
{
	for (;;) {
		uint64_t gap = offset - input_offset(image->in);
		const uint8_t *data;

		if (gap == 0)
			return 0;
		ssize_t have = input_peek(image->in, min_u64(gap, PAGE_SIZE), &data, err);
		if (have < 0)
			return (int)have;
		if (have == 0)
			return image_cut(image, input_offset(image->in), "more memory", err);
		input_skip(image->in, min_u64(gap, (uint64_t)have));
	}
}

int image_move(struct image *image, uint64_t offset, struct err *err)
{
	uint64_t at = input_offset(image->in), size;

	if (offset == at)
		return 0;
	if (!input_seekable(image->in, &size)) {
		if (offset > at)
			return move_forward(image, offset, err);
		return input_bad(image->in, at, err,
				 "what comes next lies before, at byte %llu, and a pipe or packed "
				 "file has no way back: give the image as a plain file",
				 (unsigned long long)offset);
	}
	if (offset > size)
		return image_cut(image, size, "more memory", err);
	if (offset > at && offset - at < PAGE_SIZE) /* most likely in the window */
		return move_forward(image, offset, err);
	return input_seek(image->in, offset, err);
}

int image_take(struct image *image, void *buf, size_t n, const char *what, struct err *err)
{
	const uint8_t *data;
	ssize_t have = input_peek(image->in, n, &data, err);

	if (have < 0)
		return (int)have;
	if ((size_t)have < n)
		return image_cut(image, input_offset(image->in) + (uint64_t)have, what, err);
	memcpy(buf, data, n);
	input_skip(image->in, n);
	return 0;
}

/* ---- pages --------------------------------------------------------------- */

static void drop_piece(struct image *image)
{
	image->info.partial_bytes += image->fill - image->from;
	image->from = image->fill = 0;
}

/* 1, 0 at the end of the image, or -errno. */
static int next_extent(struct image *image, struct err *err)
{
	struct image_extent *extent = &image->extent;
	int rc = image->reader->next(image, extent, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || extent->addr != image->addr)
		drop_piece(image);
	if (rc == 0 && image->info.pages == 0)
		return input_bad(image->in, input_offset(image->in), err,
				 "the image holds no whole page of memory (pages are %u bytes): "
				 "was it written to its end?",
				 PAGE_SIZE);
	image->addr = extent->addr;
	return rc;
}

static void consume(struct image *image, size_t n)
{
	input_skip(image->in, n);
	image->addr += n;
	if (!image->extent.to_end)
		image->extent.bytes -= n;
}

/* Adds to the page in pieces; true and the run if that makes it whole. */
static bool add_piece(struct image *image, const uint8_t *data, size_t n, struct image_run *run)
{
	size_t in_page = image->addr & (PAGE_SIZE - 1);
	bool whole;

	n = min_u64(n, PAGE_SIZE - in_page);
	if (image->fill == 0)
		image->from = image->fill = in_page;
	memcpy(image->piece + image->fill, data, n);
	image->fill += n;
	consume(image, n);
	if (image->fill < PAGE_SIZE)
		return false;
	whole = image->from == 0;
	if (whole)
		*run = (struct image_run){image->addr - PAGE_SIZE, image->piece, 1};
	else
		drop_piece(image);
	image->from = image->fill = 0;
	return whole;
}

/* The file is at its end and the extent is not. */
static int end_of_file(struct image *image, struct err *err)
{
	char what[80];

	if (image->extent.to_end) {
		image->extent = (struct image_extent){0};
		if (!image->fill)
			return 0;
		return input_bad(image->in, input_offset(image->in), err,
				 "the image ends %zu bytes into a page (pages are %u bytes): it is "
				 "cut short, copy it once more; or is it another --format?",
				 image->fill, PAGE_SIZE);
	}
	snprintf(what, sizeof what, "%llu bytes of memory from address %#llx on",
		 (unsigned long long)image->extent.bytes, (unsigned long long)image->addr);
	return image_cut(image, input_offset(image->in), what, err);
}

static ssize_t next_run(struct image *image, struct image_run *run, struct err *err)
{
	for (;;) {
		const uint8_t *data;
		ssize_t have;
		int rc;

		if (image->extent.bytes == 0) {
			rc = next_extent(image, err);
			if (rc <= 0)
				return rc;
		}
		have = input_peek(image->in, min_u64(image->extent.bytes, PAGE_SIZE), &data, err);
		if (have < 0)
			return have;
		if (have == 0) {
			rc = end_of_file(image, err);
			if (rc)
				return rc;
			continue;
		}
		size_t n = min_u64((uint64_t)have, image->extent.bytes);
		if (n >= PAGE_SIZE && (image->addr & (PAGE_SIZE - 1)) == 0) {
			size_t pages = min_u64(n / PAGE_SIZE, RUN_PAGES);
			*run = (struct image_run){image->addr, data, pages};
			consume(image, pages * PAGE_SIZE);
			return (ssize_t)pages;
		}
		if (add_piece(image, data, n, run))
			return 1;
	}
}

ssize_t image_next(struct image *image, struct image_run *run, struct err *err)
{
	if (!image->failed) {
		ssize_t n = next_run(image, run, &image->failure);
		if (n >= 0) {
			image->info.pages += (uint64_t)n;
			return n;
		}
		image->failed = (int)n;
	}
	if (err)
		*err = image->failure;
	return image->failed;
}

/* ---- opening ------------------------------------------------------------- */

/* The reader that the first bytes ask for; raw is what has no magic at all. */
static int guess(struct image *image, const struct image_reader **reader, struct err *err)
{
	const uint8_t *head;
	ssize_t n = input_peek(image->in, HEAD_BYTES, &head, err);

	if (n < 0)
		return (int)n;
	n = (ssize_t)min_u64((uint64_t)n, HEAD_BYTES);
	for (size_t i = 1; image_readers[i]; i++) {
		*reader = (const struct image_reader *)image_readers[i]; /* its first member */
		if ((*reader)->looks && (*reader)->looks(head, (size_t)n))
			return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		size_t length = strlen(foreign[i].magic);
		if ((size_t)n >= length && memcmp(head, foreign[i].magic, length) == 0)
			return input_bad(image->in, 0, err,
					 "this looks like %s: %s (or say --format raw)",
					 foreign[i].what, foreign[i].mend);
	}
	*reader = &image_raw;
	return 0;
}

static int choose(struct image *image, const char *format, struct err *err)
{
	const uint8_t *head;
	const struct policy *policy;
	ssize_t n;

	if (format && strcmp(format, image_auto.name) == 0)
		format = NULL;
	policy = format ? policy_find(image_readers, format) : NULL;
	if (format && !policy)
		return err_input(err,
				 "no image format is called '%.40s': take auto, raw, elf or lime",
				 format);
	n = input_peek(image->in, 1, &head, err);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return input_bad(image->in, 0, err,
				 "the file is empty: an image has at least one page of %u bytes",
				 PAGE_SIZE);
	image->reader = (const struct image_reader *)policy;
	return policy ? 0 : guess(image, &image->reader, err);
}

/* Takes ownership of the input, also on failure. */
static int open_input(struct input *in, const char *format, struct image **out, struct err *err)
{
	struct image *image = calloc(1, sizeof *image);
	int rc;

	if (!image) {
		rc = err_run(err, ENOMEM, "%s: out of memory", input_name(in));
		input_close(in);
		return rc;
	}
	image->in = in;
	rc = choose(image, format, err);
	if (!rc) {
		image->info.format = image->reader->policy.name;
		rc = image->reader->open(image, err);
	}
	if (rc)
		image_close(image);
	else
		*out = image;
	return rc;
}

int image_open(const char *path, const char *format, struct image **image, struct err *err)
{
	struct input *in;
	int rc = input_open(path, &in, err);

	return rc ? rc : open_input(in, format, image, err);
}

int image_open_memory(const char *name, const void *data, size_t n, const char *format,
		      struct image **image, struct err *err)
{
	struct input *in;
	int rc = input_open_memory(name, data, n, &in, err);

	return rc ? rc : open_input(in, format, image, err);
}

void image_close(struct image *image)
{
	if (!image)
		return;
	if (image->reader && image->reader->close)
		image->reader->close(image);
	input_close(image->in);
	free(image);
}

const struct image_info *image_info(const struct image *image)
{
	return &image->info;
}

void image_progress(const struct image *image, uint64_t *done, uint64_t *total)
{
	struct source_progress p = input_progress(image->in);

	*done = p.done;
	*total = p.total;
}
