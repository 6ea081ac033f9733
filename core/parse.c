#include "core/parse.h"

#include "core/opt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name; /* NULL ends a table */
	uint64_t scale;	  /* in base units */
	bool written;	  /* used by the formatter, in growing order */
};

static const struct unit byte_units[] = {
	{"", 1},
	{"b", 1, true},
	{"k", UINT64_C(1) << 10},
	{"kb", UINT64_C(1) << 10, true},
	{"kib", UINT64_C(1) << 10},
	{"m", UINT64_C(1) << 20},
	{"mb", UINT64_C(1) << 20, true},
	{"mib", UINT64_C(1) << 20},
	{"g", UINT64_C(1) << 30},
	{"gb", UINT64_C(1) << 30, true},
	{"gib", UINT64_C(1) << 30},
	{"t", UINT64_C(1) << 40},
	{"tb", UINT64_C(1) << 40, true},
	{"tib", UINT64_C(1) << 40},
	{NULL},
};

static const struct unit time_units[] = {
	{"ns", 1, true},
	{"us", 1000, true},
	{"ms", 1000000, true},
	{"s", 1000000000, true},
	{"min", 60 * UINT64_C(1000000000), true},
	{"h", 3600 * UINT64_C(1000000000), true},
	{NULL},
};

static const struct unit count_units[] = {
	{"", 1}, {"k", 1000}, {"m", 1000000}, {"g", 1000000000}, {NULL},
};

/* Base values stay below 2^63, so that JSON and int64_t can hold them. */
#define VALUE_MAX ((unsigned __int128)INT64_MAX)

enum number_result { NUMBER_OK, NUMBER_FORM, NUMBER_UNIT, NUMBER_FRACTION, NUMBER_LARGE };

static const struct unit *find_unit(const struct unit *units, const char *name)
{
	for (; units->name; units++) {
		if (strcasecmp(units->name, name) == 0)
			return units;
	}
	return NULL;
}

/* DIGITS[.DIGITS][blanks]UNIT; the value in base units, at most VALUE_MAX. */
static enum number_result parse_scaled(const char *text, const struct unit *units, uint64_t *value)
{
	unsigned __int128 whole = 0, fraction = 0, ten = 1;
	const char *p = text;
	bool large = false;

	if (!isdigit((unsigned char)*p))
		return NUMBER_FORM;
	for (; isdigit((unsigned char)*p); p++) {
		whole = whole * 10 + (unsigned)(*p - '0');
		large |= whole > VALUE_MAX;
		if (large)
			whole = 0;
	}
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return NUMBER_FORM;
		const char *end = p + strspn(p, "0123456789"), *last = end;
		while (last > p && last[-1] == '0')
			last--;
		if (last - p > 18)
			return NUMBER_FRACTION;
		for (; p < last; p++, ten *= 10)
			fraction = fraction * 10 + (unsigned)(*p - '0');
		p = end;
	}
	while (*p == ' ')
		p++;
	const struct unit *unit = find_unit(units, p);
	if (!unit)
		return NUMBER_UNIT;
	if (fraction * unit->scale % ten != 0)
		return NUMBER_FRACTION;
	whole = whole * unit->scale + fraction * unit->scale / ten;
	if (large || whole > VALUE_MAX)
		return NUMBER_LARGE;
	*value = (uint64_t)whole;
	return NUMBER_OK;
}

int parse_bytes(const char *text, uint64_t *bytes, struct err *err)
{
	switch (parse_scaled(text, byte_units, bytes)) {
	case NUMBER_OK:
		return 0;
	case NUMBER_LARGE:
		return err_input(err, "'%.40s' is too large a size; the largest is 8388607tb",
				 text);
	case NUMBER_FRACTION:
		return err_input(err, "'%.40s' is not a whole number of bytes", text);
	case NUMBER_UNIT:
		return err_input(err,
				 "'%.40s' has no unit of size known here; write b, kb, mb, gb or "
				 "tb, as in 256mb",
				 text);
	default:
		return err_input(err,
				 "'%.40s' is not a size; write a number and a unit, as in "
				 "256mb or 1.5gb",
				 text);
	}
}

