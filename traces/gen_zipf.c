#include "traces/gen.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/*
 * Zipf's law exactly, in time and memory that do not grow with the pages, by
 * rejection from a hat of steps (von Neumann): ranks below 128 are a step each,
 * and every octave above is cut into 64. A step is drawn by Walker's alias
 * method with the weight count * first^-alpha; a rank in it, uniform, is
 * accepted with (first / rank)^alpha, which is over (64 / 65)^alpha: one
 * compare tells it for nearly every draw, pow() for the few that are left.
 */
#define STEP_BITS 6
#define STEPS	  (1u << STEP_BITS)

struct step {
	uint64_t first, count; /* ranks, from 1 */
	uint64_t keep;	       /* this step if a 64-bit fraction is below, else... */
	uint64_t surely;       /* a fraction below this accepts any rank of the step */
	uint32_t other;	       /* ...that one */
};

struct zipf {
	struct rng rng;
	struct scatter scatter;
	double alpha;
	struct step *steps;
	uint32_t n;
};

/* A share in [0, 1] as a fraction of 2^64. */
static uint64_t fraction(double share)
{
	return share >= 1 ? UINT64_MAX : (uint64_t)(share * 0x1p64);
}

static uint32_t cut_steps(struct zipf *z, uint64_t pages, double *weight)
{
	uint64_t first = 1, width = 1;
	uint32_t n = 0;

	while (first <= pages) {
		uint64_t count = min_u64(width, pages - first + 1);

		z->steps[n] = (struct step){
			.first = first,
			.count = count,
			.surely = fraction(
				pow((double)first / (double)(first + count - 1), z->alpha)),
		};
		weight[n++] = (double)count * pow((double)first, -z->alpha);
		first += width;
		if (first == width << (STEP_BITS + 1))
			width *= 2;
	}
	return n;
}

/* Vose's way to fill Walker's table: each light step is topped up by a heavy one. */
static void make_alias(struct zipf *z, double *weight, uint32_t *stack)
{
	uint32_t light = 0, heavy = z->n;
	double sum = 0;

	for (uint32_t i = 0; i < z->n; i++)
		sum += weight[i];
	for (uint32_t i = 0; i < z->n; i++) {
		weight[i] *= z->n / sum;
		stack[weight[i] < 1 ? light++ : --heavy] = i;
	}
	while (light && heavy < z->n) {
		uint32_t l = stack[--light], h = stack[heavy];

		z->steps[l].keep = fraction(weight[l]);
		z->steps[l].other = h;
		weight[h] -= 1 - weight[l];
		if (weight[h] < 1) {
			heavy++;
			stack[light++] = h;
		}
	}
	while (light) /* rounding left these at just under one */
		z->steps[stack[--light]].keep = UINT64_MAX;
	while (heavy < z->n)
		z->steps[stack[heavy++]].keep = UINT64_MAX;
	for (uint32_t i = 0; i < z->n; i++) {
		if (z->steps[i].keep == UINT64_MAX)
			z->steps[i].other = i;
	}
}

static int zipf_start(void *state, const struct gen_opts *opts, uint64_t index, struct err *err)
{
	const size_t max = STEPS * (REC_PAGE_BITS + 1);
	struct zipf *z = state;
	double *weight = calloc(max, sizeof *weight);
	uint32_t *stack = calloc(max, sizeof *stack);
	struct rng order;
	int rc = 0;

	z->alpha = opts->alpha;
	z->steps = calloc(max, sizeof *z->steps);
	if (weight && stack && z->steps) {
		z->n = cut_steps(z, (uint64_t)opts->pages, weight);
		make_alias(z, weight, stack);
		rng_init(&z->rng, (uint64_t)opts->seed, "gen.page", index);
		rng_init(&order, (uint64_t)opts->seed, "gen.order", index);
		scatter_init(&z->scatter, (uint64_t)opts->pages, &order);
	} else {
		free(z->steps);
		rc = err_run(err, ENOMEM, "out of memory");
	}
	free(weight);
	free(stack);
	return rc;
}

/* Uniform in [0, n) with what the multiplication leaves over as a fraction. */
static inline uint64_t split(uint64_t random, uint64_t n, uint64_t *left)
{
	unsigned __int128 product = (unsigned __int128)random * n;

	*left = (uint64_t)product;
	return (uint64_t)(product >> 64);
}

static void zipf_fill(void *state, uint64_t *page, size_t n)
{
	struct zipf *z = state;
	struct rng rng = z->rng; /* in registers */
	size_t done = 0;

	while (done < n) {
		uint64_t left;
		const struct step *s = z->steps + split(rng_u64(&rng), z->n, &left);

		if (left >= s->keep)
			s = z->steps + s->other;
		uint64_t rank = s->first + split(rng_u64(&rng), s->count, &left);
		if (unlikely(left >= s->surely) &&
		    left >= fraction(pow((double)s->first / (double)rank, z->alpha)))
			continue;
		page[done++] = scatter(&z->scatter, rank - 1);
	}
	z->rng = rng;
}

static void zipf_stop(void *state)
{
	free(((struct zipf *)state)->steps);
}

const struct law law_zipf = {
	.policy = {.name = "zipf", .help = "the k-th most popular page drawn as k^-alpha"},
	.size = sizeof(struct zipf),
	.start = zipf_start,
	.fill = zipf_fill,
	.stop = zipf_stop,
};
