/* The samplers: against hand-made numbers, slow twins and the law of their error. */
#include "probe.h"

#include "core/rng.h"

#include <errno.h>
#include <math.h>

/* All pages are sampled here, so that every number can be worked out by hand. */
static void esx_averages(void)
{
	struct sample_opts o = options(&sampler_esx);
	struct bench b;

	o.pages = 4000;
	bench_open(&b, &o, 4000);
	bench_start(&b, 1);
	CU_ASSERT_EQUAL(active(&b), 0);
	touch_range(&b, 0, 500);
	CU_ASSERT_EQUAL(active(&b), 500); /* no average yet: t / n */
	touch_range(&b, 0, 1000);
	CU_ASSERT_EQUAL(active(&b), 1000);
	tick(&b);
	CU_ASSERT_EQUAL(active(&b), 1000); /* both averages begin there */
	touch_range(&b, 0, 1000);	   /* with the same so far nothing rises */
	CU_ASSERT_EQUAL(active(&b), 1000);
	touch_range(&b, 0, 3000); /* 1/4 + 3/4 (3/4 - 1/4) = 5/8 */
	CU_ASSERT_EQUAL(active(&b), 2500);
	tick(&b); /* slow 3/8, fast 5/8 */
	CU_ASSERT_EQUAL(active(&b), 2500);
	tick(&b); /* nothing touched: slow 9/32, fast 5/32 */
	CU_ASSERT_EQUAL(active(&b), 1125);
	tick(&b);			  /* slow 27/128, fast 5/128 */
	CU_ASSERT_EQUAL(active(&b), 844); /* 843.75 */
	/* Of 4000 pages taken five times, 3000 + 1000 were given back by touches. */
	CU_ASSERT_EQUAL(b.probe.stats.invalidations, 20000);
	CU_ASSERT_EQUAL(b.probe.stats.faults, 4000);
	CU_ASSERT_EQUAL(b.probe.stats.cpu_ns, 20000 * 500 + 4000 * 1000);
	CU_ASSERT_EQUAL(b.vm->time_ns, b.probe.stats.cpu_ns);
	bench_close(&b);
}

/* A timeline's change holds from the next period on. */
static void esx_with_other_options(void)
{
	struct sample_opts o = options(&sampler_esx);
	struct bench b;

	o.pages = 4000;
	bench_open(&b, &o, 4000);
	bench_start(&b, 1);
	touch_range(&b, 0, 1000);
	tick(&b);
	b.opts.slow = 0.5;
	b.opts.pages = 1000;
	tick(&b); /* nothing touched: slow 1/8, fast 1/16 */
	CU_ASSERT_EQUAL(active(&b), 500);
	touch_range(&b, 0, 4000);	   /* 1/16 + 3/4 (1 - 1/16) = 49/64 */
	CU_ASSERT_EQUAL(active(&b), 3063); /* 3062.5 */
	CU_ASSERT_EQUAL(b.probe.stats.faults, 2000);
	bench_close(&b);
}

/* One touch a page counts, and the page may be in any state. */
static void esx_counts_touches_of_absent_pages(void)
{
	struct sample_opts o = options(&sampler_esx);
	struct bench b;

	o.pages = 10;
	bench_open(&b, &o, 10);
	bench_start(&b, 1);
	for (uint32_t i = 0; i < 4; i++)
		pmap_drop(b.vm->pmap, (ppn_t){i});
	touch_range(&b, 0, 2);
	touch_range(&b, 0, 2);
	touch_range(&b, 8, 1);
	CU_ASSERT_EQUAL(active(&b), 3);
	CU_ASSERT_EQUAL(b.probe.stats.faults, 1); /* two were faults anyway */
	bench_close(&b);
}

