/*
 * A census of page contents over images: how many pages, how many different
 * ones, and who holds the same.
 *
 * Every content has one 24-byte slot with its count, whatever the number of
 * its pages; the table is between 70 and 87 % full, so that memory is 27 to 35
 * bytes for a distinct content and nothing for a page. The zero page is
 * counted apart and has no slot, but is a content like any other: distinct
 * counts it once.
 *
 * It belongs to experiments and not to sharing/, as it counts what could be
 * shared and needs no VM, no frame and no pmap. One census, one thread.
 */
#ifndef BALLAST_EXPERIMENTS_CENSUS_H
#define BALLAST_EXPERIMENTS_CENSUS_H

#include "experiments/contents.h"
#include "experiments/sample.h"
#include "traces/image.h"

struct census;

/* New contents other than zero are offered to the sample (NULL: none), which the caller owns. */
MUST_CHECK int census_new(struct sample *sample, struct census **census);
void census_free(struct census *census);

/* What follows belongs to the next image. -ENOMEM; -E2BIG after a million images. */
MUST_CHECK int census_begin(struct census *census);

/* Counts pages of the image at hand. -ENOMEM leaves some of them uncounted. */
MUST_CHECK int census_add(struct census *census, const struct image_run *run);

/* Of one image, or of all; reclaimable is pages - distinct. */
struct census_counts {
	uint64_t pages, zero;
	uint64_t distinct; /* contents */
	uint64_t once;	   /* of them, on one page only; of all images, without zero */
};

struct census_counts census_image(const struct census *census, size_t image); /* but once */
struct census_counts census_all(const struct census *census);

/* bucket[i]: contents with 2^i to 2^(i+1) - 1 pages, zero left out. */
#define CENSUS_BUCKETS 40
struct census_bucket {
	uint64_t contents, pages;
};
void census_histogram(const struct census *census, struct census_bucket bucket[CENSUS_BUCKETS]);

struct census_content {
	struct content_id id;
	uint64_t count;
	uint64_t ordinal; /* of its first page, over all images */
	enum content_look look;
};

/* The contents with most pages, two at least, zero among them; returns how many, max at most. */
size_t census_top(const struct census *census, struct census_content *top, size_t max);

/* Pages with that content, 0 if none; zero is not looked up. */
uint64_t census_count(const struct census *census, struct content_id id);

/* Image and address of the page with that ordinal, which was counted. */
void census_where(const struct census *census, uint64_t ordinal, size_t *image, uint64_t *addr);

uint64_t census_bytes(const struct census *census); /* of the table of contents */

#endif
