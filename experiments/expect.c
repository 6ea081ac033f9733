#include "experiments/expect.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* The array of that name in told, made when it is first asked for. */
static json_t *list(json_t *told, const char *name)
{
	json_t *found = json_object_get(told, name);

	if (!found) {
		found = json_array();
		json_object_set_new(told, name, found);
	}
	return found;
}

void tell(json_t *told, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	json_array_append_new(list(told, "report"), json_string(line));
}

/* JSON knows no NAN. */
static json_t *number(double x)
{
	return isfinite(x) ? json_real(round(x * 1e6) / 1e6) : json_null();
}

void expect_near(json_t *told, const char *source, double expected, double within, double measured,
		 const char *fmt, ...)
{
	char what[160];
	bool holds = fabs(measured - expected) <= within; /* false for NAN */
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	json_array_append_new(list(told, "expectations"),
			      json_pack("{s:s, s:s, s:o, s:o, s:o, s:b}", "what", what, "source",
					source, "expected", number(expected), "within",
					number(within), "measured", number(measured), "holds",
					holds));
}

size_t expect_failed(const json_t *told)
{
	const json_t *all = json_object_get(told, "expectations");
	size_t failed = 0;

	for (size_t i = 0; i < json_array_size(all); i++)
		failed += !json_is_true(json_object_get(json_array_get(all, i), "holds"));
	return failed;
}
