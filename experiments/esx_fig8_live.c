/*
 * esx-fig8-live: four real Linux guests boot at once into too little memory,
 * before their balloons are up, and then one of them needs much (Waldspurger
 * 2002, section 6.3 and Fig. 8, in small).
 *
 * The paper's five Windows guests ran for 90 minutes in a gigabyte; these run for two
 * minutes in 176 MB, so only the shape is to be the same: which
 * states the host goes through, that balloons take over from paging once they
 * are up, and that memory goes where it is used.
 */
#include "experiments/experiment.h"

#include "experiments/curves.h"
#include "experiments/expect.h"
#include "experiments/live_variant.h"
#include "experiments/module_make.h"
#include "experiments/outdir.h"

#include <math.h>
#include <stdlib.h>

#define ID	   "esx-fig8"
#define ROWS	   240
#define STEP_NS	   UINT64_C(500000000)
#define MACHINE_MB 176 /* as in live.job */
#define BURST_MB   48  /* that db touches for a while */
#define EARLIER	   10  /* rows: a program tells of a second when it is over, and may be late */
#define BALLOONED  8   /* MB, a sixth of the burst: the others' balloons grow by at least */
#define SECTION	   "Waldspurger 2002, section 6.3"
#define MINUTE_S   60.0

enum host_column { SAVED, SLOTS, STATE, HIGH, SOFT, HARD, LOW, HOST_COLUMNS };
enum vm_column { HELD, ACTIVE, BALLOON, SHARED, TOUCHED, SWAP_OUTS, TOLD, VM_COLUMNS };
enum guest_vm { WEB, MAIL, TERM, DB, GUESTS };

#define COLUMNS		 (HOST_COLUMNS + GUESTS * VM_COLUMNS)
#define COLUMN_OF(vm, c) (HOST_COLUMNS + (size_t)(vm)*VM_COLUMNS + (size_t)(c))

#define GUEST(name)                                                                                \
	{name, "held", 256}, {name, "active", 256}, {name, "balloon", 256}, {name, "shared", 256}, \
		{name, "touched_mb", 1}, {name, "swap_outs", 256},                                 \
	{                                                                                          \
		name, "told_free", 256                                                             \
	}

static const struct curve_of columns[COLUMNS] = {
	{NULL, "share_saved", 256},
	{NULL, "swap_slots_used", 256},
	{NULL, "state", 1},
	{NULL, "high_ns", 1e9},
	{NULL, "soft_ns", 1e9},
	{NULL, "hard_ns", 1e9},
	{NULL, "low_ns", 1e9},
	GUEST("web"),
	GUEST("mail"),
	GUEST("term"),
	GUEST("db"),
};

static double cell(const struct curves *c, size_t row, size_t column)
{
	const double v = curves_cell(c, row, column);

	return isnan(v) ? 0 : v;
}

static double sum(const struct curves *c, size_t row, enum vm_column column)
{
	double s = 0;

	for (enum guest_vm vm = 0; vm < GUESTS; vm++)
		s += cell(c, row, COLUMN_OF(vm, column));
	return s;
}

static double seconds(const struct curves *c, size_t row)
{
	return curves_minutes(c, row) * MINUTE_S;
}

/* When all four drivers have told something: they are up. The last row: they never were. */
static size_t all_up(const struct curves *c)
{
	for (size_t row = 0; row < c->rows; row++) {
		bool up = true;
		for (enum guest_vm vm = 0; vm < GUESTS; vm++)
			up &= cell(c, row, COLUMN_OF(vm, TOLD)) > 0;
		if (up)
			return row;
	}
	return c->rows - 1;
}

static double most(const struct curves *c, enum vm_column column)
{
	double m = 0;

	for (size_t row = 0; row < c->rows; row++)
		m = fmax(m, sum(c, row, column));
	return m;
}

/*
 * The rows in which db's program touches its most, by its own word. It has begun
 * a second and more before the first of them.
 */
static void burst(const struct curves *c, size_t *first, size_t *end)
{
	const size_t touched = COLUMN_OF(DB, TOUCHED);

	*first = *end = c->rows;
	for (size_t row = 0; row < c->rows; row++) {
		if (cell(c, row, touched) < BURST_MB - 2)
			continue;
		*first = *first == c->rows ? row : *first;
		*end = row + 1;
	}
}

