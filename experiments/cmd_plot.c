/* ballast plot: figures of what a run or a sweep left behind. */
#include "experiments/cmds.h"
#include "experiments/run_figure.h"
#include "experiments/sweep_figure.h"

#include <errno.h>
#include <string.h>

struct plot_args {
	const char *dir, *pareto;
	struct metrics metrics;
	bool json;
};

static error_t parse_plot(int key, char *arg, struct argp_state *state)
{
	struct plot_args *a = state->input;
	struct err err;

	switch (key) {
	case 'm':
		return metrics_add(&a->metrics, arg, &err) ? cmd_usage(state, "%s", err.msg) : 0;
	case 'p':
		a->pareto = arg;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->dir)
			return cmd_usage(state, "one folder at a time; what is '%s'?", arg);
		a->dir = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cmd_usage(state, "the folder of which run or sweep?");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option plot_options[] = {
	{"metric", 'm', "NAME", 0,
	 "What to draw: host.NAME, vm.a.NAME, vm.*.NAME; of a sweep also a ratio, A/B", 0},
	{"pareto", 'p', "A,B", 0,
	 "Of a sweep: two metrics against each other ('+A': more is better)", 0},
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{0},
};

static const struct argp plot_argp = {
	.options = plot_options,
	.parser = parse_plot,
	.args_doc = "DIR",
	.doc = "Draws the results in DIR: of a run, its series over time; of a sweep, each metric "
	       "by the shape of the grid."
	       "\vRows (.csv), script (.gp) and figures (.svg, .png) go to DIR; a script can be "
	       "changed and drawn again by gnuplot.\n\n"
	       "Example:\n  ballast plot sweep --metric vm.*.faults/vm.*.refs",
};

static int plot_sweep(struct plot_args *a, json_t *files, struct err *err)
{
	struct pareto pareto;
	struct sweep_db *db;
	struct table table;
	struct plan *plan = NULL;

	if (a->metrics.n == 0 && !a->pareto)
		metrics_default(&a->metrics);
	size_t shown = a->metrics.n;
	int rc = a->pareto ? pareto_parse(a->pareto, &a->metrics, &pareto, err) : 0;
	if (rc == 0)
		rc = sweep_db_open(a->dir, false, &db, err);
	if (rc)
		return rc;
	json_t *told = sweep_db_plan(db, err);
	rc = told ? plan_from(told, &plan, err) : -EIO;
	if (rc == 0)
		rc = table_load(db, plan, &a->metrics, &table, err);
	if (rc == 0) {
		if (a->pareto)
			rc = figure_pareto(&table, &pareto, a->dir, files, err);
		if (rc == 0)
			rc = figure_metrics(&table, shown, a->dir, files, err);
		table_release(&table);
	}
	json_decref(told);
	plan_free(plan);
	sweep_db_close(db);
	return rc;
}

static int print(const struct plot_args *a, json_t *files)
{
	if (a->json) {
		cmd_print_json(json_pack("{s:s, s:O}", "dir", a->dir, "files", files));
		return 0;
	}
	for (size_t i = 0; i < json_array_size(files); i++)
		printf("%s/%s\n", a->dir, json_string_value(json_array_get(files, i)));
	if (json_array_size(files) == 0)
		puts("nothing to draw: one point, or too many axes for a figure");
	return 0;
}

int cmd_plot(int argc, char **argv)
{
	struct plot_args a = {0};
	struct err err = {0};
	int rc = cmd_parse(&plot_argp, argc, argv, &a);

	if (rc)
		return rc;
	json_t *files = json_array();
	if (sweep_db_there(a.dir))
		rc = plot_sweep(&a, files, &err);
	else if (a.pareto)
		rc = err_input(&err, "%s: holds no sweep, which --pareto is for", a.dir);
	else
		rc = figure_run(a.dir, &a.metrics, files, &err);
	rc = rc ? cmd_fail(&err) : print(&a, files);
	json_decref(files);
	return rc;
}
