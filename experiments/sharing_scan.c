/*
 * sharing-scan: memory reclaimed over time by the scan policies, at several
 * rates, for the CPU time that each spends.
 *
 * Rates in pages per second do not compare policies: one passes over pages
 * that it knows, another hashes them again. So every run is told with the time
 * that the cost model (share.*_time) gives it, and compared by that.
 */
#include "experiments/experiment.h"

#include "experiments/expect.h"
#include "experiments/fleet.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define ID	 "sharing-scan"
#define GUESTS	 4
#define PAGES	 4096 /* 16 MB */
#define MINUTES	 20
#define LIFE_NS	 (MINUTES * UINT64_C(60000000000))
#define PACE_NS	 UINT64_C(20000000)
#define HOT	 200 /* pages of each VM that it rewrites, each every 10 s on average */
#define REWRITES 20  /* pages/s of each VM */
#define SAMPLES	 40
#define HALF	 20 /* of the samples: the last ones */

static const char *const policies[] = {"random", "sequential", "idle-first", "ksm", "none"};
static const double budgets[] = {15, 25, 150, 600};   /* us of CPU time a second to compare at */
static const uint64_t rates[] = {5, 10, 20, 50, 100}; /* pages/s of each VM */

#define POLICIES (ARRAY_LEN(policies) - 1) /* none has no rate */
#define RUNS	 (POLICIES * ARRAY_LEN(rates) + 1)

/* The classes of esx-fig4's VMs, rounded. */
static const struct mix mix = {
	.zero = 0.07,
	.copies = 0.10,
	.copy_contents = 0.04,
	.common = 0.50,
	.member = 0.9,
};

struct result {
	struct fleet_state end, sample[SAMPLES];
};

static_assert(sizeof(struct result) <= PARALLEL_RESULT_MAX, "a result crosses a pipe at once");

static const uint32_t sizes[GUESTS] = {PAGES, PAGES, PAGES, PAGES};

static struct fleet fleet_of(size_t task)
{
	return (struct fleet){
		.base = ID "/base.job",
		.vms = GUESTS,
		.pages = sizes,
		.mix = mix,
		.life = LIFE_NS,
		.pace = PACE_NS,
		.write_ratio = REWRITES * (double)PACE_NS / 1e9,
		.scan = policies[task / ARRAY_LEN(rates)],
		.set_pages = HOT,
		.rate_vm = rates[task % ARRAY_LEN(rates)],
	};
}

static int run_one(void *arg, size_t task, void *result, struct err *err)
{
	const struct fleet fleet = fleet_of(task);
	struct result *r = result;

	(void)arg;
	return fleet_run(&fleet, &r->end, r->sample, SAMPLES, err);
}

static int run_all(struct result *all, struct err *err)
{
	return parallel_each(ID, RUNS, run_one, NULL, all, sizeof *all, err);
}

static double percent(double pages)
{
	return 100 * pages / (GUESTS * PAGES);
}

/* Mean over the second half: the first use of the memory is over. */
static double steady(const struct result *r)
{
	double sum = 0;

	for (size_t i = SAMPLES - HALF; i < SAMPLES; i++)
		sum += r->sample[i].saved;
	return percent(sum / HALF);
}

/* us of CPU time a second, in the second half. */
static double cpu_rate(const struct result *r)
{
	const struct fleet_state *a = &r->sample[SAMPLES - HALF - 1], *b = &r->sample[SAMPLES - 1];

	return (b->cpu_ns - a->cpu_ns) / (b->time_ns - a->time_ns) * 1e6;
}

static int write_csv(const struct result *all, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("policy,rate,time_s,cpu_ms,reclaimed_mb,reclaimed_pct,shared_pct,"
	      "steady_cpu_us_per_s,steady_reclaimed_pct\n",
	      out);
	for (size_t i = 0; i < RUNS; i++) {
		const char *policy = policies[i / ARRAY_LEN(rates)];
		unsigned long long rate = rates[i % ARRAY_LEN(rates)];
		for (size_t j = 0; j < SAMPLES; j++) {
			const struct fleet_state *s = &all[i].sample[j];
			fprintf(out, "%s,%llu,%.1f,%.4f,%.2f,%.3f,%.3f,", policy, rate,
				s->time_ns / 1e9, s->cpu_ns / 1e6, MB(s->saved), percent(s->saved),
				percent(s->shared));
			if (j + 1 < SAMPLES)
				fputs(",\n", out);
			else
				fprintf(out, "%.3f,%.3f\n", cpu_rate(&all[i]), steady(&all[i]));
		}
	}
	return draft_commit(draft, err);
}

