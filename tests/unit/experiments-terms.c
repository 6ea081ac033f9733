#include "test.h"

#include "core/reclaim.h"
#include "experiments/kinds.h"
#include "experiments/terms.h"

#include <errno.h>
#include <string.h>

static struct job *read_job(const char *text)
{
	struct job *job;
	struct err err;

	if (job_new(job_sections, &job) || job_parse(job, text, "J", &err))
		abort();
	return job;
}

/* 256 MB of 65536 pages: 2560 shares; overhead only where somebody divides memory. */
static void what_is_not_given(void)
{
	struct job *job = read_job("host { thresholds = esx } vm a { }");
	struct terms t;
	struct err err;

	CU_ASSERT_EQUAL(terms_of(job, 0, 65536, &t, &err), 0);
	CU_ASSERT_EQUAL(t.promise.min, 0);
	CU_ASSERT_EQUAL(t.promise.max, 65536);
	CU_ASSERT_EQUAL(t.promise.overhead, 8192);
	CU_ASSERT_EQUAL(t.shares, 2560);
	CU_ASSERT_EQUAL(terms_of(job, 0, 1, &t, &err), 0);
	CU_ASSERT_EQUAL(t.shares, 1); /* none would mean exactly its min */
	job_free(job);
	job = read_job("host { thresholds = reserve } vm a { }");
	CU_ASSERT_EQUAL(terms_of(job, 0, 65536, &t, &err), 0);
	CU_ASSERT_EQUAL(t.promise.overhead, 0);
	job_free(job);
}

static void what_is_given(void)
{
	struct job *job = read_job("host { thresholds = esx }\n"
				   "vm a { min = 1mb max = 2mb shares = 0 overhead = 3mb }");
	struct terms t;
	struct err err;

	CU_ASSERT_EQUAL(terms_of(job, 0, 65536, &t, &err), 0);
	CU_ASSERT_EQUAL(t.promise.min, 256);
	CU_ASSERT_EQUAL(t.promise.max, 512);
	CU_ASSERT_EQUAL(t.promise.overhead, 768);
	CU_ASSERT_EQUAL(t.shares, 0);
	CU_ASSERT_EQUAL(terms_of(job, 0, 400, &t, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.msg, "J:2: vm.a.max, 2mb, is above its memory, 1600kb");
	job_free(job);
}

static void what_nobody_heeds(void)
{
	static const struct {
		const char *text, *says; /* NULL: fine */
	} cases[] = {
		{"host { thresholds = none } vm a { overhead = 1mb }", NULL},
		{"host { thresholds = esx-later } tax { rate = 0 } vm a { shares = 1 }", NULL},
		{"host { thresholds = none }\nvm a { min = 0 }", "J:2: vm.a.min is given, but "},
		{"tax { alloc = esx }", "J:1: tax.alloc is given, but nothing heeds it with "
					"host.thresholds=reserve: give host.thresholds=esx"},
		{"reclaim { low = 1% }", "J:1: reclaim.low is given, but "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct job *job = read_job(cases[i].text);
		struct err err = {0};
		CU_ASSERT_EQUAL(terms_heeded(job, &err), cases[i].says ? -EINVAL : 0);
		if (cases[i].says)
			CU_ASSERT_EQUAL(strncmp(err.msg, cases[i].says, strlen(cases[i].says)), 0);
		job_free(job);
	}
}

TESTS("experiments/terms", {"what is not given", what_is_not_given},
      {"what is given", what_is_given}, {"what nobody heeds", what_nobody_heeds})
