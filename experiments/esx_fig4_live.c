/*
 * esx-fig4-live: one to four real Linux guests, all alike; shared, reclaimed and
 * zero memory against their number (Waldspurger 2002, Fig. 4).
 *
 * The paper's guests ran SPEC95 in 40 MB each, ours idle after their boot; so the
 * curves are to be of one shape, not the same.
 */
#include "experiments/experiment.h"

#include "experiments/curves.h"
#include "experiments/expect.h"
#include "experiments/live_variant.h"
#include "experiments/outdir.h"
#include "experiments/paper.h"

#include <math.h>
#include <stdlib.h>

#define ID     "esx-fig4"
#define GUESTS 4
#define STEP_S 22 /* s from one guest to the next, as in live.job */
#define LAST_S 3  /* of each step: over so many s a point is a mean */
#define ROWS   (GUESTS * STEP_S)
#define SOURCE "Waldspurger 2002, Fig. 4"

enum column {
	SAVED,
	PRIVATE,
	SHARED = PRIVATE + GUESTS,
	ZERO = SHARED + GUESTS,
	COLUMNS = ZERO + GUESTS
};

static const struct curve_of columns[COLUMNS] = {
	{NULL, "share_saved", 256}, {"a", "private", 256},    {"b", "private", 256},
	{"c", "private", 256},	    {"d", "private", 256},    {"a", "shared", 256},
	{"b", "shared", 256},	    {"c", "shared", 256},     {"d", "shared", 256},
	{"a", "share_zero", 256},   {"b", "share_zero", 256}, {"c", "share_zero", 256},
	{"d", "share_zero", 256},
};

/* MB, of n guests. */
struct point {
	double memory, shared, reclaimed, zero;
};

struct fig4 {
	struct curves curves;
	struct paper *paper;
	struct point point[GUESTS + 1];
};

static double mean(const struct fig4 *f, size_t n, size_t column)
{
	double until = (double)n * STEP_S / 60, value;

	value = curves_mean(&f->curves, column, until - LAST_S / 60.0, until);
	return isnan(value) ? 0 : value; /* a guest that is still to come */
}

static void take_points(struct fig4 *f)
{
	for (size_t n = 1; n <= GUESTS; n++) {
		struct point *p = &f->point[n];
		p->reclaimed = mean(f, n, SAVED);
		for (size_t i = 0; i < GUESTS; i++) {
			p->memory += mean(f, n, PRIVATE + i) + mean(f, n, SHARED + i);
			p->shared += mean(f, n, SHARED + i);
			p->zero += mean(f, n, ZERO + i);
		}
	}
}

static double percent(const struct fig4 *f, size_t n, double mb)
{
	return 100 * mb / f->point[n].memory;
}

static double paper(const struct fig4 *f, size_t n, const char *column)
{
	return paper_value(f->paper, n - 1, column);
}

static int write_csv(const struct fig4 *f, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID "-live.csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("vms,vm_mb,shared_mb,reclaimed_mb,zero_mb,shared_pct,reclaimed_pct,kept_pct,"
	      "paper_shared_pct,paper_reclaimed_pct,paper_kept_pct\n",
	      out);
	for (size_t n = 1; n <= GUESTS; n++) {
		const struct point *p = &f->point[n];
		fprintf(out, "%zu,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.1f,%.1f,%.1f\n", n,
			p->memory, p->shared, p->reclaimed, p->zero, percent(f, n, p->shared),
			percent(f, n, p->reclaimed), percent(f, n, p->shared - p->reclaimed),
			paper(f, n, "shared_pct"), paper(f, n, "reclaimed_pct"),
			paper(f, n, "shared_minus_reclaimed_pct"));
	}
	return draft_commit(draft, err);
}

static void expect_one(json_t *told, enum relation relation, double target, double value,
		       const char *quantity, const char *when, const char *source)
{
	const struct expectation e = {
		.quantity = quantity,
		.when = when,
		.relation = relation,
		.target = target,
		.value = value,
		.source = source,
	};

	expect(told, &e);
}

static void expect_all(const struct fig4 *f, json_t *told)
{
	const struct point *p = f->point;
	double least = INFINITY;

	for (size_t n = 2; n <= GUESTS; n++)
		least = fmin(least,
			     percent(f, n, p[n].reclaimed) - percent(f, n - 1, p[n - 1].reclaimed));
	expect_one(told, EXPECT_AT_LEAST, 50, percent(f, 2, p[2].reclaimed),
		   "live: reclaimed, % of the guests' memory", "2 guests",
		   "measured before on two idle Linux guests: 58 to 59");
	expect_one(told, EXPECT_AT_LEAST, 0, least,
		   "live: reclaimed by each further guest, points more", "the least",
		   SOURCE ": 23.8, 9.5 and 5.1");
	expect_one(told, EXPECT_AT_LEAST, paper(f, 2, "shared_pct"), percent(f, 2, p[2].shared),
		   "live: shared, % of the guests' memory", "2 guests",
		   SOURCE "; idle guests differ less than the paper's, which worked");
	expect_one(told, EXPECT_AT_MOST, 1.4,
		   (p[GUESTS].shared - p[GUESTS].reclaimed) / (p[2].shared - p[2].reclaimed),
		   "live: the single copies that are kept, of 4 guests by 2", NULL,
		   SOURCE ": 1.21");
}

static void tell_all(const struct fig4 *f, json_t *told)
{
	tell(told, "live: Linux guests of 112 MB each, booted and idle; %% of the memory that they "
		   "have touched: ours, the paper's");
	tell(told, " N      MB   shared        reclaimed     kept          zero MB");
	for (size_t n = 1; n <= GUESTS; n++) {
		const struct point *p = &f->point[n];
		tell(told, "%2zu  %6.1f   %4.1f, %4.1f    %4.1f, %4.1f    %4.1f, %4.1f    %5.1f", n,
		     p->memory, percent(f, n, p->shared), paper(f, n, "shared_pct"),
		     percent(f, n, p->reclaimed), paper(f, n, "reclaimed_pct"),
		     percent(f, n, p->shared - p->reclaimed),
		     paper(f, n, "shared_minus_reclaimed_pct"), p->zero);
	}
	expect_all(f, told);
	tell_note(told, NOTE_ASSUMED,
		  "A point is the mean of the last %d s before the next guest starts; by then "
		  "every page has been looked at a few times.",
		  LAST_S);
	tell_note(told, NOTE_NOT_MODELLED, "The paper's load: its guests ran SPEC95, ours idle.");
}

static int run_and_tell(struct fig4 *f, const char *dir, json_t *told, struct err *err)
{
	int rc = curves_take(&f->curves, ID "/live.job", "", err);

	if (rc)
		return rc;
	take_points(f);
	curves_free(&f->curves);
	rc = write_csv(f, dir, err);
	if (rc == 0)
		rc = live_variant_plot(ID, dir, told, err);
	if (rc)
		return rc;
	tell_all(f, told);
	return live_variant_tell(ID, told, err);
}

int esx_fig4_live_run(const char *dir, json_t *told, struct err *err)
{
	struct fig4 f = {
		.curves =
			{
				.of = columns,
				.columns = COLUMNS,
				.rows = ROWS,
				.step_ns = UINT64_C(1000000000),
			},
	};

	int rc = paper_load("paper/fig4_sharing.csv", &f.paper, err);
	if (rc)
		return rc;
	rc = run_and_tell(&f, dir, told, err);
	free(f.paper);
	return rc;
}
