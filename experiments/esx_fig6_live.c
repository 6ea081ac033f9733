/*
 * esx-fig6-live: the sampler of esx-fig6 on a real Linux guest in which a program
 * touches memory by the figure's schedule (Waldspurger 2002, section 5.3 and
 * Fig. 6), at 0.4 of its memory and 20 times its pace.
 *
 * What the program touches is its own word (once a second, of the second before);
 * what the host estimates comes from faults on pages that it unmapped.
 */
#include "experiments/experiment.h"

#include "experiments/curves.h"
#include "experiments/expect.h"
#include "experiments/live_variant.h"
#include "experiments/outdir.h"
#include "experiments/paper.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define ID	  "esx-fig6"
#define ROWS	  240
#define ROWS_S	  2	/* a second */
#define MEMORY	  192.0 /* MB: as live.job has it, like all of the next */
#define SCALE	  0.4	/* of the figure's memory, to leave Linux room for itself */
#define MINUTE_S  3.0	/* that stand for a minute of the figure's */
#define PERIOD_S  1.5
#define BEGIN_MIN 8.55 /* when the figure's program begins */
#define END_MIN	  27.4 /* before the figure's guest zeroes what the program freed: Linux does not */
#define SETTLED	  4    /* s: two periods, and what the program's word is late */
#define WITHIN	  10   /* % of the VM's memory */
#define SOURCE	  "Waldspurger 2002, Fig. 6"

enum column { TOUCHED, SLOW, FAST, MOST, FAULTS, COLUMNS };

static const struct curve_of columns[COLUMNS] = {
	[TOUCHED] = {"linux", "touched_mb", 1},	  [SLOW] = {"linux", "active_slow", 256},
	[FAST] = {"linux", "active_fast", 256},	  [MOST] = {"linux", "active", 256},
	[FAULTS] = {"linux", "sample_faults", 1},
};

struct fig6 {
	struct curves curves;
	struct paper *paper;
	size_t begin; /* row in which the program began */
	double background;
};

static double cell(const struct fig6 *f, size_t row, enum column c)
{
	return curves_cell(&f->curves, row, c);
}

/* What the program touched then, which it tells a second later. */
static double level(const struct fig6 *f, size_t row)
{
	double told = row + ROWS_S < ROWS ? cell(f, row + ROWS_S, TOUCHED) : NAN;

	return isnan(told) ? 0 : told;
}

/* The figure's minute of that row; its table has a row for each tenth. */
static double minute(const struct fig6 *f, size_t row)
{
	return BEGIN_MIN + ((double)row - (double)f->begin) / ROWS_S / MINUTE_S;
}

static double paper_at(const struct fig6 *f, size_t row, const char *column)
{
	double m = minute(f, row);

	return m < 0 ? NAN : SCALE * paper_value(f->paper, (size_t)lround(m * 10), column);
}

/* Whether the level has been the same for so long that estimates should agree. */
static bool settled(const struct fig6 *f, size_t row)
{
	for (size_t k = 0; k < SETTLED * ROWS_S; k++) {
		if (row - k < f->begin || level(f, row - k) != level(f, row))
			return false;
	}
	return row >= f->begin + SETTLED * ROWS_S;
}

static int find_begin(struct fig6 *f, struct err *err)
{
	size_t n = 0;

	while (f->begin < ROWS && level(f, f->begin) == 0)
		f->begin++;
	if (f->begin >= ROWS - 60 * ROWS_S)
		return err_run(err, ETIME,
			       "the guest took %zu s to begin, of %d: the machine is "
			       "too busy",
			       f->begin / ROWS_S, ROWS / ROWS_S);
	/* A period before it: what the guest touches without it. */
	for (size_t row = f->begin - 2 * ROWS_S; row < f->begin - ROWS_S; row++, n++)
		f->background += cell(f, row, FAST);
	f->background /= (double)n;
	return 0;
}

static void put(FILE *out, double x)
{
	if (isnan(x))
		fputc(',', out);
	else
		fprintf(out, ",%.2f", x);
}

static int write_csv(const struct fig6 *f, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID "-live.csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("t_s,figure_min,touched_mb,slow_mb,fast_mb,estimate_mb,paper_touched_mb,"
	      "paper_estimate_mb\n",
	      out);
	for (size_t row = 0; row < ROWS; row++) {
		fprintf(out, "%.2f,%.3f", ((double)row + 0.5) / ROWS_S, minute(f, row));
		put(out, level(f, row));
		for (enum column c = SLOW; c <= MOST; c++)
			put(out, cell(f, row, c));
		put(out, paper_at(f, row, "toucher_mb"));
		put(out, paper_at(f, row, "max_mb"));
		fputc('\n', out);
	}
	return draft_commit(draft, err);
}

/* The fast average as it was when a period ended: with one that has just begun it is low. */
static double fast(const struct fig6 *f, size_t row)
{
	double most = 0;

	for (size_t k = 0; k < (size_t)(PERIOD_S * ROWS_S) && k <= row; k++)
		most = fmax(most, cell(f, row - k, FAST));
	return most;
}

