#include "experiments/sweep_table.h"

#include "experiments/outdir.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int metrics_place(struct metrics *metrics, const char *text, struct err *err)
{
	for (size_t i = 0; i < metrics->n; i++) {
		if (strcmp(metrics->metric[i].text, text) == 0)
			return (int)i;
	}
	if (metrics->n == METRICS_MAX)
		return err_input(err, "more than %d metrics", METRICS_MAX);
	int rc = metric_parse(text, &metrics->metric[metrics->n], err);
	return rc ? rc : (int)metrics->n++;
}

int metrics_add(struct metrics *metrics, const char *text, struct err *err)
{
	int place = metrics_place(metrics, text, err);

	return place < 0 ? place : 0;
}

void metrics_default(struct metrics *metrics)
{
	static const char *const shown[] = {"vm.*.faults", "host.time_ns"};

	for (size_t i = 0; i < ARRAY_LEN(shown); i++)
		(void)!metrics_add(metrics, shown[i], NULL);
}

static bool missed(const struct record *row)
{
	const json_t *host = json_object_get(row->summary, "host");

	return json_integer_value(json_object_get(host, "expect_missed")) > 0;
}

static int load_row(void *arg, const struct record *row, struct err *err)
{
	struct table *t = arg;

	if (row->run >= t->plan->runs)
		return err_run(err, EUCLEAN, "run %llu is none of the plan's",
			       (unsigned long long)row->run);
	t->done += !row->failed;
	t->failed += row->failed;
	t->missed += !row->failed && missed(row);
	for (size_t m = 0; !row->failed && m < t->metrics->n; m++) {
		int rc = metric_value(&t->metrics->metric[m], row->summary,
				      &t->value[m * t->plan->runs + row->run], err);
		if (rc)
			return rc;
	}
	return 0;
}

int table_load(struct sweep_db *db, const struct plan *plan, const struct metrics *metrics,
	       struct table *table, struct err *err)
{
	size_t n = metrics->n * plan->runs;

	*table = (struct table){.plan = plan, .metrics = metrics};
	table->value = calloc(n ? n : 1, sizeof *table->value);
	if (!table->value)
		return err_run(err, ENOMEM, "no memory for the table of a sweep");
	for (size_t i = 0; i < n; i++)
		table->value[i] = NAN;
	int rc = sweep_db_each(db, true, load_row, table, err);
	if (rc)
		table_release(table);
	return rc;
}

void table_release(struct table *table)
{
	free(table->value);
	table->value = NULL;
}

struct mean table_mean(const struct table *t, size_t metric, uint64_t point)
{
	return mean_of(table_values(t, metric, point), t->plan->seeds);
}

/* How many seeds of a point have numbers. */
static size_t there(const struct table *t, uint64_t point)
{
	size_t n = 0;

	for (size_t m = 0; m < t->metrics->n; m++) {
		size_t have = table_mean(t, m, point).n;
		n = have > n ? have : n;
	}
	return n;
}

/* Nothing where there is no number. */
static void cell(FILE *out, double value)
{
	if (isnan(value))
		fputc(',', out);
	else
		fprintf(out, ",%.10g", value);
}

static void csv_row(FILE *out, const struct table *t, uint64_t point)
{
	for (size_t a = 0; a < t->plan->axes; a++) {
		const struct axis *axis = &t->plan->axis[a];
		size_t i = plan_index(t->plan, point, a);
		if (axis_numeric(axis) && axis->type != OPT_REAL)
			fprintf(out, "%.0f,", axis->number[i]);
		else
			fprintf(out, strchr(axis->text[i], ',') ? "\"%s\"," : "%s,", axis->text[i]);
	}
	fprintf(out, "%zu", there(t, point));
	for (size_t m = 0; m < t->metrics->n; m++) {
		struct mean mean = table_mean(t, m, point);
		cell(out, mean.mean);
		cell(out, mean.sd);
		cell(out, mean.mean - mean.half);
		cell(out, mean.mean + mean.half);
	}
	fputc('\n', out);
}

int table_csv(const struct table *t, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, "points.csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	for (size_t a = 0; a < t->plan->axes; a++)
		fprintf(out, "%s,", t->plan->axis[a].key);
	fputc('n', out);
	for (size_t m = 0; m < t->metrics->n; m++) {
		const char *name = t->metrics->metric[m].text;
		fprintf(out, ",%s mean,%s sd,%s low,%s high", name, name, name, name);
	}
	fputc('\n', out);
	for (uint64_t p = 0; p < t->plan->points; p++)
		csv_row(out, t, p);
	return draft_commit(draft, err);
}

static void interval(char *buf, size_t size, const struct mean *mean)
{
	if (isnan(mean->mean))
		snprintf(buf, size, "-");
	else if (isnan(mean->half))
		snprintf(buf, size, "%.6g", mean->mean);
	else
		snprintf(buf, size, "%.6g +- %.2g", mean->mean, mean->half);
}

static int axis_width(const struct axis *axis)
{
	size_t width = strlen(axis->key);

	for (size_t i = 0; i < axis->n; i++) {
		size_t len = strlen(axis->text[i]);
		width = len > width ? len : width;
	}
	return (int)(width > 40 ? 40 : width);
}

static int metric_width(const struct metric *metric)
{
	size_t len = strlen(metric->text);

	return len > 22 ? (int)len : 22;
}

static void print_row(const struct table *t, uint64_t point)
{
	char text[64];

	for (size_t a = 0; a < t->plan->axes; a++) {
		const struct axis *axis = &t->plan->axis[a];
		printf("%-*s  ", axis_width(axis), axis->text[plan_index(t->plan, point, a)]);
	}
	printf("%3zu", there(t, point));
	for (size_t m = 0; m < t->metrics->n; m++) {
		struct mean mean = table_mean(t, m, point);
		interval(text, sizeof text, &mean);
		printf("  %*s", metric_width(&t->metrics->metric[m]), text);
	}
	putchar('\n');
}

void table_print(const struct table *t, uint64_t most)
{
	for (size_t a = 0; a < t->plan->axes; a++)
		printf("%-*s  ", axis_width(&t->plan->axis[a]), t->plan->axis[a].key);
	printf("%3s", "n");
	for (size_t m = 0; m < t->metrics->n; m++)
		printf("  %*s", metric_width(&t->metrics->metric[m]), t->metrics->metric[m].text);
	putchar('\n');
	for (uint64_t p = 0; p < t->plan->points && p < most; p++)
		print_row(t, p);
	if (t->plan->points > most)
		printf("... and %llu more points\n", (unsigned long long)(t->plan->points - most));
}

static json_t *real(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

json_t *table_json(const struct table *t)
{
	json_t *all = json_array();

	for (uint64_t p = 0; p < t->plan->points; p++) {
		json_t *metrics = json_object();
		for (size_t m = 0; m < t->metrics->n; m++) {
			struct mean mean = table_mean(t, m, p);
			json_object_set_new(metrics, t->metrics->metric[m].text,
					    json_pack("{s:I, s:o, s:o, s:o}", "n",
						      (json_int_t)mean.n, "mean", real(mean.mean),
						      "sd", real(mean.sd), "ci95",
						      real(mean.half)));
		}
		json_array_append_new(all, json_pack("{s:o, s:I, s:o}", "point",
						     plan_point_json(t->plan, p), "n",
						     (json_int_t)there(t, p), "metrics", metrics));
	}
	return all;
}
