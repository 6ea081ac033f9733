/* The program: options before the command, signals, and the end of standard output. */
#include "experiments/cmds.h"

#include "core/file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *argp_program_version = "ballast " BALLAST_VERSION;

struct main_args {
	int command; /* index in argv, 0 if there is none */
};

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	struct main_args *args = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_ARG: /* the command: what follows is its own */
		args->command = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cmd_usage(state, "which command?");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of commands comes from their table. argp frees what we return. */
static char *list_commands(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	FILE *out = open_memstream(&list, &size);
	if (!out)
		return (char *)text;
	fputs("Commands:\n", out);
	for (const struct cmd *cmd = cmds; cmd->name; cmd++)
		fprintf(out, "  %-10s %s\n", cmd->name, cmd->help);
	fputs("\n'ballast COMMAND --help' or 'ballast help COMMAND' says more.\n"
	      "Exit codes: 0 done, 1 the run failed, 2 usage or job error,\n"
	      "3 done but a stated expectation did not hold.\n",
	      out);
	if (fclose(out) != 0) {
		free(list);
		return (char *)text;
	}
	return list;
}

static const struct argp main_argp = {
	.parser = parse_main,
	.args_doc = "COMMAND [ARGUMENT...]",
	.doc = "Ballast: the memory manager of VMware ESX Server (Waldspurger, OSDI 2002), "
	       "re-implemented as a research testbed."
	       "\v",
	.help_filter = list_commands,
};

int cmd_overview(void)
{
	char name[] = "ballast", help[] = "--help", *argv[] = {name, help, NULL};

	return cmd_parse(&main_argp, 2, argv, NULL);
}

/* Ctrl-C leaves nothing half-written; then the signal does what it does. */
static void on_signal(int sig)
{
	file_drop_drafts();
	raise(sig); /* SA_RESETHAND: the default action, once we return */
}

static void set_signals(void)
{
	static const int deadly[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND}, old;

	for (size_t i = 0; i < ARRAY_LEN(deadly); i++) {
		/* nohup and shells' background jobs ignore some: that stays. */
		if (sigaction(deadly[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(deadly[i], &act, NULL);
	}
	/* A closed pipe and a file at its limit are errors of write(), with a message. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* At exit, argp's exits too: output that did not arrive is a failed run. */
static void check_stdout(void)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return;
	fprintf(stderr, "ballast: cannot write standard output: %s\n",
		errno ? strerror(errno) : "an earlier write failed");
	_exit(1);
}

int main(int argc, char **argv)
{
	struct main_args args = {0};
	char name[64], ballast[] = "ballast";

	set_signals();
	atexit(check_stdout);
	argp_err_exit_status = 2;
	setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
	argv[0] = ballast;
	int rc = cmd_parse(&main_argp, argc, argv, &args);
	if (rc)
		return rc;
	const struct cmd *cmd = cmd_find(argv[args.command]);
	if (!cmd)
		return 2;
	snprintf(name, sizeof name, "ballast %s", cmd->name);
	argv[args.command] = name;
	return cmd->run(argc - args.command, argv + args.command);
}
