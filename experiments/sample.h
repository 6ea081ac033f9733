/*
 * A sample of contents, with their bytes, drawn while they stream by.
 *
 * It keeps those with the smallest hashes: each content has the same chance,
 * however often and wherever it occurs, because the hash knows nothing of
 * either. No random numbers, so that the same images give the same sample; a
 * sample that is large enough is simply everything.
 */
#ifndef BALLAST_EXPERIMENTS_SAMPLE_H
#define BALLAST_EXPERIMENTS_SAMPLE_H

#include "experiments/contents.h"

struct sampled {
	struct content_id id;
	uint64_t ordinal; /* of its first page */
	size_t body;	  /* which of the sample's pages of bytes is its own */
};

struct sample {
	size_t n, max;
	struct sampled *page; /* a heap: the largest hash is first */
	uint8_t *bodies;
};

MUST_CHECK int sample_new(size_t max, struct sample **sample);
void sample_free(struct sample *sample); /* NULL is fine */

/* A content that was not offered before. */
void sample_offer(struct sample *sample, struct content_id id, uint64_t ordinal,
		  const uint8_t *data);

static inline const uint8_t *sample_data(const struct sample *sample, size_t i)
{
	return sample->bodies + sample->page[i].body * PAGE_SIZE;
}

#endif
