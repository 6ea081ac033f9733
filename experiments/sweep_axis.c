#include "experiments/sweep_axis.h"

#include "core/parse.h"
#include "experiments/kinds.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 4096

static int no_memory(struct err *err)
{
	return err_run(err, ENOMEM, "no memory for the axes of a sweep");
}

bool job_key_find(const struct job *job, const char *key, const struct opt **opt,
		  const void **options)
{
	const char *dot = strchr(key, '.'), *last = strrchr(key, '.');

	for (size_t s = 0; dot && job_sections[s]; s++) {
		const struct opt_section *section = job_sections[s];
		if (strlen(section->name) != (size_t)(dot - key) ||
		    strncmp(section->name, key, (size_t)(dot - key)) != 0)
			continue;
		*opt = opt_find(section, last + 1);
		*options = job_section(job, section);
		for (size_t i = 0; section->titled && i < job_count(job, section); i++) {
			const char *title = job_title(job, section, i);
			*options = job_titled(job, section, i);
			if (last > dot && strlen(title) == (size_t)(last - dot - 1) &&
			    strncmp(title, dot + 1, (size_t)(last - dot - 1)) == 0)
				return *opt;
		}
		return *opt && !section->titled && last == dot;
	}
	return false;
}

bool axis_numeric(const struct axis *axis)
{
	return axis->type == OPT_INT || axis->type == OPT_BYTES || axis->type == OPT_TIME ||
	       axis->type == OPT_REAL;
}

static double number_of(const struct opt *opt, const void *options)
{
	const void *field = (const char *)options + opt->offset;

	switch (opt->type) {
	case OPT_INT:
		return (double)*(const int64_t *)field;
	case OPT_BYTES:
	case OPT_TIME:
		return (double)*(const uint64_t *)field;
	case OPT_REAL:
		return *(const double *)field;
	default:
		return NAN;
	}
}

static int assign(const char *key, const char *text, struct job *job, struct err *err)
{
	char assignment[VALUE_MAX + 128];

	if (snprintf(assignment, sizeof assignment, "%s=%s", key, text) >= (int)sizeof assignment)
		return err_input(err, "the value '%.40s...' is longer than %d bytes", text,
				 VALUE_MAX);
	return job_set(job, assignment, err);
}

int axis_apply(const struct axis *axis, size_t i, struct job *job, struct err *err)
{
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < axis->n_keys; k++)
		rc = assign(axis->keys[k], axis->text[i], job, err);
	return rc;
}

static int grow(struct axis *axis)
{
	size_t room = axis->n ? 2 * axis->n : 1;

	if (axis->n & (axis->n - 1)) /* there is room up to a power of two */
		return 0;
	char **text = reallocarray(axis->text, room, sizeof *text);
	if (!text)
		return -ENOMEM;
	axis->text = text;
	double *number = reallocarray(axis->number, room, sizeof *number);
	if (!number)
		return -ENOMEM;
	axis->number = number;
	return 0;
}

/* Tries a value on every key; keeps it in the first key's own words. */
static int add_value(struct axis *axis, const char *value, struct job *job, struct err *err)
{
	char text[VALUE_MAX];
	const struct opt *opt;
	const void *options;
	int rc = 0;

	if (axis->n == AXIS_VALUES_MAX)
		return err_input(err, "%s takes more than %d values", axis->key, AXIS_VALUES_MAX);
	for (size_t k = 0; rc == 0 && k < axis->n_keys; k++)
		rc = assign(axis->keys[k], value, job, err);
	if (rc)
		return rc;
	if (!job_key_find(job, axis->keys[0], &opt, &options) ||
	    opt_format(opt, options, text, sizeof text))
		return err_input(err, "the value '%.40s...' is too long", value);
	for (size_t i = 0; i < axis->n; i++) {
		if (strcmp(axis->text[i], text) == 0)
			return err_input(err, "%s takes the value %.60s twice", axis->key, text);
	}
	if (grow(axis) || !(axis->text[axis->n] = strdup(text)))
		return no_memory(err);
	axis->number[axis->n++] = number_of(opt, options);
	return 0;
}

/* A number with its unit, in base units. */
static int parse_number(enum opt_type type, const char *text, double *value, struct err *err)
{
	uint64_t scaled = 0;
	int64_t whole = 0;
	int rc;

	switch (type) {
	case OPT_INT:
		rc = parse_int(text, &whole, err);
		*value = (double)whole;
		return rc;
	case OPT_BYTES:
		rc = parse_bytes(text, &scaled, err);
		*value = (double)scaled;
		return rc;
	case OPT_TIME:
		rc = parse_time(text, &scaled, err);
		*value = (double)scaled;
		return rc;
	default:
		return parse_real(text, value, err);
	}
}

static void format_number(enum opt_type type, double value, char *buf, size_t size)
{
	switch (type) {
	case OPT_INT:
		snprintf(buf, size, "%lld", llround(value));
		break;
	case OPT_BYTES:
		format_bytes(buf, size, (uint64_t)llround(value));
		break;
	case OPT_TIME:
		format_time(buf, size, (uint64_t)llround(value));
		break;
	default:
		snprintf(buf, size, "%.12g", value);
	}
}

