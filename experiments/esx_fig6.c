/*
 * esx-fig6: what sampling says of a guest in which a program touches 50 to 250
 * MB by a schedule (Waldspurger 2002, section 5.3 and Fig. 6).
 *
 * The schedule is read off the paper's own line. Both curves are one draw each
 * of 100 pages a period, so that they differ by chance even if all else is
 * equal: ours is drawn for many seeds, and the paper's should be like one more.
 */
#include "experiments/experiment.h"

#include "experiments/expect.h"
#include "experiments/outdir.h"
#include "experiments/paper.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"
#include "experiments/watch.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define ID	    "esx-fig6"
#define SEEDS	    12
#define POINTS	    401 /* 0 to 40 minutes, a row of the paper's table each */
#define STEP_NS	    UINT64_C(6000000000)
#define WARM_UP	    2	  /* minutes before the figure begins, so that the averages are at rest */
#define PAGES	    81920 /* 320 MB */
#define BACKGROUND  3072  /* 12 MB */
#define PERIOD_ROWS 5	  /* 30 s */
#define RMS_WITHIN  15
#define UNIT	    8 /* a point is kept in eighths of a MB */
#define SOURCE	    "Waldspurger 2002, Fig. 6"

enum curve { SLOW, FAST, MOST, CURVES };

static const struct {
	const char *stat, *paper;
} curves[CURVES] = {
	{"active_slow", "slow_mb"},
	{"active_fast", "fast_mb"},
	{"active", "max_mb"},
};

struct result {
	uint16_t point[CURVES][POINTS];
	uint32_t invalidations, faults, periods;
	uint32_t cpu_us;
};

static_assert(sizeof(struct result) <= PARALLEL_RESULT_MAX, "a result crosses a pipe at once");

struct fig6 {
	struct paper *paper;
	struct result seed[SEEDS];
};

static double paper(const struct fig6 *f, size_t row, const char *column)
{
	return paper_value(f->paper, row, column);
}

static double mb(const struct result *r, enum curve c, size_t row)
{
	return r->point[c][row] / (double)UNIT;
}

/* The mean of all seeds, where chance is evened out. */
static double mean(const struct fig6 *f, enum curve c, size_t row)
{
	double sum = 0;

	for (size_t i = 0; i < SEEDS; i++)
		sum += mb(&f->seed[i], c, row);
	return sum / SEEDS;
}

/* ---- the job ------------------------------------------------------------- */

/* The toucher's steps, each halfway between the two rows of the paper's table that differ. */
static void write_schedule(const struct fig6 *f, FILE *out)
{
	double before = 0;

	for (size_t row = 0; row < POINTS; row++) {
		double now = paper(f, row, "toucher_mb");
		if (now != before)
			fprintf(out, "%.2f:%g ", paper(f, row, "t_min") - 0.05 + WARM_UP, now);
		before = now;
	}
	fprintf(out, "%.2f", paper(f, POINTS - 1, "t_min") + WARM_UP + 0.1);
}

static int make_job(const struct fig6 *f, uint64_t seed, struct job **job, struct err *err)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return err_run(err, ENOMEM, "no memory for a job");
	fprintf(out, "host { seed = %llu }\n", (unsigned long long)seed);
	fprintf(out, "gen toucher { law = toucher pages = %d set_pages = %d pass = 3s ", PAGES,
		BACKGROUND);
	fprintf(out, "zero_thread = on seed = %llu schedule = \"", (unsigned long long)seed);
	write_schedule(f, out);
	fputs("\" }\nvm windows { gen = toucher }\n", out);
	fclose(out);
	int rc = watch_job(ID "/base.job", text, job, err);
	free(text);
	return rc;
}

/* ---- a run --------------------------------------------------------------- */

static void take_row(void *arg, const struct host *host, size_t row)
{
	struct result *r = arg;

	for (enum curve c = 0; c < CURVES; c++)
		r->point[c][row] = (uint16_t)(watch_stat(host->vm[0], curves[c].stat) * UNIT / 256);
}

static void take_cost(void *arg, const struct host *host)
{
	const struct vm *vm = host->vm[0];
	struct result *r = arg;

	r->invalidations = (uint32_t)watch_stat(vm, "sample_invalidations");
	r->faults = (uint32_t)watch_stat(vm, "sample_faults");
	r->cpu_us = (uint32_t)(watch_stat(vm, "sample_ns") / 1000);
	r->periods = (uint32_t)(vm->time_ns / (PERIOD_ROWS * STEP_NS));
}

static int run_one(void *arg, size_t task, void *result, struct err *err)
{
	/* A row is of the middle of its tenth of a minute. */
	const struct watch watch = {.first_ns = WARM_UP * UINT64_C(60000000000) + STEP_NS / 2,
				    .step_ns = STEP_NS,
				    .rows = POINTS,
				    .row = take_row,
				    .end = take_cost,
				    .arg = result};
	struct job *job;

	int rc = make_job(arg, task + 1, &job, err);
	if (rc)
		return rc;
	rc = watch_run(job, &watch, err);
	job_free(job);
	return rc;
}

