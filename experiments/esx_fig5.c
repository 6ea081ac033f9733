/*
 * esx-fig5: three production hosts; memory shared and reclaimed (Waldspurger
 * 2002, Fig. 5), and how long the scanner takes to find it.
 *
 * Here the paper's totals are inputs: the mix of pages is solved from them
 * (solve()), so that they prove nothing about the guests. What is tested is
 * the manager: that scanning at its public rates, it reclaims what there is.
 */
#include "experiments/experiment.h"

#include "experiments/expect.h"
#include "experiments/fleet.h"
#include "experiments/outdir.h"
#include "experiments/paper.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define ID	   "esx-fig5"
#define HOSTS	   3
#define GUESTS	   10
#define HOURS	   24
#define LIFE_NS	   (HOURS * UINT64_C(3600000000000))
#define PACE_NS	   UINT64_C(16000000000)
#define SAMPLES	   48
#define RATE_VM	   50 /* the public defaults of ESX 2 */
#define RATE_TOTAL 200
#define WITHIN	   2 /* points of VM memory */
#define SOURCE	   "Waldspurger 2002, Fig. 5"
#define ZERO_A	   (70.0 / 1846) /* assumed, since not told of A: as of B */

/* Sizes in MB: the sums and ranges are the paper's, the rest is assumed. In descending order. */
static const struct {
	const char *name;
	double mb[GUESTS + 1];
} hosts[HOSTS] = {
	{"A", {204.8, 204.8, 204.8, 204.8, 204.8, 204.8, 204.8, 204.8, 204.8, 204.8}},
	{"B", {768, 256, 192, 128, 128, 128, 118, 64, 64}},
	{"C", {512, 512, 512, 90, 32}},
};

struct result {
	struct fleet_state end, sample[SAMPLES];
};

struct fig5 {
	struct paper *paper;
	struct mix mix[HOSTS];
	uint32_t pages[HOSTS][GUESTS];
	size_t guests[HOSTS];
	struct result result[HOSTS];
};

static_assert(sizeof(struct result) <= PARALLEL_RESULT_MAX, "a result crosses a pipe at once");

static double given(const struct fig5 *f, size_t host, const char *column)
{
	return paper_value(f->paper, host, column);
}

/*
 * Pages that meet an equal one, and frames that these then share, per page of
 * a VM's common part. VMs draw with probability q from a pool as large as
 * they are; so contents far into it are those of large VMs alone.
 */
static void expected(const struct fig5 *f, size_t host, double q, double *shared, double *frames)
{
	const size_t guests = f->guests[host];

	*shared = *frames = 0;
	for (size_t n = 1; n <= guests; n++) { /* contents that n VMs draw from */
		double alone = pow(1 - q, (double)n - 1);
		double smaller = n < guests ? f->pages[host][n] : 0;
		double contents = (f->pages[host][n - 1] - smaller) / q;
		*shared += contents * (double)n * q * (1 - alone);
		*frames += contents * (1 - alone * (1 - q) - (double)n * q * alone);
	}
}

/*
 * Assumed: but for zero pages, what is shared is shared between VMs. Then how
 * often a content occurs fixes `member`, and how many pages the pool's size.
 */
static struct mix solve(const struct fig5 *f, size_t host)
{
	double total = given(f, host, "total_mb"), zero = given(f, host, "zero_mb");
	double low = 0.01, high = 1, shared, frames;

	if (isnan(zero))
		zero = ZERO_A * total;
	double pages = given(f, host, "shared_mb") - zero;
	double kept = given(f, host, "shared_mb") - given(f, host, "reclaimed_mb");
	for (int i = 0; i < 60; i++) {
		double q = (low + high) / 2;
		expected(f, host, q, &shared, &frames);
		*(shared / frames < pages / kept ? &low : &high) = q;
	}
	expected(f, host, low, &shared, &frames);
	return (struct mix){.zero = zero / total, .common = pages / MB(shared), .member = low};
}

static void set_up(struct fig5 *f)
{
	for (size_t h = 0; h < HOSTS; h++) {
		while (hosts[h].mb[f->guests[h]] > 0) {
			f->pages[h][f->guests[h]] =
				(uint32_t)lround(256 * hosts[h].mb[f->guests[h]]);
			f->guests[h]++;
		}
		f->mix[h] = solve(f, h);
	}
}

static struct fleet fleet_of(const struct fig5 *f, size_t host)
{
	return (struct fleet){
		.base = ID "/base.job",
		.vms = f->guests[host],
		.pages = f->pages[host],
		.mix = f->mix[host],
		.life = LIFE_NS,
		.pace = PACE_NS,
		.scan = "random",
		.rate_vm = RATE_VM,
		.rate_total = RATE_TOTAL,
	};
}

static int run_one(void *arg, size_t host, void *result, struct err *err)
{
	const struct fleet fleet = fleet_of(arg, host);
	struct result *r = result;

	return fleet_run(&fleet, &r->end, r->sample, SAMPLES, err);
}

static int tell_hosts(const struct fig5 *f, json_t *told, struct err *err)
{
	char name[64];
	int rc = 0;

	for (size_t h = 0; rc == 0 && h < HOSTS; h++) {
		const struct fleet fleet = fleet_of(f, h);
		snprintf(name, sizeof name, ID "-%s.job", hosts[h].name);
		rc = fleet_tell(&fleet, told, name, err);
	}
	return rc;
}

