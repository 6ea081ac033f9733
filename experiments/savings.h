/*
 * What compression and sub-page patches would add to sharing, from a sample.
 *
 * After sharing, every content is stored once. Compression is LZ4, page by
 * page; a page that does not come down to 3/4 stays as it is. A patch is
 * against a similar page (experiments/similar.h), and tried on contents that
 * occur once, as Difference Engine does: it is LZ4 with the candidate for a
 * dictionary, so that copies from the candidate and from within the page cost
 * a few bytes each. Both together: the patch where it is below 2 KiB, else
 * compression.
 *
 * Shares found in the sample are scaled to all contents, with the half-width of
 * the 95 % interval beside them: 0 when the sample is everything.
 */
#ifndef BALLAST_EXPERIMENTS_SAVINGS_H
#define BALLAST_EXPERIMENTS_SAVINGS_H

#include "experiments/census.h"
#include "experiments/similar.h"

#define PATCH_MAX    2048u /* bytes; a longer patch is not worth it */
#define COMPRESS_MAX (PAGE_SIZE / 4 * 3)

struct saving {
	uint64_t population, sample; /* contents */
	double pages, error;	     /* saved of all, +- */
};

struct savings {
	struct saving compress, patch, both;
	/* Of the sample, compressed: those that fit 3/4, 1/2, 1/4 of a page; bytes of all. */
	uint64_t fit[3], compressed_bytes;
	/* Of the sample's contents that occur once: with a candidate, patched; bytes of patches. */
	uint64_t candidates, patched, patch_bytes;
};

/* Bytes of the page compressed, or as a patch against base; PAGE_SIZE if it does not shrink. */
unsigned compressed_size(const uint8_t *page);
unsigned patch_size(const uint8_t *page, const uint8_t *base);

/* wanted[i] for similar_new(): whether the content of a sampled page occurs once. */
void savings_wanted(const struct sample *sample, const struct census *census, bool *wanted);

/* similar may be NULL: then patches save nothing, and nothing is said of them. */
void savings_estimate(const struct sample *sample, const struct census *census, const bool *wanted,
		      const struct similar *similar, struct savings *savings);

#endif
