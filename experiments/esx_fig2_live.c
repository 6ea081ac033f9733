/*
 * esx-fig2-live: the load of a file server in a real Linux guest configured with
 * so much memory, and in one of the largest size that is ballooned down to the
 * same (Waldspurger 2002, section 3.2, Fig. 2).
 *
 * The two run side by side, so that what else the machine does it does to both,
 * and both count by the time in which they could run (live/steal.h). At the
 * largest size nothing is in the balloon: what differs there is noise. The
 * paper's guests have the memory of 2001, so its bars stand beside by their
 * place in the series and as shares of the largest.
 */
#include "experiments/experiment.h"

#include "experiments/curves.h"
#include "experiments/expect.h"
#include "experiments/live_variant.h"
#include "experiments/module_make.h"
#include "experiments/outdir.h"
#include "experiments/paper.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define ID	  "esx-fig2"
#define SIZES	  3 /* 96 to 160 MB, by 32 */
#define LAST	  (SIZES - 1)
#define RUNS	  3
#define TIME_S	  23 /* of a pair of guests at first; twice as long where they are late */
#define TIME_MOST 92
#define LEAST_S	  4 /* of work that is measured, after a second of it that is not */
#define WITHIN	  6 /* % */
#define DISK	  (INT64_C(200) << 20)
#define SOURCE	  "Waldspurger 2002, Fig. 2: 1.4 to 4.4 % less; our own bound"

enum column { A_OPS, A_STEAL, B_OPS, B_STEAL, B_BALLOON, COLUMNS };

static const struct curve_of columns[COLUMNS] = {
	[A_OPS] = {"a", "ops_per_s", 1},     [A_STEAL] = {"a", "steal", 1},
	[B_OPS] = {"b", "ops_per_s", 1},     [B_STEAL] = {"b", "steal", 1},
	[B_BALLOON] = {"b", "balloon", 256},
};

struct measured {
	size_t runs;
	double configured[RUNS], ballooned[RUNS]; /* operations a second */
	double balloon_mb, steal;		  /* means of all runs */
};

struct fig2 {
	struct paper *paper;
	unsigned time_s; /* of a pair */
	struct measured at[SIZES];
};

static uint32_t size_mb(size_t i)
{
	return 96 + 32 * (uint32_t)i;
}

/* Of the largest, which has nothing in its balloon, one: it shows the noise. */
static size_t runs_of(size_t i)
{
	return i == LAST ? 1 : RUNS;
}

static double mean_of(const struct measured *m, const double value[RUNS])
{
	double sum = 0;

	for (size_t i = 0; i < m->runs; i++)
		sum += value[i];
	return sum / (double)m->runs;
}

/* From the least to the most, in % of the mean. */
static double spread_of(const struct measured *m, const double value[RUNS])
{
	double least = INFINITY, most = -INFINITY;

	for (size_t i = 0; i < m->runs; i++) {
		least = fmin(least, value[i]);
		most = fmax(most, value[i]);
	}
	return 100 * (most - least) / mean_of(m, value);
}

/* The first row behind a second in which both have worked; c->rows: there is none. */
static size_t at_work(const struct curves *c)
{
	size_t row = 0;

	while (row < c->rows && !(curves_cell(c, row, A_OPS) > 0 && curves_cell(c, row, B_OPS) > 0))
		row++;
	return row < c->rows ? row + 1 : row;
}

/* Operations by the time in which the guest could run, from that row on. */
static double rate(const struct curves *c, size_t row, enum column ops, enum column steal)
{
	double done = 0, able = 0;

	for (; row < c->rows; row++) {
		const double o = curves_cell(c, row, ops), s = curves_cell(c, row, steal);
		if (isnan(o) || isnan(s) || s >= 1)
			continue;
		done += o;
		able += 1 - s;
	}
	return able > 0 ? done / able : NAN;
}

#define RUN_FORMAT                                                                                 \
	"mke2fs -b 4096 /dev/vda >/dev/null; mount -t ext4 /dev/vda /disk; "                       \
	"fileserver -c 4 -m 20m -s 1000 -r %zu -d /disk"

/* What the setting adds to live.job. */
static void format_setting(const struct fig2 *f, size_t size, size_t run,
			   char disk[2][LIVE_DISK_PATH], char *buf, size_t room)
{
	snprintf(buf, room,
		 "live { time = %us }\n"
		 "vm a { memory = %umb disk = \"%s\" run = \"" RUN_FORMAT "\" }\n"
		 "vm b { balloon_size = %umb disk = \"%s\" run = \"" RUN_FORMAT "\" }\n",
		 f->time_s + 1, size_mb(size), disk[0], run + 1, size_mb(LAST) - size_mb(size),
		 disk[1], run + 1);
}

