/* Commands with verbs: `ballast trace info`, `ballast image scan`. */
#include "experiments/cmds.h"

#include "core/opt.h"

#include <stdlib.h>
#include <string.h>

struct group_args {
	const struct cmd_group *group;
	int verb; /* index in argv, 0 if there is none */
};

static error_t parse_group(int key, char *arg, struct argp_state *state)
{
	struct group_args *args = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_ARG: /* the verb: what follows is its own */
		args->verb = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cmd_usage(state, "which verb?");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of verbs comes from their table. argp frees what we return. */
static char *list_verbs(int key, const char *text, void *input)
{
	const struct cmd_group *group = ((struct group_args *)input)->group;
	char *list = NULL;
	size_t size;

	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	FILE *out = open_memstream(&list, &size);
	if (!out)
		return (char *)text;
	fputs("Verbs:\n", out);
	for (const struct cmd *verb = group->verbs; verb->name; verb++)
		fprintf(out, "  %-10s %s\n", verb->name, verb->help);
	fprintf(out, "\n'ballast %s VERB --help' says more.\n\nExamples:\n%s", group->name,
		group->examples);
	if (fclose(out) != 0) {
		free(list);
		return (char *)text;
	}
	return list;
}

static int unknown_verb(const struct cmd_group *group, const char *name)
{
	const char *names[16], *near;
	struct err err;
	size_t n = 0;

	for (const struct cmd *verb = group->verbs; verb->name && n < ARRAY_LEN(names); verb++)
		names[n++] = verb->name;
	near = nearest_name(name, names, n);
	if (near)
		err_input(&err, "%s: there is no verb '%.40s'; did you mean '%s'?", group->name,
			  name, near);
	else
		err_input(&err, "%s: there is no verb '%.40s'; see 'ballast %s --help'",
			  group->name, name, group->name);
	return cmd_fail(&err);
}

int cmd_group(const struct cmd_group *group, int argc, char **argv)
{
	const struct argp argp = {
		.parser = parse_group,
		.args_doc = "VERB [ARGUMENT...]",
		.doc = group->doc,
		.help_filter = list_verbs,
	};
	struct group_args args = {.group = group};
	char name[64];
	int rc = cmd_parse(&argp, argc, argv, &args);

	if (rc)
		return rc;
	for (const struct cmd *verb = group->verbs; verb->name; verb++) {
		if (strcmp(verb->name, argv[args.verb]) == 0) {
			snprintf(name, sizeof name, "ballast %s %s", group->name, verb->name);
			argv[args.verb] = name;
			return verb->run(argc - args.verb, argv + args.verb);
		}
	}
	return unknown_verb(group, argv[args.verb]);
}
