#include "experiments/sweep_tell.h"

#include "experiments/cmds.h"
#include "experiments/sweep_answer.h"

#include <stdio.h>

#define POINTS_SHOWN   60
#define FAILURES_SHOWN 20

struct failures {
	const struct plan *plan;
	json_t *json;
	uint64_t shown, all;
};

static int tell_failure(void *arg, const struct record *row, struct err *err)
{
	struct failures *f = arg;
	char point[300];

	(void)err;
	if (!row->failed)
		return 0;
	plan_point_text(f->plan, plan_point(f->plan, row->run), point, sizeof point);
	f->all++;
	if (f->shown < FAILURES_SHOWN) {
		f->shown++;
		fprintf(stderr, "ballast: run %llu (%s seed %u) failed: %s\n",
			(unsigned long long)row->run, point, plan_seed(f->plan, row->run),
			row->error);
	}
	json_array_append_new(
		f->json, json_pack("{s:I, s:o, s:i, s:s}", "run", (json_int_t)row->run, "point",
				   plan_point_json(f->plan, plan_point(f->plan, row->run)), "seed",
				   (int)plan_seed(f->plan, row->run), "error", row->error));
	return 0;
}

/* Names each run that failed; the rest is done. */
static int tell_failures(struct sweep *s, json_t *all, struct err *err)
{
	struct failures f = {.plan = s->plan, .json = all};
	int rc = sweep_db_each(s->db, false, tell_failure, &f, err);

	if (rc == 0 && f.all > f.shown)
		fprintf(stderr,
			"ballast: and %llu more; sqlite3 %s/results.sqlite \"select * from "
			"runs where state = 'failed'\" lists them\n",
			(unsigned long long)(f.all - f.shown), s->dir);
	return rc;
}

static size_t statements(const json_t *answer, int holds)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(answer); i++) {
		const json_t *o = json_object_get(json_array_get(answer, i), "holds");
		n += holds < 0 ? json_is_null(o) : json_is_boolean(o) && json_is_true(o) == holds;
	}
	return n;
}

static void print_statements(const json_t *answer, bool holds, const char *head)
{
	for (size_t i = 0; i < json_array_size(answer); i++) {
		const json_t *one = json_array_get(answer, i), *o = json_object_get(one, "holds");
		if (json_is_boolean(o) && json_is_true(o) == holds) {
			printf("%s%s", head, json_string_value(json_object_get(one, "text")));
			head = " ";
		}
	}
	if (statements(answer, holds))
		putchar('\n');
}

/* What holds, what does not, and of how much these runs say nothing. */
static void print_answer(const json_t *ready, const json_t *answer)
{
	size_t n = statements(answer, -1);

	printf("Question: %s\n", json_string_value(json_object_get(ready, "question")));
	print_statements(answer, true, "Answer: ");
	print_statements(answer, false, "Expected, and does not hold here: ");
	if (n)
		printf("Of the answer's %zu statements, %zu are about points that were not run.\n",
		       json_array_size(answer), n);
}

static void print_results(const struct sweep_telling *a, const struct sweep *s,
			  const struct table *table, const json_t *answer, const json_t *files)
{
	table_print(table, POINTS_SHOWN);
	printf("%llu runs done, %llu failed: %s/results.sqlite, %s/points.csv\n",
	       (unsigned long long)table->done, (unsigned long long)table->failed, s->dir, s->dir);
	if (table->missed)
		printf("of %llu, an expectation does not hold: host.expect_missed counts them\n",
		       (unsigned long long)table->missed);
	if (a->ready)
		print_answer(a->ready, answer);
	for (size_t i = 2; i < json_array_size(files); i += 4)
		printf("%s/%s\n", s->dir, json_string_value(json_array_get(files, i)));
}

static int draw(const struct sweep *s, const struct sweep_telling *a, const struct table *table,
		json_t *files, struct err *err)
{
	int rc = figure_metrics(table, a->shown, s->dir, files, err);

	if (rc == 0 && a->pareto)
		rc = figure_pareto(table, a->pareto, s->dir, files, err);
	return rc;
}

/* Without a gnuplot the rest is there all the same. */
int sweep_tell(struct sweep *s, const struct sweep_telling *a, uint64_t *missed, struct err *err)
{
	json_t *failures = json_array(), *files = json_array(), *answer = NULL;
	struct table table;

	int rc = table_load(s->db, s->plan, a->metrics, &table, err);
	if (rc == 0) {
		rc = table_csv(&table, s->dir, err);
		if (rc == 0)
			rc = tell_failures(s, failures, err);
		if (rc == 0 && a->ready)
			rc = answer_tell(a->ready, s->db, s->plan, &answer, err);
		int drawn = rc ? 0 : draw(s, a, &table, files, err);
		if (rc == 0 && a->json)
			cmd_print_json(json_pack(
				"{s:s, s:I, s:I, s:I, s:I, s:O, s:o, s:O, s:O*}", "dir", s->dir,
				"runs", (json_int_t)s->plan->runs, "done", (json_int_t)table.done,
				"failed", (json_int_t)table.failed, "missed",
				(json_int_t)table.missed, "failures", failures, "points",
				table_json(&table), "files", files, "answer", answer));
		else if (rc == 0)
			print_results(a, s, &table, answer, files);
		*missed = table.missed + statements(answer, false);
		rc = rc ? rc : drawn;
		table_release(&table);
	}
	json_decref(failures);
	json_decref(files);
	json_decref(answer);
	return rc;
}
