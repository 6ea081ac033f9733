/*
 * A sampler driven by hand: its probe on a VM all of whose pages have frames,
 * without a clock.
 */
#ifndef BALLAST_TESTS_PROBE_H
#define BALLAST_TESTS_PROBE_H

#include "host.h"

#include "tax/sample_private.h"

#define S UINT64_C(1000000000)

static inline struct sample_opts options(const struct sampler *sampler)
{
	struct sample_opts o;

	if (opt_defaults(&sample_section, &o))
		abort();
	o.sampler = &sampler->policy;
	return o;
}

/* A probe driven by hand on a VM all of whose pages have frames. */
struct bench {
	struct test_host t;
	struct vm *vm;
	struct sample_opts opts;
	struct probe probe;
};

static inline void touched(void *ctx, struct pmap *pmap, ppn_t ppn, bool minor)
{
	struct bench *b = ctx;

	CU_ASSERT_PTR_EQUAL(pmap, b->probe.pmap);
	probe_touched(&b->probe, ppn, minor);
}

static inline void bench_open(struct bench *b, const struct sample_opts *opts, uint32_t pages)
{
	*b = (struct bench){.opts = *opts};
	test_host_new(&b->t, (struct test_shape){.frames = pages, .no_swap = true});
	b->vm = test_vm(&b->t, "a", pages);
	for (uint32_t i = 0; i < pages; i++)
		test_hit(b->vm, i, ACCESS_READ);
	pmap_harvest_accessed(b->vm->pmap, (ppn_t){0}, pages, NULL, NULL);
	b->vm->time_ns = 0;
	b->t.pmaps->sample = (struct sample_watch){touched, b};
}

static inline void bench_start(struct bench *b, uint64_t seed)
{
	probe_stop(&b->probe);
	for (uint32_t i = 0; i < b->vm->pages; i++)
		pmap_unsample(b->vm->pmap, (ppn_t){i});
	b->probe = (struct probe){.sampler = (const struct sampler *)b->opts.sampler,
				  .opts = &b->opts,
				  .tells = true,
				  .vm = b->vm,
				  .pmap = b->vm->pmap};
	rng_init(&b->probe.rng, seed, "sample", 0);
	CU_ASSERT_EQUAL_FATAL(probe_start(&b->probe), 0);
}

static inline void bench_close(struct bench *b)
{
	uint64_t bytes = b->t.host->meter.bytes - b->probe.stats.bytes;

	CU_ASSERT_EQUAL(test_audit(&b->t), 0);
	probe_stop(&b->probe);
	CU_ASSERT_EQUAL(b->t.host->meter.bytes, bytes);
	CU_ASSERT_EQUAL(b->probe.stats.bytes, 0);
	test_host_free(&b->t);
}

static inline void touch_range(struct bench *b, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		test_hit(b->vm, i, ACCESS_READ);
}

static inline void tick(struct bench *b)
{
	b->probe.sampler->tick(&b->probe);
}

static inline uint64_t active(const struct bench *b)
{
	CU_ASSERT_EQUAL(vm_active(b->vm), b->probe.stats.active);
	return b->probe.stats.active;
}

#endif
