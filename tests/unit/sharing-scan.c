/* The driver: rates, fairness, charges, share-before-swap; and the policies' orders. */
#include "host.h"

#include "sharing/private.h"

#define SECOND UINT64_C(1000000000)

struct shape {
	const char *scan;
	int64_t rate_vm, rate_total;
	uint32_t frames;
};

/* Like test_host_new(), with rates. */
static void open_host(struct test_host *t, struct shape s)
{
	test_host_new(t, (struct test_shape){
				 .frames = s.frames, .scan = s.scan, .slots = 4096, .seed = 3});
	t->sharing->opts.rate_vm = s.rate_vm;
	t->sharing->opts.rate_total = s.rate_total;
}

static void rates_are_exact(void)
{
	struct test_host t;

	/* 7 pages a second is less than one a burst: nothing is lost to rounding. */
	open_host(&t, (struct shape){"random", 7, 0, 64});
	struct vm *vm = test_vm(&t, "a", 32);
	clock_run_until(&t.host->clock, 100 * SECOND);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->scanned, 700);
	CU_ASSERT_EQUAL(vm->time_ns, 0); /* nothing was hashed */
	test_host_free(&t);
}

static void the_total_is_shared_out(void)
{
	struct test_host t;
	uint64_t least = UINT64_MAX, most = 0;

	open_host(&t, (struct shape){"sequential", 50, 100, 4096});
	for (int v = 0; v < 4; v++) {
		struct vm *vm = test_vm(&t, (const char[]){(char)('a' + v), 0}, 1000);
		for (uint32_t i = 0; i < 1000; i++)
			test_fill(vm, i, 1 + v * 1000 + i);
	}
	clock_run_until(&t.host->clock, 20 * SECOND);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->scanned, 2000);
	for (int v = 0; v < 4; v++) {
		uint64_t known = 0;
		for (uint32_t i = 0; i < 1000; i++)
			known += !(test_entry(t.host->vm[v], i) & PTE_CHANGED);
		least = min_u64(least, known);
		most = max_u64(most, known);
	}
	CU_ASSERT_TRUE(least >= 490 && most <= 510); /* a burst's worth apart */
	test_host_free(&t);
}

static void time_is_charged(void)
{
	struct test_host t;

	open_host(&t, (struct shape){"sequential", 100, 0, 64});
	struct share_opts *o = &t.sharing->opts;
	struct vm *a = test_vm(&t, "a", 32), *b = test_vm(&t, "b", 32);
	for (uint32_t i = 0; i < 10; i++)
		test_fill(a, i, 5);
	uint64_t a_before = a->time_ns, b_before = b->time_ns;
	clock_run_until(&t.host->clock, SECOND);
	uint64_t want = 10 * (o->hash_time + o->probe_time) + 9 * (o->compare_time + o->merge_time);
	CU_ASSERT_EQUAL(a->time_ns - a_before, want);
	CU_ASSERT_EQUAL(b->time_ns, b_before);
	const struct share_stats *st = sharing_stats(t.sharing);
	CU_ASSERT_EQUAL(st->hash_ns + st->probe_ns + st->compare_ns + st->merge_ns, want);
	/* Half of it in idle time. */
	o->charge = 0.5;
	for (uint32_t i = 0; i < 10; i++)
		test_fill(b, i, 7);
	b_before = b->time_ns;
	clock_run_until(&t.host->clock, 2 * SECOND);
	CU_ASSERT_EQUAL(b->time_ns - b_before, want / 2);
	test_host_free(&t);
}

/* Every page evicted is tried first: equal ones take no slot. */
static void shared_before_swapped(bool before_swap)
{
	struct test_host t;
	struct err err;

	test_host_new(&t, (struct test_shape){.frames = 8, .scan = "random", .slots = 64});
	t.sharing->opts.rate_vm = 0;
	if (!before_swap)
		t.host->screen.settle = NULL;
	struct vm *vm = test_vm(&t, "a", 40);
	for (uint32_t i = 0; i < 40; i++) {
		if (i % 2)
			test_fill(vm, i, 0);
		else
			CU_ASSERT_EQUAL_FATAL(pmap_touch(vm->pmap, (ppn_t){i}, ACCESS_READ, &err),
					      0);
	}
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_SWAPPED], before_swap ? 0 : 32);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->settled, vm->pmap->count[PAGE_SHARED]);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->scanned, 0);
	for (uint32_t i = 0; i < 40; i++)
		CU_ASSERT_TRUE(test_reads_as(vm, i, 0));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

static void share_before_swap(void)
{
	shared_before_swapped(true);
	shared_before_swapped(false);
}

/* A frame with one page left is a private page with a hint once it is looked at. */
static void one_left_over(void)
{
	struct test_host t;

	open_host(&t, (struct shape){"sequential", 0, 0, 64});
	struct vm *vm = test_vm(&t, "a", 4);
	test_fill(vm, 0, 5);
	test_fill(vm, 1, 5);
	sharing_scan(t.sharing, vm, 4);
	test_fill(vm, 0, 6);
	CU_ASSERT_EQUAL(pte_state(test_entry(vm, 1)), PAGE_SHARED);
	sharing_scan(t.sharing, vm, 4);
	CU_ASSERT_EQUAL(pte_state(test_entry(vm, 1)), PAGE_PRIVATE);
	CU_ASSERT_TRUE(test_reads_as(vm, 1, 5));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	/* And that hint is good: the next one finds it. */
	uint64_t hashed = sharing_stats(t.sharing)->hashed;
	test_fill(vm, 2, 5);
	sharing_scan(t.sharing, vm, 4);
	CU_ASSERT_EQUAL(pte_value(test_entry(vm, 1)), pte_value(test_entry(vm, 2)));
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->hashed, hashed + 1);
	test_host_free(&t);
}

TESTS("sharing/scan", {"rates", rates_are_exact}, {"the total", the_total_is_shared_out},
      {"charge", time_is_charged}, {"before swap", share_before_swap},
      {"one left over", one_left_over})
