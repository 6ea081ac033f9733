/* ballast trace record: the pages that a running guest, or a program, touches. */
#include "experiments/cmd_trace.h"

#include "experiments/datadir.h"
#include "live/record.h"

#include "core/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct record_args {
	const char *out;
	bool fixed, renumber, instructions, exact, valgrind;
	uint64_t limit; /* records; 0: none */
	char **command; /* NULL-ended */
	int words;
};

enum { KEY_VALGRIND = 256, KEY_EXACT };

static const struct argp_option record_options[] = {
	{"output", 'o', "FILE", 0, "Where the .bt goes ('-': standard output)", 0},
	{"instructions", 'i', NULL, 0, "Record the pages of instructions too", 0},
	{"exact", KEY_EXACT, NULL, 0,
	 "Look at every access, several times as slowly, and keep back no page touched a moment "
	 "ago",
	 0},
	{"limit", 'n', "N", 0, "End it after N records", 0},
	{"renumber", 'r', NULL, 0, "Number pages densely by first touch, as PPNs", 0},
	{"fixed", 'F', NULL, 0, "8 bytes a record, replayed in place, instead of packed blocks", 0},
	{"valgrind", KEY_VALGRIND, NULL, 0,
	 "COMMAND is a program: record its virtual pages, instructions too, by valgrind", 0},
	{0},
};

static error_t take_limit(struct argp_state *state, struct record_args *args, const char *arg)
{
	struct err err;
	int64_t limit;

	if (parse_int(arg, &limit, &err) || limit < 1)
		return cmd_usage(state,
				 "--limit %.40s: give a number of records, from 1, as 5000 or 20M",
				 arg);
	args->limit = (uint64_t)limit;
	return 0;
}

static error_t check_record(struct argp_state *state, const struct record_args *args)
{
	if (!args->command)
		return cmd_usage(state, "record what? write -- and a command behind the options");
	if (!args->out)
		return cmd_usage(state, "say -o FILE");
	if (args->valgrind && (args->exact || args->instructions))
		return cmd_usage(state, "--exact and --instructions are QEMU's: valgrind tells of "
					"every access in any case");
	return 0;
}

