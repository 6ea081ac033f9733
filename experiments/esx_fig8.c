/*
 * esx-fig8: five Windows servers and clients boot at once into 60 % too little
 * memory, and go on for 90 minutes (Waldspurger 2002, section 6.3 and Fig. 8).
 *
 * What the guests use is an input, read off the figure's lines of active memory;
 * what each is given, what is ballooned, shared and swapped, and the states that
 * the host goes through, is what the manager makes of it.
 */
#include "experiments/curves.h"
#include "experiments/expect.h"
#include "experiments/experiment.h"
#include "experiments/outdir.h"
#include "experiments/paper.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"
#include "experiments/watch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define ID	"esx-fig8"
#define SOURCE	"Waldspurger 2002, Fig. 8"
#define SECTION "Waldspurger 2002, section 6.3"
#define ROWS	900 /* 6 s each, as the paper's table has them */
#define STEP_NS UINT64_C(6000000000)
#define BOOTED	3.5   /* minutes: all balloons are up, programs have begun */
#define QUERY	64.75 /* when base.job has the SQL server begin to work */

enum host_column { SAVED, SLOTS, STATE, HIGH_NS, SOFT_NS, HARD_NS, LOW_NS, HOST_COLUMNS };
enum vm_column { HELD, ACTIVE, BALLOON, SHARED, ZERO, VM_COLUMNS };
enum guest_vm { EXCHANGE, OUTLOOK, CITRIX, ICA, SQL, VMS };

#define COLUMNS		 (HOST_COLUMNS + VMS * VM_COLUMNS)
#define COLUMN_OF(vm, c) (HOST_COLUMNS + (size_t)(vm)*VM_COLUMNS + (size_t)(c))
#define MINUTE_NS	 6e10

#define VM(name)                                                                                   \
	{name, "held", 256}, {name, "active", 256}, {name, "balloon", 256}, {name, "shared", 256}, \
	{                                                                                          \
		name, "share_zero", 256                                                            \
	}

static const struct curve_of columns[COLUMNS] = {
	{NULL, "share_saved", 256},
	{NULL, "swap_slots_used", 256},
	{NULL, "state", 1},
	{NULL, "high_ns", MINUTE_NS},
	{NULL, "soft_ns", MINUTE_NS},
	{NULL, "hard_ns", MINUTE_NS},
	{NULL, "low_ns", MINUTE_NS},
	VM("exchange"),
	VM("outlook"),
	VM("citrix"),
	VM("ica"),
	VM("sql"),
};

/* The paper's lines, of all VMs and of two. */
enum panel { ALL, ONE_CITRIX, ONE_SQL, PANELS };
enum line { ALLOC, USED, BALLOONED, SAVES, LINES };

static const char *const tables[PANELS] = {
	"paper/fig8_all.csv",
	"paper/fig8_citrix.csv",
	"paper/fig8_sql.csv",
};
static const char *const panel_names[PANELS] = {"all", "citrix", "sql"};
static const char *const line_names[LINES] = {"alloc", "active", "balloon", "shared"};

struct result {
	double minutes[4];    /* in high, soft, hard, low */
	double zero, swapped; /* MB: most until BOOTED */
	double swapped_later;
	double mean[PANELS][LINES]; /* over all that the figure shows */
	double most[LINES];	    /* of all VMs */
	double sql_least, sql_idle;
	double sql_deflated;
};

struct fig8 {
	struct paper *paper[PANELS];
	const char *dir;
	struct result result;
};

/* A sum over VMs that are there. */
static double sum(const struct curves *w, size_t row, enum vm_column c)
{
	double s = 0;

	for (enum guest_vm vm = 0; vm < VMS; vm++) {
		double v = curves_cell(w, row, COLUMN_OF(vm, c));
		s += isnan(v) ? 0 : v;
	}
	return s;
}

static double line_at(const struct curves *w, size_t row, enum panel panel, enum line line)
{
	static const enum vm_column of[LINES] = {HELD, ACTIVE, BALLOON, SHARED};

	if (panel != ALL)
		return curves_cell(w, row, COLUMN_OF(panel == ONE_CITRIX ? CITRIX : SQL, of[line]));
	return line == SAVES ? curves_cell(w, row, SAVED) : sum(w, row, of[line]);
}

static double paper_at(const struct fig8 *f, size_t row, enum panel panel, enum line line)
{
	return paper_value(f->paper[panel], row, line_names[line]);
}

