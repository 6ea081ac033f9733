/*
 * Who gets the memory: claims in, targets out; pure arithmetic in integers.
 *
 * Waldspurger 2002, section 5.2. A VM with S shares and P pages, of which A
 * are active, is charged C(P) = min(P, A) + k max(0, P - A) pages, an idle page
 * costing k = 1 / (1 - tax); it pays the price S / C(P) a page, and memory is
 * revoked page by page from whoever pays least (of equal prices the later
 * claim's first). A is an amount: a sampler that finds the fraction f active
 * says A = f P, which makes C(P) the paper's P (f + k (1 - f)). Taking pages
 * takes idle ones first, so A stays while the targets are worked out.
 *
 * Why the outcome is unique: page p of VM i is held at the price S / C(p),
 * which falls with p. Put every page above the minimums in one line by price,
 * then by claim; each VM's own come in their order. Revocation always takes
 * the last of the line, so that what is left is its beginning: whoever starts
 * where, by whatever steps, the first M - sum(min) pages. The allocators cut
 * the line at one price (tax/line.c) and equal page-by-page revocation exactly.
 *
 * Owns nothing, keeps nothing: any thread, any time.
 */
#ifndef BALLAST_TAX_ALLOC_H
#define BALLAST_TAX_ALLOC_H

#include "core/err.h"
#include "core/policy.h"

#define TAX_WHOLE	 1000000u /* the tax is in millionths; all is more than allowed */
#define ALLOC_PAGES_MAX	 (UINT64_C(1) << 36) /* of one VM: 256 TiB */
#define ALLOC_CLAIMS_MAX (1u << 20)
#define CURVE_POINTS_MAX (1u << 12)

/*
 * What a VM would miss by its memory: misses[i] of them, in a time that is the
 * same for all claims, with i * step pages; they never rise with i. Beyond the
 * last point nothing changes.
 */
struct miss_curve {
	uint32_t n;    /* points; at least 1 */
	uint64_t step; /* pages; at least 1 */
	const uint64_t *misses;
};

struct claim {
	uint64_t min, max;		/* pages; min <= max <= ALLOC_PAGES_MAX */
	uint64_t active;		/* pages in use, of however many it has; at most max */
	uint64_t pages;			/* that it has now; only gradual allocators read it */
	uint32_t shares;		/* 0: exactly min, even if memory is spare */
	const struct miss_curve *curve; /* NULL: not known; read where allocator.curves says so */
};

struct alloc_ask {
	const struct claim *claims;
	size_t n;
	uint64_t memory; /* pages to be divided; at least the sum of the minimums */
	uint32_t tax;	 /* in millionths, below TAX_WHOLE; read by allocators that tax */
};

/*
 * The socket. targets() gets an ask that alloc_check() passed and writes n
 * targets, each from min to max. esx, shares, equal and mrc divide exactly:
 * sum(targets) == min(memory, sum of max), where a claim without shares counts
 * as a max of min. A gradual one takes one bounded step from claim.pages, and
 * its sum is what it is. 0 or -ENOMEM.
 */
struct allocator {
	struct policy policy;
	bool taxes;   /* reads ask.tax */
	bool curves;  /* reads claim.curve, of every claim */
	bool gradual; /* a step, to be repeated each period */
	int (*targets)(const struct alloc_ask *ask, uint64_t *target);
};

extern const struct policy *const allocators[]; /* NULL-ended, of struct allocator */

/* Whether one claim makes sense by itself; the message has its figures. */
MUST_CHECK int claim_check(const struct claim *claim, struct err *err);

/* Whether the ask can be met: sizes, tax, every claim, and room for all minimums. */
MUST_CHECK int alloc_check(const struct alloc_ask *ask, struct err *err);

/* Checks, and asks the allocator; target has room for ask->n. */
MUST_CHECK int alloc_targets(const struct allocator *allocator, const struct alloc_ask *ask,
			     uint64_t *target, struct err *err);

/*
 * Where a gradual allocator leads: steps, each from the targets of the one
 * before, until nothing moves or most steps are done. *steps are those that
 * moved something; == most where it was moving still. claim.pages is where it
 * begins. -ENOMEM only, beside what alloc_check() says.
 */
MUST_CHECK int alloc_settle(const struct allocator *allocator, const struct alloc_ask *ask,
			    unsigned most, uint64_t *target, unsigned *steps, struct err *err);

/*
 * What a VM is charged for that many pages, times (1 - tax), in millionths of a
 * page: (TAX_WHOLE - tax) an active page and TAX_WHOLE an idle one.
 */
static inline uint64_t alloc_charge(const struct claim *c, uint64_t pages, uint32_t tax)
{
	uint64_t active = min_u64(pages, c->active);

	return active * (TAX_WHOLE - tax) + (pages - active) * TAX_WHOLE;
}

#endif
