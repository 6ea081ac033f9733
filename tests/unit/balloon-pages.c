/* What may become of a page in each state it can be in. */
#include "balloon.h"

#define PAGES 100

/* Each state before, each wish, and what must come of it. */
static void by_state(void)
{
	struct balloon_test bt;
	struct vm *vm;

	balloon_test_open(&bt, (struct test_shape){.frames = 40, .slots = 200});
	balloon_test_start(&bt);
	vm = test_vm(&bt.t, "a", PAGES);
	struct balloon_vm *v = balloon_of(bt.balloon, vm);
	for (uint32_t i = 0; i < 60; i++)
		test_fill(vm, i, 1 + i);
	CU_ASSERT_EQUAL(pte_state(test_entry(vm, 0)), PAGE_SWAPPED);
	CU_ASSERT_EQUAL(pte_state(test_entry(vm, 50)), PAGE_PRIVATE);
	CU_ASSERT_EQUAL(pte_state(test_entry(vm, 70)), PAGE_UNBACKED);
	const uint32_t pages[] = {0, 50, 70};
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(page_deflate(v, pages[i]), BALLOON_NOT_IN);
		CU_ASSERT_EQUAL(page_inflate(v, pages[i]), BALLOON_OK);
		CU_ASSERT_EQUAL(page_inflate(v, pages[i]), BALLOON_TWICE);
		CU_ASSERT_EQUAL(page_hint(v, pages[i]), BALLOON_TWICE);
		CU_ASSERT_EQUAL(page_deflate(v, pages[i]), BALLOON_OK);
		CU_ASSERT_EQUAL(page_deflate(v, pages[i]), BALLOON_NOT_IN);
		CU_ASSERT_EQUAL(pte_state(test_entry(vm, pages[i])), PAGE_UNBACKED);
	}
	CU_ASSERT_EQUAL(page_hint(v, 1), BALLOON_OK);  /* swapped: its slot is free */
	CU_ASSERT_EQUAL(page_hint(v, 51), BALLOON_OK); /* private: its frame is */
	CU_ASSERT_EQUAL(page_hint(v, 71), BALLOON_OK); /* nothing to gain */
	CU_ASSERT_EQUAL(v->stats.hinted, 3);
	CU_ASSERT_EQUAL(v->stats.hint_frames, 1);
	vm->pmap->pte[52] |= PTE_PINNED;
	CU_ASSERT_EQUAL(page_inflate(v, 52), BALLOON_BUSY);
	CU_ASSERT_EQUAL(page_hint(v, 52), BALLOON_BUSY);
	const uint32_t beyond[] = {PAGES, PAGES + 1, UINT32_MAX};
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(page_inflate(v, beyond[i]), BALLOON_BAD_PPN);
		CU_ASSERT_EQUAL(page_deflate(v, beyond[i]), BALLOON_BAD_PPN);
		CU_ASSERT_EQUAL(page_hint(v, beyond[i]), BALLOON_BAD_PPN);
	}
	balloon_test_close(&bt);
}

/* Shared pages: the frame is freed with the last of them. */
static void shared(void)
{
	struct balloon_test bt;
	struct vm *vm;

	balloon_test_open(&bt,
			  (struct test_shape){.frames = 40, .scan = "sequential", .no_swap = true});
	balloon_test_start(&bt);
	vm = test_vm(&bt.t, "a", 30);
	struct balloon_vm *v = balloon_of(bt.balloon, vm);
	for (uint32_t i = 0; i < 30; i++)
		test_fill(vm, i, 77);
	balloon_test_wait(&bt, UINT64_C(20000000000));
	CU_ASSERT_EQUAL_FATAL(vm->pmap->count[PAGE_SHARED], 30);
	CU_ASSERT_EQUAL(bt.t.m->free, 39);
	for (uint32_t i = 0; i < 18; i++)
		CU_ASSERT_EQUAL(page_inflate(v, i), BALLOON_OK);
	CU_ASSERT_EQUAL(test_audit(&bt.t), 0);
	CU_ASSERT_EQUAL(bt.t.m->free, 39);
	CU_ASSERT_TRUE(test_reads_as(vm, 29, 77));
	balloon_cap(bt.balloon, vm, 1);
	for (uint32_t i = 18; i < 30; i++)
		CU_ASSERT_EQUAL(page_inflate(v, i), BALLOON_OK);
	CU_ASSERT_EQUAL(bt.t.m->free, 40);
	balloon_test_close(&bt);
}

/* A touch brings a zeroed page, whatever the frame held before. */
static void pop(void)
{
	struct balloon_test bt;
	struct vm *vm;

	balloon_test_open(&bt, (struct test_shape){.frames = 5, .backing = "ram", .no_swap = true});
	balloon_test_start(&bt);
	vm = test_vm(&bt.t, "a", 5);
	struct balloon_vm *v = balloon_of(bt.balloon, vm);
	for (uint32_t i = 0; i < 5; i++)
		test_fill(vm, i, 9 + i);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(page_inflate(v, i), BALLOON_OK);
	CU_ASSERT_EQUAL(page_inflate(v, 3), BALLOON_CAP);
	uint64_t faults = test_stat(&vm->stats, "faults");
	CU_ASSERT_TRUE(test_reads_as(vm, 1, 0));
	CU_ASSERT_EQUAL(test_stat(&vm->stats, "faults"), faults + 1);
	CU_ASSERT_EQUAL(v->stats.popped, 1);
	CU_ASSERT_TRUE(v->void_balloon);
	balloon_forget(v);
	CU_ASSERT_FALSE(v->void_balloon);
	CU_ASSERT_EQUAL(ballooned(vm), 0);
	CU_ASSERT_EQUAL(v->stats.voided, 2);
	CU_ASSERT_EQUAL(v->stats.popped, 1);
	CU_ASSERT_TRUE(test_reads_as(vm, 4, 13));
	balloon_test_close(&bt);
}

TESTS("balloon/pages", {"by state", by_state}, {"shared", shared}, {"pop", pop})