static int write_csv(const struct fig8 *f, const struct curves *w, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(f->dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("t_min,state,swapped", out);
	for (enum panel p = 0; p < PANELS; p++) {
		for (enum line l = 0; l < LINES; l++)
			fprintf(out, ",%s_%s,paper_%s_%s", panel_names[p], line_names[l],
				panel_names[p], line_names[l]);
	}
	fputc('\n', out);
	for (size_t row = 0; row < w->rows; row++) {
		fprintf(out, "%.2f,%.0f,%.1f", curves_minutes(w, row), curves_cell(w, row, STATE),
			curves_cell(w, row, SLOTS));
		for (enum panel p = 0; p < PANELS; p++) {
			for (enum line l = 0; l < LINES; l++) {
				double ours = line_at(w, row, p, l);
				fprintf(out, isnan(ours) ? "," : ",%.1f", ours);
				fprintf(out, ",%.1f", paper_at(f, row, p, l));
			}
		}
		fputc('\n', out);
	}
	return draft_commit(draft, err);
}

static void judge_means(const struct curves *w, struct result *r)
{
	for (enum panel p = 0; p < PANELS; p++) {
		for (enum line l = 0; l < LINES; l++) {
			double s = 0;
			size_t n = 0;
			for (size_t row = curves_row(w, BOOTED); row < w->rows; row++, n++)
				s += line_at(w, row, p, l);
			r->mean[p][l] = s / (double)n;
		}
	}
}

static void judge_boot(const struct curves *w, struct result *r)
{
	for (size_t row = 0; row < w->rows; row++) {
		if (row < curves_row(w, BOOTED))
			r->zero = fmax(r->zero, sum(w, row, ZERO));
		for (enum line l = 0; l < LINES; l++)
			r->most[l] = fmax(r->most[l], line_at(w, row, ALL, l));
	}
	r->swapped = curves_most(w, SLOTS, 0, BOOTED);
	r->swapped_later = curves_most(w, SLOTS, BOOTED, 90);
}

static void judge(const struct curves *w, struct result *r)
{
	const size_t held = COLUMN_OF(SQL, HELD), balloon = COLUMN_OF(SQL, BALLOON);

	for (size_t i = 0; i < 4; i++)
		r->minutes[i] = curves_cell(w, w->rows - 1, HIGH_NS + i);
	judge_means(w, r);
	judge_boot(w, r);
	r->sql_least = curves_least(w, held, 20, 64);
	r->sql_idle = curves_mean(w, held, 35, 60);
	r->sql_deflated = curves_mean(w, balloon, QUERY - 1, QUERY) -
			  curves_least(w, balloon, QUERY, QUERY + 4);
}

static int run_it(void *arg, size_t task, void *result, struct err *err)
{
	const struct fig8 *f = arg;
	struct curves w = {.of = columns, .columns = COLUMNS, .rows = ROWS, .step_ns = STEP_NS};

	(void)task;
	int rc = curves_take(&w, ID "/base.job", "", err);
	if (rc)
		return rc;
	judge(&w, result);
	rc = write_csv(f, &w, err);
	curves_free(&w);
	return rc;
}

/* ---- what comes of it ----------------------------------------------------- */

static double paper_mean(const struct fig8 *f, enum panel panel, enum line line, double from,
			 double until)
{
	double s = 0;
	size_t n = 0;

	for (size_t row = (size_t)(from * 10); row < (size_t)(until * 10); row++, n++)
		s += paper_at(f, row, panel, line);
	return s / (double)n;
}

static void tell_numbers(const struct fig8 *f, json_t *told)
{
	const struct result *r = &f->result;

	tell(told, "minutes in state    high    soft    hard     low");
	tell(told, "ours               %5.1f   %5.2f   %5.2f   %5.3f", r->minutes[0], r->minutes[1],
	     r->minutes[2], r->minutes[3]);
	tell(told, "paper               88.6    2.25    0.27   0.08");
	tell(told, "mean MB, %.1f to 90 min     allocated     active     balloon      shared",
	     BOOTED);
	for (enum panel p = 0; p < PANELS; p++) {
		double s[LINES];
		for (enum line l = 0; l < LINES; l++)
			s[l] = paper_mean(f, p, l, BOOTED, 90);
		tell(told,
		     "%-7s ours, paper      %5.0f %5.0f  %4.0f %4.0f   %4.0f %4.0f   %4.0f %4.0f",
		     panel_names[p], r->mean[p][ALLOC], s[ALLOC], r->mean[p][USED], s[USED],
		     r->mean[p][BALLOONED], s[BALLOONED], r->mean[p][SAVES], s[SAVES]);
	}
	tell(told,
	     "While booting: %.0f MB of zero pages shared (paper: 325), %.0f MB swapped (35).",
	     r->zero, r->swapped);
	tell(told, "Later at most %.0f MB are swapped (paper: under 20).", r->swapped_later);
	tell(told, "Most allocated: %.0f MB (paper: 1193), of a machine of 1024.", r->most[ALLOC]);
}

static void expect_most(json_t *told, const char *quantity, double most, double value)
{
	const struct expectation e = {
		.quantity = quantity,
		.relation = EXPECT_AT_MOST,
		.target = most,
		.value = value,
		.source = SOURCE " (a)",
	};

	expect(told, &e);
}

static void expect_least(json_t *told, const char *quantity, const char *when, double least,
			 double value)
{
	const struct expectation e = {
		.quantity = quantity,
		.when = when,
		.relation = EXPECT_AT_LEAST,
		.target = least,
		.value = value,
		.source = SECTION,
	};

	expect(told, &e);
}

static void expect_all(const struct fig8 *f, json_t *told)
{
	const struct result *r = &f->result;

	expect_near(told, SOURCE " (a)", 88.6, 4, r->minutes[0], "time in state high, min");
	expect_most(told, "time in soft, at most as long as in high, min", r->minutes[0],
		    r->minutes[1]);
	expect_most(told, "time in hard, at most as long as in soft, min", r->minutes[1],
		    r->minutes[2]);
	expect_most(told, "time in low, at most as long as in hard, min", r->minutes[2],
		    r->minutes[3]);
	expect_least(told, "zero pages shared, times the pages swapped", "while booting", 8,
		     r->zero / r->swapped);
	expect_least(told, "most memory allocated, MB", "more than the machine has", 1024,
		     r->most[ALLOC]);
	expect_near(told, SECTION, 160, 2, r->sql_least,
		    "least that the idle SQL server has, its min, MB");
	expect_near(told, SOURCE " (d)", paper_mean(f, ONE_SQL, ALLOC, 35, 60), 16, r->sql_idle,
		    "what it has from 35 to 60 min, MB");
	expect_least(told, "its balloon deflated, MB", "within 4 min of its query", 100,
		     r->sql_deflated);
	for (enum line l = ALLOC; l < LINES; l++) {
		double papers = paper_mean(f, ALL, l, BOOTED, 90);
		expect_near(told, SOURCE " (b)", papers, 0.25 * papers, r->mean[ALL][l],
			    "mean %s of all VMs, %.1f to 90 min, MB", line_names[l], BOOTED);
		if (l == SAVES)
			expect_explain(
				told,
				"after the SQL server's query our guests' shared zero pages go "
				"into their balloons, the paper's stay; until then they agree");
	}
}

static void tell_notes(json_t *told)
{
	tell_note(told, NOTE_CALIBRATED,
		  "What each guest uses, an input: its program's schedule is read off the figure's "
		  "line of active memory (of the three VMs without a panel: a third each of what "
		  "the other two leave). How much memory the programs hold without using it: so "
		  "that all VMs' shared memory is about the paper's at 20 and at 60 minutes.");
	tell_note(told, NOTE_PREDICTED,
		  "The states, what each VM is given, what is ballooned, shared and swapped, and "
		  "when.");
	tell_note(told, NOTE_ASSUMED,
		  "A guest clears its memory in 15 s. Three VMs boot at 75 s and two at 105 s, and "
		  "their balloons come up 12 and 60 s later, as the figure's first minutes show.");
	tell_note(told, NOTE_ASSUMED,
		  "Balloons grow by 5 MB a second at most; 16 MB of every guest's system are the "
		  "same as in the others; sharing and paging free 40,000 pages a second at most.");
	tell_note(told, NOTE_NOT_MODELLED,
		  "Guests that are slow while they boot: our sampler's estimate falls some minutes "
		  "earlier than the paper's.");
}

static int tell_all(const struct fig8 *f, json_t *told, struct err *err)
{
	tell_numbers(f, told);
	expect_all(f, told);
	tell_notes(told);
	return watch_tell_job(told, ID ".job", ID "/base.job", "", err);
}

static int run_and_tell(struct fig8 *f, json_t *told, struct err *err)
{
	int rc = parallel_each(ID, 1, run_it, f, &f->result, sizeof f->result, err);
	if (rc == 0)
		rc = plot_experiment(ID, f->dir, told, err);
	return rc ? rc : tell_all(f, told, err);
}

int esx_fig8_run(const char *dir, json_t *told, struct err *err)
{
	struct fig8 f = {.dir = dir};
	int rc = 0;

	for (enum panel p = 0; rc == 0 && p < PANELS; p++)
		rc = paper_load(tables[p], &f.paper[p], err);
	if (rc == 0)
		rc = run_and_tell(&f, told, err);
	for (enum panel p = 0; p < PANELS; p++)
		free(f.paper[p]);
	return rc;
}
