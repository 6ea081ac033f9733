/*
 * ballast bench replay-full: references per CPU-second with everything on.
 *
 * Four VMs replay 12.5 M Zipf references each over 65,536 pages on a machine
 * that holds half of them: with the reclaim loop, the tax and the sampler at
 * ESX's settings but for their periods, which are 100 ms since the run's virtual
 * time is seconds, and with the sharing scan at ESX's rates and at the fast
 * setting of sharing/sharing.h. Beside them the same run with all of that off
 * and replacement as in textbooks, and the bare clock loop over the records. A
 * figure is the median of RUNS, taken in turn.
 */
#include "experiments/bench.h"
#include "experiments/datadir.h"

#include "core/os.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define RUNS	 3
#define VMS	 4
#define VM_REFS	 12500000
#define VM_PAGES 65536
#define ARGS	 48

static const char *const everything[] = {
	"host.thresholds=esx",
	"reclaim.rate=0",
	"tax.period=100ms",
	"sample.sampler=esx",
	"sample.period=100ms",
	"vm.a.overhead=1mb",
	"vm.b.overhead=1mb",
	"vm.c.overhead=1mb",
	"vm.d.overhead=1mb",
	"share.scan=random",
	NULL,
};

static const char *const fast_scan[] = {
	"share.rate_vm=25k",
	"share.rate_total=100k",
	"share.period=10ms",
	NULL,
};

static const char *const textbook[] = {"host.thresholds=none", NULL};

static const struct {
	const char *name;
	const char *const *settings[2];
} rows[] = {
	{"everything on", {everything, NULL}},
	{"everything on, fast sharing scan", {everything, fast_scan}},
	{"everything off", {textbook, NULL}},
};

#define ROWS ARRAY_LEN(rows)

struct sample {
	double rate; /* references per CPU-second of the run proper */
	double miss_percent;
};

static int run_row(const char *job, const struct bench_trace *t, size_t row, struct sample *sample,
		   struct err *err)
{
	char self[] = "/proc/self/exe", trace[VMS][96], out[65536];
	char *argv[ARGS] = {self, "run", "--json", (char *)job};
	uint64_t cpu_ns;
	int n = 4;

	for (int v = 0; v < VMS; v++) {
		snprintf(trace[v], sizeof trace[v], "vm.%c.trace=%s", 'a' + v, t->path);
		argv[n++] = "-s";
		argv[n++] = trace[v];
	}
	for (size_t k = 0; k < 2; k++) {
		for (const char *const *s = rows[row].settings[k]; s && *s; s++) {
			argv[n++] = "-s";
			argv[n++] = (char *)*s;
		}
	}
	int rc = bench_program(argv, out, sizeof out, &cpu_ns, err);
	if (rc)
		return rc;
	json_t *o = json_loads(out, 0, NULL), *vms = json_object_get(o, "vm"), *vm;
	json_t *rate = json_object_get(json_object_get(o, "host"), "refs_per_cpu_second");
	double faults = 0, refs = 0;
	const char *name;
	json_object_foreach(vms, name, vm)
	{
		faults += json_number_value(json_object_get(vm, "faults"));
		refs += json_number_value(json_object_get(vm, "refs"));
	}
	if (!rate || refs != (double)VMS * VM_REFS)
		rc = err_run(err, EIO, "ballast run --json printed something else than expected");
	*sample = (struct sample){json_number_value(rate), 100 * faults / refs};
	json_decref(o);
	return rc;
}

static int by_rate(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->rate > y->rate) - (x->rate < y->rate);
}

/* The bare loop over one VM's records on its quarter of the frames; all are alike. */
static int run_bare(const struct bench_trace *t, struct sample *sample, struct err *err)
{
	uint64_t start = os_cpu_ns();
	int64_t faults = bare_clock(&t->bare, VM_PAGES / 2);
	uint64_t ns = os_cpu_ns() - start;

	if (faults < 0)
		return err_run(err, ENOMEM, "no memory for a bare loop");
	*sample = (struct sample){(double)t->bare.refs * 1e9 / (double)(ns ? ns : 1),
				  100 * (double)faults / (double)t->bare.refs};
	return 0;
}

static int measure(const struct bench_trace *t, json_t *out, struct err *err)
{
	struct sample sample[ROWS + 1][RUNS];
	char job[PATH_MAX];

	int rc = data_path("jobs/replay-full.job", job, err);
	for (int i = 0; rc == 0 && i < RUNS; i++) {
		for (size_t row = 0; rc == 0 && row < ROWS; row++)
			rc = run_row(job, t, row, &sample[row][i], err);
		if (rc == 0)
			rc = run_bare(t, &sample[ROWS][i], err);
	}
	if (rc)
		return rc;
	for (size_t row = 0; row <= ROWS; row++)
		qsort(sample[row], RUNS, sizeof sample[row][0], by_rate);
	const double bare = sample[ROWS][RUNS / 2].rate;
	json_object_set_new(out, "bare_loop_refs_per_cpu_second", json_real(bare));
	for (size_t row = 0; row < ROWS; row++) {
		const struct sample *s = &sample[row][RUNS / 2];
		json_object_set_new(out, rows[row].name,
				    json_pack("{s:f, s:f, s:f}", "refs_per_cpu_second", s->rate,
					      "ratio_to_bare_loop", s->rate / bare, "miss_percent",
					      s->miss_percent));
	}
	json_object_set_new(
		out, "contents",
		json_string("unknown, as in any trace of references: pages are scanned and "
			    "hashed, only those of zeroes are shared"));
	return 0;
}

int bench_full(const struct bench_args *args, json_t *out, struct err *err)
{
	struct gen_opts opts;
	struct bench_trace t;
	struct source *source;

	(void)args;
	if (opt_defaults(&gen_section, &opts))
		return err_run(err, ENOMEM, "no memory for a bench");
	opts.law = policy_find(trace_laws, "zipf");
	opts.refs = VM_REFS;
	opts.pages = VM_PAGES;
	opts.alpha = 0.9;
	int rc = source_generate(&opts, &source, err);
	opt_release(&gen_section, &opts);
	if (rc == 0)
		rc = bench_trace_make(source, "bt-fixed", VM_REFS, &t, err);
	if (rc)
		return rc;
	rc = measure(&t, out, err);
	bench_trace_drop(&t);
	return rc;
}
