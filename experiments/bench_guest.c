/*
 * ballast bench guest: references per CPU-second through the guest operating
 * system, beside the same references replayed without one.
 *
 * Both read one trace from a file, so that drawing it is not measured and
 * reading it is measured twice. In one all of it hits in the guest's page
 * tables but for first touches, in another the guest is short of memory and
 * swaps. Of RUNS, taken in turn, the median counts.
 */
#include "experiments/bench.h"
#include "experiments/kinds.h"
#include "experiments/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS  3
#define REFS  20000000
#define PAGES 65536 /* 256 MB */

enum arm { FLAT, ROOMY, SHORT, ARMS };

static const char *const arm_keys[ARMS] = {
	"refs_per_cpu_second_replayed_flat",
	"refs_per_cpu_second_by_the_guest",
	"refs_per_cpu_second_by_a_guest_that_swaps",
};

static const char *const arm_jobs[ARMS] = {
	"host { memory = 512mb } vm a { memory = 256mb trace = \"%s\" }",
	"host { memory = 512mb } guest { boot_time = 0 } workload t { kind = trace trace = \"%s\" "
	"} "
	"vm a { os = linux memory = 320mb workload = t }",
	"host { memory = 512mb } guest { boot_time = 0 swap = 512mb } "
	"workload t { kind = trace trace = \"%s\" } vm a { os = linux memory = 200mb workload = t "
	"}",
};

static int write_trace(const char *path, struct err *err)
{
	struct gen_opts o;
	struct source *source;
	struct writer *writer;
	const rec_t *batch;
	ssize_t n;

	if (opt_defaults(&gen_section, &o))
		return err_run(err, ENOMEM, "no memory for a bench");
	o.refs = REFS;
	o.pages = PAGES;
	int rc = source_generate(&o, &source, err);
	opt_release(&gen_section, &o);
	if (rc)
		return rc;
	rc = writer_open(path, "bt-fixed", source_info(source), &writer, err);
	while (rc == 0 && (n = source_next(source, &batch, err)) != 0) {
		rc = n < 0 ? (int)n : writer_put(writer, batch, (size_t)n, err);
		if (rc)
			writer_abort(writer);
	}
	source_close(source);
	return rc ? rc : writer_commit(writer, err);
}

static int timed(enum arm arm, const char *path, double *rate, struct err *err)
{
	char text[512];
	struct job *job;
	struct run *run;

	if (job_new(job_sections, &job))
		return err_run(err, ENOMEM, "no memory for a bench");
	snprintf(text, sizeof text, arm_jobs[arm], path);
	int rc = job_parse(job, text, "a bench", err);
	if (rc == 0)
		rc = run_open(job, &run, err);
	if (rc == 0) {
		rc = run_go(run, NULL, NULL, err);
		if (rc == 0 && run_failed(run)) {
			*err = *run_failed(run);
			rc = -EIO;
		}
		*rate = REFS / ((double)run_cpu_ns(run) / 1e9);
		run_close(run);
	}
	job_free(job);
	return rc;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int bench_guest(const struct bench_args *args, json_t *out, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	double rate[ARMS][RUNS];
	char path[256];

	(void)args;
	snprintf(path, sizeof path, "%s/ballast-bench-guest-%ld", tmp && *tmp ? tmp : "/tmp",
		 (long)getpid());
	int rc = write_trace(path, err);
	for (int i = 0; rc == 0 && i < RUNS; i++) {
		for (enum arm a = FLAT; rc == 0 && a < ARMS; a++)
			rc = timed(a, path, &rate[a][i], err);
	}
	unlink(path);
	if (rc)
		return rc;
	for (enum arm a = FLAT; a < ARMS; a++) {
		qsort(rate[a], RUNS, sizeof rate[a][0], compare);
		json_object_set_new(out, arm_keys[a], json_real(rate[a][RUNS / 2]));
	}
	json_object_set_new(out, "guest_to_flat",
			    json_real(rate[ROOMY][RUNS / 2] / rate[FLAT][RUNS / 2]));
	json_object_set_new(out, "cpu_seconds_for_100M_references",
			    json_real(1e8 / rate[ROOMY][RUNS / 2]));
	return 0;
}
