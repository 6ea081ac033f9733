/*
 * What the commands say of themselves, for manual pages and completion.
 *
 * The tables of options, arguments and help texts that argp parses by are the
 * one source. A command is asked by running it in a way that its call of
 * cmd_parse() (a group's: of cmd_group()) hands these tables to a describer and
 * ends it there, so that no command has to do anything for it.
 */
#ifndef BALLAST_EXPERIMENTS_DESCRIBE_H
#define BALLAST_EXPERIMENTS_DESCRIBE_H

#include "experiments/cmds.h"

#include <jansson.h>

/* Embedded in what gathers. */
struct describer {
	void (*command)(struct describer *d, const struct cmd *cmd, const char *name,
			const struct argp *argp, void *input);
	void (*group)(struct describer *d, const struct cmd *cmd, const struct cmd_group *group);
};

/* Calls one of the two for every command of the group, verbs behind their group. */
void describe_all(const struct cmd_group *group, struct describer *d);

/* Whether `ballast NAME` has verbs. */
bool describe_has_verbs(const char *name);

/* For cmd_parse() and cmd_group(): true where the command is to go no further. */
bool describe_command(const struct argp *argp, const char *name, void *input);
bool describe_group(const struct cmd_group *group);

/*
 * DIR/ballast-COMMAND.1 for every command: mdoc, the same bytes for the same
 * program. version_date stands in the pages' heads ("November 20, 2026").
 */
MUST_CHECK int man_write(const char *dir, const char *version_date, struct err *err);

/* A script for bash that completes commands, options, and the names and keys they take. */
MUST_CHECK int completion_write(FILE *out, struct err *err);

#endif
