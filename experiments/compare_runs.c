#include "experiments/compare_runs.h"

#include "experiments/cmds.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MAX 32

struct runs {
	const char *const *dir;
	size_t n;
	json_t *job[RUNS_MAX], *summary[RUNS_MAX];
};

static json_t *load(const char *dir, const char *name, struct err *err)
{
	char path[PATH_MAX];
	json_error_t why;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	json_t *o = json_load_file(path, 0, &why);
	if (!o)
		err_input(err, "%s: holds no results of a run or a sweep: %s", dir, why.text);
	return o;
}

static int load_all(struct runs *r, struct err *err)
{
	for (size_t i = 0; i < r->n; i++) {
		json_t *run = load(r->dir[i], "run.json", err);
		if (!run)
			return -EINVAL;
		r->job[i] = json_incref(json_object_get(run, "job"));
		json_decref(run);
		r->summary[i] = load(r->dir[i], "summary.json", err);
		if (!r->summary[i])
			return -EINVAL;
	}
	return 0;
}

/* {"host": {"memory": 1}, "vm": {"a": {..}}} as {"host.memory": 1, "vm.a. ..": ..}. */
static void flatten(const json_t *o, const char *prefix, json_t *flat)
{
	const char *key;
	json_t *value;
	char name[256];

	json_object_foreach((json_t *)o, key, value)
	{
		snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_is_object(value))
			flatten(value, name, flat);
		else
			json_object_set(flat, name, value);
	}
}

/* What differs between any two: {"swap.victim": ["lru", "clock"]}. */
static json_t *differences(json_t *const *all, size_t n)
{
	json_t *flat[RUNS_MAX], *found = json_object();
	const char *key;
	json_t *value;

	for (size_t i = 0; i < n; i++) {
		flat[i] = json_object();
		flatten(all[i], "", flat[i]);
	}
	for (size_t i = 0; i < n; i++) {
		json_object_foreach(flat[i], key, value)
		{
			bool differs = false;
			for (size_t k = 0; k < n && !json_object_get(found, key); k++)
				differs |= !json_equal(value, json_object_get(flat[k], key));
			if (!differs)
				continue;
			json_t *row = json_array();
			for (size_t k = 0; k < n; k++) {
				json_t *of = json_object_get(flat[k], key);
				json_array_append_new(row, of ? json_incref(of) : json_null());
			}
			json_object_set_new(found, key, row);
		}
	}
	for (size_t i = 0; i < n; i++)
		json_decref(flat[i]);
	return found;
}

static int chosen(const struct runs *r, const struct metrics *metrics, json_t **found,
		  struct err *err)
{
	*found = json_object();
	for (size_t m = 0; m < metrics->n; m++) {
		json_t *row = json_array();
		json_object_set_new(*found, metrics->metric[m].text, row);
		for (size_t i = 0; i < r->n; i++) {
			double value;
			int rc = metric_value(&metrics->metric[m], r->summary[i], &value, err);
			if (rc) {
				err_prefix(err, "%s", r->dir[i]);
				return rc;
			}
			json_array_append_new(row, isnan(value) ? json_null() : json_real(value));
		}
	}
	return 0;
}

static void cell(const json_t *value)
{
	char *text = json_is_real(value) || json_is_string(value) || json_is_integer(value)
			     ? NULL
			     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	if (json_is_real(value))
		printf("  %18.10g", json_real_value(value));
	else if (json_is_integer(value))
		printf("  %18lld", (long long)json_integer_value(value));
	else
		printf("  %18s", json_is_string(value) ? json_string_value(value)
				 : json_is_null(value) ? "-"
						       : text);
	free(text);
}

/* Beside a number that of the baseline, as a change in per cent. */
static void change(const json_t *value, const json_t *base)
{
	double a = json_number_value(base), b = json_number_value(value);

	if (!json_is_number(value) || !json_is_number(base) || a == 0)
		printf("  %9s", "");
	else
		printf("  %+8.2f%%", 100 * (b - a) / a);
}

static void print_rows(const json_t *rows, bool changes)
{
	const char *key;
	json_t *row;

	json_object_foreach((json_t *)rows, key, row)
	{
		printf("%-32s", key);
		for (size_t i = 0; i < json_array_size(row); i++) {
			cell(json_array_get(row, i));
			if (changes && i)
				change(json_array_get(row, i), json_array_get(row, 0));
		}
		putchar('\n');
	}
}

static void print_head(const struct runs *r, const char *what, bool changes)
{
	printf("%-32s", what);
	for (size_t i = 0; i < r->n; i++)
		printf("  %18s%*s", r->dir[i], changes && i ? 11 : 0, "");
	putchar('\n');
}

static void print(const struct runs *r, json_t *options, json_t *stats, bool json)
{
	if (json) {
		json_t *dirs = json_array();
		for (size_t i = 0; i < r->n; i++)
			json_array_append_new(dirs, json_words(r->dir[i]));
		cmd_print_json(json_pack("{s:o, s:O, s:O}", "runs", dirs, "options", options,
					 "statistics", stats));
		return;
	}
	print_head(r, "options that differ", false);
	print_rows(options, false);
	print_head(r, "statistics", true);
	print_rows(stats, true);
}

int compare_runs(const char *const *dirs, size_t n, const struct metrics *metrics, bool json,
		 struct err *err)
{
	struct runs r = {.dir = dirs, .n = n};
	json_t *stats = NULL;

	if (n > RUNS_MAX)
		return err_input(err, "more than %d runs", RUNS_MAX);
	int rc = load_all(&r, err);
	if (rc == 0 && metrics->n)
		rc = chosen(&r, metrics, &stats, err);
	else if (rc == 0)
		stats = differences(r.summary, n);
	if (rc == 0) {
		json_t *options = differences(r.job, n);
		print(&r, options, stats, json);
		json_decref(options);
	}
	json_decref(stats);
	for (size_t i = 0; i < n; i++) {
		json_decref(r.job[i]);
		json_decref(r.summary[i]);
	}
	return rc;
}