/* The job with the setting, on disks of its own. */
static int take(const struct fig2 *f, size_t size, size_t run, struct curves *c, struct err *err)
{
	char disk[2][LIVE_DISK_PATH], text[1024];
	int fd[2] = {-1, -1}, rc = 0;

	for (size_t i = 0; rc == 0 && i < 2; i++)
		rc = live_variant_disk(DISK, &fd[i], disk[i], err);
	if (rc == 0) {
		format_setting(f, size, run, disk, text, sizeof text);
		rc = curves_take(c, ID "/live.job", text, err);
	}
	for (size_t i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
	}
	return rc;
}

/* -EAGAIN: the guests were late, and have more time from now on. */
static int run_pair(struct fig2 *f, size_t size, size_t run, struct err *err)
{
	struct curves c = {.of = columns,
			   .columns = COLUMNS,
			   .rows = f->time_s,
			   .step_ns = UINT64_C(1000000000)};
	struct measured *m = &f->at[size];

	int rc = take(f, size, run, &c, err);
	if (rc)
		return rc;
	const size_t from = at_work(&c);
	if (from + LEAST_S <= c.rows) {
		const double from_min = (double)from / 60, until_min = f->time_s / 60.0;
		const double part = 1 / (double)runs_of(size);
		m->runs = run + 1;
		m->configured[run] = rate(&c, from, A_OPS, A_STEAL);
		m->ballooned[run] = rate(&c, from, B_OPS, B_STEAL);
		m->balloon_mb += part * curves_mean(&c, B_BALLOON, from_min, until_min);
		m->steal += part / 2 *
			    (curves_mean(&c, A_STEAL, from_min, until_min) +
			     curves_mean(&c, B_STEAL, from_min, until_min));
	} else if (2 * f->time_s <= TIME_MOST) {
		rc = -EAGAIN;
		f->time_s *= 2;
	} else {
		rc = err_run(err, ETIMEDOUT,
			     "the guests were not at work within %u s: this machine is too busy",
			     f->time_s - LEAST_S);
	}
	curves_free(&c);
	return rc;
}

static int run_in_time(struct fig2 *f, size_t size, size_t run, struct err *err)
{
	int rc;

	do
		rc = run_pair(f, size, run, err);
	while (rc == -EAGAIN);
	return rc;
}

static int run_all(struct fig2 *f, struct err *err)
{
	int rc = 0;

	for (size_t run = 0; rc == 0 && run < RUNS; run++) {
		for (size_t size = 0; rc == 0 && size < SIZES; size++)
			rc = run < runs_of(size) ? run_in_time(f, size, run, err) : 0;
	}
	return rc;
}

/* The paper's sizes from 128 MB on stand for ours in their order, its largest for our largest. */
static double paper(const struct fig2 *f, size_t size, const char *column)
{
	static const size_t row[SIZES] = {0, 2, 4};

	return paper_value(f->paper, row[size], column);
}

static double paper_share(const struct fig2 *f, size_t size, const char *column)
{
	return 100 * paper(f, size, column) / paper(f, LAST, "configured_mb_s");
}

static double share(const struct fig2 *f, double ops)
{
	return 100 * ops / mean_of(&f->at[LAST], f->at[LAST].configured);
}

/* Of the ratios of pairs, so that what hit both is out of it. % */
static double loss(const struct measured *m)
{
	double ratio[RUNS];

	for (size_t i = 0; i < m->runs; i++)
		ratio[i] = m->ballooned[i] / m->configured[i];
	return 100 * (1 - mean_of(m, ratio));
}

static int write_csv(const struct fig2 *f, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID "-live.csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("vm_mb,balloon_mb,configured_ops,configured_spread_pct,ballooned_ops,"
	      "ballooned_spread_pct,configured_pct,ballooned_pct,paper_configured_pct,"
	      "paper_ballooned_pct,steal_pct\n",
	      out);
	for (size_t i = 0; i < SIZES; i++) {
		const struct measured *m = &f->at[i];
		const double c = mean_of(m, m->configured), b = mean_of(m, m->ballooned);
		fprintf(out, "%u,%.1f,%.0f,%.1f,%.0f,%.1f,%.1f,%.1f,%.1f,", size_mb(i),
			m->balloon_mb, c, spread_of(m, m->configured), b,
			spread_of(m, m->ballooned), share(f, c), share(f, b),
			paper_share(f, i, "configured_mb_s"));
		if (i < LAST)
			fprintf(out, "%.1f", paper_share(f, i, "ballooned_mb_s"));
		fprintf(out, ",%.1f\n", 100 * m->steal);
	}
	return draft_commit(draft, err);
}

