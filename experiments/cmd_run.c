/* ballast run: one experiment, from a job file to its results. */
#include "experiments/cmds.h"
#include "experiments/expect.h"
#include "experiments/expect_job.h"
#include "experiments/kinds.h"
#include "experiments/outdir.h"
#include "experiments/progress.h"
#include "experiments/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run_args {
	const char *job, *dir;
	bool json, force;
	const char **set; /* assignments after -s, in order */
	size_t sets;
};

enum { KEY_FORCE = 256 };

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
	struct run_args *a = state->input;

	switch (key) {
	case 's':
		a->set[a->sets++] = arg;
		return 0;
	case 'o':
		a->dir = arg;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case KEY_FORCE:
		a->force = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->job)
			return cmd_usage(state, "one job at a time; what is '%s'?", arg);
		a->job = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cmd_usage(state, "which job file?");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option run_options_cli[] = {
	{"set", 's', "KEY=VALUE", 0, "Set a key of the job, e.g. -s host.memory=64mb", 0},
	{"output", 'o', "DIR", 0, "Write run.json, summary.json, series.csv and events.csv there",
	 0},
	{"json", 'j', NULL, 0, "Print the summary as one JSON object", 0},
	{"force", KEY_FORCE, NULL, 0, "Write to DIR even if it holds other things than results", 0},
	{0},
};

static const struct argp run_argp = {
	run_options_cli,
	parse_run,
	"JOB",
	"Runs one experiment as its job file says and prints what came of it."
	"\v"
	"'ballast list' prints every key that a job file may set.\n\n"
	"Example: a trace in 2 MB of memory, by exact LRU:\n"
	"  ballast run experiments/jobs/replay.job -s vm.a.trace=web.bt \\\n"
	"      -s host.memory=2mb -s host.thresholds=none -s swap.victim=lru",
	NULL,
	NULL,
	NULL,
};

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
	progress_update(arg, done, total);
}

static double refs_per_cpu_second(const json_t *summary, uint64_t cpu_ns)
{
	const char *name;
	json_t *vm;
	double refs = 0;

	json_object_foreach(json_object_get(summary, "vm"), name, vm) refs +=
		(double)json_integer_value(json_object_get(vm, "refs"));
	return cpu_ns ? refs * 1e9 / (double)cpu_ns : 0;
}

static long long count(const json_t *vm, const char *name)
{
	return json_integer_value(json_object_get(vm, name));
}

/*
 * Faults by the reference, in percent. A guest operating system touches memory besides
 * its references, as it boots and when it moves pages: what it misses is no part of them.
 */
static const char *misses(const json_t *vm, char *buf, size_t size)
{
	double refs = (double)count(vm, "refs"), faults = (double)count(vm, "faults");

	if (json_object_get(vm, "os_kernel") || refs <= 0)
		return "-";
	snprintf(buf, size, "%.3f", 100 * faults / refs);
	return buf;
}

/* For a person: a line a VM, one for the host. */
static void print_table(const json_t *summary, double rate)
{
	const json_t *host = json_object_get(summary, "host");
	const char *name;
	json_t *vm;

	printf("%-12s %12s %12s %12s %12s %8s  %s\n", "vm", "refs", "faults", "swap-ins",
	       "swap-outs", "miss %", "state");
	json_object_foreach(json_object_get(summary, "vm"), name, vm)
	{
		char text[32];
		printf("%-12s %12lld %12lld %12lld %12lld %8s  %s\n", name, count(vm, "refs"),
		       count(vm, "faults"), count(vm, "swap_ins"), count(vm, "swap_outs"),
		       misses(vm, text, sizeof text),
		       json_string_value(json_object_get(vm, "state")));
	}
	printf("host: %lld frames, %lld free; manager's tables %.1f KiB; virtual time %.6f s; "
	       "%.1f M references per CPU-second\n",
	       count(host, "frames"), count(host, "free"),
	       (double)count(host, "metadata_bytes") / 1024, (double)count(host, "time_ns") / 1e9,
	       rate / 1e6);
}

/* Whether VMs share, and every one is driven by a trace that says nothing of contents. */
static bool shares_unnamed(const json_t *summary)
{
	const char *name;
	json_t *vm;

	if (!json_object_get(json_object_get(summary, "host"), "share_saved"))
		return false;
	json_object_foreach(json_object_get(summary, "vm"), name, vm)
	{
		const json_t *named = json_object_get(vm, "named_writes");
		if (!named || json_integer_value(named) > 0 || count(vm, "writes") == 0)
			return false;
	}
	return true;
}

