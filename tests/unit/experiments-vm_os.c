#include "host.h"

#include "experiments/kinds.h"
#include "experiments/vm_os.h"

/* The guest that the job's first VM would have, in a VM of 32 MB. */
static int make(const char *text, struct test_host *t, struct job **job, struct gos **g,
		struct err *err)
{
	if (job_new(job_sections, job))
		abort();
	CU_ASSERT_EQUAL_FATAL(job_parse(*job, text, "test", err), 0);
	test_host_new(t, (struct test_shape){.frames = 10000, .slots = 10000});
	struct vm *vm = test_vm(t, "a", 8192);
	const struct vm_opts *opts = job_titled(*job, &vm_section, 0);
	CU_ASSERT_TRUE(vm_has_os(opts));
	return vm_os_new(*job, vm, opts, NULL, g, err);
}

static void workloads(void)
{
	struct err err = {0};
	struct test_host t;
	struct job *job;
	struct gos *g;

	CU_ASSERT_EQUAL_FATAL(make("guest { boot_time = 1s } workload x { duration = 2s } workload "
				   "y { duration = 7s }"
				   " vm a { os = linux workload = {x, y} }",
				   &t, &job, &g, &err),
			      0);
	CU_ASSERT_EQUAL(gos_progress(g).total, UINT64_C(8000000000));
	CU_ASSERT_EQUAL(host_run(t.host, &err), 0);
	CU_ASSERT_EQUAL(t.host->vm[0]->time_ns / 1000000000, 8);
	test_host_free(&t);
	job_free(job);
}

static void refused(void)
{
	static const char *const bad[] = {
		"vm a { os = linux workload = nosuch }",
		"vm a { os = windows trace = x }",
		"workload x { } vm a { os = linux gen = x workload = x }",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		struct test_host t;
		struct job *job;
		struct gos *g;

		CU_ASSERT(make(bad[i], &t, &job, &g, &err) < 0);
		CU_ASSERT(test_one_line(&err));
		CU_ASSERT_EQUAL(err.exit_code, 2);
		test_host_free(&t);
		job_free(job);
	}
}

/* What only the guest can tell is said with the section's place. */
static void place_of_a_workload(void)
{
	struct err err = {0};
	struct test_host t;
	struct job *job;
	struct gos *g;

	CU_ASSERT(make("\nworkload x { kind = toucher }\nvm a { os = linux workload = x }", &t,
		       &job, &g, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, ":2: workload x: the schedule is empty"));
	test_host_free(&t);
	job_free(job);
}

TESTS("experiments/vm_os", {"workloads", workloads}, {"refused", refused},
      {"place of a workload", place_of_a_workload})
