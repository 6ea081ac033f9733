/* ksm: the checksum must hold still, two trees, and nothing left behind. */
#include "host.h"

#include "sharing/private.h"

static void open_host(struct test_host *t, struct vm **vm)
{
	test_host_new(t, (struct test_shape){
				 .frames = 64, .backing = "ram", .scan = "ksm", .no_swap = true});
	*vm = test_vm(t, "a", 16);
}

static void scan(struct test_host *t, struct vm *vm)
{
	sharing_scan(t->sharing, vm, vm->pmap->count[PAGE_PRIVATE]);
}

/* The first round learns checksums, the second merges: as KSM needs two full scans. */
static void two_rounds(void)
{
	struct test_host t;
	struct vm *vm;

	open_host(&t, &vm);
	for (uint32_t i = 0; i < 6; i++)
		test_fill(vm, i, 1 + i % 2);
	scan(&t, vm);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->merged, 0);
	scan(&t, vm);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->merged, 4);
	CU_ASSERT_EQUAL(t.m->shared, 2);
	/* A page that joins the stable tree needs no second look. */
	test_fill(vm, 7, 2);
	scan(&t, vm);
	CU_ASSERT_EQUAL(pte_value(test_entry(vm, 7)), pte_value(test_entry(vm, 1)));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

static void changing_pages_wait(void)
{
	struct test_host t;
	struct vm *vm;

	open_host(&t, &vm);
	for (int round = 0; round < 4; round++) {
		for (uint32_t i = 0; i < 2; i++)
			test_fill(vm, i, 10 + (uint64_t)round);
		scan(&t, vm);
	}
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->merged, 0);
	scan(&t, vm);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->merged, 1);
	test_host_free(&t);
}

/* Shared frames that end leave the stable tree: the contents can be shared anew. */
static void frames_end(void)
{
	struct test_host t;
	struct vm *vm;

	open_host(&t, &vm);
	uint64_t bytes = t.host->meter.bytes;
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 4; i++)
			test_fill(vm, i, 5);
		scan(&t, vm);
		scan(&t, vm);
		CU_ASSERT_EQUAL(t.m->shared, 1);
		CU_ASSERT_EQUAL(sharing_stats(t.sharing)->saved, 3);
		for (uint32_t i = 0; i < 4; i++)
			pmap_drop(vm->pmap, (ppn_t){i});
		CU_ASSERT_EQUAL(t.m->shared, 0);
		CU_ASSERT_EQUAL(test_audit(&t), 0);
	}
	/* Two rounds with nothing to look at: the trees are empty, and so is the meter of them. */
	sharing_scan(t.sharing, vm, 1);
	sharing_scan(t.sharing, vm, 1);
	CU_ASSERT_EQUAL(t.host->meter.bytes, bytes);
	test_host_free(&t);
}

/* A VM that was taken away is scanned no more: rounds end without it. */
static void rounds_go_on(void)
{
	struct test_host t;
	struct vm *vm, *other;

	open_host(&t, &vm);
	other = test_vm(&t, "b", 16);
	uint64_t bytes = t.host->meter.bytes;
	for (uint32_t i = 0; i < 4; i++)
		test_fill(vm, i, 20 + i);
	scan(&t, vm);
	scan(&t, vm); /* four items in the unstable tree */
	CU_ASSERT(t.host->meter.bytes > bytes);
	vm_retire(other, "a test");
	for (uint32_t i = 0; i < 4; i++)
		pmap_drop(vm->pmap, (ppn_t){i});
	sharing_scan(t.sharing, vm, 1);
	sharing_scan(t.sharing, vm, 1);
	CU_ASSERT_EQUAL(t.host->meter.bytes, bytes);
	test_host_free(&t);
}

TESTS("sharing/scan-ksm", {"two rounds", two_rounds}, {"changing pages", changing_pages_wait},
      {"frames end", frames_end}, {"rounds go on", rounds_go_on})
