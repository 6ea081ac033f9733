/*
 * Numbers as people write them, exactly.
 *
 * A value is a decimal number and a unit, "1.5gb"; it is computed in integers
 * and refused where it is not a whole number of base units. Each parser takes
 * the whole text or nothing, and says what would be right. Each formatter
 * writes what its parser reads back as the same value.
 *
 * Pure functions; parse_bytes() and parse_time() are declared in core/opt.h.
 */
#ifndef BALLAST_CORE_PARSE_H
#define BALLAST_CORE_PARSE_H

#include "core/err.h"

/* "42", "-3", "0x1f", and counts in thousands: "50k", "1.5M", "2G" (decimal, any case). */
MUST_CHECK int parse_int(const char *text, int64_t *value, struct err *err);

/* "0.75", "75%", "1e-3"; neither nan nor infinite. */
MUST_CHECK int parse_real(const char *text, double *value, struct err *err);

/* "on", "off", "true", "false", "yes", "no", in any case. */
MUST_CHECK int parse_bool(const char *text, bool *value, struct err *err);

/* Largest unit that divides evenly: "256mb", "90min". Length as snprintf's. */
int format_bytes(char *buf, size_t size, uint64_t bytes);
int format_time(char *buf, size_t size, uint64_t ns);

/* The shortest decimal that reads back as the same double. */
int format_real(char *buf, size_t size, double value);

#endif
