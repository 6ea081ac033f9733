/* The part: none costs nothing, groups, what each VM saves. */
#include "host.h"

#include "sharing/private.h"

static void none_is_no_part(void)
{
	struct test_host t;
	struct err err;

	test_host_new(&t, (struct test_shape){.no_swap = true});
	CU_ASSERT_PTR_NULL(t.sharing);
	CU_ASSERT_EQUAL(t.host->parts, 1);
	CU_ASSERT_EQUAL(t.host->clock.n, 0);
	CU_ASSERT_PTR_NULL(t.host->screen.settle);
	CU_ASSERT_EQUAL(sharing_group(NULL, test_vm(&t, "a", 1), "x", &err), 0);
	test_host_free(&t);
}

static void groups_by_name(void)
{
	struct test_host t;
	struct err err;

	test_host_new(&t, (struct test_shape){.scan = "random", .no_swap = true});
	const char *const names[] = {"red", NULL, "blue", "red", "blue"};
	const uint32_t want[] = {1, 0, 2, 1, 2};
	for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
		struct vm *vm = test_vm(&t, (const char[]){(char)('a' + i), 0}, 1);
		CU_ASSERT_EQUAL(sharing_group(t.sharing, vm, names[i], &err), 0);
		CU_ASSERT_EQUAL(t.sharing->vm[i]->group, want[i]);
	}
	test_host_free(&t);
}

/* Salts come from the seed and the name: hashes differ between runs and groups. */
static void salts(void)
{
	uint64_t salt[4];
	struct err err;

	for (int i = 0; i < 4; i++) {
		struct test_host t;
		test_host_new(&t, (struct test_shape){.scan = "random",
						      .no_swap = true,
						      .seed = i < 2 ? 1 : 2});
		CU_ASSERT_EQUAL(sharing_group(t.sharing, test_vm(&t, "a", 1), "g", &err), 0);
		salt[i] = t.sharing->group[i % 2].salt;
		test_host_free(&t);
	}
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < i; k++)
			CU_ASSERT_NOT_EQUAL(salt[i], salt[k]);
	}
}

/* By hand: 3 pages of a and 1 of b in one frame, 2 of b in another: 3/4 each, 1/2 each. */
static void saved_by_vm(void)
{
	struct test_host t;

	test_host_new(&t, (struct test_shape){.scan = "sequential", .no_swap = true});
	struct vm *a = test_vm(&t, "a", 4), *b = test_vm(&t, "b", 4);
	for (uint32_t i = 0; i < 3; i++)
		test_fill(a, i, 5);
	test_fill(b, 0, 5);
	test_fill(b, 1, 6);
	test_fill(b, 2, 6);
	sharing_scan(t.sharing, a, 4);
	sharing_scan(t.sharing, b, 4);
	host_refresh(t.host);
	CU_ASSERT_EQUAL(t.sharing->vm[0]->stats.saved, 2.25);
	CU_ASSERT_EQUAL(t.sharing->vm[1]->stats.saved, 1.75);
	CU_ASSERT_EQUAL(sharing_stats(t.sharing)->saved, 4);
	CU_ASSERT_EQUAL(t.sharing->vm[0]->stats.merged + t.sharing->vm[1]->stats.merged, 4);
	test_host_free(&t);
}

TESTS("sharing/sharing", {"none", none_is_no_part}, {"groups", groups_by_name}, {"salts", salts},
      {"saved by VM", saved_by_vm})
