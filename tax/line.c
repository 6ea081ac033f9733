/*
 * The line of pages by falling price (tax/alloc.h), cut after as many as there
 * are.
 *
 * With a level L, the inverse of a price, the line's beginning up to L is what
 * each VM holds where C(p) <= S L: a division for each VM. L is found by
 * halving an interval until the pages up to it are short of memory by at most
 * one a VM; those follow one by one off a heap, in the line's own order. L has
 * 32 binary places and shares 32 bits, so that the pages of one VM are further
 * apart than two neighbouring levels: the halving comes to its end.
 */
#include "tax/private.h"

#include <errno.h>
#include <stdlib.h>

#define LEVEL_BITS 32

typedef unsigned __int128 wide_t;

struct line {
	const struct claim *claims;
	size_t n;
	uint32_t tax;
	bool equal;
};

static uint32_t weight(const struct line *line, size_t i)
{
	uint32_t shares = line->claims[i].shares;

	return line->equal ? shares > 0 : shares;
}

static uint64_t charge(const struct line *line, size_t i, uint64_t pages)
{
	return alloc_charge(&line->claims[i], pages, line->tax);
}

/* The most that a VM can come to. */
static uint64_t ceiling(const struct line *line, size_t i)
{
	return weight(line, i) ? line->claims[i].max : line->claims[i].min;
}

/* What the VM holds of the line up to a level, and its minimum in any case. */
static uint64_t held(const struct line *line, size_t i, wide_t level)
{
	const struct claim *c = &line->claims[i];
	wide_t budget = level * weight(line, i) >> LEVEL_BITS;
	uint64_t busy = TAX_WHOLE - line->tax, pages;

	if (budget == 0)
		return c->min;
	if (budget >= charge(line, i, c->max))
		return c->max;
	if (budget <= busy * c->active)
		pages = (uint64_t)budget / busy;
	else
		pages = c->active + ((uint64_t)budget - busy * c->active) / TAX_WHOLE;
	return max_u64(pages, c->min);
}

static uint64_t held_by_all(const struct line *line, wide_t level)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < line->n; i++)
		sum += held(line, i, level);
	return sum;
}

/* A level up to which nobody lacks a page. */
static wide_t highest_level(const struct line *line)
{
	wide_t highest = 0;

	for (size_t i = 0; i < line->n; i++) {
		uint32_t shares = weight(line, i);

		if (!shares)
			continue;
		wide_t level = ((wide_t)charge(line, i, line->claims[i].max) << LEVEL_BITS);
		level = level / shares + 1;
		if (level > highest)
			highest = level;
	}
	return highest;
}

/* The cut: a level where all hold at most memory, and lack at most one page a VM. */
static wide_t find_level(const struct line *line, uint64_t memory, uint64_t *held_there)
{
	wide_t low = 0, high = highest_level(line);
	uint64_t at_low = held_by_all(line, low);

	while (memory - at_low > line->n) {
		wide_t level = low + (high - low) / 2;
		uint64_t sum = held_by_all(line, level);

		if (sum <= memory) {
			low = level;
			at_low = sum;
		} else {
			high = level;
		}
	}
	*held_there = at_low;
	return low;
}

/* ---- the last pages, in the order of the line ---------------------------- */

struct queue {
	const struct line *line;
	const uint64_t *target;
	uint32_t *vm; /* a heap: whose next page stands first in the line */
	size_t n;
};

/* Whether a's next page stands before b's: at a higher price, or the same and an earlier claim. */
static bool before(const struct queue *q, uint32_t a, uint32_t b)
{
	wide_t of_a = (wide_t)charge(q->line, a, q->target[a] + 1) * weight(q->line, b);
	wide_t of_b = (wide_t)charge(q->line, b, q->target[b] + 1) * weight(q->line, a);

	return of_a != of_b ? of_a < of_b : a < b;
}

static void sift(struct queue *q, size_t at)
{
	for (;;) {
		size_t first = at, child = 2 * at + 1;

		for (size_t i = child; i < child + 2 && i < q->n; i++)
			first = before(q, q->vm[i], q->vm[first]) ? i : first;
		if (first == at)
			return;
		uint32_t vm = q->vm[at];
		q->vm[at] = q->vm[first];
		q->vm[first] = vm;
		at = first;
	}
}

static int hand_out(const struct line *line, uint64_t pages, uint64_t *target)
{
	struct queue q = {line, target, malloc(line->n * sizeof *q.vm), 0};

	if (!q.vm)
		return -ENOMEM;
	for (size_t i = 0; i < line->n; i++) {
		if (target[i] < ceiling(line, i))
			q.vm[q.n++] = (uint32_t)i;
	}
	for (size_t i = q.n / 2; i-- > 0;)
		sift(&q, i);
	for (; pages; pages--) { /* the ceilings have room for more than these */
		uint32_t vm = q.vm[0];

		if (++target[vm] == ceiling(line, vm))
			q.vm[0] = q.vm[--q.n];
		sift(&q, 0);
	}
	free(q.vm);
	return 0;
}

int divide_by_price(const struct alloc_ask *ask, uint32_t tax, bool equal, uint64_t *target)
{
	const struct line line = {ask->claims, ask->n, tax, equal};
	uint64_t most = 0, sum;

	for (size_t i = 0; i < line.n; i++) {
		target[i] = ceiling(&line, i);
		most += target[i];
	}
	if (most <= ask->memory)
		return 0;
	wide_t level = find_level(&line, ask->memory, &sum);
	for (size_t i = 0; i < line.n; i++)
		target[i] = held(&line, i, level);
	return sum < ask->memory ? hand_out(&line, ask->memory - sum, target) : 0;
}
