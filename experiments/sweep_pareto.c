/* Pareto fronts: what can be had of one outcome for how much of another. */
#include "experiments/plot_head.h"
#include "experiments/sweep_figure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int pareto_parse(const char *text, struct metrics *metrics, struct pareto *pareto, struct err *err)
{
	char copy[2 * METRIC_TEXT_MAX + 4], *b;

	if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy || !(b = strchr(copy, ',')))
		return err_input(err,
				 "--pareto '%.60s': write two metrics, as in "
				 "vm.*.faults,host.time_ns, with a '+' before one that is better "
				 "the larger",
				 text);
	*b++ = '\0';
	pareto->more_a = *copy == '+';
	pareto->more_b = *b == '+';
	pareto->a = metrics_place(metrics, copy + pareto->more_a, err);
	pareto->b = pareto->a < 0 ? pareto->a : metrics_place(metrics, b + pareto->more_b, err);
	return pareto->b < 0 ? pareto->b : 0;
}

struct outcome {
	uint64_t point;
	double a, b; /* smaller is better: signs are turned where larger is */
	bool front;
};

static int by_a(const void *x, const void *y)
{
	const struct outcome *p = x, *q = y;

	if (p->a != q->a)
		return p->a < q->a ? -1 : 1;
	if (p->b != q->b)
		return p->b < q->b ? -1 : 1;
	return p->point < q->point ? -1 : 1;
}

/* The front first and along it, so that a line can be drawn through its rows. */
static int by_front(const void *x, const void *y)
{
	const struct outcome *p = x, *q = y;

	return p->front != q->front ? (p->front ? -1 : 1) : by_a(x, y);
}

/* In the order of a, a point is beaten unless its b is below all before it. Equals stay. */
static void find_front(struct outcome *o, size_t n)
{
	double best = INFINITY, best_a = NAN;

	qsort(o, n, sizeof *o, by_a);
	for (size_t i = 0; i < n; i++) {
		o[i].front = o[i].b < best || (o[i].b == best && o[i].a == best_a);
		if (o[i].b < best) {
			best = o[i].b;
			best_a = o[i].a;
		}
	}
	qsort(o, n, sizeof *o, by_front);
}

static size_t gather(const struct table *t, const struct pareto *p, struct outcome *o)
{
	size_t n = 0;

	for (uint64_t point = 0; point < t->plan->points; point++) {
		double a = table_mean(t, (size_t)p->a, point).mean,
		       b = table_mean(t, (size_t)p->b, point).mean;
		if (!isnan(a) && !isnan(b))
			o[n++] = (struct outcome){point, p->more_a ? -a : a, p->more_b ? -b : b, 0};
	}
	return n;
}

static int write_rows(const struct table *t, const struct pareto *p, const struct outcome *o,
		      size_t n, const char *dir, struct err *err)
{
	struct draft *draft;
	char text[300];
	int rc = outdir_open(dir, "pareto.csv", &draft, err);

	if (rc)
		return rc;
	fprintf(draft_stream(draft), "point,%s,%s,front\n", t->metrics->metric[p->a].text,
		t->metrics->metric[p->b].text);
	for (size_t i = 0; i < n; i++) {
		plan_point_text(t->plan, o[i].point, text, sizeof text);
		for (char *comma = text; (comma = strchr(comma, ','));)
			*comma = ';';
		fprintf(draft_stream(draft), "%s,%.10g,%.10g,%d\n", text,
			p->more_a ? -o[i].a : o[i].a, p->more_b ? -o[i].b : o[i].b, o[i].front);
	}
	return draft_commit(draft, err);
}

static double largest(const struct outcome *o, size_t n, bool a)
{
	double most = 0;

	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs(a ? o[i].a : o[i].b));
	return most;
}

int figure_pareto(const struct table *t, const struct pareto *p, const char *dir, json_t *files,
		  struct err *err)
{
	struct outcome *o = calloc(t->plan->points, sizeof *o);
	struct draft *draft;

	if (!o)
		return err_run(err, ENOMEM, "no memory for a Pareto front");
	size_t n = gather(t, p, o);
	find_front(o, n);
	int rc = write_rows(t, p, o, n, dir, err);
	if (rc == 0)
		rc = plot_head(dir, "pareto", &draft, err);
	if (rc == 0) {
		plot_set(draft, "heading", "Points that no other beats in both");
		plot_set(draft, "x_label", t->metrics->metric[p->a].text);
		plot_set(draft, "y_label", t->metrics->metric[p->b].text);
		plot_number(draft, "x_big", largest(o, n, true) >= 1e4);
		plot_number(draft, "y_big", largest(o, n, false) >= 1e4);
		rc = plot_body(draft, "pareto", dir, "pareto", files, err);
	}
	free(o);
	return rc;
}
