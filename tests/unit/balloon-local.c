/* A driver beside its host: the same bytes as with a guest, and no call in a call. */
#include "balloon.h"

#define MS UINT64_C(1000000)

/* Two VMs, two drivers, one host: each hears what is its own. */
static void two(void)
{
	struct balloon_test bt;
	struct vm *vm[2];
	struct toy_guest *guest[2];
	struct local_driver *local[2];
	struct err err;

	balloon_test_open(&bt, (struct test_shape){.frames = 4000, .no_swap = true});
	bt.opts.interrupt = true;
	balloon_test_start(&bt);
	for (unsigned i = 0; i < 2; i++) {
		vm[i] = test_vm(&bt.t, i ? "b" : "a", 2000);
		guest[i] = toy_new(vm[i], 0);
		struct driver_guest table = toy_table(guest[i]);
		CU_ASSERT_EQUAL_FATAL(local_driver_new(bt.balloon, vm[i], &table, &bt.opts,
						       i * 300 * MS, &local[i], &err),
				      0);
		for (uint32_t k = 0; k < 2000; k++)
			test_hit(vm[i], k, ACCESS_WRITE);
	}
	vm[0]->target = 1500;
	vm[1]->target = 1900;
	balloon_test_wait(&bt, 2500 * MS);
	CU_ASSERT_EQUAL(ballooned(vm[0]), 500);
	CU_ASSERT_EQUAL(ballooned(vm[1]), 100);
	CU_ASSERT_EQUAL(driver_holds(local_driver_of(local[0])), 500);
	CU_ASSERT_EQUAL(driver_holds(local_driver_of(local[1])), 100);
	CU_ASSERT_EQUAL(bt.t.m->free, 600);
	local_driver_free(local[0]);
	balloon_test_wait(&bt, 2500 * MS); /* one is gone, the other goes on */
	CU_ASSERT_EQUAL(ballooned(vm[0]), 500);
	CU_ASSERT_TRUE(balloon_serves(bt.balloon, vm[1]));
	local_driver_free(local[1]);
	local_driver_free(NULL);
	balloon_test_close(&bt);
	toy_free_guest(guest[0]);
	toy_free_guest(guest[1]);
}

TESTS("balloon/local", {"two of them", two})
