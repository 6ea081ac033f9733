#include "experiments/describe.h"
#include "experiments/provenance.h"

#include <confuse.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <zstd.h>

#define WORDS_MAX 2 /* `ballast help trace import` */

struct help_args {
	char *word[WORDS_MAX]; /* the command; none: the overview */
	int words;
	const char *man, *date;
	bool completion;
};

enum { KEY_MAN = 256, KEY_DATE, KEY_COMPLETION };

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	struct help_args *args = state->input;

	switch (key) {
	case KEY_MAN:
		args->man = arg;
		return 0;
	case KEY_DATE:
		args->date = arg;
		return 0;
	case KEY_COMPLETION:
		args->completion = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->words == WORDS_MAX ||
		    (args->words == 1 && !describe_has_verbs(args->word[0])))
			return cmd_usage(state, "one command at a time, please");
		args->word[args->words++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option help_options[] = {
	{"man", KEY_MAN, "DIR", 0, "Write a manual page for every command there", 0},
	{"date", KEY_DATE, "DATE", 0, "The date on these pages, as 'May 1, 2026'", 0},
	{"completion", KEY_COMPLETION, NULL, 0, "Print the script that completes commands in bash",
	 0},
	{0},
};

static const struct argp help_argp = {
	.options = help_options,
	.parser = parse_help,
	.args_doc = "[COMMAND] [VERB]",
	.doc = "Shows the commands, or the help of one."
	       "\vExamples:\n  ballast help list\n  ballast help trace import\n"
	       "  source <(ballast help --completion)",
};

/* What `ballast WORD... --help` prints. */
static int help_of(struct help_args *args)
{
	char ballast[] = "ballast", help[] = "--help";
	char *argv[WORDS_MAX + 3] = {ballast};
	int argc = 1;

	for (int i = 0; i < args->words; i++)
		argv[argc++] = args->word[i];
	argv[argc++] = help;
	return cmd_group(&cmd_program, argc, argv);
}

int cmd_help(int argc, char **argv)
{
	struct help_args args = {.date = "November 20, 2026"};
	struct err err;
	int rc = cmd_parse(&help_argp, argc, argv, &args);

	if (rc)
		return rc;
	if (args.man)
		return man_write(args.man, args.date, &err) ? cmd_fail(&err) : 0;
	if (args.completion)
		return completion_write(stdout, &err) ? cmd_fail(&err) : 0;
	return help_of(&args);
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
	json_t *version =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "ballast", BALLAST_VERSION,
			  "build", ballast_build, "compiler", __VERSION__, "libconfuse",
			  confuse_version, "jansson", jansson_version_str(), "zstd",
			  ZSTD_versionString(), "sqlite", sqlite3_libversion());
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
	printf("ballast %s\nbuild %s\ncompiler %s\nlibconfuse %s\njansson %s\nzstd %s\nsqlite %s\n",
	       BALLAST_VERSION, ballast_build, __VERSION__, confuse_version, jansson_version_str(),
	       ZSTD_versionString(), sqlite3_libversion());
	return 0;
}
