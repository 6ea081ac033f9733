/* ballast compare: runs or sweeps side by side. */
#include "experiments/cmds.h"
#include "experiments/compare.h"
#include "experiments/compare_runs.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct compare_args {
	const char **dir;
	size_t dirs;
	const char *by;
	struct metrics metrics;
	bool json;
};

static error_t parse_compare(int key, char *arg, struct argp_state *state)
{
	struct compare_args *a = state->input;
	struct err err;

	switch (key) {
	case 'm':
		return metrics_add(&a->metrics, arg, &err) ? cmd_usage(state, "%s", err.msg) : 0;
	case 'b':
		a->by = arg;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case ARGP_KEY_ARG:
		a->dir[a->dirs++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (a->by && a->dirs != 1)
			return cmd_usage(state, "--by compares within one sweep");
		if (!a->by && (a->dirs < 2 || a->dirs > ARMS_MAX))
			return cmd_usage(state, "give 2 to %d folders, or one and --by KEY",
					 ARMS_MAX);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option compare_options[] = {
	{"by", 'b', "KEY", 0, "Compare the values of that axis of one sweep with its first", 0},
	{"metric", 'm', "NAME", 0,
	 "What to compare: host.NAME, vm.a.NAME, vm.*.NAME, or a ratio, A/B", 0},
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{0},
};

static const struct argp compare_argp = {
	.options = compare_options,
	.parser = parse_compare,
	.args_doc = "DIR...",
	.doc = "Compares runs, or sweeps with the same axes, with the first of them."
	       "\vRuns of a sweep are paired by point and seed, since they saw the same draws: "
	       "the difference has a 95 % interval, a paired t test (p) and a count of seeds that "
	       "went up and down.\n\n"
	       "Examples:\n"
	       "  ballast compare sweep --by swap.victim --metric vm.*.faults\n"
	       "  ballast compare lru-8mb clock-8mb",
};

/* Everything that is open: one sweep per folder. */
struct opened {
	struct sweep_db *db[ARMS_MAX];
	struct plan *plan[ARMS_MAX];
	struct table table[ARMS_MAX];
	struct arm arm[ARMS_MAX];
	size_t sweeps, arms;
};

static int open_sweep(struct opened *o, const char *dir, const struct metrics *metrics,
		      struct err *err)
{
	size_t i = o->sweeps;
	int rc = sweep_db_open(dir, false, &o->db[i], err);

	if (rc)
		return rc;
	o->sweeps++;
	json_t *told = sweep_db_plan(o->db[i], err);
	rc = told ? plan_from(told, &o->plan[i], err) : -EIO;
	json_decref(told);
	if (rc == 0)
		rc = table_load(o->db[i], o->plan[i], metrics, &o->table[i], err);
	if (rc)
		err_prefix(err, "%s", dir);
	return rc;
}

static void add_arm(struct opened *o, const char *name, size_t by, size_t value)
{
	struct arm *arm = &o->arm[o->arms++];

	*arm = (struct arm){.table = &o->table[o->sweeps - 1], .by = by, .value = value};
	snprintf(arm->name, sizeof arm->name, "%s", name);
}

static int arms_by_axis(struct opened *o, const char *key, struct err *err)
{
	const struct plan *plan = o->plan[0];

	if (!plan)
		return err_input(err, "there is no sweep to compare within");
	for (size_t a = 0; a < plan->axes; a++) {
		if (strcmp(plan->axis[a].key, key) != 0)
			continue;
		if (plan->axis[a].n < 2 || plan->axis[a].n > ARMS_MAX)
			return err_input(err, "--by %s: it has %zu values; 2 to %d are compared",
					 key, plan->axis[a].n, ARMS_MAX);
		for (size_t i = 0; i < plan->axis[a].n; i++)
			add_arm(o, plan->axis[a].text[i], a, i);
		return 0;
	}
	return err_input(err, "--by %.60s: the sweep does not vary it", key);
}

static int open_arms(struct opened *o, const struct compare_args *a, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->dirs; i++) {
		rc = open_sweep(o, a->dir[i], &a->metrics, err);
		if (rc == 0 && !a->by)
			add_arm(o, a->dir[i], SIZE_MAX, 0);
	}
	if (rc == 0)
		rc = a->by ? arms_by_axis(o, a->by, err) : compare_check(o->arm, o->arms, err);
	return rc;
}

static void close_all(struct opened *o)
{
	for (size_t i = 0; i < o->sweeps; i++) {
		table_release(&o->table[i]);
		plan_free(o->plan[i]);
		sweep_db_close(o->db[i]);
	}
}

/* A point without the axis that makes the arms. */
static void point_text(const struct arm *base, uint64_t point, char *buf, size_t size)
{
	const struct plan *plan = base->table->plan;
	size_t used = 0;

	snprintf(buf, size, "all");
	for (size_t a = 0; a < plan->axes && used < size; a++) {
		if (a != base->by)
			used += (size_t)snprintf(buf + used, size - used, "%s%s=%s",
						 used ? " " : "", plan->axis[a].key,
						 plan->axis[a].text[plan_index(plan, point, a)]);
	}
}

struct printing {
	const struct opened *o;
	int point_width, arm_width;
};

static void print_p(char *buf, size_t size, double p)
{
	if (isnan(p))
		snprintf(buf, size, "-");
	else if (p < 1e-4)
		snprintf(buf, size, "<1e-4");
	else
		snprintf(buf, size, "%.4f", p);
}

static void print_row(void *arg, const struct compared *row)
{
	const struct printing *pr = arg;
	const struct paired *p = &row->pairs;
	char point[300], diff[64], change[24] = "-", t[16], sign[16];

	point_text(&pr->o->arm[0], row->point, point, sizeof point);
	if (isnan(p->diff.mean))
		snprintf(diff, sizeof diff, "-");
	else if (isnan(p->diff.half))
		snprintf(diff, sizeof diff, "%+.6g", p->diff.mean);
	else
		snprintf(diff, sizeof diff, "%+.6g +- %.2g", p->diff.mean, p->diff.half);
	if (p->diff.n && p->mean_a != 0)
		snprintf(change, sizeof change, "%+.2f %%", 100 * p->diff.mean / p->mean_a);
	print_p(t, sizeof t, p->p);
	print_p(sign, sizeof sign, p->sign_p);
	printf("%-*s  %-*s  %3zu  %12.6g  %24s  %10s  %7s  %3zu up %3zu down  %7s\n",
	       pr->point_width, point, pr->arm_width, pr->o->arm[row->arm].name, p->diff.n,
	       p->mean_a, diff, change, t, p->plus, p->minus, sign);
}

static int longest_point(const struct arm *base)
{
	char text[300];
	size_t width = 5;

	for (uint64_t p = 0; p < base->table->plan->points; p++) {
		point_text(base, p, text, sizeof text);
		width = strlen(text) > width ? strlen(text) : width;
	}
	return (int)width;
}

static void print_metric(const struct opened *o, const char *name, size_t metric)
{
	struct printing pr = {.o = o, .point_width = longest_point(&o->arm[0]), .arm_width = 4};
	size_t missing;

	for (size_t k = 1; k < o->arms; k++) {
		int len = (int)strlen(o->arm[k].name);
		pr.arm_width = len > pr.arm_width ? len : pr.arm_width;
	}
	printf("%s, against %s\n", name, o->arm[0].name);
	printf("%-*s  %-*s  %3s  %12s  %24s  %10s  %7s  %16s  %7s\n", pr.point_width, "point",
	       pr.arm_width, "arm", "n", "baseline", "difference", "change", "p (t)", "seeds",
	       "p (sign)");
	compare_points(o->arm, o->arms, metric, print_row, &pr, &missing);
	for (size_t k = 1; k < o->arms; k++) {
		struct compared_all all = compare_all(o->arm, k, metric);
		printf("over all points: %s is %.4g times %s; %zu up, %zu down of %zu pairs\n",
		       o->arm[k].name, all.ratio, o->arm[0].name, all.plus, all.minus, all.pairs);
	}
	if (missing)
		printf("%zu points are not in every sweep and are left out\n", missing);
}

static json_t *real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

struct gathering {
	const struct opened *o;
	json_t *rows;
};

static void gather_row(void *arg, const struct compared *row)
{
	const struct gathering *g = arg;
	const struct paired *p = &row->pairs;
	const struct arm *base = &g->o->arm[0];
	json_t *point = plan_point_json(base->table->plan, row->point);

	if (base->by != SIZE_MAX)
		json_object_del(point, base->table->plan->axis[base->by].key);
	json_array_append_new(
		g->rows,
		json_pack("{s:o, s:s, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "point", point,
			  "arm", g->o->arm[row->arm].name, "pairs", (json_int_t)p->diff.n,
			  "baseline", real(p->mean_a), "difference", real(p->diff.mean), "ci95",
			  real(p->diff.half), "p", real(p->p), "up", (json_int_t)p->plus, "down",
			  (json_int_t)p->minus, "sign_p", real(p->sign_p)));
}

static json_t *metric_json(const struct opened *o, size_t metric)
{
	struct gathering g = {o, json_array()};
	json_t *all = json_array();
	size_t missing;

	compare_points(o->arm, o->arms, metric, gather_row, &g, &missing);
	for (size_t k = 1; k < o->arms; k++) {
		struct compared_all c = compare_all(o->arm, k, metric);
		json_array_append_new(
			all, json_pack("{s:s, s:I, s:o, s:I, s:I, s:o}", "arm", o->arm[k].name,
				       "pairs", (json_int_t)c.pairs, "ratio", real(c.ratio), "up",
				       (json_int_t)c.plus, "down", (json_int_t)c.minus, "sign_p",
				       real(c.sign_p)));
	}
	return json_pack("{s:o, s:o, s:I}", "points", g.rows, "all", all, "missing",
			 (json_int_t)missing);
}

static void show(const struct opened *o, const struct compare_args *a)
{
	json_t *metrics = json_object();

	for (size_t m = 0; m < a->metrics.n; m++) {
		if (!a->json)
			print_metric(o, a->metrics.metric[m].text, m);
		else
			json_object_set_new(metrics, a->metrics.metric[m].text, metric_json(o, m));
	}
	json_t *all = json_pack("{s:s, s:o}", "baseline", o->arm[0].name, "metrics", metrics);
	if (a->json) {
		cmd_print_json(json_incref(all));
	}
	json_decref(all);
}

static int compare_sweeps(struct compare_args *a, struct err *err)
{
	struct opened *o = calloc(1, sizeof *o);

	if (!o)
		return err_run(err, ENOMEM, "no memory for a comparison");
	if (a->metrics.n == 0)
		metrics_default(&a->metrics);
	int rc = open_arms(o, a, err);
	if (rc == 0)
		show(o, a);
	close_all(o);
	free(o);
	return rc;
}

/* Why some are sweeps and others not: runs among them, or folders that hold neither. */
static int mixed(const struct compare_args *a, struct err *err)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < a->dirs; i++) {
		snprintf(path, sizeof path, "%s/run.json", a->dir[i]);
		if (!sweep_db_there(a->dir[i]) && access(path, F_OK) != 0)
			return err_input(err, "%s: holds no results of a run or a sweep",
					 a->dir[i]);
	}
	return err_input(err, "some of these are sweeps and some are runs: compare like with like");
}

/* All of them sweeps, or all of them runs. */
static int compare(struct compare_args *a, struct err *err)
{
	size_t sweeps = 0;

	for (size_t i = 0; i < a->dirs; i++)
		sweeps += sweep_db_there(a->dir[i]);
	if (sweeps == a->dirs)
		return compare_sweeps(a, err);
	if (sweeps)
		return mixed(a, err);
	if (a->by)
		return err_input(err, "%s: holds no results of a sweep", a->dir[0]);
	return compare_runs(a->dir, a->dirs, &a->metrics, a->json, err);
}

int cmd_compare(int argc, char **argv)
{
	struct compare_args a = {.dir = calloc((size_t)argc + 1, sizeof *a.dir)};
	struct err err = {0};

	if (!a.dir) {
		err_run(&err, ENOMEM, "no memory");
		return cmd_fail(&err);
	}
	int rc = cmd_parse(&compare_argp, argc, argv, &a);
	if (rc == 0)
		rc = compare(&a, &err) ? cmd_fail(&err) : 0;
	free(a.dir);
	return rc;
}
