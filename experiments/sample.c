#include "experiments/sample.h"

#include "core/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sample_new(size_t max, struct sample **sample)
{
	struct sample *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->max = max;
	s->page = malloc((max + 1) * sizeof *s->page);
	s->bodies = os_map(max * PAGE_SIZE);
	if (!s->page || !s->bodies) {
		sample_free(s);
		return -ENOMEM;
	}
	*sample = s;
	return 0;
}

void sample_free(struct sample *s)
{
	if (!s)
		return;
	os_unmap(s->bodies, s->max * PAGE_SIZE);
	free(s->page);
	free(s);
}

/* Puts p where the heap has a gap at i, below which all is in order. */
static void sift_down(struct sample *s, size_t i, struct sampled p)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < s->n && s->page[child + 1].id.high > s->page[child].id.high)
			child++;
		if (child >= s->n || s->page[child].id.high <= p.id.high)
			break;
		s->page[i] = s->page[child];
		i = child;
	}
	s->page[i] = p;
}

static void sift_up(struct sample *s, size_t i, struct sampled p)
{
	while (i > 0 && s->page[(i - 1) / 2].id.high < p.id.high) {
		s->page[i] = s->page[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->page[i] = p;
}

void sample_offer(struct sample *s, struct content_id id, uint64_t ordinal, const uint8_t *data)
{
	struct sampled p = {.id = id, .ordinal = ordinal, .body = s->n};

	if (s->n < s->max) {
		sift_up(s, s->n++, p);
	} else if (s->n && id.high < s->page[0].id.high) {
		p.body = s->page[0].body;
		sift_down(s, 0, p);
	} else {
		return;
	}
	memcpy(s->bodies + p.body * PAGE_SIZE, data, PAGE_SIZE);
}
