/*
 * esx-fig4: 1 to 10 identical VMs of 39.1 MB; shared, reclaimed and zero memory
 * against their number (Waldspurger 2002, Fig. 4), and what sharing costs a
 * CPU-bound guest.
 *
 * The classes of page are calibrated on the paper's N = 1 and N = 2 alone
 * (calibrate()). The one thing that these two do not tell is the probability
 * `member` with which a VM holds a content of the common pool: it is assumed,
 * and the other assumptions are run too, to show what hangs on it.
 */
#include "experiments/experiment.h"

#include "experiments/expect.h"
#include "experiments/fleet.h"
#include "experiments/outdir.h"
#include "experiments/paper.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define ID	 "esx-fig4"
#define N_MAX	 10
#define PAGES	 10010			 /* 39.1 MB: what the figure accounts for of each 40 MB */
#define LIFE_NS	 UINT64_C(1800000000000) /* 30 minutes, as in the paper */
#define PACE_NS	 UINT64_C(100000000)
#define RATE	 50 /* pages/s of each VM: the public default of ESX 2 */
#define WITHIN	 5  /* points of VM memory */
#define SOURCE	 "Waldspurger 2002, Fig. 4"
#define REWRITES 10 /* pages/s that the CPU-bound guest of the cost rows writes anew */

static const double members[] = {0.9, 0.8, 1.0}; /* the assumption first */

#define RUNS (N_MAX * (ARRAY_LEN(members) + 2))

struct fig4 {
	struct paper *paper;
	uint32_t pages[N_MAX];
	struct fleet_state end[RUNS];
};

/* What the paper's points at N = 1 and N = 2 say, as parts of a VM. */
struct calibration {
	double zero, copies, copy_contents;
	double met;	/* pages whose content the other VM of two has as well */
	double overlap; /* member, as the copies that the two have in common would have it */
};

static double percent(const struct fig4 *f, size_t n, const char *column)
{
	return paper_value(f->paper, n - 1, column) / 100;
}

static double zero_part(const struct fig4 *f, size_t n)
{
	return paper_value(f->paper, n - 1, "zero_mb") / paper_value(f->paper, n - 1, "vm_mem_mb");
}

/*
 * Alone, a VM shares its zero pages and its copies; what is left shared and not
 * reclaimed is a frame per content. Of two VMs the rest that is shared are
 * pages that both hold.
 */
static struct calibration calibrate(const struct fig4 *f)
{
	struct calibration c = {
		.zero = (zero_part(f, 1) + zero_part(f, 2)) / 2,
		.copies = percent(f, 1, "shared_pct") - zero_part(f, 1),
		.copy_contents = percent(f, 1, "shared_minus_reclaimed_pct"),
	};

	c.met = percent(f, 2, "shared_pct") - zero_part(f, 2) - c.copies;
	/* Two VMs keep met + copy_contents * (2 - member) frames. */
	c.overlap = 2 - (2 * percent(f, 2, "shared_minus_reclaimed_pct") - c.met) / c.copy_contents;
	return c;
}

/* Of N VMs a page of the pool meets another with probability 1 - (1 - member)^(N - 1). */
static struct mix mix_of(const struct calibration *c, double member)
{
	return (struct mix){c->zero, c->copies, c->copy_contents, c->met / member, member};
}

/* The runs: for each member and N, idle; then for each N, busy, without and with a scanner. */
static struct fleet fleet_of(const struct fig4 *f, size_t part, size_t n)
{
	bool busy = part >= ARRAY_LEN(members), scan = part != ARRAY_LEN(members);
	struct calibration c = calibrate(f);

	return (struct fleet){
		.base = ID "/base.job",
		.vms = n,
		.pages = f->pages,
		.mix = mix_of(&c, members[busy ? 0 : part]),
		.life = LIFE_NS,
		.pace = PACE_NS,
		.write_ratio = busy ? REWRITES * (double)PACE_NS / 1e9 : 0,
		.scan = scan ? "random" : "none",
		.rate_vm = RATE,
	};
}

static int run_one(void *arg, size_t task, void *result, struct err *err)
{
	const struct fleet fleet = fleet_of(arg, task / N_MAX, task % N_MAX + 1);

	return fleet_run(&fleet, result, NULL, 0, err);
}

static int tell_point(const struct fig4 *f, json_t *told, struct err *err)
{
	const struct fleet fleet = fleet_of(f, 0, N_MAX);

	return fleet_tell(&fleet, told, ID "-n10.job", err);
}

static int run_all(struct fig4 *f, struct err *err)
{
	return parallel_each(ID, RUNS, run_one, f, f->end, sizeof *f->end, err);
}

