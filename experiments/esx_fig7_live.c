/*
 * esx-fig7-live: two real Linux guests of equal shares, one idle and one a file
 * server, without and then with a tax on idle memory (Waldspurger 2002, section
 * 5.4 and Fig. 7), with the figure's memory and 12 times its pace.
 *
 * Nothing in the run knows the paper's targets: what the guests use comes from
 * sampling, the planner divides, and balloons take what is above a target. What
 * the formula makes of the use that was measured stands beside what is held.
 */
#include "experiments/experiment.h"

#include "experiments/curves.h"
#include "experiments/expect.h"
#include "experiments/live_variant.h"
#include "experiments/module_make.h"
#include "experiments/outdir.h"
#include "experiments/paper.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define ID	 "esx-fig7"
#define ROWS	 300
#define MINUTE_S 5.0   /* that stand for a minute of the figure's */
#define CHANGE_S 155.0 /* as live.job has it; minute 31 */
#define BEFORE_S 105.0 /* from there until the change, and */
#define AFTER_S	 220.0 /* from there on the guests are to be at rest */
#define VM_MB	 256.0
#define K	 4.0 /* an idle page costs as much as so many active ones: 1 / (1 - 0.75) */
#define DISK	 (INT64_C(400) << 20)
#define SOURCE	 "Waldspurger 2002, Fig. 7"

enum column {
	IDLE,
	IDLE_USED,
	IDLE_TARGET,
	BUSY,
	BUSY_USED,
	BUSY_TARGET,
	RATE,
	STEAL,
	IDLE_BALLOON,
	BUSY_BALLOON,
	IDLE_SWAPPED,
	BUSY_SWAPPED,
	COLUMNS
};

static const struct curve_of columns[COLUMNS] = {
	[IDLE] = {"idle", "held", 256},
	[IDLE_USED] = {"idle", "active", 256},
	[IDLE_TARGET] = {"idle", "target", 256},
	[BUSY] = {"busy", "held", 256},
	[BUSY_USED] = {"busy", "active", 256},
	[BUSY_TARGET] = {"busy", "target", 256},
	[RATE] = {"busy", "ops_per_s", 1},
	[STEAL] = {"busy", "steal", 1},
	[IDLE_BALLOON] = {"idle", "balloon", 256},
	[BUSY_BALLOON] = {"busy", "balloon", 256},
	[IDLE_SWAPPED] = {"idle", "swapped", 256},
	[BUSY_SWAPPED] = {"busy", "swapped", 256},
};

static const char *const paper_columns[] = {"vm1_alloc", "vm1_used", "vm2_alloc", "vm2_used"};

struct fig7 {
	struct curves curves;
	struct paper *paper;
};

static double mean(const struct fig7 *f, enum column c, double from_s, double until_s)
{
	return curves_mean(&f->curves, c, from_s / 60, until_s / 60);
}

static double before(const struct fig7 *f, enum column c)
{
	return mean(f, c, BEFORE_S, CHANGE_S);
}

static double after(const struct fig7 *f, enum column c)
{
	return mean(f, c, AFTER_S, ROWS);
}

/* The busy guest's operations by the time in which it could run, a second of it. */
static double able_rate(const struct fig7 *f, double from_s, double until_s)
{
	double done = 0, able = 0;

	for (size_t row = (size_t)from_s; row < (size_t)until_s; row++) {
		double rate = curves_cell(&f->curves, row, RATE),
		       steal = curves_cell(&f->curves, row, STEAL);
		if (isnan(rate) || isnan(steal))
			continue;
		done += rate;
		able += 1 - steal;
	}
	return able > 0 ? done / able : NAN;
}

static double minute(double s)
{
	return 31 + (s - CHANGE_S) / MINUTE_S;
}

static double paper_at(const struct fig7 *f, double s, const char *column)
{
	double m = minute(s);

	return m < 0 ? NAN : paper_value(f->paper, (size_t)lround(m * 10), column);
}

static double paper_mean(const struct fig7 *f, const char *column, double from, double until)
{
	double sum = 0;
	size_t n = 0;

	for (long row = lround(from * 10); row < lround(until * 10); row++, n++)
		sum += paper_value(f->paper, (size_t)row, column);
	return sum / (double)n;
}

