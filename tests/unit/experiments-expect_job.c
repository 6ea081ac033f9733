/* A job's expectations: which names are refused, when a value is read, what is judged. */
#include "test.h"

#include "experiments/expect.h"
#include "experiments/expect_job.h"
#include "experiments/kinds.h"
#include "experiments/run.h"

#include <errno.h>
#include <string.h>

#define GUEST                                                                                      \
	"gen g { law = sequential refs = 1000 pages = 100 write_ratio = 0 } vm a { gen = g } "     \
	"host { memory = 1mb quantum = 1us } cost { ref = 1us fault = 0 zero = 0 } "

static struct job *job_of(const char *text)
{
	struct job *job;
	struct err err = {0};

	CU_ASSERT_EQUAL_FATAL(job_new(job_sections, &job), 0);
	if (job_parse(job, text, "J", &err)) {
		printf("  %s\n", err.msg);
		CU_FAIL_FATAL("the job does not parse");
	}
	return job;
}

/* What the job's expectations come to; NULL with *err if they are refused. */
static json_t *told_of(const char *text, struct err *err)
{
	struct job *job = job_of(text);
	struct expecting *expecting;
	struct run *run;
	json_t *told = NULL;

	CU_ASSERT_EQUAL_FATAL(run_open(job, &run, err), 0);
	if (expecting_open(job, run_host(run), run_clock(run), &expecting, err) == 0) {
		told = json_object();
		CU_ASSERT_EQUAL(run_go(run, NULL, NULL, err), 0);
		json_t *summary = run_summary(run);
		expecting_tell(expecting, summary, told);
		json_decref(summary);
		expecting_close(expecting);
	}
	run_close(run);
	job_free(job);
	return told;
}

static double value(const json_t *told, size_t i)
{
	return json_number_value(
		json_object_get(json_array_get(json_object_get(told, "expectations"), i), "value"));
}

/* One page after the other, one a microsecond: by 50 us about 50 have faulted, in the end 100. */
static void times(void)
{
	struct err err = {0};
	json_t *told = told_of(GUEST "expect end { of = \"vm.a.faults\" value = 100 } "
				     "expect soon { of = \"vm.a.faults\" at = 50us value = 50 "
				     "within = 2 } "
				     "expect never { of = \"host.free\" at = 1h }",
			       &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(told);
	struct tally t = expect_tally(told);
	CU_ASSERT_EQUAL(t.all, 3);
	CU_ASSERT_EQUAL(t.failed, 1);
	CU_ASSERT_EQUAL(value(told, 0), 100);
	CU_ASSERT(value(told, 1) >= 48 && value(told, 1) <= 52);
	json_decref(told);
}

static void none(void)
{
	struct err err = {0};
	json_t *told = told_of(GUEST, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(told);
	CU_ASSERT_EQUAL(expect_tally(told).all, 0);
	json_decref(told);
}

static void names(void)
{
	static const char *const bad[][2] = {
		{"", "give a statistic"},	{"free", "give a statistic"},
		{"vm.a", "give a statistic"},	{"vm.b.refs", "no such vm"},
		{"vm..refs", "no such vm"},	{"vm.a.ref", "no such statistic"},
		{"host.", "no such statistic"}, {"host.free.more", "no such statistic"},
	};
	char text[512];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err err = {0};
		snprintf(text, sizeof text, "%s expect x { of = '%s' }", GUEST, bad[i][0]);
		CU_ASSERT_PTR_NULL(told_of(text, &err));
		CU_ASSERT_EQUAL(err.exit_code, 2);
		if (!strstr(err.msg, bad[i][1]) || !strstr(err.msg, "expect.x.of"))
			printf("  '%s': %s\n", bad[i][0], err.msg);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, bad[i][1]));
	}
}

TESTS("experiments/expect_job", {"times", times}, {"none", none}, {"names", names})
