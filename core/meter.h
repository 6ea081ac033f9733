/*
 * What the manager's own bookkeeping costs, counted where it is allocated.
 *
 * Every table of a host (pmaps, frames, slot maps, ...) comes from its meter,
 * so that host.metadata_bytes is a sum and not an estimate. Memory is zeroed
 * and costs only what is touched, but is counted whole. One host, one thread.
 */
#ifndef BALLAST_CORE_METER_H
#define BALLAST_CORE_METER_H

#include "core/types.h"

struct meter {
	uint64_t bytes;
};

/* Zeroed memory, or NULL. */
void *meter_alloc(struct meter *meter, size_t bytes);

/* The same size as at meter_alloc(); NULL is fine. */
void meter_free(struct meter *meter, void *p, size_t bytes);

#endif