/* Each page as often as any other, and never twice in a period. */
static void esx_draws_evenly(void)
{
	static uint32_t drawn[50];
	struct sample_opts o = options(&sampler_esx);

	for (int64_t n = 10; n <= 30; n += 20) {
		struct bench b;
		double chi2 = 0, expected = 4000.0 * (double)n / 50;

		o.pages = n;
		bench_open(&b, &o, 50);
		bench_start(&b, test_seed(7));
		memset(drawn, 0, sizeof drawn);
		for (int period = 0; period < 4000; period++) {
			int64_t sampled = 0;
			for (uint32_t i = 0; i < 50; i++) {
				bool is = test_entry(b.vm, i) & PTE_SAMPLED;
				drawn[i] += is;
				sampled += is;
			}
			CU_ASSERT_EQUAL_FATAL(sampled, n);
			tick(&b);
		}
		for (int i = 0; i < 50; i++)
			chi2 += (drawn[i] - expected) * (drawn[i] - expected) / expected;
		/* 49 degrees of freedom, less without replacement: 6 sd above the mean */
		CU_ASSERT(chi2 < 49 + 6 * sqrt(98));
		bench_close(&b);
	}
}

/* sqrt(f (1 - f) / n), over many seeds, with n = 100 as in the paper. */
static void esx_standard_error(void)
{
	const double parts[] = {0.05, 0.3, 0.5, 0.9};
	const uint32_t pages = 8192, seeds = 10000 / TEST_SCALE;
	struct sample_opts o = options(&sampler_esx);
	struct bench b;

	bench_open(&b, &o, pages);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		uint32_t used = (uint32_t)(parts[i] * pages);
		double f = (double)used / pages, sum = 0, squares = 0;
		for (uint32_t seed = 0; seed < seeds; seed++) {
			bench_start(&b, seed);
			for (uint32_t page = 0; page < used; page++) {
				if (test_entry(b.vm, page) &
				    PTE_SAMPLED) /* the others tell nothing */
					test_hit(b.vm, page, ACCESS_READ);
			}
			double found = (double)active(&b) / pages;
			sum += found;
			squares += (found - f) * (found - f);
		}
		double error = sqrt(squares / seeds), law = sqrt(f * (1 - f) / 100);
		printf("  f = %.3f: mean %.4f, standard error %.5f, by the law %.5f\n", f,
		       sum / seeds, error, law);
		CU_ASSERT_DOUBLE_EQUAL(error, law, 0.05 * law);
		CU_ASSERT_DOUBLE_EQUAL(sum / seeds, f, 4 * law / sqrt(seeds));
	}
	bench_close(&b);
}

/* Against an array of when each page was last touched. */
static void exact_is_exact(void)
{
	struct sample_opts o = options(&sampler_exact);
	uint32_t last[300] = {0}, now = 5;
	struct bench b;
	struct rng rng;

	rng_init(&rng, test_seed(3), "exact", 0);
	o.slice = S;
	o.period = 5 * S;
	bench_open(&b, &o, 300);
	bench_start(&b, 1);
	b.probe.truth = &b.probe;
	for (int i = 0; i < 2000; i++, now++) {
		uint32_t first = (uint32_t)rng_below(&rng, 300), n = (uint32_t)rng_below(&rng, 40);
		for (uint32_t p = first; p < first + n && p < 300; p++) {
			test_hit(b.vm, p, ACCESS_READ);
			last[p] = now;
		}
		uint64_t expected = 0;
		for (uint32_t p = 0; p < 300; p++)
			expected += last[p] > now - 5 && last[p];
		if (i % 3 == 0)
			CU_ASSERT_EQUAL(exact_count(&b.probe), expected);
		tick(&b);
		CU_ASSERT_EQUAL(active(&b), expected);
	}
	CU_ASSERT_EQUAL(b.probe.stats.cpu_ns, 0);
	bench_close(&b);
}

/* ---- the part, on the host's clock ---------------------------------------- */

struct part_bench {
	struct test_host t;
	struct vm *vm[2];
};

static void part_open(struct part_bench *b, const struct sample_opts *opts, uint32_t pages)
{
	struct err err;

	test_host_new(&b->t, (struct test_shape){.frames = 2 * pages, .no_swap = true, .seed = 9});
	CU_ASSERT_EQUAL_FATAL(sampling_open(b->t.host, b->t.pmaps, opts, &err), 0);
	b->vm[0] = test_vm(&b->t, "a", pages);
	b->vm[1] = test_vm(&b->t, "b", pages);
}

