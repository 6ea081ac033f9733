/*
 * mrc: equal marginal misses, the answer of those who know each VM's miss curve
 * (Stone, Turek and Wolf, "Optimal partitioning of cache memory", 1992).
 *
 * A page goes to whoever misses least for having it. Curves that fall in cliffs
 * would stop that short of each cliff, so each is taken by its lower convex
 * hull: straight pieces, ever flatter. The pieces of all VMs are handed out, the
 * steepest first, of equals the earlier claim's; only the last is cut. Where
 * nobody would miss less any more, what is left goes by shares. Shares decide
 * nothing else here, but that a claim with none has its minimum.
 */
#include "tax/private.h"

#include <errno.h>
#include <stdlib.h>

typedef unsigned __int128 wide_t;

/* A straight part of a hull: so many misses less for so many pages more. */
struct piece {
	uint64_t pages, drop;
	uint32_t claim, at; /* at: the piece's place in its hull */
};

struct point {
	uint64_t pages, misses;
};

static uint64_t misses_at(const struct miss_curve *c, uint64_t pages)
{
	uint64_t i = pages / c->step;

	if (i + 1 >= c->n)
		return c->misses[c->n - 1];
	wide_t fall = (wide_t)(c->misses[i] - c->misses[i + 1]) * (pages % c->step) / c->step;
	return c->misses[i] - (uint64_t)fall;
}

/* Whether b lies on or above the line from a to c: it is no corner of the lower hull. */
static bool above(const struct point *a, const struct point *b, const struct point *c)
{
	wide_t to_b = (wide_t)(a->misses - b->misses) * (c->pages - a->pages);
	wide_t to_c = (wide_t)(a->misses - c->misses) * (b->pages - a->pages);

	return to_b <= to_c;
}

static uint32_t add_point(struct point *hull, uint32_t n, struct point p)
{
	while (n > 1 && above(&hull[n - 2], &hull[n - 1], &p))
		n--;
	hull[n] = p;
	return n + 1;
}

/* The pieces of a claim between its minimum and its maximum; hull has room for curve->n + 2. */
static size_t add_pieces(const struct claim *c, uint32_t claim, struct point *hull,
			 struct piece *piece)
{
	const struct miss_curve *curve = c->curve;
	uint32_t n = add_point(hull, 0, (struct point){c->min, misses_at(curve, c->min)});

	for (uint64_t i = c->min / curve->step + 1; i < curve->n && i * curve->step < c->max; i++)
		n = add_point(hull, n, (struct point){i * curve->step, curve->misses[i]});
	if (c->max > c->min)
		n = add_point(hull, n, (struct point){c->max, misses_at(curve, c->max)});
	for (uint32_t i = 1; i < n; i++)
		piece[i - 1] = (struct piece){hull[i].pages - hull[i - 1].pages,
					      hull[i - 1].misses - hull[i].misses, claim, i};
	return n - 1;
}

/* The steepest first. */
static int by_slope(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	wide_t of_x = (wide_t)x->drop * y->pages, of_y = (wide_t)y->drop * x->pages;

	if (of_x != of_y)
		return of_x < of_y ? 1 : -1;
	if (x->claim != y->claim)
		return x->claim < y->claim ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Minimums are in target, spare is what is left; returns what nobody would miss. */
static uint64_t hand_out(const struct piece *piece, size_t n, uint64_t spare, uint64_t *target)
{
	for (size_t i = 0; i < n && piece[i].drop > 0 && spare > 0; i++) {
		uint64_t pages = min_u64(piece[i].pages, spare);
		target[piece[i].claim] += pages;
		spare -= pages;
	}
	return spare;
}

/* By shares, nobody falling below what it has by now. */
static int divide_rest(const struct alloc_ask *ask, uint64_t *target)
{
	struct claim *claims = calloc(ask->n + 1, sizeof *claims);
	struct alloc_ask rest = *ask;

	if (!claims)
		return -ENOMEM;
	for (size_t i = 0; i < ask->n; i++) {
		claims[i] = ask->claims[i];
		claims[i].min = target[i];
	}
	rest.claims = claims;
	int rc = divide_by_price(&rest, 0, false, target);
	free(claims);
	return rc;
}

static int mrc_targets(const struct alloc_ask *ask, uint64_t *target)
{
	uint64_t spare = ask->memory;
	size_t n = 0, room = 1, points = 0;
	int rc = -ENOMEM;

	for (size_t i = 0; i < ask->n; i++) {
		room += ask->claims[i].curve->n + 1u;
		points = max_u64(points, ask->claims[i].curve->n);
		target[i] = ask->claims[i].min;
		spare -= target[i];
	}
	struct piece *piece = calloc(room, sizeof *piece);
	struct point *hull = calloc(points + 2, sizeof *hull);
	if (piece && hull) {
		for (uint32_t i = 0; i < ask->n; i++) {
			if (ask->claims[i].shares)
				n += add_pieces(&ask->claims[i], i, hull, piece + n);
		}
		qsort(piece, n, sizeof *piece, by_slope);
		spare = hand_out(piece, n, spare, target);
		rc = spare ? divide_rest(ask, target) : 0;
	}
	free(piece);
	free(hull);
	return rc;
}

const struct allocator allocator_mrc = {
	.policy = {"mrc", "to whoever misses least for it, by miss curves (sample.sampler = mrc)"},
	.curves = true,
	.targets = mrc_targets,
};
