/* Counts beyond 16 bits: bare, and of a zero frame that 70,000 pages share. */
#include "host.h"

#include "sharing/private.h"

#define MANY 70000u

static void counts_up_and_down(void)
{
	struct test_host t;
	/* Frames whose counts overflow in an order that is not theirs, and one that does not. */
	const uint32_t order[] = {7, 3, 9, 5};
	uint64_t want[16] = {0};

	test_host_new(&t, (struct test_shape){.scan = "random", .no_swap = true});
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(order); i++) {
			uint32_t f = order[i], n = FRAME_MANY - 2 + 3 * (uint32_t)i;
			for (uint32_t k = 0; k < n; k++)
				CU_ASSERT_EQUAL_FATAL(refs_add(t.sharing, (mpn_t){f}), 0);
			want[f] = n;
			for (size_t j = 0; j <= i; j++)
				CU_ASSERT_EQUAL(refs_get(t.sharing, (mpn_t){order[j]}),
						want[order[j]]);
		}
		CU_ASSERT_EQUAL(t.sharing->overflow.n, 3); /* the first stayed below */
		for (size_t i = 0; i < ARRAY_LEN(order); i++) {
			for (; want[order[i]]; want[order[i]]--) {
				CU_ASSERT_EQUAL_FATAL(refs_get(t.sharing, (mpn_t){order[i]}),
						      want[order[i]]);
				refs_sub(t.sharing, (mpn_t){order[i]});
			}
		}
		CU_ASSERT_EQUAL(t.sharing->overflow.n, 0);
	}
	test_host_free(&t);
}

static void scan_all(struct test_host *t, struct vm *vm)
{
	for (uint32_t i = 0; i <= vm->pages / 32768; i++)
		sharing_scan(t->sharing, vm, vm->pages);
}

static void a_frame_of_many(uint64_t id)
{
	struct test_host t;

	test_host_new(
		&t, (struct test_shape){.frames = MANY + 1, .scan = "sequential", .no_swap = true});
	struct vm *vm = test_vm(&t, "a", MANY);
	for (uint32_t i = 0; i < MANY; i++)
		test_fill(vm, i, id);
	scan_all(&t, vm);
	CU_ASSERT_EQUAL(t.m->shared, 1);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->saved, MANY - 1);
	CU_ASSERT_EQUAL(refs_get(t.sharing, pte_mpn(test_entry(vm, 0))), MANY);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	/* Down through the boundary and up again. */
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 5000; i++)
			test_hit(vm, i, ACCESS_WRITE);
		CU_ASSERT_EQUAL(refs_get(t.sharing, pte_mpn(test_entry(vm, MANY - 1))),
				MANY - 5000);
		CU_ASSERT_EQUAL(t.sharing->overflow.n, 0);
		CU_ASSERT_EQUAL(test_audit(&t), 0);
		for (uint32_t i = 0; i < 5000; i++)
			test_fill(vm, i, id);
		scan_all(&t, vm);
		CU_ASSERT_EQUAL(refs_get(t.sharing, pte_mpn(test_entry(vm, 0))), MANY);
		CU_ASSERT_EQUAL(test_audit(&t), 0);
	}
	for (uint32_t i = 0; i < MANY; i++)
		pmap_drop(vm->pmap, (ppn_t){i});
	CU_ASSERT_EQUAL(t.m->free, MANY + 1);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

static void zero_pages(void)
{
	a_frame_of_many(0);
}

static void other_pages(void)
{
	a_frame_of_many(77);
}

TESTS("sharing/refs", {"up and down", counts_up_and_down}, {"zero pages", zero_pages},
      {"other pages", other_pages})