static void abit_counts_the_period(void)
{
	for (int truth = 0; truth < 3; truth++) { /* with slices of a period, and of a fifth */
		struct sample_opts o = options(&sampler_abit);
		struct part_bench b;

		o.truth = truth > 0;
		o.slice = truth == 1 ? o.period : o.period / 5;
		part_open(&b, &o, 1000);
		for (uint64_t period = 1; period < 20; period++) {
			uint32_t n = (uint32_t)(period * 37 % 500);
			for (uint32_t i = 0; i < n; i++)
				test_hit(b.vm[period % 2], i * 2, ACCESS_WRITE);
			clock_run_until(&b.t.host->clock, period * 30 * S - 1);
			CU_ASSERT_NOT_EQUAL(vm_active(b.vm[period % 2]), n);
			clock_run_until(&b.t.host->clock, period * 30 * S);
			CU_ASSERT_EQUAL(vm_active(b.vm[period % 2]), n);
			CU_ASSERT_EQUAL(vm_active(b.vm[1 - period % 2]), 0);
			if (truth)
				CU_ASSERT_EQUAL(test_stat(&b.vm[period % 2]->stats, "touched"), n);
		}
		CU_ASSERT_EQUAL(test_stat(&b.vm[0]->stats, "sample_harvested"), 19 * 1000);
		CU_ASSERT_EQUAL(test_stat(&b.vm[0]->stats, "sample_ns"), 19 * 1000 * 5);
		CU_ASSERT_EQUAL(test_stat(&b.vm[0]->stats, "sample_faults"), 0);
		test_host_free(&b.t);
	}
}

static void nobody_looks(void)
{
	struct sample_opts o = options(&sampler_none);
	struct part_bench b;

	part_open(&b, &o, 10);
	test_hit(b.vm[0], 3, ACCESS_READ);
	CU_ASSERT_EQUAL(vm_active(b.vm[0]), 1);
	CU_ASSERT_FALSE(stat_find(&b.vm[0]->stats, "touched", NULL, NULL));
	CU_ASSERT_PTR_NULL(b.vm[0]->curve);
	CU_ASSERT_FALSE(stat_find(&b.vm[0]->stats, "active", NULL, NULL));
	test_host_free(&b.t);
}

static void options_that_contradict(void)
{
	const struct {
		const struct sampler *sampler;
		double slow;
		uint64_t tick, slice;
		const char *says;
	} cases[] = {
		{&sampler_esx, 0.8, S, S,
		 "sample.slow, 80 %, is above sample.fast, 75 %: exchange them"},
		{&sampler_mrc, 0.2, 31 * S, S,
		 "sample.mrc_tick, 31s, is longer than sample.period, 30s"},
		{&sampler_exact, 0.2, S, 7 * S,
		 "sample.period of 30s is to be 1 to 1000 times sample.slice, 7s"},
	};
	struct test_host t;

	test_host_new(&t, (struct test_shape){.no_swap = true});
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sample_opts o = options(cases[i].sampler);
		struct err err = {0};

		o.slow = cases[i].slow;
		o.mrc_tick = cases[i].tick;
		o.slice = cases[i].slice;
		CU_ASSERT_EQUAL(sampling_open(t.host, t.pmaps, &o, &err), -EINVAL);
		CU_ASSERT_STRING_EQUAL(err.msg, cases[i].says);
		CU_ASSERT_EQUAL(err.exit_code, 2);
	}
	test_host_free(&t);
}

/* ---- liars ---------------------------------------------------------------- */

/* What a guest touches in its period: an honest one always the same tenth. */
static uint32_t lie(int how, uint64_t period, uint32_t pages)
{
	switch (how) {
	case 0:
		return pages;
	case 1:
		return 0;
	default:
		return period % 2 ? pages : 0;
	}
}

/*
 * A guest that touches everything, nothing, or one and the other by turns: its
 * own estimate stays within its size, and is high all the time where it
 * alternates; its neighbour's is the same to the page as beside an idle guest;
 * and with these estimates nobody falls below its minimum.
 */
