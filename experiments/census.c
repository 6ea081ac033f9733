#include "experiments/census.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Contents are spread over shards by their hash, so that a table that grows
 * has two copies of a 256th of itself and no more. Within a shard, slots are
 * in the order of the hash but for collisions: growing is two walks in step.
 */
#define SHARDS	  256
#define SLOTS_MIN 64

struct slot {
	uint64_t high;				   /* of the id */
	uint64_t low : 24, ordinal : 40;	   /* its upper 8 bits are the shard */
	uint64_t count : 40, image : 20, look : 4; /* count 0: free; image: that had it last */
};

#define IMAGES_MAX ((size_t)1 << 20)

struct shard {
	struct slot *slot;
	size_t slots, used;
};

/* Pages at ascending addresses, side by side. */
struct stretch {
	uint64_t ordinal, addr;
	size_t image;
};

struct census {
	struct shard shard[SHARDS];
	struct sample *sample;
	struct census_counts all;
	uint64_t zero_ordinal; /* of the first zero page, if there is one */
	uint64_t next_addr;    /* that would continue the last stretch */
	size_t images, images_room, stretches, stretches_room;
	struct census_counts *image;
	struct stretch *stretch;
};

int census_new(struct sample *sample, struct census **census)
{
	struct census *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->sample = sample;
	for (size_t i = 0; i < SHARDS; i++) {
		c->shard[i].slots = SLOTS_MIN;
		c->shard[i].slot = calloc(SLOTS_MIN, sizeof *c->shard[i].slot);
		if (!c->shard[i].slot) {
			census_free(c);
			return -ENOMEM;
		}
	}
	*census = c;
	return 0;
}

void census_free(struct census *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < SHARDS; i++)
		free(c->shard[i].slot);
	free(c->image);
	free(c->stretch);
	free(c);
}

/* ---- the table ----------------------------------------------------------- */

static size_t shard_of(struct content_id id)
{
	return id.low >> 24;
}

static size_t home(const struct shard *shard, uint64_t high)
{
	return (size_t)(((unsigned __int128)high * shard->slots) >> 64);
}

/* The slot of the content, or the free one where it goes. */
static struct slot *probe(const struct shard *shard, uint64_t high, uint32_t low24)
{
	size_t i = home(shard, high);

	while (shard->slot[i].count &&
	       (shard->slot[i].high != high || shard->slot[i].low != low24)) {
		if (++i == shard->slots)
			i = 0;
	}
	return &shard->slot[i];
}

static int grow(struct shard *shard)
{
	struct shard bigger = {.slots = shard->slots + shard->slots / 4, .used = shard->used};

	bigger.slot = calloc(bigger.slots, sizeof *bigger.slot);
	if (!bigger.slot)
		return -ENOMEM;
	for (size_t i = 0; i < shard->slots; i++) {
		const struct slot *s = &shard->slot[i];
		if (s->count)
			*probe(&bigger, s->high, (uint32_t)s->low) = *s;
	}
	free(shard->slot);
	*shard = bigger;
	return 0;
}

static int count_content(struct census *c, struct content_id id, uint64_t ordinal,
			 const uint8_t *data)
{
	struct shard *shard = &c->shard[shard_of(id)];
	struct slot *s = probe(shard, id.high, id.low & 0xffffff);
	uint64_t image = c->images - 1;

	if (!s->count) {
		if (8 * (shard->used + 1) > 7 * shard->slots) {
			int rc = grow(shard);
			if (rc)
				return rc;
			s = probe(shard, id.high, id.low & 0xffffff);
		}
		*s = (struct slot){
			.high = id.high,
			.low = id.low & 0xffffff,
			.ordinal = ordinal,
			.image = image,
			.look = content_look(data),
		};
		shard->used++;
		c->all.distinct++;
		c->image[image].distinct++;
		if (c->sample)
			sample_offer(c->sample, id, ordinal, data);
	} else if (s->image != image) {
		s->image = image;
		c->image[image].distinct++;
	}
	s->count++;
	c->all.once += s->count == 1;
	c->all.once -= s->count == 2;
	return 0;
}

/* ---- images -------------------------------------------------------------- */

/* Room for one more in an array. */
static void *room_for(void *array, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 16;
	void *bigger;

	if (n < *room)
		return array;
	bigger = realloc(array, more * size);
	if (bigger)
		*room = more;
	return bigger;
}

int census_begin(struct census *c)
{
	struct census_counts *more = room_for(c->image, c->images, &c->images_room, sizeof *more);

	if (!more)
		return -ENOMEM;
	c->image = more;
	if (c->images == IMAGES_MAX)
		return -E2BIG;
	c->image[c->images++] = (struct census_counts){0};
	return 0;
}

