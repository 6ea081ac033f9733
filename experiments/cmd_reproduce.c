/* ballast reproduce: the experiments, from their jobs to their figures. */
#include "experiments/cmds.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/provenance.h"
#include "experiments/reproduce.h"

#include "core/opt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct experiment experiments[] = {
	/* One line per experiment, in the order in which they run. */
	{"replay-curves", "miss ratio of real programs against memory, by every victim policy",
	 replay_curves_run},
	{"esx-fig2", "dbench in a VM configured small and in one ballooned down, against Fig. 2",
	 esx_fig2_run},
	{"esx-fig4", "what 1 to 10 identical VMs share, against the ESX paper's Fig. 4",
	 esx_fig4_run},
	{"esx-fig5", "what three production hosts reclaim, and when, against the paper's Fig. 5",
	 esx_fig5_run},
	{"esx-fig6", "active memory by sampling under a toucher, against the paper's Fig. 6",
	 esx_fig6_run},
	{"esx-fig7", "a tax on idle memory, between an idle VM and a busy one: the paper's Fig. 7",
	 esx_fig7_run},
	{"esx-fig8", "five VMs that boot into too little memory, 90 minutes: the paper's Fig. 8",
	 esx_fig8_run},
	{"tax-sweep", "what each rate of the tax takes from an idle VM and gives to a busy one",
	 tax_sweep_run},
	{"double-paging", "pages paged twice, by balloon, random and LRU paging below a guest",
	 double_paging_run},
	{"mmu-modes", "what translation costs by shadow tables, EPT, directly and nested",
	 mmu_modes_run},
	{"mmu-pages",
	 "pages of 2 MiB against 4 KiB in guest and host, and what sharing loses by them",
	 mmu_pages_run},
	{"free-hints", "memory got back from a guest that tells what is free, and what it costs",
	 free_hints_run},
	{"sharing-scan", "memory reclaimed by every scan policy, for the CPU time that it takes",
	 sharing_scan_run},
	{"esx-ioremap", "copies for devices, with and without remapping pages to low memory",
	 esx_ioremap_run},
	{"sampler-race", "every working-set sampler: error against cost", sampler_race_run},
	/* On live guests, after all others. */
	{"esx-fig2-live",
	 "a file server in a real Linux, ballooned and configured small: the paper's Fig. 2",
	 esx_fig2_live_run, true},
	{"esx-fig4-live", "what 1 to 4 real Linux guests share, against the paper's Fig. 4",
	 esx_fig4_live_run, true},
	{"esx-fig6-live",
	 "active memory of a real Linux under a toucher, against the paper's Fig. 6",
	 esx_fig6_live_run, true},
	{"esx-fig7-live", "a tax on idle memory, between two real Linux guests: the paper's Fig. 7",
	 esx_fig7_live_run, true},
	{"esx-fig8-live",
	 "four real Linux guests boot at once into too little memory: the paper's Fig. 8 in small",
	 esx_fig8_live_run, true},
	{"balloon-race", "128 MB of a live Linux guest: its balloon beside virtio-balloon",
	 balloon_race_run, .live = true},
	{NULL},
};

struct reproduce_args {
	const char *dir;
	bool list, json, live, force;
	size_t jobs;
	const struct experiment **chosen; /* in the order of the command line */
	size_t n;
};

enum { KEY_JOBS = 256, KEY_LIVE, KEY_FORCE };

static const struct experiment *find(const struct argp_state *state, const char *id)
{
	const char *names[32];
	size_t n = 0;

	for (const struct experiment *e = experiments; e->id; e++) {
		if (strcmp(e->id, id) == 0)
			return e;
		if (n < ARRAY_LEN(names))
			names[n++] = e->id;
	}
	const char *near = nearest_name(id, names, n);
	if (near)
		cmd_usage(state, "there is no experiment '%.40s'; did you mean '%s'?", id, near);
	else
		cmd_usage(state, "there is no experiment '%.40s'; --list shows them", id);
	return NULL;
}

static error_t take_jobs(const struct argp_state *state, struct reproduce_args *a, const char *arg)
{
	char *end;
	unsigned long jobs = strtoul(arg, &end, 10);

	if (end == arg || *end || *arg == '-' || jobs < 1 || jobs > PARALLEL_MOST)
		return cmd_usage(state, "--jobs %.40s: give 1 to %d", arg, PARALLEL_MOST);
	a->jobs = jobs;
	return 0;
}

/* Once each, in the order of their first mention. */
static error_t choose(const struct argp_state *state, struct reproduce_args *a, const char *id)
{
	const struct experiment *e = find(state, id);

	for (size_t i = 0; e && i < a->n; i++) {
		if (a->chosen[i] == e)
			return 0;
	}
	if (e)
		a->chosen[a->n++] = e;
	return e ? 0 : EINVAL;
}