static void liars_gain_nothing(void)
{
	const struct allocator *esx = (const struct allocator *)policy_find(allocators, "esx");
	const struct sampler *all[] = {&sampler_esx, &sampler_abit, &sampler_mrc, &sampler_exact};
	const uint32_t pages = 2000;

	for (size_t k = 0; k < ARRAY_LEN(all); k++) {
		uint64_t honest[3][40];
		for (int how = 0; how < 3; how++) {
			struct sample_opts o = options(all[k]);
			struct part_bench b;

			part_open(&b, &o, pages);
			for (uint64_t period = 0; period < 40; period++) {
				for (uint32_t i = 0; i < lie(how, period, pages); i++)
					test_hit(b.vm[1], i, ACCESS_WRITE);
				for (uint32_t i = 0; i < pages / 10; i++)
					test_hit(b.vm[0], i, ACCESS_READ);
				clock_run_until(&b.t.host->clock, (period + 1) * 30 * S);
				uint64_t a = vm_active(b.vm[0]), liar = vm_active(b.vm[1]),
					 target[2];
				honest[how][period] = a;
				CU_ASSERT_EQUAL(a, honest[0][period]);
				CU_ASSERT(a <= pages && liar <= pages);
				/* The slow average comes to go between 3/7 and 4/7. */
				if (how == 2 && all[k] == &sampler_esx && period > 10)
					CU_ASSERT(liar > pages * 2 / 5);
				const struct claim claims[2] = {
					{.min = 500, .max = pages, .shares = 1, .active = a},
					{.min = 500, .max = pages, .shares = 1, .active = liar},
				};
				const struct alloc_ask ask = {claims, 2, pages, 750000};
				struct err err;
				CU_ASSERT_EQUAL_FATAL(alloc_targets(esx, &ask, target, &err), 0);
				CU_ASSERT(target[0] >= 500 && target[1] >= 500);
				CU_ASSERT_EQUAL(target[0] + target[1], pages);
			}
			CU_ASSERT_EQUAL(test_audit(&b.t), 0);
			test_host_free(&b.t);
		}
	}
}

/* A VM that failed is not looked at any more, and its neighbour is. */
static void failed_vms_are_left_alone(void)
{
	struct sample_opts o = options(&sampler_esx);
	struct part_bench b;
	struct err why = {0};

	part_open(&b, &o, 200);
	for (uint32_t i = 0; i < 200; i++) {
		test_hit(b.vm[0], i, ACCESS_READ);
		test_hit(b.vm[1], i, ACCESS_READ);
	}
	clock_run_until(&b.t.host->clock, 30 * S);
	CU_ASSERT_EQUAL(vm_active(b.vm[0]), 200);
	err_run(&why, EIO, "the test stops it");
	vm_fail(b.vm[0], &why);
	CU_ASSERT_EQUAL(vm_active(b.vm[0]), 0);
	uint64_t before = test_stat(&b.vm[0]->stats, "sample_invalidations");
	clock_run_until(&b.t.host->clock, 90 * S);
	CU_ASSERT_EQUAL(test_stat(&b.vm[0]->stats, "sample_invalidations"), before);
	CU_ASSERT(test_stat(&b.vm[1]->stats, "sample_invalidations") > before);
	CU_ASSERT_EQUAL(vm_active(b.vm[1]), 113); /* 200 (3/4)^2 of the slow average */
	CU_ASSERT_EQUAL(test_audit(&b.t), 0);
	test_host_free(&b.t);
}

TESTS("tax/sample", {"esx: averages", esx_averages}, {"esx: other options", esx_with_other_options},
      {"esx: absent pages", esx_counts_touches_of_absent_pages},
      {"esx: even draws", esx_draws_evenly}, {"esx: standard error", esx_standard_error},
      {"exact", exact_is_exact}, {"abit", abit_counts_the_period}, {"none", nobody_looks},
      {"options", options_that_contradict}, {"liars", liars_gain_nothing},
      {"failed VMs", failed_vms_are_left_alone})