/* RMS over the settled rows, and the worst of them, in % of the VM's memory. */
static double rms_settled(const struct fig6 *f, enum column c, bool rises_only, double *worst)
{
	double sum = 0, before = 0, now = 0;
	size_t rows = 0;

	*worst = 0;
	for (size_t row = f->begin; row < ROWS; row++) {
		if (level(f, row) != now) {
			before = now;
			now = level(f, row);
		}
		if (!settled(f, row) || (rises_only && now < before))
			continue;
		double all = now + f->background;
		double off = (c == FAST ? fast(f, row) : cell(f, row, c)) - all;
		*worst = fmax(*worst, 100 / MEMORY * fabs(off));
		sum += off * off;
		rows++;
	}
	return rows ? 100 / MEMORY * sqrt(sum / (double)rows) : NAN;
}

static double rms_paper(const struct fig6 *f)
{
	double sum = 0;
	size_t n = 0;

	for (size_t row = f->begin; row < ROWS && minute(f, row) < END_MIN; row++, n++) {
		double off = cell(f, row, MOST) - paper_at(f, row, "max_mb");
		sum += off * off;
	}
	return n ? 100 / MEMORY * sqrt(sum / (double)n) : NAN;
}

static void expect_within(json_t *told, const char *quantity, const char *when, double value,
			  double most, const char *source)
{
	const struct expectation e = {
		.quantity = quantity,
		.when = when,
		.relation = EXPECT_AT_MOST,
		.target = most,
		.value = value,
		.source = source,
	};

	expect(told, &e);
}

/* After a rise the estimate is at three quarters of all that is touched within so many s. */
static double slowest_rise(const struct fig6 *f)
{
	double before = 0, slowest = 0;

	for (size_t row = f->begin; row + SETTLED * ROWS_S < ROWS; row++) {
		double now = level(f, row);
		size_t seen = 0;
		while (now > before && row + seen < ROWS &&
		       cell(f, row + seen, MOST) < 0.75 * (now + f->background))
			seen++;
		slowest = fmax(slowest, (double)seen / ROWS_S);
		before = now;
	}
	return slowest;
}

static void tell_all(const struct fig6 *f, json_t *told)
{
	double worst_fast, worst_most;
	double average = rms_settled(f, FAST, false, &worst_fast),
	       most = rms_settled(f, MOST, true, &worst_most);
	double faults = cell(f, ROWS - 1, FAULTS) / ((double)ROWS / ROWS_S / PERIOD_S);

	tell(told, "live: Linux in %g MB, a period of %g s, %g s for each of the figure's minutes",
	     MEMORY, PERIOD_S, MINUTE_S);
	tell(told, "The program began after %.1f s; the guest alone touched %.1f MB by then.",
	     (double)f->begin / ROWS_S, f->background);
	tell(told,
	     "%% of the VM's memory: fast average %.1f RMS (worst %.1f), estimate after rises "
	     "%.1f (worst %.1f),",
	     average, worst_fast, most, worst_most);
	tell(told, "  estimate against the paper's, scaled: %.1f RMS.", rms_paper(f));
	expect_within(told, "live: fast average against what is touched, % of VM memory, RMS",
		      "two periods after a step and later", average, WITHIN,
		      "the sampling error of 100 pages, 5 points, and as much again");
	expect_within(told, "live: estimate against what is touched, % of VM memory, RMS",
		      "two periods after a rise and later", most, WITHIN,
		      "the sampling error of 100 pages, 5 points, and as much again");
	expect_within(told, "live: estimate against the paper's, % of VM memory, RMS",
		      "minutes 8.55 to 27.4", rms_paper(f), WITHIN, SOURCE ", scaled");
	expect_within(told, "live: rise seen after, s", "the slowest", slowest_rise(f),
		      2 * PERIOD_S + 1,
		      "Waldspurger 2002, section 5.3: within a period; the program's word is up to "
		      "a second late");
	expect_within(told, "live: minor faults a period", "mean", faults, 100,
		      "Waldspurger 2002, section 5.3");
	tell_note(told, NOTE_ASSUMED,
		  "The schedule is an input, read off the figure; so are the VM of %g MB for the "
		  "figure's 320, and %g s for each minute.",
		  MEMORY, MINUTE_S);
	tell_note(told, NOTE_NOT_MODELLED,
		  "What Windows does after the program's end: Linux does not zero what was freed.");
}

static int run_and_tell(struct fig6 *f, const char *dir, json_t *told, struct err *err)
{
	int rc = curves_take(&f->curves, ID "/live.job", "", err);

	if (rc)
		return rc;
	rc = find_begin(f, err);
	if (rc == 0)
		rc = write_csv(f, dir, err);
	if (rc == 0)
		rc = live_variant_plot(ID, dir, told, err);
	if (rc == 0)
		tell_all(f, told);
	curves_free(&f->curves);
	return rc ? rc : live_variant_tell(ID, told, err);
}

int esx_fig6_live_run(const char *dir, json_t *told, struct err *err)
{
	struct fig6 f = {
		.curves =
			{
				.of = columns,
				.columns = COLUMNS,
				.rows = ROWS,
				.step_ns = UINT64_C(1000000000) / ROWS_S,
			},
	};

	int rc = paper_load("paper/fig6_sampling.csv", &f.paper, err);
	if (rc)
		return rc;
	rc = run_and_tell(&f, dir, told, err);
	free(f.paper);
	return rc;
}
