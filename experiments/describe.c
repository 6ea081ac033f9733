#include "experiments/describe.h"

#include <string.h>

/* Who asks, and whom: set while a command is run only to be asked. */
static struct {
	struct describer *by;
	const struct cmd *cmd;
} asked;

void describe_all(const struct cmd_group *group, struct describer *d)
{
	for (const struct cmd *cmd = group->cmds; cmd->name; cmd++) {
		char name[64];
		char *argv[] = {name, NULL};

		snprintf(name, sizeof name, "%s %s", group->name, cmd->name);
		asked.by = d;
		asked.cmd = cmd;
		cmd->run(1, argv); /* its exit code says nothing */
		asked.by = NULL;
	}
}

struct verbs {
	struct describer d;
	const char *name;
	bool found;
};

static void pass_command(struct describer *d, const struct cmd *cmd, const char *name,
			 const struct argp *argp, void *input)
{
	(void)d;
	(void)cmd;
	(void)name;
	(void)argp;
	(void)input;
}

static void look_at_group(struct describer *d, const struct cmd *cmd, const struct cmd_group *group)
{
	struct verbs *v = (struct verbs *)d;

	(void)group;
	v->found |= strcmp(cmd->name, v->name) == 0;
}

bool describe_has_verbs(const char *name)
{
	struct verbs v = {.d = {pass_command, look_at_group}, .name = name};

	describe_all(&cmd_program, &v.d);
	return v.found;
}

bool describe_command(const struct argp *argp, const char *name, void *input)
{
	struct describer *d = asked.by;

	if (!d)
		return false;
	asked.by = NULL;
	d->command(d, asked.cmd, name, argp, input);
	return true;
}

bool describe_group(const struct cmd_group *group)
{
	struct describer *d = asked.by;

	if (!d)
		return false;
	asked.by = NULL;
	d->group(d, asked.cmd, group);
	describe_all(group, d);
	return true;
}
