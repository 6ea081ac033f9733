/*
 * A guest operating system for tests: a host with frames enough, one VM, a
 * booted guest without workloads, whose parts the test calls itself.
 *
 * What a shape leaves out is: 8192 pages (32 MB), linux, twice as many frames,
 * no boot-time structures, no kernel text, no time for anything but the disk
 * (8 ms a seek, 200 us a page), 1024 slots of swap.
 */
#ifndef BALLAST_TESTS_GUEST_H
#define BALLAST_TESTS_GUEST_H

#include "host.h"

#include "traces/guest_private.h"

struct guest_shape {
	uint32_t pages, frames, swap_pages;
	const char *os, *backing, *victim;
	const struct load_ref *loads;
	size_t n;
	uint32_t inactive; /* pages; 0: 2048 */
	uint64_t kernel, boot_ns;
	bool structures, oracle, no_swap; /* no_swap: of the host's */
};

struct test_guest {
	struct test_host t;
	struct guest_opts opts;
	struct oracle *oracle;
	struct vm *vm;
	struct gos *g;
};

/* Until the time, or the guest's end; anything but STEP_MORE is returned. */
static inline int guest_run(struct test_guest *t, uint64_t until_ns)
{
	struct err err = {0};
	int rc = 0;

	while (rc == 0 && t->vm->time_ns < until_ns)
		rc = gos_guest.step(t->g, t->vm, until_ns, &err);
	if (rc < 0)
		printf("  %s\n", err.msg);
	return rc;
}

static inline int guest_open(struct test_guest *t, struct guest_shape s, struct err *err)
{
	uint32_t pages = s.pages ? s.pages : 8192;

	*t = (struct test_guest){0};
	test_host_new(&t->t, (struct test_shape){.frames = s.frames ? s.frames : 2 * pages,
						 .slots = 2 * pages,
						 .backing = s.backing,
						 .victim = s.victim,
						 .no_swap = s.no_swap});
	if (opt_defaults(&guest_section, &t->opts))
		abort();
	t->opts.kernel = s.kernel;
	t->opts.boot_structures = s.structures;
	t->opts.inactive = (uint64_t)(s.inactive ? s.inactive : 2048) << PAGE_SHIFT;
	t->opts.swap = (uint64_t)(s.swap_pages ? s.swap_pages : 1024) << PAGE_SHIFT;
	t->opts.boot_time = s.boot_ns;
	t->opts.fault_time = t->opts.scan_time = t->opts.zero_time = 0;
	if (s.oracle && oracle_new(&t->oracle))
		abort();
	t->vm = test_vm(&t->t, "a", pages);
	return gos_new(t->vm, (const struct guest_os *)test_policy(guest_oses, s.os, "linux"),
		       &t->opts, s.loads, s.n, t->oracle, &t->g, err);
}

static inline void guest_new(struct test_guest *t, struct guest_shape s)
{
	struct err err = {0};

	if (guest_open(t, s, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	/* With no workload it ends when it has booted, having run. */
	if (s.n == 0 && guest_run(t, HOST_TIME_MAX) != STEP_ENDED)
		abort();
}

static inline void guest_free(struct test_guest *t)
{
	CU_ASSERT_EQUAL(test_audit(&t->t), 0);
	test_host_free(&t->t);
	oracle_free(t->oracle);
}

/* All defaults, of that kind. */
static inline struct load_opts test_load(const char *kind)
{
	struct load_opts o;

	if (opt_defaults(&workload_section, &o))
		abort();
	o.kind = test_policy(guest_loads, kind, "idle");
	return o;
}

/* Sleeps as a task would that has waited. */
static inline void guest_sleep(struct gos *g)
{
	g->vm->time_ns = max_u64(g->vm->time_ns, g->wait_ns);
	g->wait_ns = 0;
	reclaim_reap(g);
}

/* Allocates all but so many free pages for the kernel, without reclaim. */
static inline void guest_fill(struct gos *g, uint32_t leave)
{
	uint32_t page;

	while (pages_free(g) > leave) {
		if (page_alloc_easily(g, GPAGE_KERNEL, &page))
			abort();
		g->stats.kernel++;
	}
}

#endif