int parse_time(const char *text, uint64_t *ns, struct err *err)
{
	if (strcmp(text, "0") == 0) {
		*ns = 0;
		return 0;
	}
	switch (parse_scaled(text, time_units, ns)) {
	case NUMBER_OK:
		return 0;
	case NUMBER_LARGE:
		return err_input(err, "'%.40s' is too long a time; the longest is 2562047h", text);
	case NUMBER_FRACTION:
		return err_input(err, "'%.40s' is not a whole number of nanoseconds", text);
	case NUMBER_UNIT:
		return err_input(err,
				 "'%.40s' has no unit of time known here; write ns, us, ms, s, min "
				 "or h, as in 30s",
				 text);
	default:
		return err_input(err,
				 "'%.40s' is not a time; write a number and a unit, as in 30s "
				 "or 2.5ms",
				 text);
	}
}

/* "0x1f" with at least one digit and nothing behind. */
static enum number_result parse_hex(const char *text, uint64_t *value)
{
	char *end;

	if (!isxdigit((unsigned char)text[2]))
		return NUMBER_FORM;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 16);
	if (*end)
		return NUMBER_UNIT;
	if (errno || n > VALUE_MAX)
		return NUMBER_LARGE;
	*value = n;
	return NUMBER_OK;
}

int parse_int(const char *text, int64_t *value, struct err *err)
{
	const char *digits = text + (*text == '-');
	bool hex = strncasecmp(digits, "0x", 2) == 0;
	uint64_t n = 0;

	switch (hex ? parse_hex(digits, &n) : parse_scaled(digits, count_units, &n)) {
	case NUMBER_OK:
		*value = *text == '-' ? -(int64_t)n : (int64_t)n;
		return 0;
	case NUMBER_LARGE:
		return err_input(err, "'%.40s' is too large; the largest is %" PRId64, text,
				 INT64_MAX);
	case NUMBER_FRACTION:
		return err_input(err, "'%.40s' is not a whole number", text);
	default:
		return err_input(err,
				 "'%.40s' is not a whole number; write digits, with k, M or G for "
				 "thousands, millions or billions",
				 text);
	}
}

int parse_real(const char *text, double *value, struct err *err)
{
	size_t n = strspn(text, "0123456789.eE+-");
	bool percent = text[n] == '%' && text[n + 1] == '\0';
	char decimal[64], *end;

	if (n == 0 || n > 50 || (text[n] && !percent))
		goto bad;
	/* "99.9%" is read as 99.9e-2: a division would round once more. */
	snprintf(decimal, sizeof decimal, "%.*s%s", (int)n, text, percent ? "e-2" : "");
	double v = strtod(decimal, &end);
	if (*end)
		goto bad;
	if (!isfinite(v))
		return err_input(err, "'%.40s' is too large for a number", text);
	*value = v;
	return 0;
bad:
	return err_input(err, "'%.40s' is not a number; write it as in 0.75 or 75%%", text);
}

int parse_bool(const char *text, bool *value, struct err *err)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"on", true},     {"off", false}, {"true", true},
		     {"false", false}, {"yes", true},  {"no", false}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*value = words[i].value;
			return 0;
		}
	}
	return err_input(err, "'%.40s' is neither on nor off", text);
}

static int format_scaled(char *buf, size_t size, uint64_t value, const struct unit *units)
{
	const struct unit *best = units; /* of scale 1 */

	for (; units->name; units++) {
		if (units->written && value % units->scale == 0)
			best = units;
	}
	return snprintf(buf, size, "%" PRIu64 "%s", value / best->scale, best->name);
}

int format_bytes(char *buf, size_t size, uint64_t bytes)
{
	return bytes ? format_scaled(buf, size, bytes, byte_units) : snprintf(buf, size, "0");
}

int format_time(char *buf, size_t size, uint64_t ns)
{
	return ns ? format_scaled(buf, size, ns, time_units) : snprintf(buf, size, "0");
}

int format_real(char *buf, size_t size, double value)
{
	char text[40];
	int digits = 15;

	do
		snprintf(text, sizeof text, "%.*g", digits, value);
	while (digits++ < 17 && strtod(text, NULL) != value);
	return snprintf(buf, size, "%s", text);
}
