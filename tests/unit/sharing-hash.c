/* Contents: hashed, compared, named; with bytes and without. */
#include "host.h"

#include "sharing/private.h"

static void hashes(const char *backing)
{
	struct test_host t;

	test_host_new(&t,
		      (struct test_shape){.backing = backing, .scan = "random", .no_swap = true});
	struct vm *vm = test_vm(&t, "a", 4);
	const struct group g = {.salt = 1}, other = {.salt = 2};
	const uint64_t ids[] = {0, 7, 7, 8};
	mpn_t m[4];
	for (uint32_t i = 0; i < 4; i++) {
		test_fill(vm, i, ids[i]);
		m[i] = pte_mpn(test_entry(vm, i));
	}
	CU_ASSERT_EQUAL(page_hash(t.sharing, &g, m[1]), page_hash(t.sharing, &g, m[2]));
	CU_ASSERT_NOT_EQUAL(page_hash(t.sharing, &g, m[1]), page_hash(t.sharing, &g, m[3]));
	CU_ASSERT_NOT_EQUAL(page_hash(t.sharing, &g, m[1]), page_hash(t.sharing, &other, m[1]));
	CU_ASSERT_EQUAL(page_hash(t.sharing, &g, m[0]), page_zero_hash(t.sharing, &g));
	CU_ASSERT_TRUE(page_is_zero(t.sharing, m[0]));
	CU_ASSERT_FALSE(page_is_zero(t.sharing, m[1]));
	CU_ASSERT_TRUE(page_equal(t.sharing, m[1], m[2]));
	CU_ASSERT_FALSE(page_equal(t.sharing, m[1], m[3]));
	CU_ASSERT_EQUAL(page_order(t.sharing, m[1], m[3]) < 0,
			page_order(t.sharing, m[3], m[1]) > 0);
	test_host_free(&t);
}

static void with_bytes(void)
{
	struct test_host t;

	hashes("ram");
	/* The last byte counts, for zero pages too. */
	test_host_new(&t, (struct test_shape){.backing = "ram", .scan = "random", .no_swap = true});
	struct vm *vm = test_vm(&t, "a", 1);
	test_fill(vm, 0, 0);
	mpn_t m = pte_mpn(test_entry(vm, 0));
	uint64_t before = page_hash(t.sharing, &t.sharing->group[0], m);
	t.m->backing->bytes(t.m, m)[PAGE_SIZE - 1] = 1;
	CU_ASSERT_FALSE(page_is_zero(t.sharing, m));
	CU_ASSERT_NOT_EQUAL(page_hash(t.sharing, &t.sharing->group[0], m), before);
	test_host_free(&t);
}

static void without_bytes(void)
{
	struct test_host t;

	hashes("ids");
	test_host_new(&t, (struct test_shape){.backing = "ids", .scan = "random", .no_swap = true});
	struct vm *vm = test_vm(&t, "a", 2);
	test_fill(vm, 0, 9);
	mpn_t m = pte_mpn(test_entry(vm, 0));
	CU_ASSERT_EQUAL(page_name(t.sharing, vm->pmap, (ppn_t){0}), 0);
	CU_ASSERT_TRUE(t.m->backing->holds(t.m, m, 9)); /* has a name already */
	test_hit(vm, 0, ACCESS_WRITE);
	test_hit(vm, 1, ACCESS_WRITE);
	CU_ASSERT_EQUAL(page_name(t.sharing, vm->pmap, (ppn_t){0}), 0);
	CU_ASSERT_EQUAL(page_name(t.sharing, vm->pmap, (ppn_t){1}), 0);
	CU_ASSERT_FALSE(t.m->backing->holds(t.m, m, 9));
	CU_ASSERT_FALSE(page_equal(t.sharing, m, pte_mpn(test_entry(vm, 1))));
	CU_ASSERT_FALSE(test_entry(vm, 0) & PTE_UNNAMED);
	test_host_free(&t);
}

TESTS("sharing/hash", {"with bytes", with_bytes}, {"without bytes", without_bytes})