/* Of all guests but db. */
static double others(const struct curves *c, size_t row, enum vm_column column)
{
	return sum(c, row, column) - cell(c, row, COLUMN_OF(DB, column));
}

/* How much the others' balloons grow by db's burst, at most; where they were then. */
static double grown(const struct curves *c, size_t first, size_t end, size_t *at)
{
	const size_t before = first > EARLIER ? first - EARLIER : 0;

	*at = before;
	for (size_t row = before; row < end; row++) {
		if (others(c, row, BALLOON) > others(c, *at, BALLOON))
			*at = row;
	}
	return others(c, *at, BALLOON) - others(c, before, BALLOON);
}

/* Who makes way for db, and by which means. */
static void tell_burst(const struct curves *c, json_t *told, size_t first, size_t end)
{
	const size_t before = first > EARLIER ? first - EARLIER : 0;
	size_t at;
	const double growth = grown(c, first, end, &at);

	tell(told,
	     "Before db's burst the others' balloons have %.0f MB, %.1f s later %.0f, at its end "
	     "%.0f; %.0f MB of theirs are paged out in it. Its own balloon goes from %.0f to %.0f.",
	     others(c, before, BALLOON), seconds(c, at) - seconds(c, before),
	     others(c, before, BALLOON) + growth, others(c, end - 1, BALLOON),
	     others(c, end - 1, SWAP_OUTS) - others(c, before, SWAP_OUTS),
	     cell(c, before, COLUMN_OF(DB, BALLOON)), cell(c, end - 1, COLUMN_OF(DB, BALLOON)));
}