static const struct fleet_state *state(const struct fig4 *f, size_t part, size_t n)
{
	return &f->end[part * N_MAX + n - 1];
}

enum curve { SHARED, RECLAIMED, KEPT, ZERO, CURVES };

static const struct {
	const char *name, *percent, *mb; /* mb: NULL: shared less reclaimed */
} curves[CURVES] = {
	{"shared", "shared_pct", "shared_mb"},
	{"reclaimed", "reclaimed_pct", "reclaimed_mb"},
	{"kept", "shared_minus_reclaimed_pct", NULL},
	{"zero", NULL, "zero_mb"},
};

/* MB of n VMs; part is an index of members[]. */
static double ours(const struct fig4 *f, size_t part, size_t n, enum curve c)
{
	const struct fleet_state *s = state(f, part, n);
	const double pages[CURVES] = {s->shared, s->saved, s->shared - s->saved, s->zero};

	return MB(pages[c]);
}

static double in_percent(double mb, size_t n)
{
	return 100 * mb / ((double)n * MB(PAGES));
}

static double paper_percent(const struct fig4 *f, size_t n, enum curve c)
{
	if (curves[c].percent)
		return paper_value(f->paper, n - 1, curves[c].percent);
	return 100 * paper_value(f->paper, n - 1, curves[c].mb) /
	       paper_value(f->paper, n - 1, "vm_mem_mb");
}

/* Throughput of the CPU-bound guest with sharing, in % more than without. */
static double throughput(const struct fig4 *f, size_t n)
{
	double without = state(f, ARRAY_LEN(members), n)->time_ns,
	       with = state(f, ARRAY_LEN(members) + 1, n)->time_ns;

	return (without / with - 1) * 100;
}

/* An empty field where the figure has no point. */
static void put(FILE *out, double x)
{
	if (isnan(x))
		fputc(',', out);
	else
		fprintf(out, ",%.2f", x);
}

static void write_row(const struct fig4 *f, size_t part, size_t n, FILE *out)
{
	fprintf(out, "%zu,%g,%s,%.2f", n, members[part], n <= 2 ? "calibrated" : "predicted",
		(double)n * MB(PAGES));
	for (enum curve c = 0; c < CURVES; c++) {
		double mb = ours(f, part, n, c);
		put(out, mb);
		put(out, in_percent(mb, n));
		put(out, curves[c].mb ? paper_value(f->paper, n - 1, curves[c].mb)
				      : paper_value(f->paper, n - 1, curves[SHARED].mb) -
						paper_value(f->paper, n - 1, curves[RECLAIMED].mb));
		put(out, paper_percent(f, n, c));
		put(out, in_percent(mb, n) - paper_percent(f, n, c));
	}
	if (part == 0)
		fprintf(out, ",%.4f", throughput(f, n));
	else
		fputc(',', out);
	fputc('\n', out);
}

static int write_csv(const struct fig4 *f, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("vms,member,point,vm_mb", out);
	for (enum curve c = 0; c < CURVES; c++)
		fprintf(out, ",%s_mb,%s_pct,paper_%s_mb,paper_%s_pct,%s_difference_pct",
			curves[c].name, curves[c].name, curves[c].name, curves[c].name,
			curves[c].name);
	fputs(",throughput_change_pct\n", out);
	for (size_t part = 0; part < ARRAY_LEN(members); part++) {
		for (size_t n = 1; n <= N_MAX; n++)
			write_row(f, part, n, out);
	}
	return draft_commit(draft, err);
}

/* The largest distance of a predicted point from the paper's, over three curves. */
static double worst(const struct fig4 *f, size_t part)
{
	double most = 0;

	for (size_t n = 3; n <= N_MAX; n++) {
		for (enum curve c = SHARED; c <= KEPT; c++)
			most = fmax(most, fabs(in_percent(ours(f, part, n, c), n) -
					       paper_percent(f, n, c)));
	}
	return most;
}

