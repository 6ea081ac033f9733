/*
 * One small program per test file: TESTS names its cases, CUnit runs them.
 *
 * Random cases print their seed; BALLAST_SEED in the environment repeats one.
 * A program that cannot run here returns 77 with the reason (SKIP).
 */
#ifndef BALLAST_TESTS_TEST_H
#define BALLAST_TESTS_TEST_H

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

struct test_case {
	const char *name;
	void (*run)(void);
};

static inline unsigned long long test_seed(unsigned long long fallback)
{
	const char *s = getenv("BALLAST_SEED");
	unsigned long long seed = s ? strtoull(s, NULL, 0) : fallback;

	printf("  seed %llu\n", seed);
	return seed;
}

#define SKIP(reason)                                                                               \
	do {                                                                                       \
		printf("skipped: %s\n", reason);                                                   \
		exit(77);                                                                          \
	} while (0)

static inline int test_main(const char *suite_name, const struct test_case *cases, size_t n)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; i < n; i++)
		CU_add_test(suite, cases[i].name, cases[i].run);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}

#define TESTS(suite_name, ...)                                                                     \
	int main(void)                                                                             \
	{                                                                                          \
		static const struct test_case cases[] = {__VA_ARGS__};                             \
		return test_main(suite_name, cases, sizeof cases / sizeof cases[0]);               \
	}

#endif
