/* For tax/ and its tests. */
#ifndef BALLAST_TAX_PRIVATE_H
#define BALLAST_TAX_PRIVATE_H

#include "tax/alloc.h"

extern const struct allocator allocator_esx, allocator_shares, allocator_equal, allocator_mom,
	allocator_mrc, allocator_none;

/*
 * Divides by price with that tax; equal: as if every claim that has shares had
 * one. Exact, in O(n log n) and at most 88 passes over the claims. 0 or -ENOMEM.
 */
MUST_CHECK int divide_by_price(const struct alloc_ask *ask, uint32_t tax, bool equal,
			       uint64_t *target);

#endif
