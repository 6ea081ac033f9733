#include "experiments/describe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One line per command, in the order of `ballast help`. */
static const struct cmd cmds[] = {
	{"run", "one experiment, from a job file to its results", cmd_run},
	{"reproduce", "the experiments, from their jobs to their figures", cmd_reproduce},
	{"sweep", "a job at every point of a grid, with seeds, resumed after a kill", cmd_sweep},
	{"plot", "figures of what a run or a sweep left behind", cmd_plot},
	{"compare", "runs or sweeps side by side, paired by seed", cmd_compare},
	{"trace", "makes, converts and shows traces", cmd_trace},
	{"image", "counts what could be shared in memory images", cmd_image},
	{"alloc", "what each VM would get of so much memory", cmd_alloc},
	{"host", "the live host: real guests under the same manager", cmd_host},
	{"vm", "guests of the live host", cmd_vm},
	{"module", "the balloon module of Linux guests: builds and installs it", cmd_module},
	{"top", "watches the guests of the live host", cmd_top},
	{"bench", "how fast the parts are, beside what they are measured against", cmd_bench},
	{"list", "what a job file may say: sections, keys, policies", cmd_list},
	{"help", "this overview, or one command's help", cmd_help},
	{"version", "the version, of the libraries too", cmd_version},
	{NULL},
};

const struct cmd_group cmd_program = {
	.name = "ballast",
	.cmds = cmds,
	.doc = "Ballast: the memory manager of VMware ESX Server (Waldspurger, OSDI 2002), "
	       "re-implemented as a research testbed."
	       "\v",
	.more = "'ballast COMMAND --help' or 'ballast help COMMAND' says more.\n"
		"Exit codes: 0 done, 1 the run failed, 2 usage or job error,\n"
		"3 done but a stated expectation did not hold.\n",
};

/* argp says "Try ... --help" in a line of its own; without a stream it does not. */
static error_t one_line(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key == ARGP_KEY_INIT)
		state->err_stream = NULL;
	return ARGP_ERR_UNKNOWN;
}

int cmd_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	if (describe_command(argp, argv[0], input))
		return 2;

	static const struct argp quiet = {.parser = one_line};
	const struct argp_child children[] = {{&quiet}, {NULL}};
	struct argp parser = *argp;

	parser.children = children;
	return argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, input) ? 2 : 0;
}

int cmd_usage(const struct argp_state *state, const char *fmt, ...)
{
	struct err err;
	char msg[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	err_input(&err, "%s: %s; see '%s --help'", state->name, msg, state->name);
	fprintf(stderr, "%s\n", err.msg);
	return EINVAL;
}

int cmd_fail(const struct err *err)
{
	fprintf(stderr, "ballast: %s\n", err->msg);
	return err->exit_code;
}

void cmd_print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

struct cmd_bold cmd_bold(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if ((no_color && *no_color) || !isatty(fileno(out)) || !term || strcmp(term, "dumb") == 0)
		return (struct cmd_bold){"", ""};
	return (struct cmd_bold){"\033[1m", "\033[0m"};
}
