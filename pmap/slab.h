/*
 * Items of one size out of few large mappings, so that tables that are looked up
 * at random lie in huge pages and cost the real processor no TLB misses.
 *
 * Chunks double from 16 items to 2 MiB; none is given back before the slab is. An
 * item comes zeroed and never moves.
 */
#ifndef BALLAST_PMAP_SLAB_H
#define BALLAST_PMAP_SLAB_H

#include "core/meter.h"

struct slab_chunk {
	void *base;
	size_t bytes;
};

struct slab {
	size_t item; /* bytes, of whole cache lines */
	struct meter *meter;
	void *free; /* a list through the items' first words */
	uint8_t *fresh, *end;
	struct slab_chunk *chunk;
	size_t chunks;
};

/* Numbers of 64 bits that lie close together and never move, for what lies far apart. */
struct cells {
	uint64_t *run[32];
	unsigned runs;
};

/*
 * The row says where each number is: of n it becomes one of room, the new ones zeros.
 * False without memory. Whoever doubles what there is has room for ever.
 */
bool cells_grow(struct cells *c, uint64_t ***row, uint32_t n, uint32_t room);
void cells_fini(struct cells *c);

void slab_init(struct slab *s, size_t item, struct meter *meter);
void slab_fini(struct slab *s);
void *slab_take(struct slab *s); /* NULL without memory */
void slab_give(struct slab *s, void *item);

#endif