static int remember_place(struct census *c, const struct image_run *run)
{
	const struct stretch *last = c->stretches ? &c->stretch[c->stretches - 1] : NULL;
	struct stretch *more;

	if (!last || last->image != c->images - 1 || run->addr != c->next_addr) {
		more = room_for(c->stretch, c->stretches, &c->stretches_room, sizeof *more);
		if (!more)
			return -ENOMEM;
		c->stretch = more;
		more[c->stretches++] = (struct stretch){c->all.pages, run->addr, c->images - 1};
	}
	c->next_addr = run->addr + run->pages * PAGE_SIZE;
	return 0;
}

static void count_zero(struct census *c, uint64_t ordinal)
{
	struct census_counts *image = &c->image[c->images - 1];

	if (c->all.zero++ == 0) {
		c->zero_ordinal = ordinal;
		c->all.distinct++;
	}
	if (image->zero++ == 0)
		image->distinct++;
}

/* Hashes first, so that the slots are on their way from memory before they are read. */
#define BATCH 64

static int count_batch(struct census *c, const uint8_t *data, size_t n)
{
	struct content_id id[BATCH];
	bool zero[BATCH];

	for (size_t i = 0; i < n; i++) {
		zero[i] = content_is_zero(data + i * PAGE_SIZE);
		if (zero[i])
			continue;
		id[i] = content_id(data + i * PAGE_SIZE);
		const struct shard *shard = &c->shard[shard_of(id[i])];
		__builtin_prefetch(&shard->slot[home(shard, id[i].high)], 1);
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t ordinal = c->all.pages;

		if (zero[i]) {
			count_zero(c, ordinal);
		} else {
			int rc = count_content(c, id[i], ordinal, data + i * PAGE_SIZE);
			if (rc)
				return rc;
		}
		c->all.pages++;
		c->image[c->images - 1].pages++;
	}
	return 0;
}

int census_add(struct census *c, const struct image_run *run)
{
	int rc = remember_place(c, run);

	for (size_t i = 0; i < run->pages && !rc; i += BATCH)
		rc = count_batch(c, run->data + i * PAGE_SIZE, min_u64(BATCH, run->pages - i));
	return rc;
}

/* ---- results ------------------------------------------------------------- */

struct census_counts census_image(const struct census *c, size_t image)
{
	return c->image[image];
}

struct census_counts census_all(const struct census *c)
{
	return c->all;
}

void census_histogram(const struct census *c, struct census_bucket bucket[CENSUS_BUCKETS])
{
	memset(bucket, 0, CENSUS_BUCKETS * sizeof *bucket);
	for (size_t i = 0; i < SHARDS; i++) {
		for (size_t k = 0; k < c->shard[i].slots; k++) {
			uint64_t count = c->shard[i].slot[k].count;
			if (!count)
				continue;
			struct census_bucket *b = &bucket[63 - __builtin_clzll(count)];
			b->contents++;
			b->pages += count;
		}
	}
}

/* Most pages first; of two with as many, the one that came first. */
static bool ranks_before(const struct census_content *a, const struct census_content *b)
{
	return a->count != b->count ? a->count > b->count : a->ordinal < b->ordinal;
}

/* Inserts into n sorted ones; returns how many there are then, max at most. */
static size_t rank(struct census_content *top, size_t n, size_t max,
		   const struct census_content *content)
{
	size_t i = n;

	if (n == max && (max == 0 || !ranks_before(content, &top[n - 1])))
		return n;
	while (i > 0 && ranks_before(content, &top[i - 1]))
		i--;
	n = min_u64(n + 1, max);
	memmove(top + i + 1, top + i, (n - i - 1) * sizeof *top);
	top[i] = *content;
	return n;
}

size_t census_top(const struct census *c, struct census_content *top, size_t max)
{
	static const uint8_t zero[PAGE_SIZE];
	size_t n = 0;

	if (c->all.zero > 1) {
		n = rank(top, n, max,
			 &(struct census_content){content_id(zero), c->all.zero, c->zero_ordinal,
						  LOOK_ZERO});
	}
	for (size_t i = 0; i < SHARDS; i++) {
		for (size_t k = 0; k < c->shard[i].slots; k++) {
			const struct slot *s = &c->shard[i].slot[k];
			struct census_content content = {
				.id = {s->high, (uint32_t)(i << 24 | s->low)},
				.count = s->count,
				.ordinal = s->ordinal,
				.look = (enum content_look)s->look,
			};
			if (s->count > 1)
				n = rank(top, n, max, &content);
		}
	}
	return n;
}

uint64_t census_count(const struct census *c, struct content_id id)
{
	return probe(&c->shard[shard_of(id)], id.high, id.low & 0xffffff)->count;
}

void census_where(const struct census *c, uint64_t ordinal, size_t *image, uint64_t *addr)
{
	size_t low = 0, high = c->stretches;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (c->stretch[mid].ordinal <= ordinal)
			low = mid;
		else
			high = mid;
	}
	*image = c->stretch[low].image;
	*addr = c->stretch[low].addr + (ordinal - c->stretch[low].ordinal) * PAGE_SIZE;
}

uint64_t census_bytes(const struct census *c)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < SHARDS; i++)
		bytes += c->shard[i].slots * sizeof(struct slot);
	return bytes;
}
