/*
 * The ceilings of replay: the least that could be done per reference.
 *
 * Loops over the same records with page tables of an array of 64-bit entries
 * and nothing else: no VMs, no statistics, no swap area, no checks. What the
 * manager's replayer is measured against on the machine at hand.
 */
#ifndef BALLAST_EXPERIMENTS_BENCH_BARE_H
#define BALLAST_EXPERIMENTS_BENCH_BARE_H

#include "core/types.h"

/* One reference: page number in bits 0-30, bit 31 set for a write. */
struct bare_trace {
	const uint32_t *ref; /* [refs], every page below pages */
	size_t refs;
	uint32_t pages;
};

/* Each returns the number of faults, or -ENOMEM. */
int64_t bare_bits(const struct bare_trace *trace, uint32_t frames); /* bits only, no faults */
int64_t bare_clock(const struct bare_trace *trace, uint32_t frames);
int64_t bare_lru(const struct bare_trace *trace, uint32_t frames); /* a doubly linked list */

#endif
