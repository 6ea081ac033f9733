#include "sharing/table.h"

#include <errno.h>
#include <stdlib.h>

/* One more slab, and its place in the list. */
static int slabs_grow(struct table *t, struct slabs *s)
{
	if (s->n == s->room) {
		uint32_t room = s->room ? 2 * s->room : 8;
		void **list = realloc(s->slab, room * sizeof *list);
		if (!list)
			return -ENOMEM;
		t->bytes += (room - s->room) * sizeof *list;
		t->meter->bytes += (room - s->room) * sizeof *list;
		s->slab = list;
		s->room = room;
	}
	s->slab[s->n] = meter_alloc(t->meter, SLAB_BYTES);
	if (!s->slab[s->n])
		return -ENOMEM;
	s->n++;
	t->bytes += SLAB_BYTES;
	return 0;
}

static void slabs_free(struct table *t, struct slabs *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		meter_free(t->meter, s->slab[i], SLAB_BYTES);
	t->meter->bytes -= s->room * sizeof *s->slab;
	free(s->slab);
	*s = (struct slabs){0};
}

int table_init(struct table *t, struct meter *meter)
{
	*t = (struct table){.meter = meter, .end = 1, .bucket_mask = 63};
	if (slabs_grow(t, &t->entries) || slabs_grow(t, &t->buckets)) {
		table_fini(t);
		return -ENOMEM;
	}
	return 0;
}

void table_fini(struct table *t)
{
	if (!t->meter)
		return;
	slabs_free(t, &t->entries);
	slabs_free(t, &t->buckets);
}

static void push(struct table *t, uint32_t index)
{
	struct hash_frame *e = table_entry(t, index);
	uint32_t *head = table_head(t, entry_hash(e));

	e->link = *head << 1 | (e->link & 1);
	*head = index;
}

static uint32_t buckets(const struct table *t)
{
	return t->bucket_mask + 1 + t->split;
}

/*
 * Asks for the frames that later splits will deal out: of the bucket that is
 * eighth in line its first, of the sixth its second, and so on. Memory takes
 * longer than a split.
 */
static void fetch_ahead(const struct table *t)
{
	if (t->split + 8 > t->bucket_mask)
		return;
	for (uint32_t ahead = 8; ahead; ahead -= 2) {
		uint32_t at = *table_head(t, t->split + ahead);
		for (uint32_t down = ahead; down < 8; down += 2)
			at = entry_next(table_entry(t, at));
		__builtin_prefetch(table_entry(t, at));
	}
}

/* Deals the frames of the next bucket out to it and to a new one. */
static void split_bucket(struct table *t)
{
	uint32_t *head = table_head(t, t->split), index = *head;

	fetch_ahead(t);
	*head = 0;
	if (++t->split > t->bucket_mask) {
		t->bucket_mask = t->bucket_mask * 2 + 1;
		t->split = 0;
	}
	while (index) {
		uint32_t next = entry_next(table_entry(t, index));
		push(t, index);
		index = next;
	}
}

/* A frame that nobody uses; 0 without memory. */
static uint32_t take_entry(struct table *t)
{
	uint32_t index = t->free;

	if (index) {
		t->free = entry_next(table_entry(t, index));
		return index;
	}
	if (t->end == TABLE_INDEXES)
		return 0;
	if (t->end == t->entries.n * SLAB_ENTRIES && slabs_grow(t, &t->entries))
		return 0;
	return t->end++;
}

int table_add(struct table *t, uint64_t hash, bool shared, uint16_t owner, uint32_t place,
	      uint32_t *index)
{
	*index = take_entry(t);
	if (!*index)
		return -ENOMEM;
	*table_entry(t, *index) = (struct hash_frame){hash << 16 | owner, place, shared};
	push(t, *index);
	t->used++;
	t->hints += !shared;
	/* Without memory for more buckets chains get longer, that is all. */
	if (t->used > TABLE_LOAD * buckets(t) && buckets(t) < TABLE_INDEXES / TABLE_LOAD &&
	    (buckets(t) < t->buckets.n * SLAB_BUCKETS || slabs_grow(t, &t->buckets) == 0))
		split_bucket(t);
	return 0;
}

void table_turn(struct table *t, uint32_t index, bool shared, uint16_t owner, uint32_t place)
{
	struct hash_frame *e = table_entry(t, index);

	t->hints += (uint32_t)entry_shared(e) - (uint32_t)shared;
	e->hash_owner = entry_hash(e) << 16 | owner;
	e->place = place;
	e->link = (e->link & ~UINT32_C(1)) | shared;
}

void table_remove(struct table *t, uint32_t index)
{
	struct hash_frame *e = table_entry(t, index), *before = NULL;
	uint32_t *head = table_head(t, entry_hash(e)), at = *head;

	while (at != index) {
		before = table_entry(t, at);
		at = entry_next(before);
	}
	if (before)
		before->link = (e->link & ~UINT32_C(1)) | (before->link & 1);
	else
		*head = entry_next(e);
	t->used--;
	t->hints -= !entry_shared(e);
	*e = (struct hash_frame){OWNER_FREE, 0, t->free << 1};
	t->free = index;
}

/* One chain: frames that belong to it, ended by 0. */
static size_t audit_chain(const struct table *t, uint32_t bucket, uint64_t *used, uint64_t *hints,
			  FILE *out)
{
	const uint32_t *slab = t->buckets.slab[bucket / SLAB_BUCKETS];

	for (uint32_t i = slab[bucket % SLAB_BUCKETS]; i; i = entry_next(table_entry(t, i))) {
		if (i >= t->end || *used > t->used) {
			fprintf(out, "sharing: chain %u does not end\n", bucket);
			return 1;
		}
		const struct hash_frame *e = table_entry(t, i);
		if (entry_owner(e) == OWNER_FREE || table_bucket(t, entry_hash(e)) != bucket) {
			fprintf(out, "sharing: table frame %u does not belong on chain %u\n", i,
				bucket);
			return 1;
		}
		++*used;
		*hints += !entry_shared(e);
	}
	return 0;
}

size_t table_audit(const struct table *t, FILE *out)
{
	uint64_t used = 0, hints = 0, listed = 0;
	size_t bad = 0;

	for (uint32_t b = 0; b < buckets(t); b++)
		bad += audit_chain(t, b, &used, &hints, out);
	for (uint32_t i = t->free; i && listed < t->end; i = entry_next(table_entry(t, i)))
		listed++;
	const uint64_t in_all = used + listed;
	if (used != t->used || hints != t->hints || in_all + 1 != t->end) {
		fprintf(out,
			"sharing: table says %u frames, %u hints, %u in all; counted %llu, %llu, "
			"%llu\n",
			t->used, t->hints, t->end - 1, (unsigned long long)used,
			(unsigned long long)hints, (unsigned long long)in_all);
		bad++;
	}
	return bad;
}
