#include "experiments/sweep_figure.h"

#include "experiments/plot_head.h"
#include "experiments/sweep_shape.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIGURE_NAME 120
#define BIG	    1e4 /* numbers from here on get k, M, G */

struct figure {
	const struct table *t;
	size_t metric;
	struct shape shape;
	char name[FIGURE_NAME];
	double most; /* the largest mean */
};

static const struct axis *axis_of(const struct figure *f, size_t a)
{
	return &f->t->plan->axis[a];
}

/* "key=value, key=value" of the p-th panel; "" where there is one panel. */
static void panel_text(const struct figure *f, size_t p, char *buf, size_t size)
{
	size_t used = 0, index[PLAN_AXES_MAX] = {0};

	buf[0] = '\0';
	for (size_t i = f->shape.panel_axes; i-- > 0;) {
		index[i] = p % axis_of(f, f->shape.panel[i])->n;
		p /= axis_of(f, f->shape.panel[i])->n;
	}
	for (size_t i = 0; i < f->shape.panel_axes && used < size; i++) {
		const struct axis *axis = axis_of(f, f->shape.panel[i]);
		used += (size_t)snprintf(buf + used, size - used, "%s%s=%s", i ? "  " : "",
					 axis->key, axis->text[index[i]]);
	}
	/* A comma would end the field of the CSV file. */
	for (char *comma = buf; (comma = strchr(comma, ','));)
		*comma = ';';
}

static size_t panel_of(const struct figure *f, uint64_t point)
{
	size_t p = 0;

	for (size_t i = 0; i < f->shape.panel_axes; i++)
		p = p * axis_of(f, f->shape.panel[i])->n +
		    plan_index(f->t->plan, point, f->shape.panel[i]);
	return p;
}

static const char *series_text(const struct figure *f, uint64_t point)
{
	size_t s = f->shape.series;

	return s == SHAPE_NONE ? "all" : axis_of(f, s)->text[plan_index(f->t->plan, point, s)];
}

static double place(const struct figure *f, size_t a, uint64_t point)
{
	const struct axis *axis = axis_of(f, a);
	size_t i = plan_index(f->t->plan, point, a);
	const char *unit;
	double scale;

	if (f->shape.kind != SHAPE_LINES)
		return (double)i;
	shape_scale(axis, &scale, &unit);
	return axis->number[i] / scale;
}

static void write_row(struct figure *f, FILE *out, uint64_t point)
{
	struct mean mean = table_mean(f->t, f->metric, point);
	double half = isnan(mean.half) ? 0 : mean.half;
	char panel[300];

	if (isnan(mean.mean))
		return;
	f->most = fabs(mean.mean) > f->most ? fabs(mean.mean) : f->most;
	panel_text(f, panel_of(f, point), panel, sizeof panel);
	fprintf(out, "%s,%s,%.10g", panel, series_text(f, point), place(f, f->shape.x, point));
	if (f->shape.kind == SHAPE_HEAT)
		fprintf(out, ",%.10g,%.10g,%zu\n", place(f, f->shape.y, point), mean.mean, mean.n);
	else
		fprintf(out, ",%.10g,%.10g,%.10g,%zu\n", mean.mean, mean.mean - half,
			mean.mean + half, mean.n);
}

/* Rows of a series lie together, so that a line is drawn along them. */
static int write_rows(struct figure *f, const char *dir, struct err *err)
{
	const struct plan *plan = f->t->plan;
	size_t series = f->shape.series;
	size_t n = series == SHAPE_NONE ? 1 : axis_of(f, series)->n;
	struct draft *draft;
	char file[FIGURE_NAME + 8];

	snprintf(file, sizeof file, "%s.csv", f->name);
	int rc = outdir_open(dir, file, &draft, err);
	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs(f->shape.kind == SHAPE_HEAT ? "panel,series,x,y,mean,n\n"
					  : "panel,series,x,mean,low,high,n\n",
	      out);
	for (size_t s = 0; s < n; s++) {
		for (uint64_t p = 0; p < plan->points; p++) {
			if (series == SHAPE_NONE || plan_index(plan, p, series) == s)
				write_row(f, out, p);
		}
	}
	return draft_commit(draft, err);
}

