/*
 * The arena: what must be known of guests when the manager was killed.
 *
 * A shared-memory file that the keeper holds open. It has a record per running
 * guest, the guests' pmap entries, where each page is mapped, and the swap
 * slots' checksums; the manager works in it directly. Each is right at every
 * moment: an entry is one word, written when the bytes it promises lie where it
 * says, and a record is `used` only when all else in it is true.
 *
 * Addresses are never used twice: the file is 64 GiB of them, and sparse.
 */
#ifndef BALLAST_LIVE_ARENA_H
#define BALLAST_LIVE_ARENA_H

#include "live/keeper.h"
#include "pmap/pmap.h"

#include <sys/types.h>

#define ARENA_NAME 32

struct arena_guest {
	uint32_t used;
	uint32_t pages;
	char name[ARENA_NAME], group[ARENA_NAME]; /* group "": the default */
	int32_t pid;
	uint32_t shares;
	uint64_t min, max;    /* pages: what it claims */
	uint64_t window;      /* bytes: its place in the pool */
	uint64_t base;	      /* of its memory, in its own process */
	uint64_t entries, at; /* bytes: their places in the arena */
	/* Its balloon's channel (live/channel.h). */
	uint32_t channel;		 /* enum channel_kind */
	uint32_t epoch;			 /* the driver's number that was answered last */
	uint32_t asked;			 /* pages: the balloon by hand, or BALLOON_BY_POLICY */
	uint32_t hole_first, hole_pages; /* balloon_hole() */
};

struct arena_head {
	uint64_t magic, frames, slots;
	uint64_t next; /* bytes: what follows is free */
	uint64_t sums; /* bytes: their place */
	struct arena_guest guest[KEPT_GUESTS];
};

struct arena {
	int fd;
	struct arena_head *head; /* the whole file */
};

/* A new one, or with fd that of a host of as many frames and slots. -errno: nothing is open. */
MUST_CHECK int arena_open(struct arena *arena, int fd, uint64_t frames, uint64_t slots);
void arena_close(struct arena *arena);

/* A record that is not used, with zeroed entries and places; NULL if there are too many. */
struct arena_guest *arena_add(struct arena *arena, const char *name, uint32_t pages);

/* Gives its memory back. */
void arena_drop(struct arena *arena, struct arena_guest *guest);

pte_t *arena_entries(const struct arena *arena, const struct arena_guest *guest);
uint32_t *arena_at(const struct arena *arena, const struct arena_guest *guest);
uint64_t *arena_sums(const struct arena *arena);

#endif
