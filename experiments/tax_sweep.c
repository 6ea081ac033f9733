/*
 * tax-sweep: what each rate of the tax on idle memory gives to a busy VM and
 * takes from an idle one of the same shares (Waldspurger 2002, section 5.2).
 *
 * At no tax shares alone decide; as the tax goes to 1 the idle VM is left with
 * what it uses. In between the two are charged alike, which is what is expected
 * of the means: k = 1 / (1 - tax), used + k (held - used).
 */
#include "experiments/curves.h"
#include "experiments/expect.h"
#include "experiments/experiment.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"
#include "experiments/watch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define ID	"tax-sweep"
#define ROWS	230 /* 6 s each, 23 minutes */
#define STEP_NS UINT64_C(6000000000)
#define FROM	10.0 /* minutes: both have come to rest */
#define UNTIL	22.0

static const double rates[] = {0, 0.25, 0.5, 0.6, 0.75, 0.85, 0.95, 0.99};
#define RATES ARRAY_LEN(rates)

enum column { IDLE, IDLE_USED, BUSY, BUSY_USED, IDLE_TARGET, BUSY_TARGET, WORK, COLUMNS };

static const struct curve_of columns[COLUMNS] = {
	[IDLE] = {"windows", "held", 256},
	[IDLE_USED] = {"windows", "active", 256},
	[BUSY] = {"linux", "held", 256},
	[BUSY_USED] = {"linux", "active", 256},
	[IDLE_TARGET] = {"windows", "target", 256},
	[BUSY_TARGET] = {"linux", "target", 256},
	[WORK] = {"linux", "work_bytes", 1 << 20},
};

struct result {
	double mean[COLUMNS]; /* MB */
	double mb_s;
};

static void tax_of(double rate, char text[64])
{
	snprintf(text, 64, "tax { rate = %g }\n", rate);
}

static int run_one(void *arg, size_t task, void *result, struct err *err)
{
	struct curves w = {.of = columns, .columns = COLUMNS, .rows = ROWS, .step_ns = STEP_NS};
	struct result *r = result;

	char text[64];

	(void)arg;
	tax_of(rates[task], text);
	int rc = curves_take(&w, ID "/base.job", text, err);
	if (rc)
		return rc;
	size_t a = curves_row(&w, FROM), b = curves_row(&w, UNTIL);
	for (enum column c = 0; c < COLUMNS; c++)
		r->mean[c] = curves_mean(&w, c, FROM, UNTIL);
	r->mb_s = (curves_cell(&w, b, WORK) - curves_cell(&w, a, WORK)) /
		  ((double)(b - a) * STEP_NS / 1e9);
	curves_free(&w);
	return 0;
}

static int write_csv(const struct result *r, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("tax,idle_mb,idle_used_mb,busy_mb,busy_used_mb,idle_target_mb,busy_target_mb,mb_s\n",
	      out);
	for (size_t i = 0; i < RATES; i++) {
		fprintf(out, "%g", rates[i]);
		for (enum column c = IDLE; c < WORK; c++)
			fprintf(out, ",%.1f", r[i].mean[c]);
		fprintf(out, ",%.2f\n", r[i].mb_s);
	}
	return draft_commit(draft, err);
}

/* What a VM is charged, an idle page costing k active ones, as it is and as it is meant to be. */
static double charge(const struct result *r, enum column memory, enum column used, double rate)
{
	double active = fmin(r->mean[used], r->mean[memory]);

	return active + (r->mean[memory] - active) / (1 - rate);
}

static void tell_all(const struct result *r, json_t *told)
{
	tell(told, "  tax    idle VM  it uses    busy VM  it uses    MB/s  targets charged");
	for (size_t i = 0; i < RATES; i++)
		tell(told, "%4.0f %%   %5.1f MB  %5.1f    %5.1f MB  %5.1f   %5.1f  %6.0f %6.0f",
		     100 * rates[i], r[i].mean[IDLE], r[i].mean[IDLE_USED], r[i].mean[BUSY],
		     r[i].mean[BUSY_USED], r[i].mb_s,
		     charge(&r[i], IDLE_TARGET, IDLE_USED, rates[i]),
		     charge(&r[i], BUSY_TARGET, BUSY_USED, rates[i]));
	tell_note(told, NOTE_PREDICTED,
		  "All of it; the paper has the rates 0 and 75 %% (esx-fig7).");
	tell_note(told, NOTE_ASSUMED,
		  "The guests of esx-fig7; here targets are met though memory is not short.");
}

static void expect_all(const struct result *r, json_t *told)
{
	const char *source = "Waldspurger 2002, section 5.2";

	expect_near(told, source, 0, 0.02 * r[0].mean[BUSY], r[0].mean[BUSY] - r[0].mean[IDLE],
		    "what the busy VM has more where nothing is taxed, MB");
	for (size_t i = 1; i < RATES; i++) {
		const struct expectation less = {
			.quantity = "the idle VM's memory falls with the tax, MB more than before",
			.relation = EXPECT_AT_MOST,
			.target = 0.5,
			.value = r[i].mean[IDLE] - r[i - 1].mean[IDLE],
			.source = source,
		};
		expect(told, &less);
	}
	const struct expectation more = {
		.quantity = "the busy VM's throughput at 75 %, times that without",
		.relation = EXPECT_AT_LEAST,
		.target = 1.3,
		.value = r[4].mb_s / r[0].mb_s,
		.source = "Waldspurger 2002, section 5.4",
	};
	expect(told, &more);
}

int tax_sweep_run(const char *dir, json_t *told, struct err *err)
{
	struct result result[RATES] = {0};
	char text[64];

	tax_of(0.75, text);
	int rc = parallel_each(ID, RATES, run_one, NULL, result, sizeof *result, err);
	if (rc == 0)
		rc = write_csv(result, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc == 0)
		rc = watch_tell_job(told, ID ".job", ID "/base.job", text, err);
	if (rc)
		return rc;
	tell_all(result, told);
	expect_all(result, told);
	return 0;
}
