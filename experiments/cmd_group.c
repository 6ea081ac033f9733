/* Tables of commands: `ballast run`, `ballast trace info`. */
#include "experiments/describe.h"

#include "core/opt.h"

#include <stdlib.h>
#include <string.h>

struct group_args {
	const struct cmd_group *group;
	int chosen; /* index in argv, 0 if there is none */
};

static bool has_verbs(const struct cmd_group *group)
{
	return group != &cmd_program;
}

static const char *kind(const struct cmd_group *group)
{
	return has_verbs(group) ? "verb" : "command";
}

const char *cmd_group_heading(const struct cmd_group *group)
{
	return has_verbs(group) ? "Verbs" : "Commands";
}

const char *cmd_group_args(const struct cmd_group *group)
{
	return has_verbs(group) ? "VERB [ARGUMENT...]" : "COMMAND [ARGUMENT...]";
}

static error_t parse_group(int key, char *arg, struct argp_state *state)
{
	struct group_args *args = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_ARG: /* the command: what follows is its own */
		args->chosen = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cmd_usage(state, "which %s?", kind(args->group));
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of commands comes from their table. argp frees what we return. */
static char *list_cmds(int key, const char *text, void *input)
{
	const struct cmd_group *group = ((struct group_args *)input)->group;
	char *list = NULL;
	size_t size;

	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	FILE *out = open_memstream(&list, &size);
	if (!out)
		return (char *)text;
	fprintf(out, "%s:\n", cmd_group_heading(group));
	for (const struct cmd *cmd = group->cmds; cmd->name; cmd++)
		fprintf(out, "  %-10s %s\n", cmd->name, cmd->help);
	fprintf(out, "\n%s", group->more);
	if (fclose(out) != 0) {
		free(list);
		return (char *)text;
	}
	return list;
}

static int unknown(const struct cmd_group *group, const char *name)
{
	const char *names[32], *near;
	struct err err;
	size_t n = 0;

	for (const struct cmd *cmd = group->cmds; cmd->name && n < ARRAY_LEN(names); cmd++)
		names[n++] = cmd->name;
	near = nearest_name(name, names, n);
	if (near)
		err_input(&err, "there is no %s '%.40s'; did you mean '%s'?", kind(group), name,
			  near);
	else
		err_input(&err, "there is no %s '%.40s'; '%s --help' lists them", kind(group), name,
			  group->name);
	return cmd_fail(&err);
}

int cmd_group(const struct cmd_group *group, int argc, char **argv)
{
	const struct argp argp = {
		.parser = parse_group,
		.args_doc = cmd_group_args(group),
		.doc = group->doc,
		.help_filter = list_cmds,
	};
	struct group_args args = {.group = group};
	char name[64];

	if (describe_group(group))
		return 2;
	int rc = cmd_parse(&argp, argc, argv, &args);

	if (rc)
		return rc;
	for (const struct cmd *cmd = group->cmds; cmd->name; cmd++) {
		if (strcmp(cmd->name, argv[args.chosen]) == 0) {
			snprintf(name, sizeof name, "%s %s", group->name, cmd->name);
			argv[args.chosen] = name;
			return cmd->run(argc - args.chosen, argv + args.chosen);
		}
	}
	return unknown(group, argv[args.chosen]);
}
