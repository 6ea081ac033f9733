/* Expectations: what holds at the edges, what is counted, what JSON says of it. */
#include "test.h"

#include "experiments/expect.h"
#include "experiments/kinds.h"

#include <math.h>
#include <string.h>

static const char *text_of(const json_t *e, const char *key)
{
	const char *text = json_string_value(json_object_get(e, key));

	return text ? text : "";
}

static const json_t *item(const json_t *told, size_t i)
{
	return json_array_get(json_object_get(told, "expectations"), i);
}

static bool holds(double target, double tolerance, double value)
{
	json_t *told = json_object();

	expect_near(told, "a book", target, tolerance, value, "a thing of %d", 7);
	const json_t *e = item(told, 0);
	bool yes = json_is_true(json_object_get(e, "ok"));
	CU_ASSERT_STRING_EQUAL(text_of(e, "name"), "a thing of 7");
	CU_ASSERT_STRING_EQUAL(text_of(e, "source"), "a book");
	CU_ASSERT_STRING_EQUAL(text_of(e, "basis"), "predicted");
	CU_ASSERT_EQUAL(json_is_null(json_object_get(e, "value")), isnan(value) != 0);
	CU_ASSERT_EQUAL(expect_tally(told).failed, yes ? 0 : 1);
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

static bool bound(enum relation relation, double target, double tolerance, double value,
		  const char *shown)
{
	json_t *told = json_object();
	const struct expectation e = {
		.quantity = "q",
		.when = "t = 1",
		.relation = relation,
		.target = target,
		.tolerance = tolerance,
		.value = value,
		.source = "s",
	};
	char text[64];

	expect(told, &e);
	bool yes = json_is_true(json_object_get(item(told, 0), "ok"));
	CU_ASSERT_STRING_EQUAL(text_of(item(told, 0), "name"), "q, t = 1");
	CU_ASSERT_STRING_EQUAL(text_of(item(told, 0), "when"), "t = 1");
	expect_format(item(told, 0), text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, shown);
	json_decref(told);
	return yes;
}

static void test_bounds(void)
{
	CU_ASSERT(bound(EXPECT_AT_LEAST, 2, 0, 2, ">= 2"));
	CU_ASSERT(bound(EXPECT_AT_LEAST, 2, 0, 9, ">= 2"));
	CU_ASSERT(!bound(EXPECT_AT_LEAST, 2, 0, 1.99, ">= 2"));
	CU_ASSERT(bound(EXPECT_AT_LEAST, 2, 0.5, 1.5, ">= 2 +- 0.5"));
	CU_ASSERT(bound(EXPECT_AT_MOST, 2, 0, -9, "<= 2"));
	CU_ASSERT(!bound(EXPECT_AT_MOST, 2, 0, 2.01, "<= 2"));
	CU_ASSERT(!bound(EXPECT_AT_MOST, 2, 0, (double)NAN, "<= 2"));
	CU_ASSERT(!bound(EXPECT_NEAR, 2, 0.5, 3, "2 +- 0.5"));
	CU_ASSERT(!bound(EXPECT_NEAR, 12345, 0, 12344, "12345"));
	CU_ASSERT(bound(EXPECT_NEAR, 123456, 2048, 123456, "123456 +- 2048"));
	CU_ASSERT(bound(EXPECT_NEAR, 0.00012, 1e-5, 0.00012, "0.00012 +- 1e-05"));
}

static void test_several(void)
{
	json_t *told = json_object();

	CU_ASSERT_EQUAL(expect_tally(told).all, 0);
	expect_explain(told, "nothing to explain");
	tell(told, "%s %d", "line", 1);
	tell(told, "line 2");
	tell_note(told, NOTE_ASSUMED, "a rate of %d", 5);
	expect_near(told, "a", 1, 0, 2, "no");
	expect_near(told, "b", 1, 0, 1, "yes");
	expect_explain(told, "it needs none");
	expect_near(told, "c", 1, 0, 0, "no");
	expect_explain(told, "for %s", "a reason");
	expect(told, &(struct expectation){.quantity = "set", .source = "d", .calibrated = true});
	struct tally t = expect_tally(told);
	CU_ASSERT_EQUAL(t.all, 4);
	CU_ASSERT_EQUAL(t.failed, 2);
	CU_ASSERT_EQUAL(t.explained, 1);
	CU_ASSERT_EQUAL(t.calibrated, 1);
	CU_ASSERT_STRING_EQUAL(text_of(item(told, 0), "cause"), "");
	CU_ASSERT_STRING_EQUAL(text_of(item(told, 1), "cause"), "");
	CU_ASSERT_STRING_EQUAL(text_of(item(told, 2), "cause"), "for a reason");
	const json_t *report = json_object_get(told, "report");
	CU_ASSERT_EQUAL(json_array_size(report), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(report, 0)), "line 1");
	const json_t *note = json_array_get(json_object_get(told, "notes"), 0);
	CU_ASSERT_STRING_EQUAL(text_of(note, "kind"), "assumed");
	CU_ASSERT_STRING_EQUAL(text_of(note, "text"), "a rate of 5");
	json_decref(told);
}

static void test_job(void)
{
	json_t *told = json_object();
	struct job *job;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(job_new(job_sections, &job), 0);
	CU_ASSERT_EQUAL_FATAL(job_set(job, "host.memory=8mb", &err), 0);
	tell_job(told, "x.job", job);
	job_free(job);
	const json_t *j = json_array_get(json_object_get(told, "jobs"), 0);
	CU_ASSERT_STRING_EQUAL(text_of(j, "name"), "x.job");
	CU_ASSERT_STRING_EQUAL(text_of(j, "text"), "host {\n\tmemory = 8mb\n}\n");
	json_decref(told);
}

/* A word that is no UTF-8 does not make an expectation go away. */
static void test_bytes(void)
{
	json_t *told = json_object();
	const struct expectation e = {
		.quantity = "host.free",
		.target = 5,
		.value = 7,
		.source = "caf\xe9",
		.cause = "\xff",
	};

	expect(told, &e);
	tell(told, "caf\xe9");
	tell_note(told, NOTE_ASSUMED, "caf\xe9");
	const json_t *o = json_array_get(json_object_get(told, "expectations"), 0);
	CU_ASSERT_STRING_EQUAL(text_of(o, "source"), "caf?");
	CU_ASSERT_STRING_EQUAL(text_of(o, "cause"), "?");
	CU_ASSERT_EQUAL(expect_tally(told).failed, 1);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(told, "report")), 1);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(told, "notes")), 1);
	json_decref(told);
}

TESTS("experiments/expect", {"near", test_near}, {"bounds", test_bounds}, {"several", test_several},
      {"job", test_job}, {"bytes", test_bytes})
