/* random: every page as likely as any other, and each VM its own draws. */
#include "host.h"

#include "sharing/private.h"

#define PAGES 16
#define DRAWS 160000

static void uniform(void)
{
	uint32_t seen[PAGES] = {0}, equal = 0;
	ppn_t x[64], y[64];
	struct test_host t;

	test_host_new(&t,
		      (struct test_shape){.scan = "random", .no_swap = true, .seed = test_seed(5)});
	test_vm(&t, "a", PAGES);
	test_vm(&t, "b", PAGES);
	for (int i = 0; i < DRAWS; i += 64) {
		CU_ASSERT_EQUAL(scan_random.pick(NULL, t.sharing->vm[0], 64, x), 64);
		CU_ASSERT_EQUAL(scan_random.pick(NULL, t.sharing->vm[1], 64, y), 64);
		for (int k = 0; k < 64; k++) {
			CU_ASSERT_FATAL(x[k].n < PAGES);
			seen[x[k].n]++;
			equal += x[k].n == y[k].n;
		}
	}
	/* Binomial, standard deviation 97: five of them. */
	for (int i = 0; i < PAGES; i++)
		CU_ASSERT_TRUE(seen[i] > DRAWS / PAGES - 485 && seen[i] < DRAWS / PAGES + 485);
	CU_ASSERT_TRUE(equal > DRAWS / PAGES - 485 && equal < DRAWS / PAGES + 485);
	test_host_free(&t);
}

TESTS("sharing/scan-random", {"uniform", uniform})