/* LO:HI:STEP or LO:HI:*FACTOR; item is taken apart. */
static int add_range(struct axis *axis, char *item, struct job *job, struct err *err)
{
	char *hi = strchr(item, ':'), *step = hi ? strchr(hi + 1, ':') : NULL;
	char text[64], before[64] = "";
	double from, to, by;

	if (!step || strchr(step + 1, ':'))
		return err_input(err, "'%.60s' is no range; write FROM:TO:STEP, as in 4mb:64mb:4mb",
				 item);
	*hi++ = *step++ = '\0';
	bool factor = *step == '*';
	int rc = parse_number(axis->type, item, &from, err);
	if (rc == 0)
		rc = parse_number(axis->type, hi, &to, err);
	if (rc == 0)
		rc = factor ? parse_real(step + 1, &by, err)
			    : parse_number(axis->type, step, &by, err);
	if (rc)
		return rc;
	if (to < from || (factor ? by <= 1 || from <= 0 : by <= 0))
		return err_input(err,
				 "the range %s:%s:%s never ends; write a smaller number first and "
				 "a step above %d",
				 item, hi, step, factor ? 1 : 0);
	/* A sum of steps in binary may miss the end by a hair. */
	double steps = factor ? log(to / from) / log(by) : (to - from) / by;
	if (steps >= AXIS_VALUES_MAX)
		return err_input(err, "the range %s:%s:%s has more than %d values", item, hi, step,
				 AXIS_VALUES_MAX);
	size_t n = (size_t)(steps + 1e-9) + 1;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		format_number(axis->type,
			      factor ? from * pow(by, (double)i) : from + by * (double)i, text,
			      sizeof text);
		if (strcmp(text, before) != 0) /* small steps of whole numbers stand still */
			rc = add_value(axis, text, job, err);
		memcpy(before, text, sizeof before);
	}
	return rc;
}

/* Keys have no blanks; the user may have set some around a '+'. */
static void drop_blanks(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s != ' ' && *s != '\t')
			*to++ = *s;
	}
	*to = '\0';
}

static char *trim(char *s)
{
	s += strspn(s, " \t");
	char *end = s + strlen(s);
	while (end > s && strchr(" \t", end[-1]))
		end--;
	*end = '\0';
	return s;
}

static int add_values(struct axis *axis, char *values, struct job *job, struct err *err)
{
	const char *separator = strchr(values, ';') ? ";" : ",";
	int rc = 0;

	for (char *rest = values, *item; rc == 0 && (item = strsep(&rest, separator));) {
		item = trim(item);
		if (!*item)
			return err_input(err, "there is a value missing; write it as in a,b");
		if (axis_numeric(axis) && strchr(item, ':'))
			rc = add_range(axis, item, job, err);
		else
			rc = add_value(axis, item, job, err);
	}
	return rc;
}

/* Splits "a+b" and looks up the first one's type; a wrong key is told when it is set. */
static int set_keys(struct axis *axis, const char *key, const struct job *job, struct err *err)
{
	const struct opt *opt;
	const void *options;

	axis->key = strdup(key);
	axis->keys = calloc(AXIS_KEYS_MAX, sizeof *axis->keys);
	if (!axis->key || !axis->keys)
		return no_memory(err);
	for (const char *p = key; p; p = strchr(p, '+') ? strchr(p, '+') + 1 : NULL) {
		if (axis->n_keys == AXIS_KEYS_MAX)
			return err_input(err, "more than %d keys take their values together",
					 AXIS_KEYS_MAX);
		axis->keys[axis->n_keys] = strndup(p, strcspn(p, "+"));
		if (!axis->keys[axis->n_keys++])
			return no_memory(err);
	}
	axis->type = OPT_STRING;
	if (job_key_find(job, axis->keys[0], &opt, &options))
		axis->type = opt->type;
	return 0;
}

static int named(const char *what, int rc, struct axis *axis, struct err *err)
{
	if (rc == 0)
		return 0;
	/* The values were set as if by -s: the user wrote --vary. */
	if (strncmp(err->msg, "-s: ", 4) == 0)
		memmove(err->msg, err->msg + 4, strlen(err->msg + 4) + 1);
	err_prefix(err, "%s", what);
	axis_release(axis);
	return rc;
}

int axis_parse(const char *text, struct job *job, struct axis *axis, struct err *err)
{
	char *copy = strdup(text), *values = copy ? strchr(copy, '=') : NULL;

	*axis = (struct axis){0};
	if (!copy)
		return no_memory(err);
	int rc = 0;
	if (!values) {
		rc = err_input(err, "'%.60s' has no '='; write key=a,b,c or key=from:to:step",
			       text);
	} else {
		*values++ = '\0';
		drop_blanks(copy);
		rc = set_keys(axis, copy, job, err);
		if (rc == 0)
			rc = add_values(axis, values, job, err);
	}
	free(copy);
	return named("--vary", rc, axis, err);
}

int axis_make(const char *key, const json_t *texts, struct job *job, struct axis *axis,
	      struct err *err)
{
	*axis = (struct axis){0};
	int rc = set_keys(axis, key, job, err);
	for (size_t i = 0; rc == 0 && i < json_array_size(texts); i++) {
		const char *text = json_string_value(json_array_get(texts, i));
		rc = text ? add_value(axis, text, job, err)
			  : err_input(err, "value %zu of %s is no text", i, key);
	}
	if (rc == 0 && axis->n == 0)
		rc = err_input(err, "%s takes no value", key);
	return named("the plan", rc, axis, err);
}

void axis_release(struct axis *axis)
{
	for (size_t i = 0; i < axis->n; i++)
		free(axis->text[i]);
	for (size_t k = 0; k < axis->n_keys; k++)
		free(axis->keys[k]);
	free(axis->text);
	free(axis->number);
	free(axis->keys);
	free(axis->key);
	*axis = (struct axis){0};
}
