/*
 * ballast bench mmu: references per CPU-second by each way of translation.
 *
 * 50 M Zipf references over 262,144 pages, from a file written first, so that
 * drawing them is not measured; memory for all, and TLBs of the default preset,
 * which two references in three miss. Beside the modes, from the same rounds, the
 * flat replay without an MMU and a bare loop that sets bits by page. All take
 * turns, so that what else the machine does falls on all alike; of each the
 * fastest of ROUNDS counts, which is the one that was disturbed least.
 */
#include "experiments/bench.h"
#include "experiments/kinds.h"
#include "experiments/run.h"

#include "core/os.h"
#include "pmap/mmu.h"

#include <errno.h>
#include <stdio.h>

#define ROUNDS 2
#define REFS   50000000
#define PAGES  262144
#define ARMS   8 /* at most */

/* What is measured: the modes of translations[], and before them two without an MMU. */
enum { BARE, FLAT, MODES };

struct figure {
	const char *name;
	uint64_t ns;		  /* CPU time of the run proper, the least so far; 0: none yet */
	double misses, walk_refs; /* by the reference */
	uint64_t digest;
};

static int make_trace(struct bench_trace *t, struct err *err)
{
	struct gen_opts opts;
	struct source *source;

	if (opt_defaults(&gen_section, &opts))
		return err_run(err, ENOMEM, "no memory for a bench");
	opts.law = policy_find(trace_laws, "zipf");
	opts.refs = REFS;
	opts.pages = PAGES;
	opts.alpha = 0.9;
	int rc = source_generate(&opts, &source, err);
	opt_release(&gen_section, &opts);
	return rc ? rc : bench_trace_make(source, "bt-fixed", REFS, t, err);
}

/* mode NULL: no MMU. */
static int run_job(const char *trace, const char *mode, struct figure *f, uint64_t *ns,
		   struct err *err)
{
	char text[512];
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
		*ns = run_cpu_ns(run);
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

static int run_arm(const struct bench_trace *t, size_t arm, struct figure *f, struct err *err)
{
	uint64_t ns = 0;
	int rc = 0;

	if (arm == BARE) {
		ns = os_cpu_ns();
		if (bare_bits(&t->bare, 0) < 0)
			rc = err_run(err, ENOMEM, "no memory for a bare loop");
		ns = os_cpu_ns() - ns;
	} else {
		rc = run_job(t->path, arm < MODES ? NULL : f->name, f, &ns, err);
	}
	if (rc == 0 && (!f->ns || ns < f->ns))
		f->ns = ns;
	return rc;
}

static double rate(const struct figure *f)
{
	return f->ns ? REFS * 1e9 / (double)f->ns : 0;
}

static int measure(const struct bench_trace *t, struct figure *f, size_t arms, struct err *err)
{
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t arm = 0; arm < arms; arm++) {
			int rc = run_arm(t, arm, &f[arm], err);
			if (rc)
				return rc;
			fprintf(stderr, "round %d of %d: %-8s %6.1f M references per CPU-second\n",
				round + 1, ROUNDS, f[arm].name, rate(&f[arm]) / 1e6);
			if (arm > MODES && f[arm].digest != f[MODES].digest)
				return err_run(err, EUCLEAN, "%s: its references differ from %s's",
					       f[arm].name, f[MODES].name);
		}
	}
	return 0;
}

static void report(const struct figure *f, size_t arms, json_t *out)
{
	json_object_set_new(out, "bare_bits_refs_per_cpu_second", json_real(rate(&f[BARE])));
	json_object_set_new(out, "no_mmu_refs_per_cpu_second", json_real(rate(&f[FLAT])));
	json_object_set_new(out, "tlb_misses_per_ref", json_real(f[MODES + 1].misses));
	for (size_t arm = MODES; arm < arms; arm++)
		json_object_set_new(out, f[arm].name,
				    json_pack("{s:f, s:f, s:f, s:f}", "refs_per_cpu_second",
					      rate(&f[arm]), "ns_per_ref", (double)f[arm].ns / REFS,
					      "ratio_to_no_mmu", rate(&f[arm]) / rate(&f[FLAT]),
					      "walk_refs_per_ref", f[arm].walk_refs));
}

int bench_mmu(const struct bench_args *args, json_t *out, struct err *err)
{
	struct figure f[ARMS] = {{.name = "bare"}, {.name = "no MMU"}};
	size_t arms = MODES;
	struct bench_trace t;

	(void)args;
	for (size_t i = 0; translations[i] && arms < ARMS; i++)
		f[arms++].name = translations[i]->name;
	int rc = make_trace(&t, err);
	if (rc)
		return rc;
	rc = measure(&t, f, arms, err);
	if (rc == 0)
		report(f, arms, out);
	bench_trace_drop(&t);
	return rc;
}
