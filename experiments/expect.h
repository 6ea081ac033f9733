/*
 * What an experiment has to say at its end: lines for a reader, and
 * expectations, with a verdict each.
 *
 * Both are kept in the object that an experiment tells ("report": lines,
 * "expectations": objects with what, source, expected, within, measured,
 * holds). An expectation that does not hold makes `ballast reproduce` end with
 * exit code 3; the results are written all the same.
 */
#ifndef BALLAST_EXPERIMENTS_EXPECT_H
#define BALLAST_EXPERIMENTS_EXPECT_H

#include "core/types.h"

#include <jansson.h>

/* A line of the report. */
void tell(json_t *told, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* measured = expected +- within; a measured NAN does not hold. */
void expect_near(json_t *told, const char *source, double expected, double within, double measured,
		 const char *fmt, ...) PRINTF_LIKE(6, 7);

/* How many of them do not hold. */
size_t expect_failed(const json_t *told);

#endif