static double mib(const json_t *o, const char *name)
{
	return (double)count(o, name) * PAGE_SIZE / (1 << 20);
}

/* The same of live guests. */
static void print_live_table(const json_t *summary)
{
	const json_t *host = json_object_get(summary, "host");
	const char *name;
	json_t *vm;

	printf("%-12s %8s %8s %8s %8s %10s %10s %10s  %s\n", "vm", "MiB", "private", "shared",
	       "swapped", "faults", "swap-outs", "operations", "state");
	json_object_foreach(json_object_get(summary, "vm"), name, vm)
	{
		printf("%-12s %8.1f %8.1f %8.1f %8.1f %10lld %10lld %10lld  %s\n", name,
		       mib(vm, "pages"), mib(vm, "private"), mib(vm, "shared"), mib(vm, "swapped"),
		       count(vm, "faults"), count(vm, "swap_outs"), count(vm, "ops"),
		       json_string_value(json_object_get(vm, "state")));
	}
	printf("host: %.1f MiB, %.1f free; %.1f s by its clock\n", mib(host, "frames"),
	       mib(host, "free"), (double)count(host, "time_ns") / 1e9);
}

static void print_results(const struct run *run, json_t *summary, const json_t *told, bool json)
{
	double rate = refs_per_cpu_second(summary, run_cpu_ns(run));

	if (!run_is_live(run) && shares_unnamed(summary))
		fputs("ballast: sharing is on (share.scan), but no trace says what its writes "
		      "leave: only pages that hold zeroes can be shared; 'ballast image' counts "
		      "what real memory would\n",
		      stderr);
	if (json) {
		if (!run_is_live(run))
			json_object_set_new(json_object_get(summary, "host"), "refs_per_cpu_second",
					    json_real(rate));
		json_object_update(summary, (json_t *)told);
		cmd_print_json(json_incref((json_t *)summary));
	} else {
		if (run_is_live(run))
			print_live_table(summary);
		else
			print_table(summary, rate);
		expect_print(told, "");
	}
}

/* Runs and tells; *missed: how many expectations do not hold. */
static int go(struct run *run, const struct run_args *a, struct expecting *expecting,
	      size_t *missed, struct err *err)
{
	struct progress progress;
	json_t *told = json_object();

	if (run_is_live(run))
		progress_start(&progress, "live", "s");
	else
		progress_start(&progress, "replay", "records");
	int rc = run_go(run, progress.on ? show_progress : NULL, &progress, err);
	progress_end(&progress);
	if (rc == 0 && a->dir)
		rc = run_write(run, a->dir, err);
	if (rc == 0) {
		json_t *summary = run_summary(run);
		expecting_tell(expecting, summary, told);
		*missed = expect_tally(told).failed;
		print_results(run, summary, told, a->json);
		json_decref(summary);
	}
	if (rc == 0 && run_failed(run)) {
		*err = *run_failed(run);
		rc = -EIO;
	}
	json_decref(told);
	return rc;
}

static int run_job(struct job *job, const struct run_args *a, size_t *missed, struct err *err)
{
	struct expecting *expecting;
	struct run *run;

	int rc = run_open(job, &run, err);
	if (rc)
		return rc;
	rc = expecting_open(job, run_host(run), run_clock(run), &expecting, err);
	if (rc == 0) {
		rc = go(run, a, expecting, missed, err);
		expecting_close(expecting);
	}
	run_close(run);
	return rc;
}

int cmd_run(int argc, char **argv)
{
	struct run_args a = {.set = calloc((size_t)argc, sizeof *a.set)};
	struct err err = {0};
	struct job *job;
	size_t missed = 0;
	bool made = false;

	if (!a.set) {
		err_run(&err, ENOMEM, "no memory");
		return cmd_fail(&err);
	}
	int rc = cmd_parse(&run_argp, argc, argv, &a);
	if (rc) {
		free(a.set);
		return rc;
	}
	rc = job_read(job_sections, a.job, a.set, a.sets, &job, &err);
	free(a.set);
	if (rc)
		return cmd_fail(&err);
	if (a.dir && !a.force)
		rc = outdir_check(a.dir, &err);
	if (rc == 0 && a.dir)
		rc = outdir_make(a.dir, &made, &err);
	if (rc == 0)
		rc = run_job(job, &a, &missed, &err);
	if (rc && a.dir)
		outdir_drop(a.dir, made);
	job_free(job);
	return rc ? cmd_fail(&err) : missed ? EXIT_MISSED : 0;
}
