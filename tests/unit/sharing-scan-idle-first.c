/* idle-first: what was written since the hand last came by waits a round. */
#include "host.h"

#include "sharing/private.h"

static void busy_pages_wait(void)
{
	struct test_host t;
	ppn_t p[8];

	test_host_new(&t, (struct test_shape){.scan = "idle-first", .no_swap = true});
	struct vm *vm = test_vm(&t, "a", 4);
	struct share_vm *v = t.sharing->vm[0];
	for (uint32_t i = 0; i < 4; i++)
		test_fill(vm, i, 1 + i);
	CU_ASSERT_EQUAL(scan_idle_first.pick(NULL, v, 8, p), 0); /* all written of late */
	test_fill(vm, 2, 9);
	CU_ASSERT_EQUAL(scan_idle_first.pick(NULL, v, 8, p), 3);
	CU_ASSERT_EQUAL(p[0].n * 100 + p[1].n * 10 + p[2].n, 13); /* 0, 1, 3 */
	CU_ASSERT_EQUAL(scan_idle_first.pick(NULL, v, 8, p), 4);
	test_host_free(&t);
}

TESTS("sharing/scan-idle-first", {"busy pages wait", busy_pages_wait})