static void tell_points(const struct fig4 *f, json_t *told)
{
	tell(told, "%% of VM memory: ours, the paper's (difference); MB: ours, the paper's");
	tell(told, " N  point       shared               reclaimed            shared MB"
		   "      reclaimed MB   zero MB");
	for (size_t n = 1; n <= N_MAX; n++) {
		double s = in_percent(ours(f, 0, n, SHARED), n), ps = paper_percent(f, n, SHARED);
		double r = in_percent(ours(f, 0, n, RECLAIMED), n),
		       pr = paper_percent(f, n, RECLAIMED);
		char zero[16] = "-";
		double pz = paper_value(f->paper, n - 1, "zero_mb");
		if (!isnan(pz))
			snprintf(zero, sizeof zero, "%.1f", pz);
		tell(told,
		     "%2zu  %-10s  %4.1f, %4.1f (%+4.1f)   %4.1f, %4.1f (%+4.1f)   %5.1f, %5.1f   "
		     "%5.1f, %5.1f   %4.1f, %s",
		     n, n <= 2 ? "calibrated" : "predicted", s, ps, s - ps, r, pr, r - pr,
		     ours(f, 0, n, SHARED), paper_value(f->paper, n - 1, "shared_mb"),
		     ours(f, 0, n, RECLAIMED), paper_value(f->paper, n - 1, "reclaimed_mb"),
		     ours(f, 0, n, ZERO), zero);
	}
}

static void tell_assumptions(const struct fig4 *f, json_t *told)
{
	struct calibration c = calibrate(f);

	tell_note(told, NOTE_CALIBRATED,
		  "On N = 1 and 2: %.1f %% zero; %.1f %% copies of %.1f %% contents; %.1f %% that "
		  "two VMs both hold.",
		  100 * c.zero, 100 * c.copies, 100 * c.copy_contents, 100 * c.met);
	tell_note(told, NOTE_PREDICTED, "N = 3 to 10, all curves.");
	tell_note(told, NOTE_ASSUMED,
		  "With the whole figure known: a VM holds a content of the common pool with "
		  "probability %g. N = 1 and 2 say %.2f, but half a point of digitisation error "
		  "moves that by up to %.2f.",
		  members[0], c.overlap, 0.01 / c.copy_contents);
	for (size_t part = 0; part < ARRAY_LEN(members); part++)
		tell_note(told, NOTE_ASSUMED,
			  "With %.1f the worst predicted point is %.1f points from the paper's.",
			  members[part], worst(f, part));
	tell_note(told, NOTE_ASSUMED, "The scan rate and the costs of a processor of 933 MHz.");
	tell_note(told, NOTE_NOT_MODELLED,
		  "The slow fall of the paper's zero pages; what caches gain by fewer frames.");
}

static void tell_cost(const struct fig4 *f, json_t *told)
{
	double least = INFINITY, most = -INFINITY, mean = 0;

	for (size_t n = 1; n <= N_MAX; n++) {
		least = fmin(least, throughput(f, n));
		most = fmax(most, throughput(f, n));
		mean += throughput(f, n) / N_MAX;
	}
	tell(told, "Throughput of a CPU-bound guest with sharing against without, simulated by the "
		   "cost model:");
	tell(told,
	     "  %+.3f %% on average (%+.3f to %+.3f); the paper measured +0.5 %% "
	     "(-1.6 to +1.8).",
	     mean, least, most);
	json_object_set_new(told, "throughput_change_pct", json_real(mean));
	expect_near(told, "Waldspurger 2002, section 4.3", 0, 1.6, mean,
		    "throughput with sharing against without, %%");
}

static void expect_point(const struct fig4 *f, json_t *told, size_t n, enum curve c)
{
	char quantity[64], when[16];

	snprintf(quantity, sizeof quantity, "%s, %% of memory",
		 c == KEPT ? "shared less reclaimed" : curves[c].name);
	snprintf(when, sizeof when, "N = %zu", n);
	const struct expectation e = {
		.quantity = quantity,
		.when = when,
		.target = paper_percent(f, n, c),
		.tolerance = WITHIN,
		.value = in_percent(ours(f, 0, n, c), n),
		.source = SOURCE,
	};
	expect(told, &e);
}

static void tell_all(const struct fig4 *f, json_t *told)
{
	tell_points(f, told);
	tell_assumptions(f, told);
	for (size_t n = 3; n <= N_MAX; n++) {
		for (enum curve c = SHARED; c <= KEPT; c++)
			expect_point(f, told, n, c);
	}
	tell_cost(f, told);
}

int esx_fig4_run(const char *dir, json_t *told, struct err *err)
{
	struct fig4 *f = calloc(1, sizeof *f);

	if (!f)
		return err_run(err, ENOMEM, "no memory for " ID);
	for (size_t i = 0; i < N_MAX; i++)
		f->pages[i] = PAGES;
	int rc = paper_load("paper/fig4_sharing.csv", &f->paper, err);
	if (rc == 0)
		rc = run_all(f, err);
	if (rc == 0)
		rc = write_csv(f, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc == 0)
		rc = tell_point(f, told, err);
	if (rc == 0)
		tell_all(f, told);
	free(f->paper);
	free(f);
	return rc;
}