static error_t parse_record(int key, char *arg, struct argp_state *state)
{
	struct record_args *args = state->input;

	switch (key) {
	case 'o':
		args->out = arg;
		return 0;
	case 'i':
		args->instructions = true;
		return 0;
	case KEY_EXACT:
		args->exact = true;
		return 0;
	case 'n':
		return take_limit(state, args, arg);
	case 'r':
		args->renumber = true;
		return 0;
	case 'F':
		args->fixed = true;
		return 0;
	case KEY_VALGRIND:
		args->valgrind = true;
		return 0;
	case ARGP_KEY_ARG: /* what follows is the command's own */
		args->command = &state->argv[state->next - 1];
		args->words = state->argc - state->next + 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		return check_record(state, args);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp record_argp = {
	.options = record_options,
	.parser = parse_record,
	.args_doc = "-- COMMAND [ARGUMENT]...",
	.doc = "Runs a command and records the pages that it touches, in the order of touching."
	       "\vCOMMAND is a QEMU (7.2 to 8.2) that emulates a machine by TCG; a plugin tells of "
	       "every access of its processors to memory, as PPNs. Not seen: the processor's walks "
	       "of page tables, and what devices do by DMA. Address spaces are not told apart, and "
	       "an access over a page's end counts for its first page. A filter of 256 pages for "
	       "each processor, emptied every 65,536 accesses, keeps back what was recorded a "
	       "moment ago; right behind a switch of address spaces it may keep back a page too "
	       "many, --exact never does.\n\n"
	       "The recording ends with the command, with Ctrl-C or with --limit; the file is "
	       "whole in any case.\n\nExamples:\n"
	       "  ballast trace record -o boot.bt -- qemu-system-x86_64 -m 128 -nographic \\\n"
	       "      -no-reboot -kernel /boot/vmlinuz -append 'console=ttyS0 panic=-1'\n"
	       "  ballast trace record --valgrind --renumber -o ls.bt -- ls -l",
};

/* A command that runs, and what it sends. */
struct recorder {
	const struct record_args *args;
	pid_t pid;
	int refs, counts; /* read ends; -1: none */
	uint64_t records;
};

/* "PATH,fd=5,counts=6": a comma in the path is written twice. */
static int plugin_option(const struct record_args *args, int refs, int counts,
			 char option[2 * PATH_MAX + 128], struct err *err)
{
	char path[PATH_MAX], *to = option;
	int rc = program_path("ballast-record.so", path, err);

	if (rc)
		return rc;
	for (const char *from = path; *from; from++) {
		*to++ = *from;
		if (*from == ',')
			*to++ = ',';
	}
	snprintf(to, 128, ",fd=%d,counts=%d%s%s", refs, counts, args->exact ? ",filter=off" : "",
		 args->instructions ? ",instructions=on" : "");
	return 0;
}

/* In the child: becomes the command, or sends errno. */
static _Noreturn void become(char **argv, int keep[2], int failure, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	for (int i = 0; i < 2; i++) {
		if (keep[i] >= 0)
			fcntl(keep[i], F_SETFD, 0);
	}
	execvp(argv[0], argv);
	int errnum = errno;
	(void)!write(failure, &errnum, sizeof errnum);
	_exit(127);
}

static int cannot_start(const struct record_args *args, const char *program, int errnum,
			struct err *err)
{
	if (errnum != ENOENT)
		return err_run(err, errnum, "cannot start %s: %s", program, strerror(errnum));
	return err_run(err, errnum, "there is no %s here: apt-get install %s", program,
		       args->valgrind ? "valgrind" : "qemu-system-x86");
}

/* Starts it with these descriptors open; they are closed here. */
static int start(struct recorder *r, char **argv, int keep[2], struct err *err)
{
	int failure[2], errnum = 0;
	pid_t parent = getpid();

	if (pipe2(failure, O_CLOEXEC) != 0)
		return err_run(err, errno, "cannot make a pipe: %s", strerror(errno));
	fflush(NULL);
	r->pid = fork();
	if (r->pid == 0)
		become(argv, keep, failure[1], parent);
	int rc =
		r->pid < 0 ? err_run(err, errno, "cannot start a process: %s", strerror(errno)) : 0;
	close(failure[1]);
	if (rc == 0 && read(failure[0], &errnum, sizeof errnum) == sizeof errnum) {
		waitpid(r->pid, NULL, 0);
		rc = cannot_start(r->args, argv[0], errnum, err);
	}
	close(failure[0]);
	return rc;
}

/* QEMU with the plugin, or valgrind, before the user's words; NULL with an error. */
static char **make_argv(const struct record_args *args, const int keep[2], char *option,
			struct err *err)
{
	static char valgrind[] = "valgrind", tool[] = "--tool=lackey", mem[] = "--trace-mem=yes",
		    plugin[] = "-plugin";
	char **argv = calloc((size_t)args->words + 5, sizeof *argv), **next = argv;
	const int own = args->valgrind ? 0 : 1; /* words that go first */

	if (!argv) {
		(void)err_run(err, ENOMEM, "no memory for a command");
		return NULL;
	}
	if (args->valgrind) {
		sprintf(option, "--log-fd=%d", keep[0]);
		*next++ = valgrind;
		*next++ = tool;
		*next++ = mem;
	} else {
		if (plugin_option(args, keep[0], keep[1], option, err)) {
			free(argv);
			return NULL;
		}
		*next++ = args->command[0];
		*next++ = plugin;
	}
	*next++ = option;
	memcpy(next, args->command + own, (size_t)(args->words - own) * sizeof *argv);
	return argv;
}

static void close_all(int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

static int start_command(struct recorder *r, struct err *err)
{
	char option[2 * PATH_MAX + 128];
	int refs[2] = {-1, -1}, counts[2] = {-1, -1};

	if (pipe2(refs, O_CLOEXEC) != 0 || pipe2(counts, O_CLOEXEC) != 0) {
		int errnum = errno;
		close_all(refs, 2);
		return err_run(err, errnum, "cannot make a pipe: %s", strerror(errnum));
	}
	int keep[2] = {refs[1], counts[1]};
	char **argv = make_argv(r->args, keep, option, err);
	int rc = argv ? start(r, argv, keep, err) : -EINVAL;
	free(argv);
	close_all(keep, 2);
	r->refs = refs[0];
	r->counts = counts[0];
	if (rc) {
		close_all(&r->refs, 1);
		close_all(&r->counts, 1);
	}
	return rc;
}

/* The words of a batch that are still within the limit; these records are one word each. */
static size_t within_limit(const struct recorder *r, size_t words)
{
	uint64_t left = r->args->limit - r->records;

	return r->args->limit && words > left ? (size_t)left : words;
}

static int copy_refs(struct recorder *r, struct writer *writer, struct err *err)
{
	struct source *source;
	const rec_t *batch;
	char path[32];
	ssize_t n;

	snprintf(path, sizeof path, "/dev/fd/%d", r->refs);
	int rc = source_open(path, r->args->valgrind ? "lackey" : "u64", &source, err);
	if (rc == 0 && r->args->renumber)
		rc = source_renumber(source, &source, err);
	if (rc)
		return rc;
	while (rc == 0 && (n = source_next(source, &batch, err)) != 0) {
		size_t take = n < 0 ? 0 : within_limit(r, (size_t)n);
		rc = n < 0 ? (int)n : trace_put(source, writer, batch, take, err);
		r->records += take;
		if (r->args->limit && r->records == r->args->limit)
			break;
	}
	source_close(source);
	return rc;
}

/* After the references' end: waits, and says how it ended where that is worth a line. */
static void end_command(struct recorder *r)
{
	int status;

	close_all(&r->refs, 1);
	if (r->args->limit && r->records >= r->args->limit)
		kill(r->pid, SIGTERM);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	bool ours = r->args->limit && r->records >= r->args->limit;
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGINT && !ours)
		fprintf(stderr, "ballast: %s was ended by a signal (%s)\n", r->args->command[0],
			strsignal(WTERMSIG(status)));
	else if (WIFEXITED(status) && WEXITSTATUS(status) != 0 && !ours)
		fprintf(stderr, "ballast: %s ended with exit code %d\n", r->args->command[0],
			WEXITSTATUS(status));
}

static int nothing_recorded(const struct record_args *args, struct err *err)
{
	if (args->valgrind)
		return err_run(err, EIO, "valgrind told of no access: is %s a program it can run?",
			       args->command[0]);
	return err_run(
		err, EIO,
		"%s told of no access: a plugin sees guests under TCG only (-accel "
		"tcg), and needs a QEMU built with plugins; a program's own pages: --valgrind",
		args->command[0]);
}

/* What the plugin counted; zeroes where it did not come to its end, or there is none. */
static struct record_counts read_counts(struct recorder *r)
{
	struct record_counts c = {0};

	if (r->counts < 0 || read(r->counts, &c, sizeof c) != sizeof c || c.magic != RECORD_MAGIC)
		c = (struct record_counts){0};
	close_all(&r->counts, 1);
	return c;
}

static void report(const struct recorder *r, const struct record_counts *c)
{
	FILE *out = strcmp(r->args->out, "-") == 0 ? stderr : stdout;

	fprintf(out, "%s: %llu records", r->args->out, (unsigned long long)r->records);
	if (c->accesses)
		fprintf(out, " of %llu accesses to data, %llu of them to devices",
			(unsigned long long)c->accesses, (unsigned long long)c->io);
	fputc('\n', out);
	if (c->lost)
		fprintf(out, "  of %llu accesses QEMU told no page\n", (unsigned long long)c->lost);
	if (r->args->instructions && c->accesses)
		fprintf(out,
			"  instructions: %llu blocks outside of main memory left out; %llu of %llu "
			"checks agree with data\n",
			(unsigned long long)c->code_lost, (unsigned long long)c->agree,
			(unsigned long long)c->agree + c->differ);
}

static int run_command(struct recorder *r, struct writer *writer, struct err *err)
{
	int rc = start_command(r, err);

	if (rc)
		return rc;
	signal(SIGINT, SIG_IGN); /* ends the command, whose end ends us */
	rc = copy_refs(r, writer, err);
	if (rc)
		kill(r->pid, SIGTERM);
	end_command(r);
	if (rc == 0 && r->records == 0)
		rc = nothing_recorded(r->args, err);
	return rc;
}

static int record(const struct record_args *args, struct err *err)
{
	struct recorder r = {.args = args, .refs = -1, .counts = -1};
	struct trace_info info = {.vms = 1, .tick_ns = 1};
	struct writer *writer;

	info.space = args->valgrind && !args->renumber ? TRACE_VPN : TRACE_PPN;
	snprintf(info.provenance, sizeof info.provenance, "recorded from %.160s by %s%s%s",
		 args->command[0], args->valgrind ? "valgrind" : "a plugin of QEMU's",
		 args->instructions ? ", with instructions" : "",
		 args->exact ? ", every access" : "");
	if (strcmp(args->out, "-") == 0 && isatty(STDOUT_FILENO))
		return err_input(err, "a trace in binary is nothing for a terminal: name a file "
				      "with -o");
	int rc = writer_open(args->out, args->fixed ? "bt-fixed" : "bt", &info, &writer, err);
	if (rc)
		return rc;
	rc = run_command(&r, writer, err);
	struct record_counts counts = read_counts(&r);
	if (rc) {
		writer_abort(writer);
		return rc;
	}
	rc = writer_commit(writer, err);
	if (rc == 0)
		report(&r, &counts);
	return rc;
}

int trace_record(int argc, char **argv)
{
	struct record_args args = {0};
	struct err err = {0};
	int rc = cmd_parse(&record_argp, argc, argv, &args);

	if (rc)
		return rc;
	return record(&args, &err) ? cmd_fail(&err) : 0;
}