/* The most that the policy keeps reclaimed at one of its rates within the budget; 0 if at none. */
static double best_within(const struct result *runs, double budget)
{
	double best = 0;

	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		if (cpu_rate(&runs[i]) <= budget && steady(&runs[i]) > best)
			best = steady(&runs[i]);
	}
	return best;
}

static void tell_rates(const struct result *all, json_t *told)
{
	tell(told,
	     "Reclaimed, %% of VM memory, and us of CPU time a second, by the cost model; in the "
	     "second half");
	tell(told, "pages/s of a VM    random          sequential      idle-first      ksm");
	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		char cell[POLICIES][24];
		for (size_t p = 0; p < POLICIES; p++) {
			const struct result *r = &all[p * ARRAY_LEN(rates) + i];
			snprintf(cell[p], sizeof cell[p], "%4.1f %%, %4.0f us", steady(r),
				 cpu_rate(r));
		}
		tell(told, "%15llu    %s   %s   %s   %s", (unsigned long long)rates[i], cell[0],
		     cell[1], cell[2], cell[3]);
	}
}

static void tell_budgets(const struct result *all, json_t *told)
{
	tell(told, "The most reclaimed, %% of VM memory, by any of these rates at equal CPU time");
	tell(told, "us/s at most       random    sequential    idle-first     ksm");
	for (size_t b = 0; b < ARRAY_LEN(budgets); b++) {
		double best[POLICIES];
		for (size_t p = 0; p < POLICIES; p++)
			best[p] = best_within(&all[p * ARRAY_LEN(rates)], budgets[b]);
		tell(told, "%12.0f         %4.1f          %4.1f          %4.1f    %4.1f",
		     budgets[b], best[0], best[1], best[2], best[3]);
	}
}

/* us/s of the cheapest rate at which the policy keeps so much reclaimed; NAN if none does. */
static double cheapest(const struct result *runs, double reclaimed)
{
	double least = (double)NAN;

	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		if (steady(&runs[i]) >= reclaimed)
			least = fmin(least, cpu_rate(&runs[i]));
	}
	return least;
}

/* The answer. */
static void tell_answer(const struct result *all, json_t *told)
{
	double most = 0, least[POLICIES];

	for (size_t i = 0; i < RUNS; i++)
		most = fmax(most, steady(&all[i]));
	for (size_t p = 0; p < POLICIES; p++)
		least[p] = cheapest(&all[p * ARRAY_LEN(rates)], 0.9 * most);
	tell(told,
	     "So: to keep %.1f %%, nine tenths of the most, random takes %.0f us of CPU time a "
	     "second,",
	     0.9 * most, least[0]);
	tell(told, "  sequential %.0f, idle-first %.0f, ksm %.0f.", least[1], least[2], least[3]);
	tell_note(told, NOTE_ASSUMED,
		  "The guests (%d of %d MB, of whose pages %.0f %% are rewritten every %d s) and "
		  "the costs.",
		  GUESTS, PAGES / 256, 100.0 * HOT / PAGES, HOT / REWRITES);
}

int sharing_scan_run(const char *dir, json_t *told, struct err *err)
{
	struct result *all = calloc(RUNS, sizeof *all);

	if (!all)
		return err_run(err, ENOMEM, "no memory for " ID);
	int rc = run_all(all, err);
	if (rc == 0)
		rc = write_csv(all, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	const struct fleet first = fleet_of(0);
	if (rc == 0)
		rc = fleet_tell(&first, told, ID "-random-5.job", err);
	if (rc == 0) {
		tell_rates(all, told);
		tell_budgets(all, told);
		tell_answer(all, told);
	}
	free(all);
	return rc;
}
