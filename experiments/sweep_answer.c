#include "experiments/sweep_answer.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static int bad(const json_t *entry, struct err *err, const char *why)
{
	const char *name = json_string_value(json_object_get(entry, "name"));

	return err_run(err, EUCLEAN, "sweeps.json: %.40s: %.200s", name ? name : "?", why);
}

static const char *text_of(sqlite3_value *value)
{
	const char *text = (const char *)sqlite3_value_text(value);

	return text ? text : "";
}

/* The place of a value that is written "key=value"; false if the plan has no such. */
static bool find_value(const struct plan *plan, const char *word, size_t *axis, size_t *value)
{
	for (size_t a = 0; a < plan->axes; a++) {
		const struct axis *x = &plan->axis[a];
		size_t len = strlen(x->key);
		if (strncmp(word, x->key, len) != 0 || word[len] != '=')
			continue;
		for (size_t i = 0; i < x->n; i++) {
			if (strcmp(word + len + 1, x->text[i]) == 0) {
				*axis = a;
				*value = i;
				return true;
			}
		}
	}
	return false;
}

/* The point whose axes have these values; false if there is none, or more than one. */
static bool find_point(const struct plan *plan, int words, sqlite3_value **word, uint64_t *point)
{
	size_t index[PLAN_AXES_MAX], axis, value;
	bool given[PLAN_AXES_MAX] = {false};

	for (int i = 0; i < words; i++) {
		if (!find_value(plan, text_of(word[i]), &axis, &value))
			return false;
		index[axis] = value;
		given[axis] = true;
	}
	*point = 0;
	for (size_t a = 0; a < plan->axes; a++) {
		if (!given[a] && plan->axis[a].n > 1)
			return false;
		*point = *point * plan->axis[a].n + (given[a] ? index[a] : 0);
	}
	return true;
}

/* at(METRIC, 'KEY=VALUE'...) */
static void at(sqlite3_context *ctx, int args, sqlite3_value **arg)
{
	const struct table *t = sqlite3_user_data(ctx);
	uint64_t point;

	for (size_t m = 0; args > 0 && m < t->metrics->n; m++) {
		if (strcmp(t->metrics->metric[m].text, text_of(arg[0])) != 0)
			continue;
		/* NAN becomes NULL */
		if (find_point(t->plan, args - 1, arg + 1, &point))
			sqlite3_result_double(ctx, table_mean(t, m, point).mean);
		return;
	}
	sqlite3_result_error(ctx, "at() of what is no metric of the sweep", -1);
}

/* CREATE TABLE points("swap.victim", .., "host.time_ns"); keys and metrics have no quotes. */
static void put_create(FILE *out, const struct table *t, const char *name, const char *first)
{
	fprintf(out, "CREATE TABLE %s(%s", name, first);
	for (size_t a = 0; a < t->plan->axes; a++)
		fprintf(out, "%s\"%s\"", a || *first ? ", " : "", t->plan->axis[a].key);
	for (size_t m = 0; m < t->metrics->n; m++)
		fprintf(out, ", \"%s\"", t->metrics->metric[m].text);
	fputs(");", out);
}

static void put_insert(FILE *out, const struct table *t, const char *name, size_t columns)
{
	columns += t->plan->axes + t->metrics->n;
	fprintf(out, "INSERT INTO %s VALUES(?", name);
	while (--columns > 0)
		fputs(", ?", out);
	fputc(')', out);
}

static void bind_axes(sqlite3_stmt *st, int column, const struct plan *plan, uint64_t point)
{
	for (size_t a = 0; a < plan->axes; a++, column++) {
		const struct axis *axis = &plan->axis[a];
		size_t i = plan_index(plan, point, a);
		if (axis_numeric(axis))
			sqlite3_bind_double(st, column, axis->number[i]);
		else
			sqlite3_bind_text(st, column, axis->text[i], -1, SQLITE_STATIC);
	}
}

static bool step(sqlite3_stmt *st)
{
	bool done = sqlite3_step(st) == SQLITE_DONE;

	sqlite3_reset(st);
	return done;
}

static bool put_point(sqlite3_stmt *st, const struct table *t, uint64_t point)
{
	int column = 1 + (int)t->plan->axes;

	bind_axes(st, 1, t->plan, point);
	for (size_t m = 0; m < t->metrics->n; m++)
		sqlite3_bind_double(st, column++, table_mean(t, m, point).mean);
	return step(st);
}

