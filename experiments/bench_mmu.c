/*
 * ballast bench mmu: references per CPU-second by each way of translation.
 *
 * 50 M Zipf references over 262,144 pages, from a file written first, so that
 * drawing them is not measured; memory for all. Beside each mode, from the same
 * run of the bench, the replayer without an MMU. Of RUNS the median counts.
 */
#include "experiments/bench.h"
#include "experiments/kinds.h"
#include "experiments/run.h"

#include "traces/traces.h"

#include "pmap/mmu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS  3
#define REFS  50000000
#define PAGES 262144

static int write_trace(const char *path, struct err *err)
{
	struct gen_opts opts;
	struct source *source;
	struct writer *writer;
	const rec_t *batch;
	ssize_t n;

	if (opt_defaults(&gen_section, &opts))
		return err_run(err, ENOMEM, "no memory for a bench");
	opts.law = policy_find(trace_laws, "zipf");
	opts.refs = REFS;
	opts.pages = PAGES;
	opts.alpha = 0.9;
	int rc = source_generate(&opts, &source, err);
	opt_release(&gen_section, &opts);
	if (rc)
		return rc;
	rc = writer_open(path, "bt-fixed", source_info(source), &writer, err);
	if (rc) {
		source_close(source);
		return rc;
	}
	while ((n = source_next(source, &batch, err)) > 0 && rc == 0)
		rc = writer_put(writer, batch, (size_t)n, err);
	source_close(source);
	if (rc || n < 0) {
		writer_abort(writer);
		return rc ? rc : (int)n;
	}
	return writer_commit(writer, err);
}

struct figure {
	uint64_t ns;
	double misses, walk_refs; /* by the reference */
	uint64_t digest;
};

/* mode NULL: no MMU. */
static int run_once(const char *trace, const char *mode, struct figure *f, struct err *err)
{
	char text[4200];
	struct job *job;
	struct run *run;

	if (job_new(job_sections, &job))
		return err_run(err, ENOMEM, "no memory for a job");
	snprintf(text, sizeof text,
		 "host { thresholds = none memory = 1100mb }\n"
		 "run { digest = %s }\n"
		 "vm a { trace = \"%s\" translation = %s memory = 1100mb }\n",
		 mode ? "on" : "off", trace, mode ? mode : "flat");
	int rc = job_parse(job, text, "a bench", err);
	if (rc == 0)
		rc = run_open(job, &run, err);
	if (rc == 0) {
		rc = run_go(run, NULL, NULL, err);
		const struct mmu *mmu = run_host(run)->vm[0]->pmap->mmu;
		*f = (struct figure){.ns = run_cpu_ns(run)};
		if (mmu) {
			f->misses = (double)mmu->stats.tlb_misses / REFS;
			f->walk_refs = (double)mmu->stats.walk_refs / REFS;
			f->digest = mmu->digest;
		}
		run_close(run);
	}
	job_free(job);
	return rc;
}

static int by_time(const void *a, const void *b)
{
	const struct figure *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

static int run_median(const char *trace, const char *mode, struct figure *median, struct err *err)
{
	struct figure f[RUNS];
	int rc = 0;

	for (int i = 0; i < RUNS && rc == 0; i++)
		rc = run_once(trace, mode, &f[i], err);
	if (rc == 0) {
		qsort(f, RUNS, sizeof f[0], by_time);
		*median = f[RUNS / 2];
	}
	return rc;
}

static int add_modes(const char *trace, json_t *out, struct err *err)
{
	struct figure none, f;
	uint64_t digest = 0;

	int rc = run_median(trace, NULL, &none, err);
	if (rc)
		return rc;
	json_object_set_new(out, "no MMU, refs_per_cpu_second",
			    json_real(REFS * 1e9 / (double)none.ns));
	for (size_t i = 0; translations[i]; i++) {
		const char *mode = translations[i]->name;
		rc = run_median(trace, mode, &f, err);
		if (rc)
			return rc;
		if (i && f.digest != digest)
			return err_run(err, EUCLEAN, "%s: its references differ from flat's", mode);
		digest = f.digest;
		json_object_set_new(out, mode,
				    json_pack("{s:f, s:f, s:f, s:f}", "refs_per_cpu_second",
					      REFS * 1e9 / (double)f.ns, "ratio_to_no_mmu",
					      (double)none.ns / (double)f.ns, "tlb_misses_per_ref",
					      f.misses, "walk_refs_per_ref", f.walk_refs));
	}
	return 0;
}

int bench_mmu(const struct bench_args *args, json_t *out, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	char path[4096];

	(void)args;
	snprintf(path, sizeof path, "%s/ballast-bench-mmu-%ld", tmp && *tmp ? tmp : "/tmp",
		 (long)getpid());
	int rc = write_trace(path, err);
	if (rc == 0)
		rc = add_modes(path, out, err);
	unlink(path);
	return rc;
}
