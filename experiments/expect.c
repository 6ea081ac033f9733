#include "experiments/expect.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	json_array_append_new(list(told, "report"), json_words(line));
}

void tell_note(json_t *told, enum note kind, const char *fmt, ...)
{
	static const char *const kinds[] = {"calibrated", "predicted", "assumed", "not modelled"};
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_array_append_new(list(told, "notes"), json_pack("{s:s, s:o}", "kind", kinds[kind],
							     "text", json_words(text)));
}

void tell_job(json_t *told, const char *name, const struct job *job)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	job_write(job, out);
	fclose(out);
	json_array_append_new(list(told, "jobs"),
			      json_pack("{s:s, s:s}", "name", name, "text", text));
	free(text);
}

/* JSON knows no NAN. */
static json_t *number(double x)
{
	return isfinite(x) ? json_real(round(x * 1e6) / 1e6) : json_null();
}

static bool holds(const struct expectation *e)
{
	switch (e->relation) { /* each false for NAN */
	case EXPECT_AT_LEAST:
		return e->value >= e->target - e->tolerance;
	case EXPECT_AT_MOST:
		return e->value <= e->target + e->tolerance;
	default:
		return fabs(e->value - e->target) <= e->tolerance;
	}
}

static const char *const relations[] = {"near", "at least", "at most"};

void expect(json_t *told, const struct expectation *e)
{
	char name[256];
	bool ok = holds(e);

	snprintf(name, sizeof name, "%s%s%s", e->quantity, e->when ? ", " : "",
		 e->when ? e->when : "");
	json_t *o = json_pack("{s:o, s:o, s:s*, s:s, s:o, s:o, s:o, s:o, s:s, s:b}", "name",
			      json_words(name), "quantity", json_words(e->quantity), "when",
			      e->when, "relation", relations[e->relation], "value",
			      number(e->value), "target", number(e->target), "tolerance",
			      number(e->tolerance), "source", json_words(e->source), "basis",
			      e->calibrated ? "calibrated" : "predicted", "ok", ok);
	if (!ok && e->cause)
		json_object_set_new(o, "cause", json_words(e->cause));
	json_array_append_new(list(told, "expectations"), o);
}

void expect_near(json_t *told, const char *source, double target, double tolerance, double value,
		 const char *fmt, ...)
{
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	const struct expectation e = {
		.quantity = what,
		.target = target,
		.tolerance = tolerance,
		.value = value,
		.source = source,
	};
	expect(told, &e);
}

void expect_explain(json_t *told, const char *fmt, ...)
{
	const json_t *all = json_object_get(told, "expectations");
	json_t *last = json_array_get(all, json_array_size(all) - 1);
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (last && !json_is_true(json_object_get(last, "ok")))
		json_object_set_new(last, "cause", json_words(text));
}

struct tally expect_tally(const json_t *told)
{
	const json_t *all = json_object_get(told, "expectations");
	struct tally t = {.all = json_array_size(all)};

	for (size_t i = 0; i < t.all; i++) {
		const json_t *e = json_array_get(all, i);
		const char *basis = json_string_value(json_object_get(e, "basis"));
		bool failed = !json_is_true(json_object_get(e, "ok"));
		t.failed += failed;
		t.explained += failed && json_object_get(e, "cause");
		t.calibrated += basis && strcmp(basis, "calibrated") == 0;
	}
	return t;
}

/* Four digits, or more where a count has them: 12345 and not 1.234e+04. */
void expect_number(double value, char *buf, size_t size)
{
	snprintf(buf, size, fabs(value) >= 1000 && fabs(value) < 1e15 ? "%.0f" : "%.4g", value);
}

void expect_format(const json_t *e, char *buf, size_t size)
{
	char number[32], off[32];
	const char *relation = json_string_value(json_object_get(e, "relation"));
	double target = json_number_value(json_object_get(e, "target")),
	       tolerance = json_number_value(json_object_get(e, "tolerance"));
	const char *sign = "";

	if (relation && strcmp(relation, "at least") == 0)
		sign = ">= ";
	else if (relation && strcmp(relation, "at most") == 0)
		sign = "<= ";
	expect_number(target, number, sizeof number);
	if (fabs(tolerance) >= 1000)
		expect_number(tolerance, off, sizeof off);
	else
		snprintf(off, sizeof off, "%.3g", tolerance);
	if (tolerance != 0)
		snprintf(buf, size, "%s%s +- %s", sign, number, off);
	else
		snprintf(buf, size, "%s%s", sign, number);
}

static void print_miss(const json_t *e, const char *indent)
{
	const char *cause = json_string_value(json_object_get(e, "cause"));
	const json_t *value = json_object_get(e, "value");
	char target[80], measured[32] = "nothing";

	expect_format(e, target, sizeof target);
	if (!json_is_null(value))
		expect_number(json_number_value(value), measured, sizeof measured);
	printf("%sdoes not hold: %s: measured %s, expected %s (%s)\n", indent,
	       json_string_value(json_object_get(e, "name")), measured, target,
	       json_string_value(json_object_get(e, "source")));
	if (cause)
		printf("%s  known: %s\n", indent, cause);
}

void expect_print(const json_t *told, const char *indent)
{
	const json_t *all = json_object_get(told, "expectations");
	struct tally t = expect_tally(told);

	if (t.all)
		printf("%sexpectations: %zu of %zu hold\n", indent, t.all - t.failed, t.all);
	for (size_t i = 0; i < t.all; i++) {
		const json_t *e = json_array_get(all, i);
		if (!json_is_true(json_object_get(e, "ok")))
			print_miss(e, indent);
	}
}
