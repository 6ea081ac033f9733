/*
 * What an experiment has to say at its end: lines for a reader, notes on where
 * its numbers are from, and expectations, with a verdict each.
 *
 * All of it is kept in the JSON object that an experiment tells: "report"
 * (lines), "notes" (objects with kind and text), "expectations" (objects with
 * name, quantity, when, relation, value, target, tolerance, source, basis, ok,
 * and cause where a miss is explained), "jobs" (name, text). Whoever shows it,
 * on a terminal or as a page, knows no experiment. An expectation that does not
 * hold makes `ballast reproduce` end with exit code 3, explained or not; the
 * results are written all the same.
 */
#ifndef BALLAST_EXPERIMENTS_EXPECT_H
#define BALLAST_EXPERIMENTS_EXPECT_H

#include "core/job.h"

#include <jansson.h>

/* A line of the report. */
void tell(json_t *told, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Where the experiment's numbers are from: what a reader must know to judge the verdicts. */
enum note { NOTE_CALIBRATED, NOTE_PREDICTED, NOTE_ASSUMED, NOTE_NOT_MODELLED };
void tell_note(json_t *told, enum note kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * A job that made some of the rows, so that they can be made again with `ballast
 * run`; name becomes a file beside the rows ("esx-fig4-n10.job").
 */
void tell_job(json_t *told, const char *name, const struct job *job);

enum relation {
	EXPECT_NEAR,	 /* value = target +- tolerance */
	EXPECT_AT_LEAST, /* value >= target - tolerance */
	EXPECT_AT_MOST,	 /* value <= target + tolerance */
};

struct expectation {
	const char *quantity; /* "shared, % of memory" */
	const char *when;     /* "N = 10", "at the end"; NULL: the quantity says it */
	enum relation relation;
	double target, tolerance, value; /* a value of NAN does not hold */
	const char *source;		 /* of the target: "Waldspurger 2002, Fig. 4" */
	bool calibrated;   /* set from the target: it holds by construction, and proves nothing */
	const char *cause; /* why it is known not to hold; NULL: a miss is unexplained */
};

/* The strings are copied. A cause is kept only where the expectation does not hold. */
void expect(json_t *told, const struct expectation *e);

/* The short form: near, predicted, quantity and time in one phrase. */
void expect_near(json_t *told, const char *source, double target, double tolerance, double value,
		 const char *fmt, ...) PRINTF_LIKE(6, 7);

/* The cause of a miss of the last expectation; without effect if that one holds. */
void expect_explain(json_t *told, const char *fmt, ...) PRINTF_LIKE(2, 3);

struct tally {
	size_t all, failed;
	size_t explained;  /* of the failed */
	size_t calibrated; /* of all */
};

struct tally expect_tally(const json_t *told);

/* A value as both show it: to four digits, and a larger whole number in full. */
void expect_number(double value, char *buf, size_t size);

/* "67 +- 5", ">= 0.9", as the page and the terminal show what was expected. */
void expect_format(const json_t *expectation, char *buf, size_t size);

/* How many hold, and a line or two on each that does not, on standard output. */
void expect_print(const json_t *told, const char *indent);

#endif