static error_t parse_reproduce(int key, char *arg, struct argp_state *state)
{
	struct reproduce_args *a = state->input;

	switch (key) {
	case 'o':
		a->dir = arg;
		return 0;
	case 'l':
		a->list = true;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case KEY_JOBS:
		return take_jobs(state, a, arg);
	case KEY_LIVE:
		a->live = true;
		return 0;
	case KEY_FORCE:
		a->force = true;
		return 0;
	case ARGP_KEY_ARG:
		return choose(state, a, arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option reproduce_options[] = {
	{"output", 'o', "DIR", 0, "Write the results there (default: results)"},
	{"list", 'l', NULL, 0, "Show the experiments and run none"},
	{"json", 'j', NULL, 0, "Print one JSON object"},
	{"jobs", KEY_JOBS, "N", 0, "Runs at once (default: one per core)"},
	{"live", KEY_LIVE, NULL, 0,
	 "Run the variants on live guests too, one at a time, at the end"},
	{"force", KEY_FORCE, NULL, 0, "Write to DIR even if it holds other things than results"},
	{NULL},
};

static const struct argp reproduce_argp = {
	.options = reproduce_options,
	.parser = parse_reproduce,
	.args_doc = "[ID]...",
	.doc = "Runs the experiments named, or all, side by side, and reports on them in "
	       "DIR/index.html."
	       "\vThe page needs no network: figures, expected and measured values with their "
	       "verdicts, and the jobs. Each experiment also leaves its rows (ID.csv), its figure "
	       "(ID.svg, ID.png), the gnuplot script that drew it (ID.gp), to be changed and run "
	       "again, and jobs for 'ballast run'. An expectation that does not hold makes the "
	       "exit code 3; an experiment that fails, 1, and the others go on.\n\n"
	       "Examples:\n  ballast reproduce\n"
	       "  ballast reproduce esx-fig4 -o fig4 --json",
};

/* The experiments without their run: {"replay-curves": {"title": ..}}. */
static json_t *describe(const struct experiment *e)
{
	return json_pack("{s:s, s:b}", "title", e->title, "live", e->live);
}

static int list(bool json)
{
	json_t *all = json_object();

	for (const struct experiment *e = experiments; e->id; e++) {
		if (!json)
			printf("%-16s %s%s\n", e->id, e->title, e->live ? " (live)" : "");
		json_object_set_new(all, e->id, describe(e));
	}
	if (json) {
		cmd_print_json(json_incref(all));
	}
	json_decref(all);
	return 0;
}

/* "  assumed: ...", wrapped to the width of a terminal. */
static void print_note(const json_t *note)
{
	const char *kind = json_string_value(json_object_get(note, "kind")),
		   *text = json_string_value(json_object_get(note, "text"));
	size_t column = (size_t)printf("  %s:", kind);

	while (*text) {
		size_t word = strcspn(text, " ");
		if (column + 1 + word > 100)
			column = (size_t)printf("\n   ") - 1;
		column += (size_t)printf(" %.*s", (int)word, text);
		text += word + (text[word] == ' ');
	}
	putchar('\n');
}

static void print_told(const char *dir, const char *id, const json_t *told)
{
	const json_t *files = json_object_get(told, "files"),
		     *notes = json_object_get(told, "notes"),
		     *report = json_object_get(told, "report");

	printf("%s: %s\n", id, json_string_value(json_object_get(told, "title")));
	for (size_t i = 0; i < json_array_size(report); i++)
		printf("  %s\n", json_string_value(json_array_get(report, i)));
	for (size_t i = 0; i < json_array_size(notes); i++)
		print_note(json_array_get(notes, i));
	expect_print(told, "  ");
	for (size_t i = 0; i < json_array_size(files); i++)
		printf("  %s/%s\n", dir, json_string_value(json_array_get(files, i)));
}

static void on_ready(void *arg, const struct outcome *o)
{
	const struct reproduce_args *a = arg;

	if (o->err.exit_code)
		fprintf(stderr, "ballast: %s: %s\n", o->experiment->id, o->err.msg);
	else if (!a->json)
		print_told(a->dir, o->experiment->id, o->told);
}

/* {"experiment": ID, and what the expectation has}, for all of them. */
static json_t *all_expectations(const struct outcome *outcome, size_t n)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++) {
		const json_t *own = json_object_get(outcome[i].told, "expectations");
		for (size_t k = 0; k < json_array_size(own); k++) {
			json_t *e = json_pack("{s:s}", "experiment", outcome[i].experiment->id);
			json_object_update(e, json_array_get(own, k));
			json_array_append_new(all, e);
		}
	}
	return all;
}

static void print_json(const struct outcome *outcome, size_t n)
{
	json_t *experiments_json = json_object(), *errors = json_object(), *seconds = json_object();

	for (size_t i = 0; i < n; i++) {
		const char *id = outcome[i].experiment->id;
		json_object_set_new(seconds, id, json_real(outcome[i].seconds));
		if (!outcome[i].told) {
			json_object_set_new(errors, id, json_string(outcome[i].err.msg));
			continue;
		}
		json_t *told = json_copy(outcome[i].told);
		json_object_del(told, "expectations");
		json_object_set_new(experiments_json, id, told);
	}
	json_t *all =
		json_pack("{s:s, s:s, s:o, s:o, s:o, s:{s:o, s:o}}", "version", BALLAST_VERSION,
			  "build", ballast_build, "expectations", all_expectations(outcome, n),
			  "experiments", experiments_json, "errors", errors, "timings", "seconds",
			  seconds, "machine", machine_json());
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
	putchar('\n');
	json_decref(all);
}

/* 0, 3 where an expectation does not hold, else what a failed experiment has. */
static int exit_code(const struct outcome *outcome, size_t n)
{
	int code = 0;

	for (size_t i = 0; i < n; i++) {
		if (outcome[i].err.exit_code)
			return outcome[i].err.exit_code;
		if (expect_tally(outcome[i].told).failed)
			code = EXIT_MISSED;
	}
	return code;
}

static int report(const struct reproduce_args *a, const struct outcome *outcome, struct err *err)
{
	size_t good = 0;
	int rc = 0;

	for (size_t i = 0; i < a->n; i++)
		good += outcome[i].told != NULL;
	if (good)
		rc = page_write(a->dir, outcome, a->n, err);
	if (rc == 0 && a->json)
		print_json(outcome, a->n);
	else if (rc == 0 && good)
		printf("report: %s/index.html\n", a->dir);
	return rc;
}

/* Those on live guests come last, in their order; returns how many others there are. */
static size_t live_last(const struct reproduce_args *a)
{
	size_t others = 0;

	for (size_t i = 0; i < a->n; i++) {
		const struct experiment *e = a->chosen[i];
		if (e->live)
			continue;
		memmove(&a->chosen[others + 1], &a->chosen[others],
			(i - others) * sizeof(*a->chosen));
		a->chosen[others++] = e;
	}
	return others;
}

/* Live guests have the machine to themselves. */
static int run_all(const struct reproduce_args *a, struct outcome *outcome, struct err *err)
{
	size_t others = live_last(a);
	struct reproduction r = {
		.dir = a->dir,
		.chosen = a->chosen,
		.n = others,
		.jobs = a->jobs,
		.ready = on_ready,
		.arg = (void *)a,
	};
	int rc = others ? reproduce_all(&r, outcome, err) : 0;

	r.chosen += others;
	r.n = a->n - others;
	r.jobs = 1;
	return rc || r.n == 0 ? rc : reproduce_all(&r, outcome + others, err);
}

static int reproduce(const struct reproduce_args *a)
{
	struct err err = {0};
	bool made = false;
	int code = 0;
	struct outcome *outcome = calloc(a->n + 1, sizeof *outcome);

	int rc = outcome ? 0 : err_run(&err, ENOMEM, "no memory");
	if (rc == 0 && !a->force)
		rc = outdir_check(a->dir, &err);
	if (rc == 0)
		rc = outdir_make(a->dir, &made, &err);
	if (rc == 0)
		rc = run_all(a, outcome, &err);
	if (rc == 0)
		rc = report(a, outcome, &err);
	if (rc == 0)
		code = exit_code(outcome, a->n);
	if (outcome)
		outcomes_free(outcome, a->n);
	outdir_drop(a->dir, made);
	return rc ? cmd_fail(&err) : code;
}

static void choose_all(struct reproduce_args *a)
{
	for (const struct experiment *e = experiments; e->id; e++) {
		if (!e->live || a->live)
			a->chosen[a->n++] = e;
	}
}

static bool is_chosen(const struct reproduce_args *a, const struct experiment *e)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->chosen[i] == e)
			return true;
	}
	return false;
}

/* Of each that is chosen its live variant, too. */
static void choose_variants(struct reproduce_args *a)
{
	char id[64];

	for (size_t i = 0, n = a->n; i < n; i++) {
		snprintf(id, sizeof id, "%s-live", a->chosen[i]->id);
		for (const struct experiment *e = experiments; e->id; e++) {
			if (strcmp(e->id, id) == 0 && !is_chosen(a, e))
				a->chosen[a->n++] = e;
		}
	}
}

int cmd_reproduce(int argc, char **argv)
{
	struct reproduce_args a = {.dir = "results", .jobs = parallel_cores()};

	a.chosen = calloc(2 * (size_t)argc + ARRAY_LEN(experiments), sizeof(*a.chosen));
	if (!a.chosen) {
		struct err err;
		err_run(&err, ENOMEM, "no memory");
		return cmd_fail(&err);
	}
	int rc = cmd_parse(&reproduce_argp, argc, argv, &a);
	if (rc == 0 && a.n == 0)
		choose_all(&a);
	else if (rc == 0 && a.live)
		choose_variants(&a);
	if (rc == 0)
		rc = a.list ? list(a.json) : reproduce(&a);
	free(a.chosen);
	return rc;
}