static int write_csv(const struct curves *c, const char *dir, struct err *err)
{
	static const char *const names[GUESTS] = {"web", "mail", "term", "db"};
	struct draft *draft;
	int rc = outdir_open(dir, ID "-live.csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("t_s,state,swapped,all_held,all_active,all_balloon,share_saved", out);
	for (enum guest_vm vm = 0; vm < GUESTS; vm++)
		fprintf(out, ",%s_held,%s_active,%s_balloon,%s_shared,%s_touched", names[vm],
			names[vm], names[vm], names[vm], names[vm]);
	fputc('\n', out);
	for (size_t row = 0; row < c->rows; row++) {
		fprintf(out, "%.2f,%.0f,%.1f,%.1f,%.1f,%.1f,%.1f", seconds(c, row),
			cell(c, row, STATE), cell(c, row, SLOTS), sum(c, row, HELD),
			sum(c, row, ACTIVE), sum(c, row, BALLOON), cell(c, row, SAVED));
		for (enum guest_vm vm = 0; vm < GUESTS; vm++) {
			for (enum vm_column v = HELD; v <= TOUCHED; v++)
				fprintf(out, ",%.1f", cell(c, row, COLUMN_OF(vm, v)));
		}
		fputc('\n', out);
	}
	return draft_commit(draft, err);
}

static void tell_numbers(const struct curves *c, json_t *told)
{
	const size_t last = c->rows - 1, up = all_up(c);
	size_t first, end;

	burst(c, &first, &end);
	tell(told,
	     "live: four Linux guests of 96 and 128 MB boot at once in %d MB; db uses %d MB more "
	     "from %.0f s to %.0f s",
	     MACHINE_MB, BURST_MB, first < c->rows ? seconds(c, first) : NAN,
	     end > first ? seconds(c, end - 1) : NAN);
	tell(told, "seconds in state     high    soft    hard     low");
	tell(told, "ours               %6.1f  %6.1f  %6.1f  %6.1f", cell(c, last, HIGH),
	     cell(c, last, SOFT), cell(c, last, HARD), cell(c, last, LOW));
	tell(told, "paper, minutes       88.6    2.25    0.27    0.08");
	if (up < last)
		tell(told,
		     "All balloons are up after %.1f s; until then %.0f MB are paged out, "
		     "afterwards %.0f MB.",
		     seconds(c, up), sum(c, up, SWAP_OUTS),
		     sum(c, last, SWAP_OUTS) - sum(c, up, SWAP_OUTS));
	else
		tell(told, "Not all balloons came up; %.0f MB are paged out.",
		     sum(c, last, SWAP_OUTS));
	tell(told, "Most at any time: %.0f MB allocated, %.0f MB in balloons.", most(c, HELD),
	     most(c, BALLOON));
	tell(told,
	     "At the end %.0f MB are allocated, %.0f MB saved by sharing, %.0f MB in balloons, "
	     "%.0f MB swapped.",
	     sum(c, last, HELD), cell(c, last, SAVED), sum(c, last, BALLOON), cell(c, last, SLOTS));
}

static void expect_one(json_t *told, enum relation relation, double target, double value,
		       const char *quantity, const char *source)
{
	const struct expectation e = {
		.quantity = quantity,
		.relation = relation,
		.target = target,
		.value = value,
		.source = source,
	};

	expect(told, &e);
}

static void expect_all(const struct curves *c, json_t *told)
{
	const size_t last = c->rows - 1, up = all_up(c);
	size_t first, end, at;

	burst(c, &first, &end);
	/* Of the host's own clock, which loses what it is late. */
	expect_one(told, EXPECT_AT_LEAST, 50,
		   100 * cell(c, last, HIGH) /
			   (cell(c, last, HIGH) + cell(c, last, SOFT) + cell(c, last, HARD) +
			    cell(c, last, LOW)),
		   "live: time in state high, % of all, most of it",
		   "Waldspurger 2002, Fig. 8 (a): 97");
	expect_one(told, EXPECT_AT_MOST, cell(c, last, HIGH), cell(c, last, SOFT),
		   "live: time in soft, at most as long as in high, s",
		   "Waldspurger 2002, Fig. 8 (a)");
	expect_one(told, EXPECT_AT_LEAST, MACHINE_MB, most(c, HELD),
		   "live: most memory allocated, MB, more than the machine has", SECTION);
	expect_one(told, EXPECT_AT_LEAST, 1, up < last,
		   "live: all four balloons come up (1: they do)", SECTION);
	expect_one(told, EXPECT_AT_MOST, 35,
		   100 * (1 - sum(c, up, SWAP_OUTS) / fmax(sum(c, last, SWAP_OUTS), 1)),
		   "live: paged out once the balloons are up, % of all that is paged out",
		   SECTION ": 35 MB while booting, later under 20");
	if (first == c->rows || end <= first) {
		expect_one(told, EXPECT_AT_LEAST, 1, 0,
			   "live: db comes to its burst within the run (1: it does)", "live.job");
		expect_explain(told, "the machine was too busy: the guests were late");
		return;
	}
	tell_burst(c, told, first, end);
	expect_one(told, EXPECT_AT_LEAST, BALLOONED, grown(c, first, end, &at),
		   "live: MB by which the others' balloons grow for it",
		   "Waldspurger 2002, Fig. 8 (c): some 55 MB of Citrix's for SQL's burst");
	expect_one(told, EXPECT_AT_LEAST, BURST_MB, cell(c, end - 1, COLUMN_OF(DB, HELD)),
		   "live: MB that db has at the end of its burst, at least what it touches",
		   SECTION);
}

int esx_fig8_live_run(const char *dir, json_t *told, struct err *err)
{
	struct curves c = {.of = columns, .columns = COLUMNS, .rows = ROWS, .step_ns = STEP_NS};

	int rc = module_for_guests(err);
	rc = rc ? rc : curves_take(&c, ID "/live.job", "", err);
	if (rc)
		return rc;
	rc = write_csv(&c, dir, err);
	rc = rc ? rc : live_variant_plot(ID, dir, told, err);
	if (rc == 0) {
		tell_numbers(&c, told);
		expect_all(&c, told);
		tell_note(told, NOTE_ASSUMED,
			  "Sizes, programs and pace are ours; what is to be the paper's is the "
			  "order of things. A Linux guest does not clear its memory when it "
			  "boots, so there are few zero pages to share.");
		rc = live_variant_tell(ID, told, err);
	}
	curves_free(&c);
	return rc;
}
