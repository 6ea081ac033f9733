#include "data.h"
#include "test.h"

#include "experiments/trial.h"

#include <math.h>
#include <string.h>

/* A run of a file of the program's with something on top of it; its statistics by name. */
static void runs(void)
{
	struct err err = {0};
	struct job *job;
	struct run *run;

	test_data();
	CU_ASSERT_EQUAL_FATAL(
		trial_job("jobs/dbench.job",
			  "workload clients { clients = 2 file_set = 1mb reads = 3 } "
			  "workload background { duration = 5s } guest { boot_time = 1s }",
			  &job, &err),
		0);
	CU_ASSERT_EQUAL_FATAL(trial_run(job, &run, &err), 0);
	const struct vm *vm = run_host(run)->vm[0];
	CU_ASSERT_EQUAL(trial_stat(vm, "work_bytes"), 2 * 4 * (1 << 20));
	CU_ASSERT(isnan(trial_stat(vm, "nosuch")));
	run_close(run);
	job_free(job);
}

static void refused(void)
{
	struct err err = {0};
	struct job *job;
	struct run *run;

	CU_ASSERT(trial_job("jobs/nosuch.job", "", &job, &err) < 0);
	CU_ASSERT(trial_job("jobs/dbench.job", "nosuch { }", &job, &err) < 0);
	CU_ASSERT(*err.msg && !strchr(err.msg, '\n'));
	CU_ASSERT_EQUAL_FATAL(trial_job("jobs/dbench.job", "vm a { memory = 1mb }", &job, &err), 0);
	CU_ASSERT(trial_run(job, &run, &err) < 0); /* too small for its kernel */
	job_free(job);
	/* A VM that fails on the way: nobody gives it frames. */
	CU_ASSERT_EQUAL_FATAL(trial_job("jobs/dbench.job",
					"host { memory = 16mb } swap { victim = none }", &job,
					&err),
			      0);
	CU_ASSERT(trial_run(job, &run, &err) < 0);
	CU_ASSERT(*err.msg && !strchr(err.msg, '\n'));
	job_free(job);
}

TESTS("experiments/trial", {"runs", runs}, {"refused", refused})
