/* What becomes of a page whose hash is known, case by case. */
#include "host.h"

#include "sharing/private.h"

static void open_host(struct test_host *t, const char *backing)
{
	test_host_new(t, (struct test_shape){.frames = 64,
					     .backing = backing,
					     .scan = "sequential",
					     .no_swap = true});
}

static void scan(struct test_host *t, struct vm *vm)
{
	sharing_scan(t->sharing, vm, vm->pages);
}

static bool together(const struct vm *a, uint32_t pa, const struct vm *b, uint32_t pb)
{
	pte_t x = test_entry(a, pa), y = test_entry(b, pb);

	return pte_state(x) == PAGE_SHARED && pte_state(y) == PAGE_SHARED &&
	       pte_value(x) == pte_value(y);
}

static void alone_stays_writable(void)
{
	struct test_host t;

	open_host(&t, "ram");
	struct vm *vm = test_vm(&t, "a", 4);
	test_fill(vm, 0, 1);
	scan(&t, vm);
	CU_ASSERT_EQUAL(pte_state(test_entry(vm, 0)), PAGE_PRIVATE);
	CU_ASSERT_TRUE(test_entry(vm, 0) & PTE_W);
	CU_ASSERT_FALSE(test_entry(vm, 0) & PTE_CHANGED);
	CU_ASSERT_EQUAL(t.sharing->table.hints, 1);
	/* Not written: not hashed again. */
	scan(&t, vm);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->hashed, 1);
	/* Written with the same: hashed again, and its hint is true again. */
	test_fill(vm, 0, 1);
	scan(&t, vm);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->hashed, 2);
	CU_ASSERT_EQUAL(t.sharing->table.used, 1);
	test_host_free(&t);
}

static void hint_becomes_shared(void)
{
	struct test_host t;

	open_host(&t, "ram");
	struct vm *a = test_vm(&t, "a", 2), *b = test_vm(&t, "b", 2);
	test_fill(a, 0, 5);
	test_fill(b, 1, 5);
	mpn_t kept = pte_mpn(test_entry(a, 0));
	scan(&t, a);
	scan(&t, b);
	CU_ASSERT_TRUE(together(a, 0, b, 1));
	CU_ASSERT_TRUE(mpn_eq(pte_mpn(test_entry(b, 1)), kept));
	CU_ASSERT_EQUAL(t.sharing->table.used, 1);
	CU_ASSERT_EQUAL(t.sharing->table.hints, 0);
	CU_ASSERT_EQUAL(refs_get(t.sharing, kept), 2);
	/* And a third joins. */
	test_fill(b, 0, 5);
	scan(&t, b);
	CU_ASSERT_TRUE(together(a, 0, b, 0));
	CU_ASSERT_EQUAL(refs_get(t.sharing, kept), 3);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->saved, 2);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

static void stale_hint_is_dropped(void)
{
	struct test_host t;

	open_host(&t, "ram");
	struct vm *vm = test_vm(&t, "a", 4);
	test_fill(vm, 0, 5);
	scan(&t, vm);
	test_fill(vm, 0, 6); /* the hint of 5 is stale now */
	test_fill(vm, 1, 5);
	scan(&t, vm);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->merged, 0);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->stale, 1);
	/* Page 1 left a hint in its place, and page 0 one of 6. */
	CU_ASSERT_EQUAL(t.sharing->table.hints, 2);
	test_fill(vm, 2, 5);
	test_fill(vm, 3, 6);
	scan(&t, vm);
	CU_ASSERT_TRUE(together(vm, 1, vm, 2));
	CU_ASSERT_TRUE(together(vm, 0, vm, 3));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

static void hint_of_a_dropped_page(void)
{
	struct test_host t;

	open_host(&t, "ids");
	struct vm *vm = test_vm(&t, "a", 4);
	test_fill(vm, 0, 5);
	scan(&t, vm);
	pmap_drop(vm->pmap, (ppn_t){0});
	test_fill(vm, 1, 5);
	scan(&t, vm);
	CU_ASSERT_EQUAL(pte_state(test_entry(vm, 1)), PAGE_PRIVATE);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->stale, 1);
	CU_ASSERT_EQUAL(t.sharing->table.used, 1);
	test_host_free(&t);
}

/* One hash for all: only equal pages share, and the others are not eligible until written. */
static void collisions(void)
{
	struct test_host t;

	open_host(&t, "ram");
	t.sharing->hash_mask = 0;
	struct vm *vm = test_vm(&t, "a", 8);
	for (uint32_t i = 0; i < 6; i++)
		test_fill(vm, i, 1 + i % 3);
	scan(&t, vm);
	CU_ASSERT_TRUE(together(vm, 0, vm, 3));
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->merged, 1);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->false_hit, 4);
	uint64_t hashed = sharing_stats(t.sharing)->hashed;
	scan(&t, vm);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->hashed, hashed);
	for (uint32_t i = 0; i < 6; i++)
		CU_ASSERT_TRUE(test_reads_as(vm, i, 1 + i % 3));
	test_fill(vm, 1, 1);
	scan(&t, vm);
	CU_ASSERT_TRUE(together(vm, 0, vm, 1));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* Equal pages of two groups stay apart, though their hashes are made equal too. */