static bool put_run(sqlite3_stmt *st, const struct table *t, uint64_t run)
{
	uint64_t point = plan_point(t->plan, run);
	int column = 2 + (int)t->plan->axes;
	bool any = false;

	sqlite3_bind_int64(st, 1, plan_seed(t->plan, run));
	bind_axes(st, 2, t->plan, point);
	for (size_t m = 0; m < t->metrics->n; m++) {
		double value = table_values(t, m, point)[run % t->plan->seeds];
		any |= !isnan(value);
		sqlite3_bind_double(st, column++, value);
	}
	return !any || step(st);
}

/* Prepares what write() writes; NULL on any failure, told by sqlite3_errmsg(). */
static sqlite3_stmt *prepare(sqlite3 *sql, const struct table *t, const char *name, size_t columns)
{
	char *text = NULL;
	size_t size = 0;
	sqlite3_stmt *st = NULL;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	put_create(out, t, name, columns ? "seed" : "");
	fputc('\0', out);
	long insert = ftell(out);
	put_insert(out, t, name, columns);
	if (fclose(out) == 0 && sqlite3_exec(sql, text, NULL, NULL, NULL) == SQLITE_OK)
		sqlite3_prepare_v2(sql, text + insert, -1, &st, NULL);
	free(text);
	return st;
}

static bool fill(sqlite3 *sql, const struct table *t)
{
	sqlite3_stmt *points = prepare(sql, t, "points", 0), *runs = prepare(sql, t, "runs", 1);
	bool good = points && runs;

	for (uint64_t p = 0; good && p < t->plan->points; p++)
		good = put_point(points, t, p);
	for (uint64_t r = 0; good && r < t->plan->runs; r++)
		good = put_run(runs, t, r);
	sqlite3_finalize(points);
	sqlite3_finalize(runs);
	return good;
}

