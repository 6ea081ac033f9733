/*
 * A small host for tests: machine, pmap, sharing, swap and VMs with no guest in
 * them, whose pages the test touches itself.
 *
 * What a shape leaves out is: 16 frames, all of them high, backing ids,
 * thresholds none, victim lru, 256 slots, a disk that works, scan none.
 */
#ifndef BALLAST_TESTS_HOST_H
#define BALLAST_TESTS_HOST_H

#include "test.h"

#include "core/reclaim.h"
#include "pmap/large.h"
#include "sharing/sharing.h"
#include "swap/private.h"

#include <errno.h>
#include <string.h>

struct test_shape {
	uint32_t frames, low_frames, slots, cluster;
	const char *backing, *thresholds, *victim, *scan;
	const struct backing *store; /* instead of a backing by name */
	const struct os_io *io;
	uint64_t seed, audit_ns, read_ns, write_ns, tau_ns;
	int64_t reclaim_rate;	 /* where thresholds have states; else the option's default */
	uint64_t reclaim_adjust; /* ns */
	bool no_swap;		 /* a machine and pmaps alone */
	const char *large;	 /* of large_frames_list[]; else none */
	uint64_t collapse_ns;
};

struct test_host {
	struct host *host;
	struct machine *m;
	struct pmap_part *pmaps;
	struct swap *swap;
	struct swap_opts swap_opts;
	struct sharing *sharing; /* NULL with scan none */
	struct share_opts share_opts;
	struct reclaim *reclaim; /* NULL: thresholds without states */
	struct reclaim_opts reclaim_opts;
};

static inline const struct policy *test_policy(const struct policy *const *list, const char *name,
					       const char *fallback)
{
	const struct policy *p = policy_find(list, name ? name : fallback);

	if (!p)
		abort();
	return p;
}

/* 0, or what swap_open() returned. Anything else that fails ends the program. */
static inline int test_host_open(struct test_host *t, struct test_shape s, struct err *err)
{
	struct host_opts opts = {
		.frames = s.frames ? s.frames : 16,
		.low_memory = (uint64_t)s.low_frames * PAGE_SIZE,
		.backing = s.store ? &s.store->policy : test_policy(backings, s.backing, "ids"),
		.thresholds = test_policy(thresholds_list, s.thresholds, "none"),
		.reserve_low = 0.04,
		.reserve_high = 0.06,
		.quantum = 100000,
		.audit = s.audit_ns,
		.seed = (int64_t)s.seed,
	};
	const struct cost_opts cost = {.ref = 10, .fault = 1000, .zero = 300};

	*t = (struct test_host){.swap_opts = {
					.victim = test_policy(victims, s.victim, "lru"),
					.read_time = s.read_ns,
					.write_time = s.write_ns,
					.wsclock_tau = s.tau_ns ? s.tau_ns : 1000000000,
					.s3fifo_small = 0.1,
					.cluster = s.cluster,
				}};
	if (host_new(&opts, &cost, &t->host, err) || pmap_part_new(t->host, &t->pmaps))
		abort();
	t->m = &t->host->machine;
	const struct large_opts large = {
		.frames = test_policy(large_frames_list, s.large, "none"),
		.collapse_period = s.collapse_ns,
		.collapse_stretches = 4,
		.copy_time = 500,
	};
	if (large_open(t->host, &large, err))
		return -EINVAL;
	if (opt_defaults(&reclaim_section, &t->reclaim_opts))
		abort();
	if (s.reclaim_rate)
		t->reclaim_opts.rate = s.reclaim_rate;
	t->reclaim_opts.adjust = s.reclaim_adjust;
	if (reclaim_open(t->host, &t->reclaim_opts, &t->reclaim, err))
		abort();
	if (opt_defaults(&share_section, &t->share_opts))
		abort();
	t->share_opts.scan = test_policy(scans, s.scan, "none");
	if (sharing_open(t->host, t->pmaps, &t->share_opts, &t->sharing, err))
		abort();
	if (s.no_swap)
		return 0;
	return swap_open(t->host, t->pmaps, &t->swap_opts, s.slots ? s.slots : 256,
			 s.io ? s.io : &os_io, &t->swap, err);
}

static inline void test_host_new(struct test_host *t, struct test_shape s)
{
	struct err err;

	if (test_host_open(t, s, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
}

static inline void test_host_free(struct test_host *t)
{
	host_free(t->host);
}

static inline struct vm *test_vm(struct test_host *t, const char *name, uint32_t pages)
{
	struct err err;
	struct vm *vm;

	if (vm_add(t->host, name, pages, &vm, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	return vm;
}

static inline pte_t test_entry(const struct vm *vm, uint32_t page)
{
	return pmap_peek(vm->pmap, (ppn_t){page});
}

static inline int test_touch(struct vm *vm, uint32_t page, enum access access)
{
	struct err err;

	return pmap_touch(vm->pmap, (ppn_t){page}, access, &err);
}

/* A reference that must work. */
static inline void test_hit(struct vm *vm, uint32_t page, enum access access)
{
	CU_ASSERT_EQUAL_FATAL(test_touch(vm, page, access), 0);
}

/* Gives the page contents that must arrive. */
static inline void test_fill(struct vm *vm, uint32_t page, uint64_t id)
{
	struct err err;

	CU_ASSERT_EQUAL_FATAL(pmap_set_content(vm->pmap, (ppn_t){page}, id, &err), 0);
}

/* Whether the page reads as that id now; false also if it cannot be read. */
static inline bool test_reads_as(struct vm *vm, uint32_t page, uint64_t id)
{
	const struct machine *m = &vm->host->machine;

	return test_touch(vm, page, ACCESS_READ) == 0 &&
	       m->backing->holds(m, pte_mpn(test_entry(vm, page)), id);
}

/* Violations, shown: a test wants 0, or plants some and wants more. */
static inline size_t test_audit(struct test_host *t)
{
	return host_audit(t->host, stdout);
}

/* Violations with nothing shown, for damage that is planted. */
static inline size_t test_audit_quietly(struct test_host *t)
{
	char *text = NULL;
	size_t size, bad;
	FILE *out = open_memstream(&text, &size);

	bad = host_audit(t->host, out);
	fclose(out);
	free(text);
	return bad;
}

/* A counter of a scope by its name; no such name ends the program. */
static inline uint64_t test_stat(const struct stat_scope *scope, const char *name)
{
	const void *where;

	if (!stat_find(scope, name, NULL, &where))
		abort();
	return *(const uint64_t *)where;
}

/* One line, with something in it. */
static inline bool test_one_line(const struct err *err)
{
	return err->exit_code && *err->msg && !strchr(err->msg, '\n');
}

/* Random tests do less where every access is instrumented. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SCALE 8
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SCALE 8
#endif
#endif
#ifndef TEST_SCALE
#define TEST_SCALE 1
#endif

#endif
