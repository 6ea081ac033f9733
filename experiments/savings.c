#include "experiments/savings.h"

#include <lz4.h>
#include <math.h>
#include <string.h>

unsigned compressed_size(const uint8_t *page)
{
	char out[PAGE_SIZE];
	int n = LZ4_compress_default((const char *)page, out, PAGE_SIZE, sizeof out);

	return n > 0 ? (unsigned)n : PAGE_SIZE;
}

unsigned patch_size(const uint8_t *page, const uint8_t *base)
{
	char out[PAGE_SIZE];
	LZ4_stream_t stream;

	LZ4_initStream(&stream, sizeof stream);
	LZ4_loadDict(&stream, (const char *)base, PAGE_SIZE);
	int n = LZ4_compress_fast_continue(&stream, (const char *)page, out, PAGE_SIZE, sizeof out,
					   1);
	return n > 0 ? (unsigned)n : PAGE_SIZE;
}

void savings_wanted(const struct sample *sample, const struct census *census, bool *wanted)
{
	for (size_t i = 0; i < sample->n; i++)
		wanted[i] = census_count(census, sample->page[i].id) == 1;
}

/* The best patch of a sampled page, PAGE_SIZE without one; *found: it had a candidate. */
static unsigned best_patch(const struct sample *sample, const struct similar *similar, size_t i,
			   bool *found)
{
	const uint8_t *candidate[2];
	size_t n = similar_candidates(similar, i, candidate);
	unsigned best = PAGE_SIZE;

	for (size_t k = 0; k < n; k++) {
		unsigned size = patch_size(sample_data(sample, i), candidate[k]);
		if (size < best)
			best = size;
	}
	*found = n > 0;
	return best;
}

/* Sums of what each sampled page saves, in bytes, and of its square. */
struct sums {
	uint64_t n;
	double sum, squares;
};

static void add(struct sums *s, unsigned stored)
{
	double saved = PAGE_SIZE - stored;

	s->n++;
	s->sum += saved;
	s->squares += saved * saved;
}

static struct saving scale(const struct sums *s, uint64_t population)
{
	struct saving saving = {.population = population, .sample = s->n};
	double n = (double)s->n, all = (double)population;

	if (s->n == 0)
		return saving;
	double mean = s->sum / n, variance = fmax(s->squares / n - mean * mean, 0);
	saving.pages = mean / PAGE_SIZE * all;
	if (s->n > 1 && s->n < population)
		saving.error = 1.96 * sqrt(variance / (n - 1) * (1 - n / all)) / PAGE_SIZE * all;
	return saving;
}

static void count_fit(struct savings *savings, unsigned size)
{
	savings->fit[0] += size <= PAGE_SIZE / 4 * 3;
	savings->fit[1] += size <= PAGE_SIZE / 2;
	savings->fit[2] += size <= PAGE_SIZE / 4;
	savings->compressed_bytes += size;
}

void savings_estimate(const struct sample *sample, const struct census *census, const bool *wanted,
		      const struct similar *similar, struct savings *savings)
{
	struct census_counts all = census_all(census);
	uint64_t stored = all.distinct - (all.zero > 0);
	struct sums compress = {0}, patch = {0}, both = {0};

	memset(savings, 0, sizeof *savings);
	for (size_t i = 0; i < sample->n; i++) {
		unsigned packed = compressed_size(sample_data(sample, i)), patched = PAGE_SIZE;
		unsigned kept = packed <= COMPRESS_MAX ? packed : PAGE_SIZE;
		bool found = false;

		count_fit(savings, packed);
		add(&compress, kept);
		if (similar && wanted[i]) {
			patched = best_patch(sample, similar, i, &found);
			if (patched > PATCH_MAX)
				patched = PAGE_SIZE;
			add(&patch, patched);
			savings->candidates += found;
			savings->patched += patched < PAGE_SIZE;
			savings->patch_bytes += patched < PAGE_SIZE ? patched : 0;
		}
		add(&both, patched < PAGE_SIZE ? patched : kept);
	}
	savings->compress = scale(&compress, stored);
	savings->patch = scale(&patch, all.once);
	savings->both = scale(&both, stored);
}
