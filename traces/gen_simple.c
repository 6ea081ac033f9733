#include "traces/gen.h"

/* ---- sequential ---------------------------------------------------------- */

struct sequential {
	uint64_t next, pages;
};

static int sequential_start(void *state, const struct gen_opts *opts, uint64_t index,
			    struct err *err)
{
	struct sequential *s = state;

	(void)index;
	(void)err;
	s->pages = (uint64_t)opts->pages;
	return 0;
}

static void sequential_fill(void *state, uint64_t *page, size_t n)
{
	struct sequential *s = state;

	for (size_t i = 0; i < n; i++) {
		page[i] = s->next++;
		if (s->next == s->pages)
			s->next = 0;
	}
}

const struct law law_sequential = {
	.policy = {.name = "sequential", .help = "every page in order, over and over"},
	.size = sizeof(struct sequential),
	.start = sequential_start,
	.fill = sequential_fill,
};

/* ---- uniform ------------------------------------------------------------- */

struct uniform {
	struct rng rng;
	uint64_t pages;
};

static int uniform_start(void *state, const struct gen_opts *opts, uint64_t index, struct err *err)
{
	struct uniform *u = state;

	(void)err;
	u->pages = (uint64_t)opts->pages;
	rng_init(&u->rng, (uint64_t)opts->seed, "gen.page", index);
	return 0;
}

static void uniform_fill(void *state, uint64_t *page, size_t n)
{
	struct uniform *u = state;

	for (size_t i = 0; i < n; i++)
		page[i] = rng_below(&u->rng, u->pages);
}

const struct law law_uniform = {
	.policy = {.name = "uniform", .help = "every page equally likely"},
	.size = sizeof(struct uniform),
	.start = uniform_start,
	.fill = uniform_fill,
};
