#include "core/job.h"

#include "job_tables.h"
#include "test.h"

#include <string.h>

static void check_json(const char *text, const char *want)
{
	struct job *job;
	struct err err = {0};

	CU_ASSERT_EQUAL_FATAL(job_new(demo_sections, &job), 0);
	CU_ASSERT_EQUAL_FATAL(job_parse(job, text, "J", &err), 0);
	json_t *json = job_json(job);
	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	char *got = json_dumps(json, JSON_COMPACT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(got);
	CU_ASSERT_STRING_EQUAL(got, want);
	free(got);
	json_decref(json);
	job_free(job);
}

/* Types, units (bytes, ns) and order, by hand from job_tables.h. */
static void defaults_and_values(void)
{
	check_json("", "{\"host\":{\"memory\":2097152,\"period\":30000000000,\"frames\":0,"
		       "\"offset\":0,\"tax\":0.75,\"sharing\":true,"
		       "\"reclaim\":[\"balloon\",\"swap\"],\"victim\":\"lru\"},\"vm\":{}}");
	check_json("vm b { memory = 4kb } vm a { trace = x.bt } "
		   "host { sharing = off reclaim = {} victim = clock tax = 0.5 offset = -3 }",
		   "{\"host\":{\"memory\":2097152,\"period\":30000000000,\"frames\":0,"
		   "\"offset\":-3,\"tax\":0.5,\"sharing\":false,\"reclaim\":null,"
		   "\"victim\":\"clock\"},\"vm\":{\"b\":{\"memory\":4096,\"trace\":null,"
		   "\"disk\":null},"
		   "\"a\":{\"memory\":0,\"trace\":\"x.bt\",\"disk\":null}}}");
}

/* A path may hold bytes that are no UTF-8; the result must still be JSON. */
static void bytes_that_are_no_utf8(void)
{
	struct job *job;

	CU_ASSERT_EQUAL_FATAL(job_new(demo_sections, &job), 0);
	CU_ASSERT_EQUAL(job_parse(job,
				  "vm a { trace = \"caf\xe9\" } vm b { trace = \"caf\xc3\xa9\" }",
				  "J", NULL),
			0);
	json_t *json = job_json(job), *vm = json_object_get(json, "vm");
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_object_get(vm, "a"), "trace")), "caf?");
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_object_get(vm, "b"), "trace")),
		"caf\xc3\xa9");
	json_decref(json);
	job_free(job);
}

TESTS("core/jobjson", {"defaults and values", defaults_and_values},
      {"bytes that are no UTF-8", bytes_that_are_no_utf8})
