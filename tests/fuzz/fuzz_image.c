/*
 * Memory images: whatever the bytes, pages within the file or one line of
 * error. The first byte chooses the reader, and whether they come from a pipe.
 */
#include "traces/image.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Packed, memory can only be read from front to back. */
static uint8_t *pack(const uint8_t *data, size_t *size)
{
	size_t room = ZSTD_compressBound(*size);
	uint8_t *packed = malloc(room + 1);

	if (!packed)
		abort();
	*size = ZSTD_compress(packed, room, data, *size, 1);
	return packed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const formats[] = {"auto", "elf", "lime", "raw"};
	uint8_t choice = size ? data[0] : 0, *packed = NULL;
	uint64_t sum = 0, pages = 0, done, total;
	struct err err = {0};
	struct image *image;
	struct image_run run;
	ssize_t n;

	if (size) {
		data++;
		size--;
	}
	if (choice & 4)
		data = packed = pack(data, &size);
	int rc = image_open_memory("fuzz", data, size, formats[choice & 3], &image, &err);
	if (!rc) {
		while ((n = image_next(image, &run, &err)) > 0 && pages < 10000) {
			for (size_t i = 0; i < run.pages * PAGE_SIZE; i++)
				sum += run.data[i];
			pages += run.pages;
			image_progress(image, &done, &total);
			if (run.addr % PAGE_SIZE || (size_t)n != run.pages || done > size)
				abort();
		}
		rc = n < 0 ? (int)n : 0;
		image_close(image);
	}
	if (rc && (err.exit_code != 2 || !err.msg[0] || strchr(err.msg, '\n')))
		abort();
	free(packed);
	return sum == UINT64_MAX; /* keeps the sum */
}