static void set_label(const struct figure *f, struct draft *draft, const char *name, size_t a)
{
	const char *unit = "";
	char label[300];
	double scale;

	if (axis_numeric(axis_of(f, a)) && f->shape.kind == SHAPE_LINES)
		shape_scale(axis_of(f, a), &scale, &unit);
	snprintf(label, sizeof label, "%s%s%s", axis_of(f, a)->key, *unit ? ", " : "", unit);
	plot_set(draft, name, label);
}

static void set_panels(const struct figure *f, struct draft *draft)
{
	char text[SHAPE_PANELS_MAX][300];
	const char *panels[SHAPE_PANELS_MAX];

	for (size_t p = 0; p < f->shape.panels; p++) {
		panel_text(f, p, text[p], sizeof text[p]);
		panels[p] = text[p];
	}
	plot_array(draft, "panels", panels, f->shape.panels);
}

static void set_names(const struct figure *f, struct draft *draft, const char *name, size_t a)
{
	plot_array(draft, name, (const char *const *)axis_of(f, a)->text, axis_of(f, a)->n);
}

static const char *const bodies[] = {
	[SHAPE_LINES] = "lines", [SHAPE_BARS] = "bars", [SHAPE_HEAT] = "heat"};

static int write_script(const struct figure *f, const char *dir, json_t *files, struct err *err)
{
	static const char *const all[] = {"all"};
	const char *metric = f->t->metrics->metric[f->metric].text;
	const struct shape *s = &f->shape;
	char heading[400];
	struct draft *draft;
	int rc = plot_head(dir, f->name, &draft, err);

	if (rc)
		return rc;
	if (f->t->plan->seeds == 1)
		snprintf(heading, sizeof heading, "%s, one run a point", metric);
	else
		snprintf(heading, sizeof heading, "%s: means of %u runs%s", metric,
			 f->t->plan->seeds, s->kind == SHAPE_HEAT ? "" : ", 95 % intervals");
	plot_set(draft, "heading", heading);
	set_label(f, draft, "x_label", s->x);
	set_panels(f, draft);
	if (s->kind == SHAPE_HEAT) {
		set_label(f, draft, "y_label", s->y);
		plot_set(draft, "z_label", metric);
		plot_number(draft, "z_big", f->most >= BIG);
		set_names(f, draft, "x_names", s->x);
		set_names(f, draft, "y_names", s->y);
	} else {
		plot_set(draft, "y_label", metric);
		plot_number(draft, "y_big", f->most >= BIG);
		if (s->series == SHAPE_NONE)
			plot_array(draft, "series", all, 1);
		else
			set_names(f, draft, "series", s->series);
	}
	if (s->kind == SHAPE_BARS)
		set_names(f, draft, "names", s->x);
	if (s->kind == SHAPE_LINES)
		plot_number(draft, "x_log", shape_log(axis_of(f, s->x)));
	return plot_body(draft, bodies[s->kind], dir, f->name, files, err);
}

int figure_metrics(const struct table *t, size_t n, const char *dir, json_t *files, struct err *err)
{
	struct figure f = {.t = t};
	int rc = 0;

	shape_of(t->plan, &f.shape);
	if (f.shape.kind == SHAPE_NOTHING)
		return 0;
	for (size_t m = 0; rc == 0 && m < n; m++) {
		f.metric = m;
		f.most = -1;
		metric_slug(&t->metrics->metric[m], f.name, sizeof f.name);
		rc = write_rows(&f, dir, err);
		if (rc == 0 && f.most >= 0) /* a run went well */
			rc = write_script(&f, dir, files, err);
	}
	return rc;
}
