/*
 * What sharing would save in memory images: files in, one JSON object out.
 *
 * Each image is read once, in the order given, for the census of its contents
 * (experiments/census.h); where every one is a file that can be read twice, a
 * second time for the candidates of sub-page patches. Memory grows with
 * distinct contents, never with the images.
 */
#ifndef BALLAST_EXPERIMENTS_IMAGE_SCAN_H
#define BALLAST_EXPERIMENTS_IMAGE_SCAN_H

#include "core/err.h"
#include "traces/traces.h"

#include <jansson.h>

#define SCAN_TOP_MAX 10000
#define SCAN_SAMPLE_MAX                                                                            \
	(1 << 22) /* contents: at most 16 GiB of their bytes, twice that for patches */

struct image_scan_opts {
	char *const *files; /* "-": standard input, once */
	size_t n;
	const char *format; /* of all of them; NULL: auto */
	size_t sample;	    /* contents to compress and patch; 0: none */
	size_t top;	    /* most shared pages to name */
	bool patch;	    /* estimate patches too, where files can be read twice */
};

/*
 * progress may be NULL. *result: pages, zero, distinct, reclaimable..., images,
 * histogram, top, compress, patch, both (the last three may be null); see
 * docs/images.md.
 */
MUST_CHECK int image_scan(const struct image_scan_opts *opts, progress_fn *progress, void *arg,
			  json_t **result, struct err *err);

#endif
