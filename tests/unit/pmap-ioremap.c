/* I/O remapping: copies counted by hand, pages that keep their contents wherever they go. */
#include "host.h"
#include "sampled.h"

#include "core/oracle.h"
#include "core/rng.h"
#include "pmap/ioremap.h"

#include <errno.h>

struct bench {
	struct test_host t;
	struct io_opts opts;
	struct vm *vm;
};

static void bench_open(struct bench *b, struct test_shape shape, int64_t threshold, uint32_t pages)
{
	struct err err;

	test_host_new(&b->t, shape);
	if (opt_defaults(&io_section, &b->opts))
		abort();
	b->opts.remap = threshold > 0;
	b->opts.threshold = threshold;
	CU_ASSERT_EQUAL_FATAL(io_open(b->t.host, b->t.pmaps, &b->opts, &err), 0);
	b->vm = test_vm(&b->t, "a", pages);
}

static void dma(struct vm *vm, uint32_t page, enum access access)
{
	struct err err;

	CU_ASSERT_EQUAL_FATAL(pmap_dma(vm->pmap, (ppn_t){page}, access, &err), 0);
}

static bool high(const struct bench *b, uint32_t page)
{
	return pte_value(test_entry(b->vm, page)) >= b->t.m->zone[ZONE_HIGH].first;
}

static void expect(const struct bench *b, uint64_t transfers, uint64_t copies, uint64_t moved,
		   uint64_t displaced, uint64_t stuck)
{
	CU_ASSERT_EQUAL(test_stat(&b->vm->stats, "io_dma"), transfers);
	CU_ASSERT_EQUAL(test_stat(&b->vm->stats, "io_copies"), copies);
	CU_ASSERT_EQUAL(test_stat(&b->t.host->scope, "io_moved"), moved);
	CU_ASSERT_EQUAL(test_stat(&b->t.host->scope, "io_displaced"), displaced);
	CU_ASSERT_EQUAL(test_stat(&b->t.host->scope, "io_stuck"), stuck);
}

/* 10 low frames, 6 high ones, which pages 0 to 5 get. */
static const struct test_shape small = {
	.frames = 16, .low_frames = 10, .backing = "ram", .no_swap = true};

static void without_remapping_each_transfer_is_a_copy(void)
{
	struct bench b;

	bench_open(&b, small, 0, 8);
	for (uint32_t i = 0; i < 8; i++)
		test_hit(b.vm, i, ACCESS_WRITE);
	CU_ASSERT(high(&b, 0) && high(&b, 5) && !high(&b, 6) && !high(&b, 7));
	uint64_t then = b.vm->time_ns;
	for (int i = 0; i < 100; i++)
		dma(b.vm, 3, ACCESS_READ);
	CU_ASSERT_EQUAL(b.vm->time_ns, then + 100 * 1000);
	for (int i = 0; i < 50; i++)
		dma(b.vm, 7, ACCESS_READ); /* low: direct */
	CU_ASSERT_EQUAL(b.vm->time_ns, then + 100 * 1000);
	expect(&b, 150, 100, 0, 0, 0);
	CU_ASSERT_EQUAL(b.t.m->overhead, 0);
	test_host_free(&b.t);
}

static void the_threshold_moves_a_page(void)
{
	struct bench b;

	bench_open(&b, small, 4, 8);
	CU_ASSERT_EQUAL(b.t.m->overhead, 1); /* the bounce buffer */
	for (uint32_t i = 0; i < 6; i++)
		test_fill(b.vm, i, 100 + i);
	pmap_sample(b.vm->pmap, (ppn_t){2});
	test_hit(b.vm, 2, ACCESS_READ);
	pte_t before = test_entry(b.vm, 2);
	uint64_t then = b.vm->time_ns;
	for (int i = 0; i < 3; i++)
		dma(b.vm, 2, ACCESS_READ);
	CU_ASSERT_TRUE(high(&b, 2));
	CU_ASSERT_EQUAL(test_entry(b.vm, 2), before);
	dma(b.vm, 2, ACCESS_READ);
	CU_ASSERT_FALSE(high(&b, 2));
	CU_ASSERT_EQUAL((uint32_t)test_entry(b.vm, 2), (uint32_t)before); /* all but the frame */
	CU_ASSERT_EQUAL(b.vm->time_ns, then + 4 * 1000 + 3000);
	for (int i = 0; i < 20; i++)
		dma(b.vm, 2, ACCESS_READ);
	expect(&b, 24, 4, 1, 0, 0);
	CU_ASSERT_TRUE(test_reads_as(b.vm, 2, 102));
	CU_ASSERT_TRUE(high(&b, 3));
	CU_ASSERT_EQUAL(test_audit(&b.t), 0);
	test_host_free(&b.t);
}

/* All frames in use: low ones go to pages that devices use, one by one, and none of these loses
 * its. */
