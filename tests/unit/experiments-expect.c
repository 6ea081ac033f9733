/* Expectations: what holds at the edges, what is counted, what JSON says of it. */
#include "test.h"

#include "experiments/expect.h"

#include <math.h>
#include <string.h>

static bool holds(double expected, double within, double measured)
{
	json_t *told = json_object();

	expect_near(told, "a book", expected, within, measured, "a thing of %d", 7);
	const json_t *e = json_array_get(json_object_get(told, "expectations"), 0);
	bool yes = json_is_true(json_object_get(e, "holds"));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(e, "what")), "a thing of 7");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(e, "source")), "a book");
	CU_ASSERT_EQUAL(json_is_null(json_object_get(e, "measured")), isnan(measured) != 0);
	CU_ASSERT_EQUAL(expect_failed(told), yes ? 0 : 1);
	json_decref(told);
	return yes;
}

static void test_near(void)
{
	CU_ASSERT(holds(67, 5, 67));
	CU_ASSERT(holds(67, 5, 72));
	CU_ASSERT(holds(67, 5, 62));
	CU_ASSERT(!holds(67, 5, 72.25));
	CU_ASSERT(!holds(67, 5, 61.75));
	CU_ASSERT(!holds(67, 5, (double)NAN));
	CU_ASSERT(!holds((double)NAN, 5, 67));
}

static void test_several(void)
{
	json_t *told = json_object();

	CU_ASSERT_EQUAL(expect_failed(told), 0);
	tell(told, "%s %d", "line", 1);
	tell(told, "line 2");
	expect_near(told, "a", 1, 0, 2, "no");
	expect_near(told, "b", 1, 0, 1, "yes");
	expect_near(told, "c", 1, 0, 0, "no");
	CU_ASSERT_EQUAL(expect_failed(told), 2);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(told, "expectations")), 3);
	const json_t *report = json_object_get(told, "report");
	CU_ASSERT_EQUAL(json_array_size(report), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(report, 0)), "line 1");
	json_decref(told);
}

TESTS("experiments/expect", {"near", test_near}, {"several", test_several})