static int run_all(struct fig6 *f, struct err *err)
{
	return parallel_each(ID, SEEDS, run_one, f, f->seed, sizeof *f->seed, err);
}

/* ---- what comes of it ----------------------------------------------------- */

static double rms(const struct fig6 *f, size_t seed, enum curve c)
{
	double squares = 0;

	for (size_t row = 0; row < POINTS; row++) {
		double d = mb(&f->seed[seed], c, row) - paper(f, row, curves[c].paper);
		squares += d * d;
	}
	return sqrt(squares / POINTS);
}

/* Over all seeds: mean, and the nearest and the farthest. */
static double rms_of_seeds(const struct fig6 *f, enum curve c, double *least, double *most)
{
	double sum = 0;

	*least = INFINITY;
	*most = 0;
	for (size_t i = 0; i < SEEDS; i++) {
		double r = rms(f, i, c);
		sum += r / SEEDS;
		*least = fmin(*least, r);
		*most = fmax(*most, r);
	}
	return sum;
}

/* How far two of our own draws lie apart, on average: what chance alone makes. */
static double rms_of_chance(const struct fig6 *f)
{
	double sum = 0;

	for (size_t i = 0; i < SEEDS; i++) {
		const struct result *a = &f->seed[i], *b = &f->seed[(i + 1) % SEEDS];
		double squares = 0;
		for (size_t row = 0; row < POINTS; row++) {
			double d = mb(a, MOST, row) - mb(b, MOST, row);
			squares += d * d;
		}
		sum += sqrt(squares / POINTS) / SEEDS;
	}
	return sum;
}

static int write_csv(const struct fig6 *f, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("t_min,toucher_mb,slow_mb,fast_mb,max_mb,mean_mb,least_mb,most_mb,paper_slow_mb,"
	      "paper_fast_mb,paper_max_mb\n",
	      out);
	for (size_t row = 0; row < POINTS; row++) {
		double least = INFINITY, most = 0;
		for (size_t i = 0; i < SEEDS; i++) {
			least = fmin(least, mb(&f->seed[i], MOST, row));
			most = fmax(most, mb(&f->seed[i], MOST, row));
		}
		fprintf(out, "%.1f,%g", paper(f, row, "t_min"), paper(f, row, "toucher_mb"));
		for (enum curve c = 0; c < CURVES; c++)
			fprintf(out, ",%.1f", mb(&f->seed[0], c, row));
		fprintf(out, ",%.1f,%.1f,%.1f", mean(f, MOST, row), least, most);
		for (enum curve c = 0; c < CURVES; c++)
			fprintf(out, ",%.1f", paper(f, row, curves[c].paper));
		fputc('\n', out);
	}
	return draft_commit(draft, err);
}

static void tell_rms(const struct fig6 *f, json_t *told)
{
	static const char *const names[CURVES] = {"slow", "fast", "greatest"};

	tell(told, "RMS distance from the paper's curve, MB, of %d seeds", SEEDS);
	tell(told, "curve      seed 1     mean   least to most");
	for (enum curve c = 0; c < CURVES; c++) {
		double least, most, all = rms_of_seeds(f, c, &least, &most);
		tell(told, "%-8s   %6.1f   %6.1f   %.1f to %.1f", names[c], rms(f, 0, c), all,
		     least, most);
	}
	tell(told,
	     "Two of our own seeds lie %.1f MB apart: what 100 pages a period leave to chance.",
	     rms_of_chance(f));
}

static void expect_curve(const struct fig6 *f, json_t *told)
{
	double least, most;
	const struct expectation e = {
		.quantity = "estimate against the paper's greatest-of-three, MB RMS",
		.when = "mean of all seeds",
		.relation = EXPECT_AT_MOST,
		.target = RMS_WITHIN,
		.value = rms_of_seeds(f, MOST, &least, &most),
		.source = SOURCE,
	};

	expect(told, &e);
}

/*
 * A rise is seen when the estimate has come to three quarters of all that is
 * touched now, which is what the fast average's gain gives at once.
 */
static void expect_rises(const struct fig6 *f, json_t *told)
{
	double before = 0;

	for (size_t row = 0; row + PERIOD_ROWS < POINTS; row++) {
		double now = paper(f, row, "toucher_mb"), all = now + BACKGROUND / 256.0;
		size_t seen = 0;
		char when[40];
		if (now > before) {
			while (row + seen < POINTS && mean(f, MOST, row + seen) < 0.75 * all)
				seen++;
			snprintf(when, sizeof when, "to %g MB at %.1f min", now,
				 paper(f, row, "t_min"));
			const struct expectation e = {
				.quantity = "rise seen after, s",
				.when = when,
				.relation = EXPECT_AT_MOST,
				.target = 30,
				.value =
					((double)seen + 0.5) * 6, /* the step is between two rows */
				.source = "Waldspurger 2002, section 5.3: within a period",
			};
			expect(told, &e);
		}
		before = now;
	}
}

