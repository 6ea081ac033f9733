/*
 * The commands behind `ballast COMMAND`, and what they share.
 *
 * A command is one file and one line in cmds.c. It gets its own arguments,
 * with argv[0] = "ballast COMMAND", parses them with cmd_parse() and returns
 * the exit code: 0 done, 1 the run failed, 2 usage or job error, 3 done but a
 * stated expectation did not hold. An error is one line on standard error.
 */
#ifndef BALLAST_EXPERIMENTS_CMDS_H
#define BALLAST_EXPERIMENTS_CMDS_H

#include "core/err.h"

#include <argp.h>
#include <jansson.h>
#include <stdio.h>

#define EXIT_MISSED 3 /* done, but an expectation does not hold */

struct cmd {
	const char *name; /* NULL ends the table */
	const char *help; /* one line */
	int (*run)(int argc, char **argv);
};

int cmd_run(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_reproduce(int argc, char **argv);
int cmd_sweep(int argc, char **argv);
int cmd_plot(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_alloc(int argc, char **argv);
int cmd_host(int argc, char **argv);
int cmd_vm(int argc, char **argv);
int cmd_module(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_version(int argc, char **argv);

/* What runs one of several commands: `ballast`, and `ballast trace`, whose commands are verbs. */
struct cmd_group {
	const char *name; /* "ballast trace" */
	const struct cmd *cmds;
	const char *doc;  /* what they have in common; ends in "\v" */
	const char *more; /* printed below their list; whole lines */
};

extern const struct cmd_group cmd_program; /* `ballast` itself */

/* "Verbs" and "VERB [ARGUMENT...]", or those of commands. */
const char *cmd_group_heading(const struct cmd_group *group);
const char *cmd_group_args(const struct cmd_group *group);

/* Runs the command that the arguments name, or prints the group's help. The exit code. */
int cmd_group(const struct cmd_group *group, int argc, char **argv);

/*
 * argp_parse() where a usage error is one line: 0, or the exit code 2. The
 * parser function says what is wrong with cmd_usage() and returns its value.
 */
MUST_CHECK int cmd_parse(const struct argp *argp, int argc, char **argv, void *input);

/* "ballast run: MESSAGE; see 'ballast run --help'" on standard error. Returns EINVAL. */
int cmd_usage(const struct argp_state *state, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "ballast: MESSAGE" on standard error. Returns the exit code of the error. */
int cmd_fail(const struct err *err);

/* Prints it to standard output, as --json does, and drops the reference. */
void cmd_print_json(json_t *json);

/* The option of all commands that talk to a live host (livehost_socket()). */
#define CMD_SOCKET_OPTION                                                                          \
	{                                                                                          \
		"socket", 'S', "PATH", 0,                                                          \
			"Where the host listens; unset: $BALLAST_SOCKET or the "                   \
			"user's runtime folder",                                                   \
			0                                                                          \
	}

/* Escape sequences that start and end bold text, empty if out wants none (NO_COLOR, a pipe). */
struct cmd_bold {
	const char *on, *off;
};
struct cmd_bold cmd_bold(FILE *out);

#endif