static int write_csv(const struct fig7 *f, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID "-live.csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("t_s,figure_min,idle_mb,idle_used_mb,idle_target_mb,busy_mb,busy_used_mb,"
	      "busy_target_mb,ops_per_s,steal,idle_balloon_mb,busy_balloon_mb,idle_swapped_mb,"
	      "busy_swapped_mb,paper_idle_mb,paper_idle_used_mb,paper_busy_mb,"
	      "paper_busy_used_mb\n",
	      out);
	for (size_t row = 0; row < ROWS; row++) {
		double s = (double)row + 0.5;
		fprintf(out, "%.1f,%.2f", s, minute(s));
		for (size_t c = 0; c < COLUMNS + ARRAY_LEN(paper_columns); c++) {
			double v = c < COLUMNS ? curves_cell(&f->curves, row, c)
					       : paper_at(f, s, paper_columns[c - COLUMNS]);
			fprintf(out, isnan(v) ? "," : ",%.2f", v);
		}
		fputc('\n', out);
	}
	return draft_commit(draft, err);
}

static void tell_row(const struct fig7 *f, json_t *told, const char *what, enum column idle,
		     enum column busy, const char *const *paper, bool taxed)
{
	double from = taxed ? 32 : 9, until = taxed ? 58 : 31;

	tell(told, "%-27s %5.1f   %5.1f     %5.1f   %5.1f", what,
	     taxed ? after(f, idle) : before(f, idle), paper_mean(f, paper[0], from, until),
	     taxed ? after(f, busy) : before(f, busy), paper_mean(f, paper[1], from, until));
}

/* What is charged for so much memory, in active MB. */
static double charge(double held, double used)
{
	return used + K * (held - used);
}

/*
 * Equal shares make equal charges (section 5.2), as far as a guest can have so
 * much: this is how the two would divide what they hold, by what they use.
 */
static void predict(const struct fig7 *f, double *idle, double *busy)
{
	const double all = after(f, IDLE) + after(f, BUSY);

	*busy = all / 2 + (1 - 1 / K) / 2 * (after(f, BUSY_USED) - after(f, IDLE_USED));
	*busy = fmin(*busy, VM_MB);
	*idle = all - *busy;
}

static void tell_numbers(const struct fig7 *f, json_t *told)
{
	static const char *const held[] = {"vm1_alloc", "vm2_alloc"}, *const used[] = {"vm1_used",
										       "vm2_used"};
	double idle, busy;

	predict(f, &idle, &busy);
	tell(told, "live: mean MB               idle guest        busy guest");
	tell(told, "                             ours   paper        ours   paper");
	tell_row(f, told, "held, no tax", IDLE, BUSY, held, false);
	tell_row(f, told, "used, no tax", IDLE_USED, BUSY_USED, used, false);
	tell_row(f, told, "held, tax of 75 %", IDLE, BUSY, held, true);
	tell_row(f, told, "used, tax of 75 %", IDLE_USED, BUSY_USED, used, true);
	tell(told, "%-27s %5.1f             %5.1f", "formula, by what they use", idle, busy);
	tell(told, "in balloons, tax of 75 %%    %5.1f             %5.1f", after(f, IDLE_BALLOON),
	     after(f, BUSY_BALLOON));
	tell(told, "swapped, tax of 75 %%        %5.1f             %5.1f", after(f, IDLE_SWAPPED),
	     after(f, BUSY_SWAPPED));
	tell(told, "targets: %.1f and %.1f MB without, %.1f and %.1f MB with the tax",
	     before(f, IDLE_TARGET), before(f, BUSY_TARGET), after(f, IDLE_TARGET),
	     after(f, BUSY_TARGET));
	tell(told,
	     "The file server's operations a second: %.0f without, %.0f with the tax; by "
	     "CPUs of its own %.0f, %.0f.",
	     before(f, RATE), after(f, RATE), able_rate(f, BEFORE_S, CHANGE_S),
	     able_rate(f, AFTER_S, ROWS));
}

static void explain(const struct fig7 *f, json_t *told)
{
	expect_explain(told,
		       "by sampling the file server uses %.0f %% of what it holds, and the paper's "
		       "dbench 83 %%: its own idle memory is taxed, too, so less comes to it",
		       100 * after(f, BUSY_USED) / after(f, BUSY));
}

/* The busy guest's charge against the idle one's, % more. */
static double charged_more(const struct fig7 *f, double idle, double busy)
{
	return 100 * (charge(busy, after(f, BUSY_USED)) / charge(idle, after(f, IDLE_USED)) - 1);
}

