/* The sampler mrc: its curve against Mattson's stack, and where it finds a knee. */
#include "probe.h"

#include "core/rng.h"

/* With every page tracked the curve is that of Mattson's stack, kept here as a list. */
static void mrc_is_exact_where_all_is_tracked(void)
{
	enum { PAGES = 128, TICKS = 30 };
	struct sample_opts o = options(&sampler_mrc);
	uint32_t stack[PAGES], n = 0, hist[PAGES + 1] = {0};
	struct bench b;
	struct rng rng;

	rng_init(&rng, test_seed(4), "mrc", 0);
	o.mrc_pages = PAGES;
	bench_open(&b, &o, PAGES);
	bench_start(&b, 1);
	for (int t = 0; t < TICKS; t++) {
		bool seen[PAGES] = {false};
		for (int i = 0; i < 60; i++) {
			uint64_t r = rng_below(&rng, PAGES);
			uint32_t page = (uint32_t)(r * r / PAGES), at = 0;
			test_hit(b.vm, page, ACCESS_WRITE);
			if (seen[page])
				continue; /* within a tick one counts */
			seen[page] = true;
			while (at < n && stack[at] != page)
				at++;
			hist[at == n ? PAGES : at]++;
			n += at == n;
			memmove(stack + 1, stack, at * sizeof *stack);
			stack[0] = page;
		}
		tick(&b);
	}
	const struct miss_curve *c = b.vm->curve;
	CU_ASSERT_EQUAL(c->n, 65);
	CU_ASSERT_EQUAL(c->step, 2);
	uint64_t reuses = 0, misses = 0, flat = 64;
	for (uint32_t d = 0; d < PAGES; d++)
		reuses += hist[d];
	for (uint32_t i = c->n; i-- > 0;) {
		if (i < 64)
			misses += hist[2 * i] + hist[2 * i + 1];
		CU_ASSERT_EQUAL(c->misses[i], misses + hist[PAGES]);
		if (20 * misses <= reuses)
			flat = i;
	}
	CU_ASSERT_EQUAL(active(&b), 2 * flat);
	bench_close(&b);
}

/* Ten pages each tick of a period: 10 first touches, 290 reuses; then nothing. */
static void mrc_fades(void)
{
	struct sample_opts o = options(&sampler_mrc);
	struct bench b;

	o.mrc_pages = 128;
	o.mrc_fade = 0.5;
	bench_open(&b, &o, 128);
	bench_start(&b, 1);
	for (int t = 0; t < 30; t++) {
		touch_range(&b, 0, 10);
		tick(&b);
	}
	CU_ASSERT_EQUAL(b.vm->curve->misses[0], 300);
	CU_ASSERT_EQUAL(b.vm->curve->misses[64], 10);
	for (int t = 0; t < 30; t++)
		tick(&b);
	CU_ASSERT_EQUAL(b.vm->curve->misses[0], 100); /* (300 / 2 + 0) / (1 / 2 + 1) */
	CU_ASSERT_EQUAL(b.vm->curve->misses[64], 3);
	CU_ASSERT_EQUAL(active(&b), 10);
	bench_close(&b);
}

/* A loop over 20,000 of 80,000 pages, known by 1,024 of them: the knee is where it is. */
static void mrc_finds_a_loop(void)
{
	struct sample_opts o = options(&sampler_mrc);
	struct bench b;

	bench_open(&b, &o, 80000);
	bench_start(&b, 5);
	for (int t = 0; t < 60; t++) {
		touch_range(&b, 1000, 20000);
		tick(&b);
	}
	printf("  %llu of 20000 pages, %llu faults\n", (unsigned long long)active(&b),
	       (unsigned long long)b.probe.stats.faults);
	CU_ASSERT(active(&b) > 18000 && active(&b) < 22500);
	/* Once for each page of those tracked at first, then 1,024 a tick. */
	CU_ASSERT(b.probe.stats.faults < 20000 + 60 * 1024);
	CU_ASSERT(b.probe.stats.bytes < 16 * 1024);
	for (int t = 0; t < 150; t++) { /* a smaller loop: what is not used any more is forgotten */
		touch_range(&b, 1000, 5000);
		tick(&b);
	}
	printf("  %llu of 5000 pages\n", (unsigned long long)active(&b));
	CU_ASSERT(active(&b) > 3700 && active(&b) < 6600);
	bench_close(&b);
}

TESTS("tax/sample-mrc", {"all tracked", mrc_is_exact_where_all_is_tracked}, {"fading", mrc_fades},
      {"a loop", mrc_finds_a_loop})
