/*
 * free-hints: what a host gains by being told which pages of a guest are free,
 * without any balloon, and what it costs (what users of today's balloons ask
 * for most; the paper does not have it).
 *
 * A guest that gives memory back to its own allocator gives nothing to the host:
 * what it ever touched stays. With hints it comes back at the rate that is
 * allowed, and each page that is used again costs a fault and a zeroed frame.
 */
#include "experiments/curves.h"
#include "experiments/expect.h"
#include "experiments/experiment.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"
#include "experiments/watch.h"

#include <errno.h>
#include <stdlib.h>

#define ID	"free-hints"
#define ROWS	200 /* 3 s each, 10 minutes */
#define STEP_NS UINT64_C(3000000000)
#define FROM	1.0 /* minutes: the guest has booted */
#define UNTIL	10.0

static const struct {
	const char *name, *options;
} ways[] = {
	{"off", "balloon { hints = off }\n"},
	{"4 MB/s", "balloon { hints = on hint_rate = 4mb }\n"},
	{"16 MB/s", "balloon { hints = on hint_rate = 16mb }\n"},
	{"64 MB/s", "balloon { hints = on hint_rate = 64mb }\n"},
};

#define WAYS ARRAY_LEN(ways)

enum column { HELD, FRAMES, HINTED, FAULTS, OPS, COLUMNS };

static const struct curve_of columns[COLUMNS] = {
	[HELD] = {"a", "held", 256},   [FRAMES] = {"a", "hint_frames", 256},
	[HINTED] = {"a", "hinted", 1}, [FAULTS] = {"a", "faults", 1},
	[OPS] = {"a", "work_ops", 1},
};

struct result {
	uint16_t held[ROWS]; /* MB */
	double mean, least, end[COLUMNS];
};

static int run_one(void *arg, size_t task, void *result, struct err *err)
{
	struct curves w = {.of = columns, .columns = COLUMNS, .rows = ROWS, .step_ns = STEP_NS};
	struct result *r = result;

	(void)arg;
	int rc = curves_take(&w, ID "/base.job", ways[task].options, err);
	if (rc)
		return rc;
	for (size_t row = 0; row < ROWS; row++)
		r->held[row] = (uint16_t)curves_cell(&w, row, HELD);
	for (enum column c = 0; c < COLUMNS; c++)
		r->end[c] = w.end[c];
	r->mean = curves_mean(&w, HELD, FROM, UNTIL);
	r->least = curves_least(&w, HELD, FROM, UNTIL);
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
	fputs("t_min,off_mb,rate4_mb,rate16_mb,rate64_mb\n", out);
	for (size_t row = 0; row < ROWS; row++) {
		fprintf(out, "%.3f", ((double)row + 0.5) * STEP_NS / 6e10);
		for (size_t i = 0; i < WAYS; i++)
			fprintf(out, ",%d", r[i].held[row]);
		fputc('\n', out);
	}
	return draft_commit(draft, err);
}

static void tell_all(const struct result *r, json_t *told)
{
	tell(told, "hints     mean MB held  least   MB got back    faults  pages told  work done");
	for (size_t i = 0; i < WAYS; i++)
		tell(told, "%-8s         %5.0f  %5.0f        %6.0f  %8.0f  %10.0f  %9.0f",
		     ways[i].name, r[i].mean, r[i].least, r[i].end[FRAMES], r[i].end[FAULTS],
		     r[i].end[HINTED], r[i].end[OPS]);
	tell_note(told, NOTE_PREDICTED, "All of it; the paper has no such hints.");
	tell_note(
		told, NOTE_ASSUMED,
		"A guest of 256 MB in a machine with room for it: a program that takes 110 MB and "
		"gives them back three times, and a build (" ID "/base.job).");
}

static void expect_all(const struct result *r, json_t *told)
{
	const char *source = "what hints are for: no memory held that is free";
	const struct expectation gain = {
		.quantity = "memory held, times that without hints",
		.when = "64 MB/s, mean",
		.relation = EXPECT_AT_MOST,
		.target = 0.75,
		.value = r[WAYS - 1].mean / r[0].mean,
		.source = source,
	};
	const struct expectation work = {
		.quantity = "work done, times that without hints",
		.when = "64 MB/s",
		.relation = EXPECT_AT_LEAST,
		.target = 1,
		.value = r[WAYS - 1].end[OPS] / r[0].end[OPS],
		.source = "a guest with memory to spare loses nothing but faults",
	};

	expect(told, &gain);
	expect(told, &work);
}

int free_hints_run(const char *dir, json_t *told, struct err *err)
{
	struct result result[WAYS] = {0};
	int rc = parallel_each(ID, WAYS, run_one, NULL, result, sizeof *result, err);
	if (rc == 0)
		rc = write_csv(result, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc == 0)
		rc = watch_tell_job(told, ID ".job", ID "/base.job", ways[WAYS - 1].options, err);
	if (rc)
		return rc;
	tell_all(result, told);
	expect_all(result, told);
	return 0;
}
