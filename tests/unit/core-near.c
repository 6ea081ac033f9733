#include "core/opt.h"

#include "test.h"

#include <string.h>

static const char *const keys[] = {"memory", "frames", "thresholds", "seed", "low_memory"};

static const char *near(const char *wrong)
{
	const char *name = nearest_name(wrong, keys, ARRAY_LEN(keys));

	return name ? name : "(none)";
}

static void one_slip_is_near(void)
{
	CU_ASSERT_STRING_EQUAL(near("memroy"), "memory");     /* swapped */
	CU_ASSERT_STRING_EQUAL(near("memry"), "memory");      /* missing */
	CU_ASSERT_STRING_EQUAL(near("memoryy"), "memory");    /* doubled */
	CU_ASSERT_STRING_EQUAL(near("memary"), "memory");     /* wrong */
	CU_ASSERT_STRING_EQUAL(near("MEMORY"), "memory");     /* case */
	CU_ASSERT_STRING_EQUAL(near("thresh"), "thresholds"); /* begun */
	CU_ASSERT_STRING_EQUAL(near("lowmemory"), "low_memory");
}

static void the_far_is_not(void)
{
	char long_name[5000];

	CU_ASSERT_STRING_EQUAL(near("colour"), "(none)");
	CU_ASSERT_STRING_EQUAL(near(""), "(none)");
	CU_ASSERT_STRING_EQUAL(near("x"), "(none)");
	memset(long_name, 'm', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	CU_ASSERT_STRING_EQUAL(near(long_name), "(none)");
	CU_ASSERT_PTR_NULL(nearest_name("memory", keys, 0));
	CU_ASSERT_PTR_NULL(nearest_name("m", (const char *const[]){long_name}, 1));
}

TESTS("core/near", {"one slip is near", one_slip_is_near}, {"the far is not", the_far_is_not})
