/* The program: options before the command, signals, and the end of standard output. */
#include "experiments/cmds.h"

#include "core/file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *argp_program_version = "ballast " BALLAST_VERSION;

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
	char name[] = "ballast";

	set_signals();
	atexit(check_stdout);
	argp_err_exit_status = 2;
	setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
	argv[0] = name;
	return cmd_group(&cmd_program, argc, argv);
}
