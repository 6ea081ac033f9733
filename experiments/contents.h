/*
 * What one page holds: its identity, and what it looks like to a person.
 *
 * Contents are told apart by 96 bits of XXH3-128, the first 24 of the 32 hex
 * digits that xxh128sum prints. Among n contents the chance that any two
 * different ones are taken for one is below n^2 / 2^97: 2^-41 for a TiB of
 * pages that all differ. (Nothing is shared by this count: a manager that
 * shares compares bytes.)
 */
#ifndef BALLAST_EXPERIMENTS_CONTENTS_H
#define BALLAST_EXPERIMENTS_CONTENTS_H

#include "core/types.h"

struct content_id {
	uint64_t high; /* the first 16 hex digits */
	uint32_t low;  /* the next 8 */
};

struct content_id content_id(const uint8_t *page);

bool content_is_zero(const uint8_t *page);

enum content_look {
	LOOK_ZERO,
	LOOK_ONES,   /* 0xff throughout: erased flash, free bitmaps */
	LOOK_FILL,   /* one word of 8 bytes over and over */
	LOOK_SPARSE, /* at most an eighth of the bytes are not zero */
	LOOK_ELF,    /* begins with an ELF header */
	LOOK_TEXT,   /* at least 7/8 of the bytes that are not zero are printable ASCII */
	LOOK_DATA,
};

enum content_look content_look(const uint8_t *page);

/* "zero", "text" ... */
const char *content_look_name(enum content_look look);

#endif
