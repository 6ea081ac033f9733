/*
 * Pages that resemble sampled ones, found the way of Difference Engine (OSDI
 * 2008): HashSimilarityDetector(2,1) hashes two blocks of 64 bytes, at two
 * fixed places of a page; the first page with an equal block in the same place
 * is a candidate, two at most, and a page is stored as a patch against the
 * better of them if the patch is below 2 KiB.
 *
 * The sample is known before the images are read for it, so that of all
 * other pages only the candidates are kept: two pages for a sampled one. The
 * zero page is nobody's candidate, since patching against it is compression by
 * another name. A candidate that is itself stored as a patch elsewhere is not
 * ruled out: what comes out is what patches can save, a little on the good
 * side.
 */
#ifndef BALLAST_EXPERIMENTS_SIMILAR_H
#define BALLAST_EXPERIMENTS_SIMILAR_H

#include "experiments/sample.h"

#define SIMILAR_BLOCK 64
extern const unsigned similar_offset[2]; /* where the blocks lie */

struct similar;

/* Only the pages of the sample that are wanted look for a candidate. */
MUST_CHECK int similar_new(const struct sample *sample, const bool *wanted,
			   struct similar **similar);
void similar_free(struct similar *similar);

/* Pages in the order of their ordinals, each once. */
void similar_add(struct similar *similar, uint64_t ordinal, const uint8_t *data, size_t pages);

/* The candidates of a sampled page that came before it: 0, 1 or 2. */
size_t similar_candidates(const struct similar *similar, size_t i, const uint8_t *candidate[2]);

#endif
