#include "tax/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct policy *const allocators[] = {
	&allocator_esx.policy,
	&allocator_shares.policy,
	&allocator_equal.policy,
	&allocator_mom.policy,
	&allocator_mrc.policy,
	&allocator_none.policy,
	NULL,
};

static double mb(uint64_t pages)
{
	return (double)pages * PAGE_SIZE / (1 << 20);
}

int claim_check(const struct claim *c, struct err *err)
{
	if (c->max > ALLOC_PAGES_MAX)
		return err_input(err, "a maximum of %.12g MB is too large; the largest is %.12g MB",
				 mb(c->max), mb(ALLOC_PAGES_MAX));
	if (c->min > c->max)
		return err_input(err, "the minimum of %.12g MB is above the maximum of %.12g MB",
				 mb(c->min), mb(c->max));
	if (c->active > c->max)
		return err_input(err, "%.12g MB active is more than the maximum of %.12g MB",
				 mb(c->active), mb(c->max));
	if (c->pages > ALLOC_PAGES_MAX)
		return err_input(err, "%.12g MB held is too large; the largest is %.12g MB",
				 mb(c->pages), mb(ALLOC_PAGES_MAX));
	return 0;
}

/* Of an allocator that divides by curves. */
static int curves_check(const struct alloc_ask *ask, const struct allocator *allocator,
			struct err *err)
{
	for (size_t i = 0; i < ask->n; i++) {
		const struct miss_curve *c = ask->claims[i].curve;

		if (!c)
			return err_input(
				err,
				"claim %zu has no miss curve, and %s divides by them: only "
				"sample.sampler = mrc makes any",
				i + 1, allocator->policy.name);
		if (c->n < 1 || c->n > CURVE_POINTS_MAX || c->step < 1 || c->step > ALLOC_PAGES_MAX)
			return err_input(err,
					 "claim %zu: a miss curve of %u points every %llu pages",
					 i + 1, c->n, (unsigned long long)c->step);
		for (uint32_t j = 1; j < c->n; j++) {
			if (c->misses[j] > c->misses[j - 1])
				return err_input(err, "claim %zu: its miss curve rises at point %u",
						 i + 1, j + 1);
		}
	}
	return 0;
}

int alloc_check(const struct alloc_ask *ask, struct err *err)
{
	uint64_t min = 0;

	if (ask->n > ALLOC_CLAIMS_MAX)
		return err_input(err, "%zu claims are too many; the most are %u", ask->n,
				 ALLOC_CLAIMS_MAX);
	if (ask->tax >= TAX_WHOLE)
		return err_input(err, "a tax of %.7g leaves nothing; it must be below 1, as 0.75",
				 ask->tax / (double)TAX_WHOLE);
	for (size_t i = 0; i < ask->n; i++) {
		int rc = claim_check(&ask->claims[i], err);

		if (rc) {
			err_prefix(err, "claim %zu", i + 1);
			return rc;
		}
		min += ask->claims[i].min; /* at most 2^20 of 2^36 */
	}
	if (min > ask->memory)
		return err_input(err,
				 "the minimums add up to %.12g MB, %.12g MB more than the %.12g MB "
				 "that there are; lower one, or give more memory",
				 mb(min), mb(min - ask->memory), mb(ask->memory));
	return 0;
}

static int no_memory(size_t n, struct err *err)
{
	return err_run(err, ENOMEM, "out of memory for the targets of %zu claims", n);
}

int alloc_targets(const struct allocator *allocator, const struct alloc_ask *ask, uint64_t *target,
		  struct err *err)
{
	int rc = alloc_check(ask, err);

	if (rc == 0 && allocator->curves)
		rc = curves_check(ask, allocator, err);
	if (rc)
		return rc;
	return allocator->targets(ask, target) ? no_memory(ask->n, err) : 0;
}

int alloc_settle(const struct allocator *allocator, const struct alloc_ask *ask, unsigned most,
		 uint64_t *target, unsigned *steps, struct err *err)
{
	int rc = alloc_check(ask, err);
	struct claim *claims;
	bool moved = true;

	if (rc)
		return rc;
	claims = calloc(ask->n + 1, sizeof *claims);
	if (!claims)
		return no_memory(ask->n, err);
	if (ask->n)
		memcpy(claims, ask->claims, ask->n * sizeof *claims);
	struct alloc_ask next = *ask;
	next.claims = claims;
	for (*steps = 0; !rc && moved && *steps < most; *steps += moved) {
		rc = allocator->targets(&next, target);
		moved = false;
		for (size_t i = 0; !rc && i < ask->n; i++) {
			moved |= claims[i].pages != target[i];
			claims[i].pages = target[i];
		}
	}
	free(claims);
	return rc ? no_memory(ask->n, err) : 0;
}
