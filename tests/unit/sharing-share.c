/* Making, joining, breaking and leaving shared frames, and what it costs. */
#include "host.h"

#include "sharing/private.h"

static void open_host(struct test_host *t, uint32_t frames, const char *backing)
{
	test_host_new(t, (struct test_shape){.frames = frames,
					     .slots = 64,
					     .backing = backing,
					     .scan = "sequential"});
}

/* Pages [0, n) hold id and share one frame, which is returned. */
static mpn_t share_pages(struct test_host *t, struct vm *vm, uint32_t n, uint64_t id)
{
	for (uint32_t i = 0; i < n; i++)
		test_fill(vm, i, id);
	sharing_scan(t->sharing, vm, vm->pages);
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(pte_value(test_entry(vm, i)), pte_value(test_entry(vm, 0)));
	CU_ASSERT_EQUAL_FATAL(pte_state(test_entry(vm, 0)), PAGE_SHARED);
	return pte_mpn(test_entry(vm, 0));
}

static void a_write_breaks_out(void)
{
	struct test_host t;

	open_host(&t, 16, "ram");
	struct vm *vm = test_vm(&t, "a", 4);
	mpn_t shared = share_pages(&t, vm, 3, 8);
	CU_ASSERT_EQUAL(t.m->free, 15);
	uint64_t before = vm->time_ns;
	test_hit(vm, 1, ACCESS_READ);
	CU_ASSERT_EQUAL(vm->time_ns, before);
	test_hit(vm, 1, ACCESS_WRITE);
	/* The exit of tests/host.h and the copy: nothing else. */
	CU_ASSERT_EQUAL(vm->time_ns - before, 1000 + t.share_opts.break_time);
	CU_ASSERT_EQUAL(pte_state(test_entry(vm, 1)), PAGE_PRIVATE);
	CU_ASSERT_FALSE(mpn_eq(pte_mpn(test_entry(vm, 1)), shared));
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(test_reads_as(vm, i, 8));
	test_fill(vm, 1, 9);
	CU_ASSERT_TRUE(test_reads_as(vm, 0, 8));
	CU_ASSERT_EQUAL(refs_get(t.sharing, shared), 2);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->saved, 1);
	CU_ASSERT_EQUAL(t.sharing->vm[0]->stats.breaks, 1);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

static void the_last_gets_the_frame(void)
{
	struct test_host t;

	open_host(&t, 16, "ram");
	struct vm *vm = test_vm(&t, "a", 4);
	mpn_t shared = share_pages(&t, vm, 2, 8);
	test_fill(vm, 0, 9);
	uint64_t copied = sharing_stats(t.sharing)->copied;
	test_hit(vm, 1, ACCESS_WRITE);
	CU_ASSERT_TRUE(mpn_eq(pte_mpn(test_entry(vm, 1)), shared));
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->copied, copied);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->broken, 2);
	CU_ASSERT_TRUE(test_reads_as(vm, 1, 8));
	CU_ASSERT_EQUAL(t.m->shared, 0);
	CU_ASSERT_EQUAL(t.sharing->table.used, 0);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

static void a_zero_page_is_cleared_not_copied(void)
{
	struct test_host t;

	open_host(&t, 16, "ram");
	struct vm *vm = test_vm(&t, "a", 4);
	share_pages(&t, vm, 3, 0);
	uint64_t before = vm->time_ns;
	test_hit(vm, 1, ACCESS_WRITE);
	CU_ASSERT_EQUAL(vm->time_ns - before, 1000 + t.host->cost.zero);
	CU_ASSERT_TRUE(test_reads_as(vm, 1, 0));
	CU_ASSERT_EQUAL(t.sharing->vm[0]->stats.zero, 2);
	test_host_free(&t);
}

static void dropped_and_failed(void)
{
	struct test_host t;
	struct err why = {0};

	open_host(&t, 16, "ids");
	struct vm *a = test_vm(&t, "a", 4), *b = test_vm(&t, "b", 4);
	share_pages(&t, a, 4, 8);
	test_fill(b, 0, 8);
	test_fill(b, 1, 8);
	sharing_scan(t.sharing, b, 4);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->saved, 5);
	pmap_drop(a->pmap, (ppn_t){2});
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->saved, 4);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->dropped, 1);
	CU_ASSERT_TRUE(test_reads_as(a, 2, 0));
	err_run(&why, EIO, "the test stops it");
	vm_fail(a, &why);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->saved, 1);
	CU_ASSERT_TRUE(test_reads_as(b, 1, 8));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	vm_fail(b, &why);
	CU_ASSERT_EQUAL(t.m->free, 16);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* Nothing but shared frames: a write evicts sharers, even the page that is written. */
static void memory_of_shared_frames_alone(void)
{
	struct test_host t;
	const uint32_t frames = 4, pages = 12;

	open_host(&t, frames, "ram");
	struct vm *vm = test_vm(&t, "a", pages);
	/* One content after the other, so that all fit: 4 contents, 3 pages each. */
	for (uint32_t i = 0; i < pages; i++) {
		test_fill(vm, i, 1 + i / 3);
		sharing_scan(t.sharing, vm, pages);
	}
	CU_ASSERT_EQUAL(t.m->shared + t.m->private_frames, frames);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < pages; i++) {
			test_hit(vm, i, ACCESS_WRITE);
			CU_ASSERT_EQUAL_FATAL(test_audit(&t), 0);
		}
		for (uint32_t i = 0; i < pages; i++)
			CU_ASSERT_TRUE(test_reads_as(vm, i, 1 + i / 3));
	}
	test_host_free(&t);
}

static const struct vm *watched;
static unsigned left; /* shared frames */

/*
 * Where a manager may be killed at any moment entries are all that is known
 * afterwards: none may still promise bytes that are about to go.
 */
static void on_left(struct machine *m, mpn_t mpn, struct frame was)
{
	(void)m;
	for (uint32_t i = 0; was.vm == FRAME_SHARED && i < watched->pages; i++) {
		const pte_t e = test_entry(watched, i);
		CU_ASSERT_FALSE(pte_state(e) == PAGE_SHARED && mpn_eq(pte_mpn(e), mpn));
	}
	left += was.vm == FRAME_SHARED;
}

static void entries_go_before_bytes(void)
{
	struct backing store = backing_ram;
	struct test_host t;
	struct err err;

	store.left = on_left;
	test_host_new(&t, (struct test_shape){.slots = 64, .store = &store, .scan = "sequential"});
	struct vm *vm = test_vm(&t, "a", 4);
	watched = vm;
	left = 0;
	share_pages(&t, vm, 2, 8);
	CU_ASSERT_EQUAL(swap_reclaimer.reclaim(t.swap, 1, NULL, NULL, &err), 1);
	CU_ASSERT_EQUAL(left, 1);
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(pte_state(test_entry(vm, i)), PAGE_SWAPPED);
		CU_ASSERT_TRUE(test_reads_as(vm, i, 8));
	}
	share_pages(&t, vm, 2, 9);
	test_fill(vm, 0, 10);
	test_fill(vm, 1, 11); /* its frame becomes its own */
	CU_ASSERT_EQUAL(left, 2);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

TESTS("sharing/share", {"killed at any moment", entries_go_before_bytes},
      {"a write", a_write_breaks_out}, {"the last", the_last_gets_the_frame},
      {"a zero page", a_zero_page_is_cleared_not_copied}, {"dropped", dropped_and_failed},
      {"shared frames alone", memory_of_shared_frames_alone})