/* SELECT (expect), (figure), ..: the figures are the columns of q, so that expect may name them. */
static char *statement_sql(const json_t *statement)
{
	json_t *with = json_object_get(statement, "with"), *figure;
	char *text = NULL;
	size_t size = 0;
	const char *name;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs("WITH q AS (SELECT 1 AS \"1\"", out);
	json_object_foreach(with, name, figure)
	{
		fprintf(out, ", (%s) AS \"%s\"", json_string_value(figure), name);
	}
	fprintf(out, ") SELECT (%s)", json_string_value(json_object_get(statement, "expect")));
	json_object_foreach(with, name, figure)
	{
		fprintf(out, ", \"%s\"", name);
	}
	fputs(" FROM q", out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* That of a name; -1 if there is none. Column 0 is what is expected. */
static int column_of(sqlite3_stmt *st, const char *name, size_t len)
{
	for (int i = 1; i < sqlite3_column_count(st); i++) {
		const char *column = sqlite3_column_name(st, i);
		if (strncmp(column, name, len) == 0 && column[len] == '\0')
			return i;
	}
	return -1;
}

static void put_figure(FILE *out, sqlite3_stmt *st, int column)
{
	if (sqlite3_column_type(st, column) == SQLITE_FLOAT)
		fprintf(out, "%.9g", sqlite3_column_double(st, column));
	else
		fputs((const char *)sqlite3_column_text(st, column), out);
}

/* Whether the words name figures that there are, whatever the figures. */
static bool names_good(const char *say, sqlite3_stmt *st)
{
	while ((say = strchr(say, '{'))) {
		size_t len = strcspn(++say, "}");
		if (!say[len] || column_of(st, say, len) < 0)
			return false;
	}
	return true;
}

/* The words with their figures, all of which are there. Owned by the caller. */
static char *fill_in(const char *say, sqlite3_stmt *st)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	while (*say) {
		size_t n = strcspn(say, "{");
		fwrite(say, 1, n, out);
		say += n;
		if (!*say)
			break;
		size_t len = strcspn(++say, "}");
		put_figure(out, st, column_of(st, say, len));
		say += len + 1;
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static bool any_null(sqlite3_stmt *st)
{
	for (int i = 0; i < sqlite3_column_count(st); i++) {
		if (sqlite3_column_type(st, i) == SQLITE_NULL)
			return true;
	}
	return false;
}

static int tell_row(const json_t *entry, const char *say, sqlite3_stmt *st, json_t *told,
		    struct err *err)
{
	if (!names_good(say, st))
		return bad(entry, err, "an answer names a figure that is not there");
	if (any_null(st)) {
		json_array_append_new(told, json_pack("{s:n, s:n}", "text", "holds"));
		return 0;
	}
	char *text = fill_in(say, st);
	json_t *one = text ? json_pack("{s:s, s:b}", "text", text, "holds",
				       sqlite3_column_int(st, 0) != 0)
			   : NULL;
	free(text);
	return json_array_append_new(told, one) ? err_run(err, ENOMEM, "no memory for an answer")
						: 0;
}

static int tell_one(sqlite3 *sql, const json_t *entry, const json_t *statement, json_t *told,
		    struct err *err)
{
	const char *say = json_string_value(json_object_get(statement, "say"));
	char *text = say ? statement_sql(statement) : NULL;
	sqlite3_stmt *st = NULL;

	if (!text)
		return bad(entry, err, "an answer has no words");
	int rc = sqlite3_prepare_v2(sql, text, -1, &st, NULL) == SQLITE_OK &&
				 sqlite3_step(st) == SQLITE_ROW
			 ? tell_row(entry, say, st, told, err)
			 : bad(entry, err, sqlite3_errmsg(sql));
	sqlite3_finalize(st);
	free(text);
	return rc;
}

static int tell_all(const json_t *entry, const struct table *t, json_t *told, struct err *err)
{
	const json_t *answer = json_object_get(entry, "answer");
	sqlite3 *sql = NULL;
	int rc = 0;

	/* No double quotes around text: a mistyped column is an error, not a word. */
	if (sqlite3_open(":memory:", &sql) != SQLITE_OK ||
	    sqlite3_db_config(sql, SQLITE_DBCONFIG_DQS_DML, 0, NULL) != SQLITE_OK ||
	    sqlite3_create_function(sql, "at", -1, SQLITE_UTF8, (void *)t, at, NULL, NULL) !=
		    SQLITE_OK ||
	    !fill(sql, t))
		rc = err_run(err, ENOMEM, "no answer: %s", sqlite3_errmsg(sql));
	for (size_t i = 0; rc == 0 && i < json_array_size(answer); i++)
		rc = tell_one(sql, entry, json_array_get(answer, i), told, err);
	sqlite3_close(sql);
	return rc;
}

/* Whether the plan varies all that the entry does. */
static bool same_axes(const json_t *entry, const struct plan *plan)
{
	const json_t *vary = json_object_get(entry, "vary");
	size_t found = 0;

	for (size_t i = 0; i < json_array_size(vary); i++) {
		const char *text = json_string_value(json_array_get(vary, i)),
			   *axis = text ? text : "";
		size_t len = strcspn(axis, "=");
		for (size_t a = 0; a < plan->axes; a++)
			found += strncmp(plan->axis[a].key, axis, len) == 0 &&
				 plan->axis[a].key[len] == '\0';
	}
	return found == json_array_size(vary);
}

/* A sweep that does not ask, for each statement. */
static void tell_nothing(const json_t *entry, json_t *told)
{
	for (size_t i = 0; i < json_array_size(json_object_get(entry, "answer")); i++)
		json_array_append_new(told, json_pack("{s:n, s:n}", "text", "holds"));
}

int answer_tell(const json_t *entry, struct sweep_db *db, const struct plan *plan, json_t **told,
		struct err *err)
{
	const json_t *names = json_object_get(entry, "metrics");
	struct metrics metrics = {0};
	struct table table;
	int rc = 0;

	*told = json_array();
	for (size_t i = 0; rc == 0 && i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		rc = metrics_add(&metrics, name ? name : "", err);
	}
	if (rc == 0) {
		/* -EINVAL: a job that was changed may not have these statistics */
		rc = same_axes(entry, plan) ? table_load(db, plan, &metrics, &table, err) : -EINVAL;
		if (rc == -EINVAL) {
			tell_nothing(entry, *told);
			return 0;
		}
	}
	if (rc == 0) {
		rc = tell_all(entry, &table, *told, err);
		table_release(&table);
	}
	if (rc) {
		json_decref(*told);
		*told = NULL;
	}
	return rc;
}
