#include "pmap/slab.h"

#include <stdlib.h>
#include <string.h>

#define LINE	   64
#define FIRST	   16 /* items */
#define CHUNK_MOST ((size_t)2 << 20)

static uint64_t *add(struct cells *c, uint32_t n)
{
	uint64_t *run = c->runs < ARRAY_LEN(c->run) ? calloc(n, sizeof *run) : NULL;

	if (run)
		c->run[c->runs++] = run;
	return run;
}

bool cells_grow(struct cells *c, uint64_t ***row, uint32_t n, uint32_t room)
{
	uint64_t **at = realloc(*row, room * sizeof(*at));

	if (!at)
		return false;
	*row = at;
	uint64_t *cells = add(c, room - n);
	if (!cells)
		return false;
	for (uint32_t i = n; i < room; i++)
		at[i] = cells++;
	return true;
}

void cells_fini(struct cells *c)
{
	for (unsigned i = 0; i < c->runs; i++)
		free(c->run[i]);
}

void slab_init(struct slab *s, size_t item, struct meter *meter)
{
	*s = (struct slab){.item = (item + LINE - 1) & ~(size_t)(LINE - 1), .meter = meter};
}

void slab_fini(struct slab *s)
{
	for (size_t i = 0; i < s->chunks; i++)
		meter_free(s->meter, s->chunk[i].base, s->chunk[i].bytes);
	free(s->chunk);
}

static int grow(struct slab *s)
{
	size_t bytes = s->chunks ? 2 * s->chunk[s->chunks - 1].bytes : FIRST * s->item;
	struct slab_chunk *list = realloc(s->chunk, (s->chunks + 1) * sizeof *list);

	if (!list)
		return -1;
	s->chunk = list;
	bytes = bytes > CHUNK_MOST ? CHUNK_MOST : bytes;
	void *base = meter_alloc(s->meter, bytes);
	if (!base)
		return -1;
	s->chunk[s->chunks++] = (struct slab_chunk){base, bytes};
	s->fresh = base;
	s->end = s->fresh + bytes;
	return 0;
}

void *slab_take(struct slab *s)
{
	void *item = s->free;

	if (item) {
		memcpy(&s->free, item, sizeof s->free);
		return memset(item, 0, s->item);
	}
	if ((size_t)(s->end - s->fresh) < s->item && grow(s))
		return NULL;
	item = s->fresh;
	s->fresh += s->item;
	return item;
}

void slab_give(struct slab *s, void *item)
{
	memcpy(item, &s->free, sizeof s->free);
	s->free = item;
}