static void hot_pages_change_places_with_cold_ones(void)
{
	struct bench b;

	bench_open(&b, small, 4, 16);
	for (uint32_t i = 0; i < 15; i++)
		test_fill(b.vm, i, 100 + i);
	CU_ASSERT_EQUAL(b.t.m->free, 0);
	for (uint32_t round = 0; round < 8; round++) {
		for (uint32_t i = 0; i < 5; i++)
			dma(b.vm, i, ACCESS_READ);
	}
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_FALSE(high(&b, i));
	expect(&b, 40, 20, 5, 5, 0);
	for (uint32_t i = 0; i < 15; i++)
		CU_ASSERT_TRUE(test_reads_as(b.vm, i, 100 + i));
	CU_ASSERT_EQUAL(b.t.m->overhead, 1);
	CU_ASSERT_EQUAL(test_audit(&b.t), 0);
	test_host_free(&b.t);
}

static void pinned_pages_stay(void)
{
	struct bench b;

	bench_open(&b, small, 4, 16);
	for (uint32_t i = 0; i < 15; i++) {
		test_fill(b.vm, i, 100 + i);
		b.vm->pmap->pte[i] |= PTE_PINNED;
	}
	for (int i = 0; i < 13; i++)
		dma(b.vm, 1, ACCESS_READ); /* due at 4, then at 3 + 1, again and again */
	expect(&b, 13, 13, 0, 0, 10);
	b.vm->pmap->pte[1] &= ~PTE_PINNED;
	for (int i = 0; i < 3; i++)
		dma(b.vm, 1, ACCESS_READ); /* there is no cold page */
	expect(&b, 16, 16, 0, 0, 13);
	b.vm->pmap->pte[14] &= ~PTE_PINNED;
	dma(b.vm, 1, ACCESS_READ);
	dma(b.vm, 1, ACCESS_READ);
	expect(&b, 18, 17, 1, 1, 13);
	CU_ASSERT_EQUAL(test_audit(&b.t), 0);
	test_host_free(&b.t);
}

/* A shared frame is read where it is; a device that writes gets a page of its own first. */
static void shared_pages_stay(void)
{
	struct test_shape shape = small;
	struct bench b;

	shape.scan = "sequential";
	bench_open(&b, shape, 4, 8);
	for (uint32_t i = 0; i < 6; i++)
		test_fill(b.vm, i, i < 2 ? 7 : 100 + i);
	sharing_scan(b.t.sharing, b.vm, 8);
	sharing_scan(b.t.sharing, b.vm, 8);
	CU_ASSERT_EQUAL_FATAL(pte_state(test_entry(b.vm, 0)), PAGE_SHARED);
	CU_ASSERT_TRUE(high(&b, 0));
	for (int i = 0; i < 4; i++)
		dma(b.vm, 0, ACCESS_READ);
	expect(&b, 4, 4, 0, 0, 1);
	CU_ASSERT_EQUAL(pte_state(test_entry(b.vm, 0)), PAGE_SHARED);
	dma(b.vm, 0, ACCESS_WRITE);
	CU_ASSERT_EQUAL(pte_state(test_entry(b.vm, 0)), PAGE_PRIVATE);
	CU_ASSERT_TRUE(test_reads_as(b.vm, 1, 7));
	CU_ASSERT_EQUAL(test_audit(&b.t), 0);
	test_host_free(&b.t);
}

/* A guest whose device goes over all its memory drives no page out of the counts that is used more.
 */
static void the_table_is_bounded(void)
{
	struct test_shape shape = {.frames = 20000, .low_frames = 2000, .no_swap = true};
	struct bench b;
	struct err err;

	test_host_new(&b.t, shape);
	if (opt_defaults(&io_section, &b.opts))
		abort();
	b.opts.remap = true;
	b.opts.entries = 64;
	uint64_t bytes = b.t.host->meter.bytes;
	CU_ASSERT_EQUAL_FATAL(io_open(b.t.host, b.t.pmaps, &b.opts, &err), 0);
	CU_ASSERT_EQUAL(b.t.host->meter.bytes, bytes + 64 * 8);
	b.vm = test_vm(&b.t, "a", 15000);
	for (uint32_t i = 0; i < 15000; i++) {
		dma(b.vm, i, ACCESS_WRITE);
		dma(b.vm, 77, ACCESS_READ);
	}
	CU_ASSERT_FALSE(high(&b, 77));
	CU_ASSERT(test_stat(&b.vm->stats, "io_copies") < 15000 + 40);
	CU_ASSERT_EQUAL(test_stat(&b.t.host->scope, "io_moved"), 1);
	test_host_free(&b.t);
}

