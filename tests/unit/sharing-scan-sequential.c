/* sequential: in order, round the VM, what is known passed over. */
#include "host.h"

#include "sharing/private.h"

static void in_order(void)
{
	struct test_host t;
	ppn_t p[8];

	test_host_new(&t, (struct test_shape){.scan = "sequential", .no_swap = true});
	struct vm *vm = test_vm(&t, "a", 10);
	struct share_vm *v = t.sharing->vm[0];
	CU_ASSERT_EQUAL(scan_sequential.pick(NULL, v, 4, p), 0); /* nothing has a frame */
	for (uint32_t i = 1; i < 10; i += 2)
		test_fill(vm, i, i);
	CU_ASSERT_EQUAL(scan_sequential.pick(NULL, v, 3, p), 3);
	CU_ASSERT_EQUAL(p[0].n * 100 + p[1].n * 10 + p[2].n, 135);
	CU_ASSERT_EQUAL(scan_sequential.pick(NULL, v, 3, p), 3);
	CU_ASSERT_EQUAL(p[0].n * 100 + p[1].n * 10 + p[2].n, 791);
	sharing_scan(t.sharing, vm, 5);
	CU_ASSERT_EQUAL(scan_sequential.pick(NULL, v, 8, p), 0); /* all are known */
	test_fill(vm, 7, 1);
	vm->pmap->pte[9] |= PTE_CHANGED | PTE_PINNED;
	CU_ASSERT_EQUAL(scan_sequential.pick(NULL, v, 8, p), 1);
	CU_ASSERT_EQUAL(p[0].n, 7);
	test_host_free(&t);
}

TESTS("sharing/scan-sequential", {"in order", in_order})
