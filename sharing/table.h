/*
 * The table: one chained hash table with a 16-byte frame for every distinct
 * content that was seen (Waldspurger 2002, Fig. 3).
 *
 *   shared frame   hash (48) | group (16)   MPN (32)   link (31) | 1
 *   hint frame     hash (48) | VM (16)      PPN (32)   link (31) | 0
 *
 * A shared frame's count lies with all other counts, in machine.frame[MPN].
 * The hash is truncated by its 16 low bits; with the bytes compared before
 * anything is shared, that costs a vain comparison in 2^48.
 *
 * It grows without a pause: frames and buckets come in slabs of 64 KiB, and
 * linear hashing (Litwin 1980) splits one bucket of two frames or so at an
 * insert, where a resize would move all. Only the list of slabs, eight bytes
 * per 64 KiB, is ever copied. Indices from 1; 0 is none.
 */
#ifndef BALLAST_SHARING_TABLE_H
#define BALLAST_SHARING_TABLE_H

#include "core/meter.h"

#include <stdio.h>

struct hash_frame {
	uint64_t hash_owner; /* hash << 16 | VM or group; OWNER_FREE in a free frame */
	uint32_t place;	     /* PPN or MPN */
	uint32_t link;	     /* next of the chain << 1 | shared */
};

_Static_assert(sizeof(struct hash_frame) == 16, "as in the paper");

#define OWNER_FREE    0xffff
#define HASH_BITS     48
#define SLAB_BYTES    65536u
#define SLAB_ENTRIES  (SLAB_BYTES / (uint32_t)sizeof(struct hash_frame))
#define SLAB_BUCKETS  (SLAB_BYTES / (uint32_t)sizeof(uint32_t))
#define TABLE_LOAD    2 /* frames per bucket at which a bucket is split */
#define TABLE_INDEXES (UINT32_C(1) << 31)

struct slabs {
	void **slab;
	uint32_t n, room;
};

struct table {
	struct slabs entries, buckets;
	struct meter *meter;
	uint64_t bytes;	      /* of slabs and their lists */
	uint32_t used;	      /* frames on chains */
	uint32_t hints;	      /* of them, hints */
	uint32_t end;	      /* frames from here on were never used */
	uint32_t free;	      /* list of returned frames, through link */
	uint32_t bucket_mask; /* buckets before the present round of splits, - 1 */
	uint32_t split;	      /* the next bucket to split; buckets = mask + 1 + split */
};

MUST_CHECK int table_init(struct table *t, struct meter *meter); /* 0 or -ENOMEM */
void table_fini(struct table *t);

/* The part of a 64-bit hash that the table keeps. */
static inline uint64_t table_hash(uint64_t hash)
{
	return hash >> (64 - HASH_BITS);
}

static inline struct hash_frame *table_entry(const struct table *t, uint32_t index)
{
	return (struct hash_frame *)t->entries.slab[index / SLAB_ENTRIES] + index % SLAB_ENTRIES;
}

static inline uint64_t entry_hash(const struct hash_frame *e)
{
	return e->hash_owner >> 16;
}

static inline uint16_t entry_owner(const struct hash_frame *e)
{
	return (uint16_t)e->hash_owner;
}

static inline bool entry_shared(const struct hash_frame *e)
{
	return e->link & 1;
}

static inline uint32_t entry_next(const struct hash_frame *e)
{
	return e->link >> 1;
}

static inline uint32_t table_bucket(const struct table *t, uint64_t hash)
{
	uint32_t b = (uint32_t)hash & t->bucket_mask;

	return b < t->split ? (uint32_t)hash & (t->bucket_mask * 2 + 1) : b;
}

/* The head of a chain. */
static inline uint32_t *table_head(const struct table *t, uint64_t hash)
{
	uint32_t b = table_bucket(t, hash);

	return (uint32_t *)t->buckets.slab[b / SLAB_BUCKETS] + b % SLAB_BUCKETS;
}

/* The first frame with that hash, of any owner, from index `from` of its chain on; 0 none. */
static inline uint32_t table_find(const struct table *t, uint64_t hash, uint32_t from)
{
	while (from && entry_hash(table_entry(t, from)) != hash)
		from = entry_next(table_entry(t, from));
	return from;
}

/* Adds a frame at the head of its chain. -ENOMEM changes nothing. */
MUST_CHECK int table_add(struct table *t, uint64_t hash, bool shared, uint16_t owner,
			 uint32_t place, uint32_t *index);

/* Turns a frame into one of the other kind, or owner, in its place. */
void table_turn(struct table *t, uint32_t index, bool shared, uint16_t owner, uint32_t place);

void table_remove(struct table *t, uint32_t index);

/* Recounts chains, frames and hints; returns violations. */
size_t table_audit(const struct table *t, FILE *out);

#endif
