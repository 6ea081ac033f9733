#include "experiments/metric.h"

#include "core/opt.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* "host.STAT" or "vm.NAME.STAT", of which there is exactly so much. */
static bool good_term(const char *term, size_t len)
{
	size_t dots = 0;

	for (size_t i = 0; i < len; i++) {
		bool end = i == 0 || i + 1 == len;
		if (term[i] == '.') {
			dots++;
			if (end || term[i + 1] == '.')
				return false;
		} else if (!isalnum((unsigned char)term[i]) && !strchr("_-*", term[i])) {
			return false;
		}
	}
	return (strncmp(term, "host.", 5) == 0 && dots == 1) ||
	       (strncmp(term, "vm.", 3) == 0 && dots == 2);
}

int metric_parse(const char *text, struct metric *metric, struct err *err)
{
	size_t len = strlen(text), first = strcspn(text, "/");
	bool ratio = text[first] == '/';

	if (len >= sizeof metric->text || !good_term(text, first) ||
	    (ratio && !good_term(text + first + 1, len - first - 1)))
		return err_input(err,
				 "'%.60s' is no metric; write host.NAME, vm.a.NAME, vm.*.NAME for "
				 "the sum over VMs, or two of them with a '/' between",
				 text);
	memcpy(metric->text, text, len + 1);
	return 0;
}

/* The statistic that the writer may have meant. */
static int unknown(const json_t *scope, const char *what, const char *name, struct err *err)
{
	const char *names[256], *key, *near;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)scope, key, value)
	{
		if (json_is_number(value) && n < ARRAY_LEN(names))
			names[n++] = key;
	}
	near = nearest_name(name, names, n);
	if (near)
		return err_input(err, "%s has no statistic '%.60s'; did you mean '%s'?", what, name,
				 near);
	return err_input(err, "%s has no statistic '%.60s'; summary.json lists them", what, name);
}

static int stat_of(const json_t *scope, const char *what, const char *name, double *value,
		   struct err *err)
{
	const json_t *number = json_object_get(scope, name);

	if (!json_is_number(number))
		return unknown(scope, what, name, err);
	*value = json_number_value(number);
	return 0;
}

/* vm.NAME.STAT, NAME may be '*'. */
static int vm_term(const json_t *vms, const char *name, const char *stat, double *value,
		   struct err *err)
{
	bool all = strcmp(name, "*") == 0;
	const char *title;
	json_t *vm;
	double one = 0;

	*value = 0;
	if (!all && !json_object_get(vms, name))
		return err_input(err, "the job has no vm '%.40s'", name);
	json_object_foreach((json_t *)vms, title, vm)
	{
		if (!all && strcmp(title, name) != 0)
			continue;
		int rc = stat_of(vm, "a vm", stat, &one, err);
		if (rc)
			return rc;
		*value += one;
	}
	return 0;
}

static int term_value(char *term, const json_t *summary, double *value, struct err *err)
{
	char *name = strchr(term, '.') + 1, *dot = strchr(name, '.');

	if (!dot)
		return stat_of(json_object_get(summary, "host"), "the host", name, value, err);
	*dot = '\0';
	return vm_term(json_object_get(summary, "vm"), name, dot + 1, value, err);
}

int metric_value(const struct metric *metric, const json_t *summary, double *value, struct err *err)
{
	char text[METRIC_TEXT_MAX];
	double over = 1;

	memcpy(text, metric->text, sizeof text);
	char *slash = strchr(text, '/');
	if (slash)
		*slash++ = '\0';
	int rc = term_value(text, summary, value, err);
	if (rc == 0 && slash)
		rc = term_value(slash, summary, &over, err);
	if (rc) {
		err_prefix(err, "--metric %s", metric->text);
		return rc;
	}
	*value = over != 0 ? *value / over : NAN;
	return 0;
}

void metric_slug(const struct metric *metric, char *buf, size_t size)
{
	size_t used = 0;

	for (const char *p = metric->text; *p && used + 1 < size; p++) {
		bool plain = isalnum((unsigned char)*p) || *p == '_';
		if (*p == '*')
			continue;
		if (plain)
			buf[used++] = *p;
		else if (used && buf[used - 1] != '-')
			buf[used++] = '-';
	}
	buf[used] = '\0';
}