static void expect_all(const struct fig7 *f, json_t *told)
{
	double gain = 100 * (able_rate(f, AFTER_S, ROWS) / able_rate(f, BEFORE_S, CHANGE_S) - 1),
	       idle, busy;

	expect_near(told, SOURCE, 179, 0.1 * 179, before(f, IDLE),
		    "live: the idle guest's memory without a tax, MB");
	expect_near(told, SOURCE, 179, 0.1 * 179, before(f, BUSY),
		    "live: the busy guest's memory without a tax, MB");
	expect_near(told, SOURCE, 101, 0.1 * 101, after(f, IDLE),
		    "live: the idle guest's memory with a tax of 75 %%, MB");
	explain(f, told);
	expect_near(told, SOURCE, 243, 0.1 * 243, after(f, BUSY),
		    "live: the busy guest's memory with a tax of 75 %%, MB");
	explain(f, told);
	predict(f, &idle, &busy);
	expect_near(told,
		    "equal shares, equal charges, or less for who has all of its size: Waldspurger "
		    "2002, section 5.2",
		    charged_more(f, idle, busy), 10,
		    charged_more(f, after(f, IDLE), after(f, BUSY)),
		    "live: what the busy guest is charged at 75 %%, against the idle one, %% more");
	const struct expectation e = {
		.quantity = "live: gain of the file server's throughput, %",
		.when = "by the tax",
		.relation = EXPECT_AT_LEAST,
		.target = 30,
		.value = gain,
		.source = "Waldspurger 2002, section 5.4: over 30 %",
		.calibrated = true,
	};
	expect(told, &e);
	expect_explain(
		told,
		"the guest waited for this machine's processors %.0f %% of the time before and "
		"%.0f %% after; while it waits for its disk more of them would not have helped "
		"it, so before the change it is credited with too much",
		100 * before(f, STEAL), 100 * after(f, STEAL));
}

static void tell_notes(json_t *told)
{
	tell_note(
		told, NOTE_CALIBRATED,
		"The machine's memory, so that 358 MB are left for guests, as in the figure. The "
		"file server's files (12 clients, each with 20 MB, as dbench's), so that they are "
		"more than a guest of 256 MB can keep: whatever it is given, it uses.");
	tell_note(
		told, NOTE_CALIBRATED,
		"5 s for a minute, and a sampling period of 15 s: the guests run at the pace of "
		"this machine, not at 12 times that of the figure's. In a period the file server "
		"must come round what it holds, else what it uses is estimated too low: 2.5 s, the "
		"figure's 30 at this pace, would be too short.");
	tell_note(
		told, NOTE_CALIBRATED,
		"The file server's disk serves 1000 requests a second: eight times as many as one "
		"of 2001 (125 are ours to assume), since the guest moves eight times what dbench "
		"did in one of 256 MB (Fig. 2: 17.8 MB/s). The gain in throughput hangs on it: of "
		"a "
		"disk without a limit, a file in this machine's memory, it is some 20 %%.");
}

static int run_and_tell(struct fig7 *f, const char *dir, json_t *told, struct err *err)
{
	char disk[LIVE_DISK_PATH], text[LIVE_DISK_PATH + 40];
	int fd;

	int rc = live_variant_disk(DISK, &fd, disk, err);
	if (rc)
		return rc;
	snprintf(text, sizeof text, "vm busy { disk = \"%s\" }\n", disk);
	rc = curves_take(&f->curves, ID "/live.job", text, err);
	close(fd);
	if (rc)
		return rc;
	rc = write_csv(f, dir, err);
	if (rc == 0)
		rc = live_variant_plot(ID, dir, told, err);
	if (rc == 0) {
		tell_numbers(f, told);
		expect_all(f, told);
		tell_notes(told);
		rc = live_variant_tell(ID, told, err);
	}
	curves_free(&f->curves);
	return rc;
}

int esx_fig7_live_run(const char *dir, json_t *told, struct err *err)
{
	struct fig7 f = {
		.curves =
			{
				.of = columns,
				.columns = COLUMNS,
				.rows = ROWS,
				.step_ns = UINT64_C(1000000000),
			},
	};

	int rc = paper_load("paper/fig7_idletax.csv", &f.paper, err);
	if (rc)
		return rc;
	rc = module_for_guests(err);
	rc = rc ? rc : run_and_tell(&f, dir, told, err);
	free(f.paper);
	return rc;
}
