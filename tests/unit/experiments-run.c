#include "experiments/run.h"

#include "experiments/kinds.h"
#include "test.h"

#include <string.h>

#define GEN "gen g { law = uniform refs = 5000 pages = 100 write_ratio = 0.5 }\n"

static struct job *load(const char *text)
{
	struct job *job;
	struct err err;

	if (job_new(job_sections, &job))
		abort();
	if (job_parse(job, text, "test.job", &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	return job;
}

static struct run *open_run(struct job *job)
{
	struct err err;
	struct run *run;

	if (run_open(job, &run, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	return run;
}

/* What a job leaves out comes from the sources: sizes of VMs, of the host, of swap. */
static void sizes_come_from_the_sources(void)
{
	struct job *job =
		load(GEN "gen h { law = sequential refs = 100 pages = 30 }\n"
			 "vm a { gen = g }\nvm b { gen = h }\nvm c { gen = h memory = 1mb }\n");
	struct run *run = open_run(job);
	struct host *host = run_host(run);

	CU_ASSERT_EQUAL(host->vms, 3);
	CU_ASSERT_EQUAL(host->vm[0]->pages, 100);
	CU_ASSERT_EQUAL(host->vm[1]->pages, 30);
	CU_ASSERT_EQUAL(host->vm[2]->pages, 256);
	CU_ASSERT_EQUAL(host->machine.frames, 100 + 30 + 256);
	run_close(run);
	job_free(job);
}

static void sizes_of_the_host(void)
{
	static const struct {
		const char *host;
		uint32_t frames;
	} cases[] = {{"frames = 7", 7},
		     {"memory = 28kb", 7},
		     {"memory = 31kb", 7},
		     {"frames = 7 memory = 28kb", 7},
		     {"frames = 7 memory = 31kb", 7},
		     {"", 100}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[300];
		snprintf(text, sizeof text, GEN "vm a { gen = g }\nhost { %s }\n", cases[i].host);
		struct job *job = load(text);
		struct run *run = open_run(job);
		CU_ASSERT_EQUAL(run_host(run)->machine.frames, cases[i].frames);
		run_close(run);
		job_free(job);
	}
}

static void jobs_that_make_no_sense(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"host { frames = 5 }\n", "the job has no vm"},
		{"vm a { }\n", "vm a has no trace: give vm.a.trace=FILE"},
		{"vm a { gen = x }\n", "vm a: there is no section gen x"},
		{GEN "vm a { gen = g trace = \"f\" }\n", "vm a has a trace and a gen"},
		{GEN "vm a { gen = g memory = 4095 }\n", "vm.a.memory is less than a page"},
		{GEN "vm a { gen = g memory = 8tb }\nvm b { gen = g memory = 8tb }\n"
		     "host { frames = 9 }\n",
		 "swap.size"},
		{GEN "vm a { gen = g }\nhost { frames = 0 }\n", "host.frames is less than a page"},
		{GEN "vm a { gen = g }\nhost { memory = 4095 }\n",
		 "host.memory is less than a page"},
		{GEN "vm a { gen = g }\nhost { frames = 7 memory = 1mb }\n", "differ"},
		{GEN "vm a { gen = g }\nswap { size = 4095 }\n", "swap.size is 0 pages"},
		{GEN "vm a { gen = g }\nrun { oracle = on }\n", "needs host.backing=ram"},
		{"vm a { trace = \"-\" }\n", "vm a reads standard input: give vm.a.memory"},
		{"vm a { trace = \"/nonexistent.bt\" }\n", "/nonexistent.bt: cannot open"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct job *job = load(cases[i].text);
		struct err err = {0};
		struct run *run;
		CU_ASSERT_TRUE(run_open(job, &run, &err) < 0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		CU_ASSERT_PTR_NULL(strchr(err.msg, '\n'));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, cases[i].message));
		if (!strstr(err.msg, cases[i].message))
			printf("  %s\n", err.msg);
		job_free(job);
	}
}

static void a_failed_vm_is_told(void)
{
	struct job *job =
		load(GEN "vm a { gen = g }\nvm b { gen = g memory = 2mb }\n"
			 "host { frames = 150 thresholds = none }\nswap { victim = none }\n");
	struct run *run = open_run(job);
	struct err err = {0};

	CU_ASSERT_PTR_NULL(run_failed(run));
	CU_ASSERT_EQUAL(run_go(run, NULL, NULL, &err), 0);
	const struct err *failed = run_failed(run);
	CU_ASSERT_PTR_NOT_NULL_FATAL(failed);
	CU_ASSERT_PTR_NOT_NULL(strstr(failed->msg, ": no frame: 150 frames, none free"));
	CU_ASSERT_EQUAL(failed->exit_code, 1);
	json_t *summary = run_summary(run), *vm = json_object_get(summary, "vm");
	bool a = strncmp(failed->msg, "vm a: ", 6) == 0;
	json_t *one = json_object_get(vm, a ? "a" : "b"),
	       *other = json_object_get(vm, a ? "b" : "a");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(one, "state")), "failed");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(other, "state")), "ended");
	CU_ASSERT_PTR_NOT_NULL(json_object_get(one, "error"));
	CU_ASSERT_PTR_NULL(json_object_get(other, "error"));
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(other, "refs")), 5000);
	json_decref(summary);
	run_close(run);
	job_free(job);
}

/* The summary as text; the caller frees it. */
static char *summary_of(const char *run_options)
{
	char text[500];
	struct err err = {0};

	snprintf(text, sizeof text,
		 GEN "vm a { gen = g }\nhost { frames = 40 backing = ram }\n%s\n", run_options);
	struct job *job = load(text);
	struct run *run = open_run(job);
	CU_ASSERT_EQUAL(run_go(run, NULL, NULL, &err), 0);
	CU_ASSERT_PTR_NULL(run_failed(run));
	CU_ASSERT_TRUE(run_cpu_ns(run) > 0);
	json_t *json = run_summary(run);
	char *dump = json_dumps(json, 0);
	json_decref(json);
	run_close(run);
	job_free(job);
	return dump;
}

static void the_oracle_changes_no_result(void)
{
	char *without = summary_of(""), *with = summary_of("run { oracle = on }"),
	     *often = summary_of("run { sample = 1ms }");

	CU_ASSERT_PTR_NOT_NULL(strstr(without, "\"refs\": 5000"));
	CU_ASSERT_STRING_EQUAL(with, without);
	CU_ASSERT_STRING_EQUAL(often, without);
	free(without);
	free(with);
	free(often);
}

static uint64_t done_most, total_seen;

static void note_progress(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	done_most = done > done_most ? done : done_most;
	total_seen = total;
}

static void progress_reaches_the_end(void)
{
	struct job *job = load(GEN "vm a { gen = g }\nvm b { gen = g }\n");
	struct run *run = open_run(job);
	struct err err = {0};

	CU_ASSERT_EQUAL(run_go(run, note_progress, NULL, &err), 0);
	CU_ASSERT_EQUAL(done_most, 10000);
	CU_ASSERT_EQUAL(total_seen, 10000);
	CU_ASSERT(run_write(run, "/nonexistent", &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	run_close(run);
	job_free(job);
	run_close(NULL);
}

TESTS("experiments/run", {"sizes of VMs", sizes_come_from_the_sources},
      {"sizes of the host", sizes_of_the_host}, {"jobs without sense", jobs_that_make_no_sense},
      {"a failed VM", a_failed_vm_is_told}, {"the oracle", the_oracle_changes_no_result},
      {"progress", progress_reaches_the_end})