/* After the toucher's end: the greatest, and how long until the estimate is below 50 MB. */
static void expect_end(const struct fig6 *f, json_t *told)
{
	size_t end = POINTS, ours, papers;
	double peak = 0, paper_peak = 0;

	while (end > 0 &&
	       !(paper(f, end - 1, "toucher_mb") == 0 && paper(f, end - 2, "toucher_mb") > 0))
		end--;
	for (size_t row = end; row < end + 2 * PERIOD_ROWS && row < POINTS; row++) {
		peak = fmax(peak, mean(f, MOST, row));
		paper_peak = fmax(paper_peak, paper(f, row, "max_mb"));
	}
	for (ours = end; ours < POINTS && mean(f, MOST, ours) >= 50;)
		ours++;
	for (papers = end; papers < POINTS && paper(f, papers, "max_mb") >= 50;)
		papers++;
	tell(told,
	     "After the toucher's end the estimate rises to %.0f MB (paper: %.0f), the guest "
	     "zeroing "
	     "what was freed,",
	     peak, paper_peak);
	tell(told, "  and is below 50 MB after %.1f minutes (paper: %.1f).",
	     (double)(ours - end) / 10, (double)(papers - end) / 10);
	expect_near(told, SOURCE, paper_peak, 25, peak,
		    "estimate when the guest zeroes what the toucher freed, MB");
	expect_near(told, SOURCE, (double)(papers - end) / 10, 0.6, (double)(ours - end) / 10,
		    "time until less than 50 MB are held active, min");
}

static void tell_cost(const struct fig6 *f, json_t *told)
{
	const struct result *r = &f->seed[0];

	tell(told,
	     "Cost by the model: %.1f pages invalidated and %.1f faults a period, %.1f us of CPU "
	     "time a minute.",
	     (double)r->invalidations / r->periods, (double)r->faults / r->periods,
	     (double)r->cpu_us / r->periods * 2);
	const struct expectation e = {
		.quantity = "minor faults a period",
		.relation = EXPECT_AT_MOST,
		.target = 100,
		.value = (double)r->faults / r->periods,
		.source = "Waldspurger 2002, section 5.3",
	};
	expect(told, &e);
}

static void tell_notes(json_t *told)
{
	tell_note(told, NOTE_CALIBRATED,
		  "Nothing. The toucher's schedule is an input, read off the figure.");
	tell_note(told, NOTE_PREDICTED, "Every estimate.");
	tell_note(told, NOTE_ASSUMED,
		  "The VM has 320 MB and the gains are 1/4 and 3/4: neither is printed, both are "
		  "what the figure's grid and steps are consistent with.");
	tell_note(told, NOTE_ASSUMED,
		  "The guest's background is %d MB (the text says 10 to 20, the figure's idle "
		  "minutes 6 to 16), and the toucher takes 3 s for a pass.",
		  BACKGROUND / 256);
	tell_note(
		told, NOTE_ASSUMED,
		"When the toucher ends, the guest's zero-page thread touches all 250 MB that it "
		"ever had, once, in 3 s. That there is a spike is an input; how it shows is not.");
	tell_note(told, NOTE_ASSUMED, "A period is 30 s of real time, though the guest idles.");
}

static int tell_all(const struct fig6 *f, json_t *told, struct err *err)
{
	struct job *job;

	tell_rms(f, told);
	expect_curve(f, told);
	expect_rises(f, told);
	expect_end(f, told);
	tell_cost(f, told);
	tell_notes(told);
	int rc = make_job(f, 1, &job, err);
	if (rc)
		return rc;
	tell_job(told, ID ".job", job);
	job_free(job);
	return 0;
}

int esx_fig6_run(const char *dir, json_t *told, struct err *err)
{
	struct fig6 *f = calloc(1, sizeof *f);

	if (!f)
		return err_run(err, ENOMEM, "no memory for " ID);
	int rc = paper_load("paper/fig6_sampling.csv", &f->paper, err);
	if (rc == 0 && f->paper->rows != POINTS)
		rc = err_input(err, "paper/fig6_sampling.csv: %zu rows, not %d", f->paper->rows,
			       POINTS);
	if (rc == 0)
		rc = run_all(f, err);
	if (rc == 0)
		rc = write_csv(f, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc == 0)
		rc = tell_all(f, told, err);
	free(f->paper);
	free(f);
	return rc;
}