static void no_high_memory_no_part(void)
{
	struct test_host t;
	struct io_opts opts;
	struct err err;

	if (opt_defaults(&io_section, &opts))
		abort();
	opts.remap = true;
	test_host_new(&t, (struct test_shape){.frames = 8, .low_frames = 8, .no_swap = true});
	CU_ASSERT_EQUAL(io_open(t.host, t.pmaps, &opts, &err), 0);
	struct vm *vm = test_vm(&t, "a", 4);
	dma(vm, 0, ACCESS_WRITE);
	CU_ASSERT_FALSE(stat_find(&vm->stats, "io_dma", NULL, NULL));
	test_host_free(&t);
	test_host_new(&t, (struct test_shape){.frames = 8, .no_swap = true});
	CU_ASSERT_EQUAL(io_open(t.host, t.pmaps, &opts, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.msg,
			       "io.remap needs low memory, of which host.low_memory leaves 0 "
			       "frames: raise it");
	CU_ASSERT_EQUAL(err.exit_code, 2);
	test_host_free(&t);
}

/* ---- random operations: nothing lost, under paging and sharing ------------- */

#define PAGES  200
#define FRAMES 150
#define STEPS  (60000 / TEST_SCALE)

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

static void random_transfers(const char *victim, const char *scan)
{
	uint64_t seed = test_seed(20021211);
	struct sampled sampled;
	struct oracle *oracle;
	struct bench b;
	struct rng rng;
	struct vm *vm[2];
	struct err err;

	rng_init(&rng, seed, victim, 0);
	bench_open(&b,
		   (struct test_shape){.frames = FRAMES,
				       .low_frames = 30,
				       .slots = 600,
				       .backing = "ram",
				       .victim = victim,
				       .scan = scan,
				       .seed = seed},
		   5, PAGES);
	vm[0] = b.vm;
	vm[1] = test_vm(&b.t, "b", PAGES);
	sampled_start(&sampled, &b.t, seed);
	CU_ASSERT_EQUAL_FATAL(oracle_new(&oracle), 0);
	for (int i = 0; i < STEPS; i++) {
		struct vm *v = vm[rng_below(&rng, 2)];
		uint32_t page = (uint32_t)rng_below(&rng, PAGES);
		unsigned what = (unsigned)rng_below(&rng, 100);

		sampled_step(&sampled, v);
		if (what < 40) { /* a hot set for devices, which moves on */
			dma(v, (uint32_t)(i / 2000 * 7 + (int)(page % 16)) % PAGES, ACCESS_READ);
		} else if (what < 45) {
			dma(v, page, ACCESS_READ);
		} else if (what < 70) {
			uint64_t id = what < 60 ? rng_below(&rng, 5) : oracle_fresh_id(oracle);
			test_fill(v, page, id);
			CU_ASSERT_EQUAL_FATAL(oracle_write(oracle, v, (ppn_t){page}, id), 0);
		} else if (what < 72) {
			pmap_drop(v->pmap, (ppn_t){page});
			CU_ASSERT_EQUAL_FATAL(oracle_write(oracle, v, (ppn_t){page}, 0), 0);
		} else if (what < 75 && b.t.sharing) {
			sharing_scan(b.t.sharing, v, 8);
		} else {
			test_hit(v, page, ACCESS_READ);
		}
		if (i % 1000 == 0)
			CU_ASSERT_EQUAL_FATAL(test_audit(&b.t), 0);
	}
	for (int v = 0; v < 2; v++) {
		sampled_check(&sampled, vm[v]);
		CU_ASSERT_EQUAL(oracle_check(oracle, vm[v], read_page, stdout, &err), 0);
	}
	uint64_t moved = test_stat(&b.t.host->scope, "io_moved"),
		 displaced = test_stat(&b.t.host->scope, "io_displaced");
	printf("  %s, %s: moved %llu, of them displacing %llu\n", victim, scan,
	       (unsigned long long)moved, (unsigned long long)displaced);
	CU_ASSERT(moved > STEPS / 1000);
	CU_ASSERT(displaced > 0 && displaced <= moved);
	CU_ASSERT_EQUAL(test_audit(&b.t), 0);
	err_run(&err, EIO, "the test stops it");
	vm_fail(vm[0], &err);
	CU_ASSERT_EQUAL(test_audit(&b.t), 0);
	oracle_free(oracle);
	test_host_free(&b.t);
}

static void random_under_every_victim(void)
{
	static const char *const victim[] = {"random", "clock", "lru", "fifo", "wsclock", "s3fifo"};

	for (size_t i = 0; i < ARRAY_LEN(victim); i++)
		random_transfers(victim[i], i % 2 ? "none" : "random");
	random_transfers("clock", "ksm");
}

TESTS("pmap/ioremap", {"without", without_remapping_each_transfer_is_a_copy},
      {"threshold", the_threshold_moves_a_page},
      {"changing places", hot_pages_change_places_with_cold_ones},
      {"pinned pages", pinned_pages_stay}, {"shared pages", shared_pages_stay},
      {"bounded table", the_table_is_bounded}, {"no high memory", no_high_memory_no_part},
      {"random", random_under_every_victim})
