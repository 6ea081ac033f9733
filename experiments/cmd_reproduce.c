/* ballast reproduce: the experiments, from their jobs to their figures. */
#include "experiments/cmds.h"
#include "experiments/expect.h"
#include "experiments/experiment.h"
#include "experiments/outdir.h"

#include "core/opt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct experiment experiments[] = {
	/* One line per experiment, in the order in which they run. */
	{"replay-curves", "miss ratio of real programs against memory, by every victim policy",
	 replay_curves_run},
	{"esx-fig4", "what 1 to 10 identical VMs share, against the ESX paper's Fig. 4",
	 esx_fig4_run},
	{"esx-fig5", "what three production hosts reclaim, and when, against the paper's Fig. 5",
	 esx_fig5_run},
	{"sharing-scan", "memory reclaimed by every scan policy, for the CPU time that it takes",
	 sharing_scan_run},
	{NULL},
};

#define EXIT_UNEXPECTED 3 /* done, but an expectation did not hold */

struct reproduce_args {
	const char *dir;
	bool list, json;
	const struct experiment **chosen; /* in the order of the command line */
	size_t n;
};

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
	case ARGP_KEY_ARG:
		a->chosen[a->n] = find(state, arg);
		return a->chosen[a->n++] ? 0 : EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option reproduce_options[] = {
	{"output", 'o', "DIR", 0, "Write the results there (default: results)"},
	{"list", 'l', NULL, 0, "Show the experiments and run none"},
	{"json", 'j', NULL, 0, "Print one JSON object"},
	{NULL},
};

static const struct argp reproduce_argp = {
	.options = reproduce_options,
	.parser = parse_reproduce,
	.args_doc = "[ID]...",
	.doc = "Runs the experiments named, or all, and draws their figures."
	       "\vEach leaves in DIR its rows (ID.csv), its figure (ID.svg, ID.png) and the "
	       "gnuplot script that drew it (ID.gp), to be changed and run again. Where a "
	       "paper's numbers are stated as expectations, one that does not hold makes the "
	       "exit code 3.\n\n"
	       "Example:\n  ballast reproduce replay-curves -o results",
};

/* The experiments without their run: {"replay-curves": {"title": ..}}. */
static json_t *describe(const struct experiment *e)
{
	return json_pack("{s:s}", "title", e->title);
}

static int list(bool json)
{
	json_t *all = json_object();

	for (const struct experiment *e = experiments; e->id; e++) {
		if (!json)
			printf("%-16s %s\n", e->id, e->title);
		json_object_set_new(all, e->id, describe(e));
	}
	if (json) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(all);
	return 0;
}

static void print_miss(const json_t *e)
{
	const char *cause = json_string_value(json_object_get(e, "cause"));
	const json_t *value = json_object_get(e, "value");
	char target[64];

	expect_format(e, target, sizeof target);
	printf("  does not hold: %s: measured ", json_string_value(json_object_get(e, "name")));
	if (json_is_null(value))
		printf("nothing");
	else
		printf("%.4g", json_number_value(value));
	printf(", expected %s (%s)\n", target, json_string_value(json_object_get(e, "source")));
	if (cause)
		printf("    known: %s\n", cause);
}

static void print_expectations(const json_t *told)
{
	const json_t *all = json_object_get(told, "expectations");
	struct tally t = expect_tally(told);

	if (t.all)
		printf("  expectations: %zu of %zu hold\n", t.all - t.failed, t.all);
	for (size_t i = 0; i < t.all; i++) {
		const json_t *e = json_array_get(all, i);
		if (!json_is_true(json_object_get(e, "ok")))
			print_miss(e);
	}
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
	print_expectations(told);
	for (size_t i = 0; i < json_array_size(files); i++)
		printf("  %s/%s\n", dir, json_string_value(json_array_get(files, i)));
}

/* *failed: expectations that do not hold. */
static int run_all(const struct reproduce_args *a, json_t *all, size_t *failed, struct err *err)
{
	*failed = 0;
	for (size_t i = 0; i < a->n; i++) {
		json_t *told = describe(a->chosen[i]);
		json_object_set_new(all, a->chosen[i]->id, told);
		int rc = a->chosen[i]->run(a->dir, told, err);
		if (rc)
			return rc;
		if (!a->json)
			print_told(a->dir, a->chosen[i]->id, told);
		*failed += expect_tally(told).failed;
	}
	return 0;
}

static int reproduce(const struct reproduce_args *a)
{
	struct err err = {0};
	bool made = false;
	size_t failed = 0;
	json_t *all = json_object();

	int rc = outdir_make(a->dir, &made, &err);
	if (rc == 0)
		rc = run_all(a, all, &failed, &err);
	if (rc == 0 && a->json) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(all);
	if (rc == 0)
		return failed ? EXIT_UNEXPECTED : 0;
	outdir_drop(a->dir, made);
	return cmd_fail(&err);
}

static size_t choose_all(const struct experiment **chosen)
{
	size_t n = 0;

	for (const struct experiment *e = experiments; e->id; e++)
		chosen[n++] = e;
	return n;
}

int cmd_reproduce(int argc, char **argv)
{
	struct reproduce_args a = {.dir = "results"};

	a.chosen = calloc((size_t)argc + ARRAY_LEN(experiments), sizeof(*a.chosen));
	if (!a.chosen) {
		struct err err;
		err_run(&err, ENOMEM, "no memory");
		return cmd_fail(&err);
	}
	int rc = cmd_parse(&reproduce_argp, argc, argv, &a);
	if (a.n == 0)
		a.n = choose_all(a.chosen);
	if (rc == 0)
		rc = a.list ? list(a.json) : reproduce(&a);
	free(a.chosen);
	return rc;
}
