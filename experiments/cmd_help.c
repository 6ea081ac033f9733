#include "experiments/cmds.h"

#include <confuse.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <zstd.h>

struct help_args {
	char *command; /* NULL: the overview */
};

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	struct help_args *args = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (args->command)
		return cmd_usage(state, "one command at a time, please");
	args->command = arg;
	return 0;
}

static const struct argp help_argp = {
	.parser = parse_help,
	.args_doc = "[COMMAND]",
	.doc = "Shows the commands, or the help of one."
	       "\vExample:\n  ballast help list",
};

int cmd_help(int argc, char **argv)
{
	struct help_args args = {0};
	int rc = cmd_parse(&help_argp, argc, argv, &args);

	if (rc)
		return rc;
	char ballast[] = "ballast", help[] = "--help";
	char *of_one[] = {ballast, args.command, help, NULL}, *overview[] = {ballast, help, NULL};
	return args.command ? cmd_group(&cmd_program, 3, of_one)
			    : cmd_group(&cmd_program, 2, overview);
}

struct version_args {
	bool json;
};

static error_t parse_version(int key, char *arg, struct argp_state *state)
{
	struct version_args *args = state->input;

	switch (key) {
	case 'j':
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		return cmd_usage(state, "'%.40s' is one argument too many", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option version_options[] = {
	{"json", 'j', NULL, 0, "Print one JSON object"},
	{NULL},
};

static const struct argp version_argp = {
	.options = version_options,
	.parser = parse_version,
	.doc = "Shows the version, of the compiler and the libraries too."
	       "\vExample:\n  ballast version --json",
};

static int print_version_json(void)
{
	json_t *version = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "ballast", BALLAST_VERSION,
				    "compiler", __VERSION__, "libconfuse", confuse_version,
				    "jansson", jansson_version_str(), "zstd", ZSTD_versionString(),
				    "sqlite", sqlite3_libversion());
	char *text = version ? json_dumps(version, JSON_INDENT(2)) : NULL;
	struct err err;

	json_decref(version);
	if (!text) {
		err_run(&err, ENOMEM, "out of memory");
		return cmd_fail(&err);
	}
	puts(text);
	free(text);
	return 0;
}

int cmd_version(int argc, char **argv)
{
	struct version_args args = {0};
	int rc = cmd_parse(&version_argp, argc, argv, &args);

	if (rc)
		return rc;
	if (args.json)
		return print_version_json();
	printf("ballast %s\ncompiler %s\nlibconfuse %s\njansson %s\nzstd %s\nsqlite %s\n",
	       BALLAST_VERSION, __VERSION__, confuse_version, jansson_version_str(),
	       ZSTD_versionString(), sqlite3_libversion());
	return 0;
}