static void groups(void)
{
	struct test_host t;
	struct err err;

	open_host(&t, "ram");
	struct vm *a = test_vm(&t, "a", 4), *b = test_vm(&t, "b", 4), *c = test_vm(&t, "c", 4);
	CU_ASSERT_EQUAL(sharing_group(t.sharing, b, "other", &err), 0);
	CU_ASSERT_EQUAL(sharing_group(t.sharing, c, "other", &err), 0);
	CU_ASSERT_EQUAL(t.sharing->groups, 2);
	CU_ASSERT_NOT_EQUAL(t.sharing->group[0].salt, t.sharing->group[1].salt);
	t.sharing->hash_mask = 0;
	struct vm *const vms[] = {a, b, c};
	for (size_t i = 0; i < ARRAY_LEN(vms); i++) {
		test_fill(vms[i], 0, 9);
		test_fill(vms[i], 1, 0);
		scan(&t, vms[i]);
	}
	CU_ASSERT_EQUAL(pte_state(test_entry(a, 0)), PAGE_PRIVATE);
	CU_ASSERT_TRUE(together(b, 0, c, 0));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* The zero page: shared from the first on, no table frame; each group has its own. */
static void zero_page(void)
{
	struct test_host t;
	struct err err;

	open_host(&t, "ram");
	struct vm *a = test_vm(&t, "a", 4), *b = test_vm(&t, "b", 4);
	CU_ASSERT_EQUAL(sharing_group(t.sharing, b, "other", &err), 0);
	for (uint32_t i = 0; i < 3; i++) {
		test_hit(a, i, ACCESS_READ);
		test_fill(b, i, 0);
	}
	scan(&t, a);
	scan(&t, b);
	CU_ASSERT_TRUE(together(a, 0, a, 2));
	CU_ASSERT_TRUE(together(b, 0, b, 2));
	CU_ASSERT_FALSE(together(a, 0, b, 0));
	CU_ASSERT_EQUAL(t.sharing->table.used, 0);
	CU_ASSERT_EQUAL(t.m->shared, 2);
	CU_ASSERT_EQUAL(t.sharing->vm[0]->stats.zero, 3);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	/* The last one gone, the next zero page begins anew. */
	for (uint32_t i = 0; i < 3; i++)
		test_fill(a, i, 1 + i);
	CU_ASSERT_FALSE(mpn_valid(t.sharing->group[0].zero));
	test_fill(a, 3, 0);
	scan(&t, a);
	CU_ASSERT_TRUE(mpn_eq(t.sharing->group[0].zero, pte_mpn(test_entry(a, 3))));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* Written with who knows what: like no other page, whatever id its frame had. */
static void unknown_contents(void)
{
	struct test_host t;

	open_host(&t, "ids");
	struct vm *vm = test_vm(&t, "a", 4);
	for (uint32_t i = 0; i < 3; i++)
		test_fill(vm, i, 5);
	test_hit(vm, 0, ACCESS_WRITE);
	test_hit(vm, 1, ACCESS_WRITE);
	test_hit(vm, 3, ACCESS_WRITE);
	scan(&t, vm);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->merged, 0);
	CU_ASSERT_EQUAL(t.m->shared, 0);
	CU_ASSERT_NOT_EQUAL(t.m->ids[pte_value(test_entry(vm, 0))],
			    t.m->ids[pte_value(test_entry(vm, 1))]);
	CU_ASSERT_FALSE(test_entry(vm, 0) & PTE_UNNAMED);
	test_fill(vm, 0, 5);
	scan(&t, vm);
	CU_ASSERT_TRUE(together(vm, 0, vm, 2));
	test_host_free(&t);
}

static void pinned_pages(void)
{
	struct test_host t;

	open_host(&t, "ids");
	struct vm *vm = test_vm(&t, "a", 4);
	test_fill(vm, 0, 5);
	scan(&t, vm);
	vm->pmap->pte[0] |= PTE_PINNED;
	test_fill(vm, 1, 5);
	test_fill(vm, 2, 5);
	vm->pmap->pte[2] |= PTE_PINNED;
	scan(&t, vm);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->merged, 0);
	vm->pmap->pte[0] &= ~PTE_PINNED;
	vm->pmap->pte[2] &= ~PTE_PINNED;
	scan(&t, vm);
	CU_ASSERT_TRUE(together(vm, 0, vm, 1) && together(vm, 0, vm, 2));
	test_host_free(&t);
}

TESTS("sharing/match", {"alone", alone_stays_writable}, {"hint to shared", hint_becomes_shared},
      {"stale hint", stale_hint_is_dropped}, {"dropped page", hint_of_a_dropped_page},
      {"collisions", collisions}, {"groups", groups}, {"zero page", zero_page},
      {"unknown contents", unknown_contents}, {"pinned", pinned_pages})