static int run_all(struct fig5 *f, struct err *err)
{
	return parallel_each(ID, HOSTS, run_one, f, f->result, sizeof *f->result, err);
}

/* Hours until the part of what is reclaimed in the end is, by the samples. */
static double hours_until(const struct result *r, double part)
{
	double before = 0, t = 0;

	for (size_t i = 0; i < SAMPLES; i++) {
		double saved = r->sample[i].saved, want = part * r->end.saved;
		double step = r->sample[i].time_ns / 3.6e12 - t;
		if (saved >= want)
			return t + step * (want - before) / (saved - before);
		before = saved;
		t += step;
	}
	return (double)NAN;
}

/* One table: rows of the end (hour 24, with the paper's numbers), and of the way there. */
static int write_csv(const struct fig5 *f, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("host,hours,vm_mb,shared_mb,reclaimed_mb,zero_mb,"
	      "paper_shared_mb,paper_reclaimed_mb,paper_zero_mb\n",
	      out);
	for (size_t h = 0; h < HOSTS; h++) {
		const struct result *r = &f->result[h];
		double vm_mb = given(f, h, "total_mb"), zero = given(f, h, "zero_mb");
		fprintf(out, "%s,0,%g,0,0,0,,,\n", hosts[h].name, vm_mb);
		for (size_t i = 0; i < SAMPLES - 1; i++)
			fprintf(out, "%s,%.2f,%g,%.2f,%.2f,%.2f,,,\n", hosts[h].name,
				r->sample[i].time_ns / 3.6e12, vm_mb, MB(r->sample[i].shared),
				MB(r->sample[i].saved), MB(r->sample[i].zero));
		fprintf(out, "%s,%d,%g,%.2f,%.2f,%.2f,%g,%g,", hosts[h].name, HOURS, vm_mb,
			MB(r->end.shared), MB(r->end.saved), MB(r->end.zero),
			given(f, h, "shared_mb"), given(f, h, "reclaimed_mb"));
		if (!isnan(zero))
			fprintf(out, "%g", zero);
		fputc('\n', out);
	}
	return draft_commit(draft, err);
}

static void expect_total(json_t *told, const char *quantity, const char *host, double target,
			 double value)
{
	char when[64];

	snprintf(when, sizeof when, "host %s after %d hours", host, HOURS);
	const struct expectation e = {
		.quantity = quantity,
		.when = when,
		.target = target,
		.tolerance = WITHIN,
		.value = value,
		.source = SOURCE,
		.calibrated = true,
	};
	expect(told, &e);
}

static void tell_notes(const struct fig5 *f, json_t *told)
{
	tell_note(told, NOTE_CALIBRATED,
		  "On the paper's totals: all three columns. So they test the manager, not the "
		  "guests: at %d pages a second in all it finds what the mix allows, in the hours "
		  "told.",
		  RATE_TOTAL);
	tell_note(told, NOTE_ASSUMED,
		  "Each VM's size; sharing between VMs alone, but for zero pages; A's zero pages.");
	for (size_t h = 0; h < HOSTS; h++)
		tell_note(told, NOTE_CALIBRATED,
			  "%s: %.1f %% of a VM's pages from a common pool, each content held with "
			  "probability %.2f.",
			  hosts[h].name, 100 * f->mix[h].common, f->mix[h].member);
}

static void tell_all(const struct fig5 *f, json_t *told)
{
	tell(told, "MB after %d hours: ours, the paper's (difference in %% of VM memory)", HOURS);
	tell(told, "host    VM memory  shared               reclaimed            zero        "
		   "hours to 50, 90, 99 %% of it");
	for (size_t h = 0; h < HOSTS; h++) {
		const struct result *r = &f->result[h];
		double all = given(f, h, "total_mb") / 100, zero = given(f, h, "zero_mb");
		double s = MB(r->end.shared), ps = given(f, h, "shared_mb");
		double c = MB(r->end.saved), pc = given(f, h, "reclaimed_mb");
		char paper_zero[16] = "-";
		if (!isnan(zero))
			snprintf(paper_zero, sizeof paper_zero, "%.0f", zero);
		tell(told,
		     "%-8s%9.0f  %5.1f, %3.0f (%+5.2f)   %5.1f, %3.0f (%+5.2f)   %4.1f, %-3s    "
		     "%.1f, %.1f, %.1f",
		     hosts[h].name, given(f, h, "total_mb"), s, ps, (s - ps) / all, c, pc,
		     (c - pc) / all, MB(r->end.zero), paper_zero, hours_until(r, 0.5),
		     hours_until(r, 0.9), hours_until(r, 0.99));
		expect_total(told, "shared, % of memory", hosts[h].name, ps / all, s / all);
		expect_total(told, "reclaimed, % of memory", hosts[h].name, pc / all, c / all);
	}
	tell_notes(f, told);
}

int esx_fig5_run(const char *dir, json_t *told, struct err *err)
{
	struct fig5 *f = calloc(1, sizeof *f);

	if (!f)
		return err_run(err, ENOMEM, "no memory for " ID);
	int rc = paper_load("paper/fig5_sharing.csv", &f->paper, err);
	if (rc == 0) {
		set_up(f);
		rc = run_all(f, err);
	}
	if (rc == 0)
		rc = write_csv(f, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc == 0)
		rc = tell_hosts(f, told, err);
	if (rc == 0)
		tell_all(f, told);
	free(f->paper);
	free(f);
	return rc;
}