static void tell_table(const struct fig2 *f, json_t *told)
{
	tell(told,
	     "live: operations a second of a file server, 4 clients, 80 MB of files; mean of "
	     "%d (least to most, %% of it)",
	     RUNS);
	tell(told, "  MB   configured        ballooned                     loss    paper's loss   "
		   "busy");
	for (size_t i = 0; i < SIZES; i++) {
		const struct measured *m = &f->at[i];
		char theirs[20] = "";
		if (i < LAST)
			snprintf(theirs, sizeof theirs, "%.1f %%",
				 100 * (1 - paper(f, i, "ballooned_mb_s") /
						    paper(f, i, "configured_mb_s")));
		tell(told,
		     " %3u  %6.0f (%4.1f %%)   %6.0f (%4.1f %%) by %4.1f MB   %5.1f %%   %8s   "
		     "%6.0f %%",
		     size_mb(i), mean_of(m, m->configured), spread_of(m, m->configured),
		     mean_of(m, m->ballooned), spread_of(m, m->ballooned), m->balloon_mb, loss(m),
		     theirs, 100 * m->steal);
	}
	tell(told,
	     "  At %u MB nothing is in the balloon: the loss there is what differs between two "
	     "guests that are alike.",
	     size_mb(LAST));
	tell(told, "  busy: share of the time in which the guests waited for one of this machine's "
		   "processors; it is taken out.");
}

static void expect_all(const struct fig2 *f, json_t *told)
{
	char when[40];

	for (size_t i = 0; i < LAST; i++) {
		const struct expectation e = {
			.quantity = "live: less than configured, by the balloon, %",
			.when = when,
			.relation = EXPECT_AT_MOST,
			.target = WITHIN,
			.value = loss(&f->at[i]),
			.source = SOURCE,
		};
		const struct expectation filled = {
			.quantity = "live: in the balloon, MB",
			.when = when,
			.relation = EXPECT_AT_LEAST,
			.target = 0.9 * (size_mb(LAST) - size_mb(i)),
			.value = f->at[i].balloon_mb,
			.source = "else the two guests are not of one size",
		};
		snprintf(when, sizeof when, "%u MB", size_mb(i));
		expect(told, &filled);
		expect(told, &e);
		if (fabs(loss(&f->at[LAST])) > WITHIN / 2.0 || f->at[i].steal > 0.2)
			expect_explain(told,
				       "the machine was busy with other things: two guests that "
				       "are alike differed by %.1f %%, and waited for a processor "
				       "for %.0f %% of their time",
				       fabs(loss(&f->at[LAST])), 100 * f->at[i].steal);
	}
	const struct expectation more = {
		.quantity = "live: configured, the smallest as a share of the largest, %",
		.relation = EXPECT_AT_MOST,
		.target = 90,
		.value = share(f, mean_of(&f->at[0], f->at[0].configured)),
		.source = "memory matters to this load; the paper's 128 MB gave 64 % of its 256",
	};
	expect(told, &more);
}

/* The guests' kernel is the newest one with headers here. */
int esx_fig2_live_run(const char *dir, json_t *told, struct err *err)
{
	struct fig2 f = {.time_s = TIME_S};

	int rc = paper_load("paper/fig2_balloon.csv", &f.paper, err);
	if (rc)
		return rc;
	rc = module_for_guests(err);
	rc = rc ? rc : run_all(&f, err);
	rc = rc ? rc : write_csv(&f, dir, err);
	rc = rc ? rc : live_variant_plot(ID, dir, told, err);
	if (rc == 0) {
		tell_table(&f, told);
		expect_all(&f, told);
		tell_note(told, NOTE_ASSUMED,
			  "Sizes, files and disk are ours: the paper's bars stand beside as shares "
			  "of its largest, its 128, 192 and 256 MB for our 96, 128 and 160. What "
			  "the cache does not hold comes from a file in this machine's memory, so "
			  "a miss costs the emulated disk's time and no seek.");
		rc = live_variant_tell(ID, told, err);
	}
	free(f.paper);
	return rc;
}
