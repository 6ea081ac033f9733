/*
 * A table of claims on memory, read from CSV: what `ballast alloc` works on.
 *
 * The first line names the columns, in any order: name, min_mb, max_mb, shares
 * and active_mb, each once. A row is a VM. Sizes are MB (2^20 bytes) with up to
 * nine decimals, taken to the nearest page; shares are a count. Blanks around a
 * field, empty lines and a byte order mark are passed over; there are no quotes.
 *
 * The file is hostile: lines, names, rows and sizes are bounded, every message
 * has file and line, and memory grows with what is read.
 */
#ifndef BALLAST_EXPERIMENTS_CLAIMS_H
#define BALLAST_EXPERIMENTS_CLAIMS_H

#include "tax/alloc.h"

#include <stdio.h>

#define CLAIM_NAME_MAX 63

struct claim_row {
	char name[CLAIM_NAME_MAX + 1]; /* printable ASCII without commas; unlike all others */
	uint32_t line;
};

struct claims {
	struct claim *claim; /* [n], each passed by claim_check(); pages = max */
	struct claim_row *row;
	size_t n, room;
};

/* Reads to the end; at least one row. On failure claims is empty. */
MUST_CHECK int claims_read(FILE *in, const char *file, struct claims *claims, struct err *err);
void claims_release(struct claims *claims);

#endif
