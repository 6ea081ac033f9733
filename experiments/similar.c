#include "experiments/similar.h"

#include "core/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

const unsigned similar_offset[2] = {1088, 2944};

/* A block that a sampled page has, and the first page that has it too. */
struct block {
	uint64_t hash;
	uint64_t ordinal; /* of that page, if found */
	uint32_t place;	  /* 0 or 1 */
	bool found;
};

struct similar {
	const struct sample *sample;
	size_t n, slots; /* blocks, and a power of two over twice as many */
	struct block *block;
	uint32_t *slot; /* index of a block plus one; 0: free */
	uint32_t (
		*own)[2]; /* of each sampled page: indices of its blocks plus one; 0: not wanted */
	uint8_t *bodies;  /* of the first pages, by block */
};

static uint64_t block_hash(const uint8_t *page, uint32_t place)
{
	return XXH3_64bits(page + similar_offset[place], SIMILAR_BLOCK);
}

/* Where the block is or would go. */
static uint32_t *probe(const struct similar *s, uint64_t hash, uint32_t place)
{
	size_t i = hash & (s->slots - 1);

	while (s->slot[i] &&
	       (s->block[s->slot[i] - 1].hash != hash || s->block[s->slot[i] - 1].place != place))
		i = (i + 1) & (s->slots - 1);
	return &s->slot[i];
}

static void want(struct similar *s, size_t page)
{
	for (uint32_t place = 0; place < 2; place++) {
		uint64_t hash = block_hash(sample_data(s->sample, page), place);
		uint32_t *slot = probe(s, hash, place);

		if (!*slot) {
			s->block[s->n] = (struct block){.hash = hash, .place = place};
			*slot = (uint32_t)++s->n;
		}
		s->own[page][place] = *slot;
	}
}

int similar_new(const struct sample *sample, const bool *wanted, struct similar **similar)
{
	struct similar *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->sample = sample;
	for (s->slots = 64; s->slots < 4 * sample->n; s->slots *= 2)
		;
	s->block = calloc(2 * sample->n + 1, sizeof *s->block);
	s->slot = calloc(s->slots, sizeof *s->slot);
	s->own = calloc(sample->n + 1, sizeof *s->own);
	s->bodies = os_map(2 * sample->n * PAGE_SIZE);
	if (!s->block || !s->slot || !s->own || !s->bodies) {
		similar_free(s);
		return -ENOMEM;
	}
	for (size_t i = 0; i < sample->n; i++) {
		if (wanted[i])
			want(s, i);
	}
	*similar = s;
	return 0;
}

void similar_free(struct similar *s)
{
	if (!s)
		return;
	os_unmap(s->bodies, 2 * s->sample->n * PAGE_SIZE);
	free(s->own);
	free(s->slot);
	free(s->block);
	free(s);
}

void similar_add(struct similar *s, uint64_t ordinal, const uint8_t *data, size_t pages)
{
	for (size_t i = 0; i < pages; i++, ordinal++, data += PAGE_SIZE) {
		for (uint32_t place = 0; place < 2; place++) {
			uint32_t at = *probe(s, block_hash(data, place), place);
			struct block *block = at ? &s->block[at - 1] : NULL;

			if (!block || block->found || content_is_zero(data))
				continue;
			block->found = true;
			block->ordinal = ordinal;
			memcpy(s->bodies + (at - 1) * (size_t)PAGE_SIZE, data, PAGE_SIZE);
		}
	}
}

size_t similar_candidates(const struct similar *s, size_t i, const uint8_t *candidate[2])
{
	size_t n = 0;

	for (uint32_t place = 0; place < 2; place++) {
		uint32_t at = s->own[i][place];
		const struct block *block = at ? &s->block[at - 1] : NULL;

		if (!block || !block->found || block->ordinal >= s->sample->page[i].ordinal)
			continue;
		if (n == 1 && s->block[s->own[i][0] - 1].ordinal == block->ordinal)
			continue; /* the same page twice */
		candidate[n++] = s->bodies + (at - 1) * (size_t)PAGE_SIZE;
	}
	return n;
}
