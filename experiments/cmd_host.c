/* ballast host: the live host, from its start to its end. */
#include "experiments/cmds.h"
#include "experiments/livehost.h"
#include "experiments/logfile.h"
#include "live/claim.h"
#include "live/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLAIM_TENTHS 20	 /* of a second, for a host that is about to end */
#define STOP_TENTHS  300 /* for one that was told to */

struct host_args {
	const char *job, *socket;
	char buf[PATH_MAX];
	bool foreground, json;
	const char **set; /* assignments after -s, in order */
	size_t sets;
};

static error_t parse_start(int key, char *arg, struct argp_state *state)
{
	struct host_args *a = state->input;

	switch (key) {
	case 's':
		a->set[a->sets++] = arg;
		return 0;
	case 'S':
		a->socket = arg;
		return 0;
	case 'f':
		a->foreground = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->job)
			return cmd_usage(state, "one job at a time; what is '%s'?", arg);
		a->job = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option start_options[] = {
	{"set", 's', "KEY=VALUE", 0, "Set a key of the job, e.g. -s host.memory=512mb", 0},
	CMD_SOCKET_OPTION,
	{"foreground", 'f', NULL, 0, "Stay in the foreground and tell of every event", 0},
	{0},
};

static const struct argp start_argp = {
	start_options,
	parse_start,
	"[JOB]",
	"Starts a host for live guests, in the background."
	"\v"
	"A job file may set the sections host, reclaim, share, swap, sample, tax and live.\n"
	"What happens is told in PATH.log. Needs the right to use userfaultfd: root, or sysctl "
	"vm.unprivileged_userfaultfd=1.\n\n"
	"Example: 512 MB for all guests, pages with equal contents shared:\n"
	"  ballast host start -s host.memory=512mb -s share.scan=random -s share.rate_vm=2k \\\n"
	"      -s share.rate_total=10k",
	NULL,
	NULL,
	NULL,
};

static struct livehost *serving; /* for the signal handler alone */

static void on_signal(int sig)
{
	(void)sig;
	livehost_stop(serving);
}

/* What every worker of the keeper does. */
struct work {
	struct job *job;
	const struct host_args *args;
	FILE *log;
	int told; /* where the first one says how it went: "+", or exit code and message; or -1 */
	bool has_keeper; /* in the background */
};

static int serve(struct livehost *host, struct err *err)
{
	serving = host;
	kept_listen(on_signal);
	return livehost_run(host, err);
}

static int work(void *ctx, struct kept *kept)
{
	const struct work *w = ctx;
	struct livehost *host;
	struct err err = {0};
	int rc = livehost_open(w->job, w->args->socket, w->log, kept, &host, &err);

	if (kept->lives)
		fprintf(w->log, "the manager was killed; %s\n",
			rc ? err.msg : "another has taken its guests over");
	else if (w->told >= 0)
		dprintf(w->told, rc ? "%d%s" : "+", err.exit_code, err.msg);
	else if (rc == 0)
		printf("host %d listens at %s\n", (int)getppid(), w->args->socket);
	if (rc)
		return w->told < 0 ? cmd_fail(&err) : 1;
	if (w->told >= 0)
		close(w->told);
	rc = serve(host, &err);
	if (rc)
		fprintf(w->log, "%s\n", err.msg);
	livehost_close(host);
	return rc ? 1 : 0;
}

static _Noreturn void background(struct work *w)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	for (int i = 0; i <= 2; i++)
		dup2(null, i);
	int rc = keeper_run(work, w);
	claim_leave(w->args->socket);
	_exit(rc);
}

/* What the first worker said: nothing when it is up. */
static int hear(int fd, struct err *err)
{
	char text[sizeof err->msg + 1] = "";
	size_t n = 0;
	ssize_t got = 1;

	while (text[0] != '+' && got > 0) {
		got = read(fd, text + n, sizeof text - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	if (text[0] == '+')
		return 0;
	if (n == 0)
		return err_run(err, ECHILD, "the host died as it started");
	return text[0] == '2' ? err_input(err, "%s", text + 1) : err_run(err, EIO, "%s", text + 1);
}

static int start(struct work *w, struct err *err)
{
	int told[2];

	if (pipe2(told, O_CLOEXEC))
		return err_run(err, errno, "no pipe: %s", strerror(errno));
	w->told = told[1];
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return err_run(err, errno, "no process: %s", strerror(errno));
	w->has_keeper = true;
	if (pid == 0) {
		close(told[0]);
		background(w);
	}
	close(told[1]);
	int rc = hear(told[0], err);
	close(told[0]);
	if (rc)
		waitpid(pid, NULL, 0);
	else
		printf("host %d listens at %s\n", (int)pid, w->args->socket);
	return rc;
}

/* Its events go to a file beside the socket. */
static int start_in_background(struct work *w, struct err *err)
{
	char path[PATH_MAX + 8];
	int fd, rc;

	snprintf(path, sizeof path, "%s.log", w->args->socket);
	rc = logfile_open(path, &fd, err);
	if (rc)
		return rc;
	w->log = fdopen(fd, "a");
	if (!w->log) {
		close(fd);
		return err_run(err, ENOMEM, "no memory for a log");
	}
	setvbuf(w->log, NULL, _IOLBF, 0);
	rc = start(w, err);
	fclose(w->log);
	return rc;
}

/* The exit code, after the host's end. */
static int run_in_foreground(struct work *w)
{
	w->told = -1;
	w->log = stdout;
	setvbuf(stdout, NULL, _IOLBF, 0);
	return keeper_run(work, w);
}

/*
 * Takes the place. One that nobody answers at may still be that of a host which
 * ends, or whose manager was killed and is being followed.
 */
static int claim_place(const char *socket, int *claim, struct err *err)
{
	int rc = control_in_use(socket, err);

	for (int tenths = 0; rc == 0; tenths++) {
		rc = claim_take(socket, claim, err);
		if (rc != -EADDRINUSE || tenths == CLAIM_TENTHS)
			return rc;
		usleep(100000);
		rc = control_in_use(socket, err);
	}
	return rc;
}

/* The exit code. */
static int start_host(struct work *w)
{
	const char *socket = w->args->socket;
	struct err err = {0};
	int claim, rc = claim_place(socket, &claim, &err);

	if (rc)
		return cmd_fail(&err);
	if (w->args->foreground)
		rc = run_in_foreground(w);
	else
		rc = start_in_background(w, &err) ? cmd_fail(&err) : 0;
	if (!w->has_keeper) /* which does it at its end */
		claim_leave(socket);
	close(claim);
	return rc;
}

static int cmd_host_start(int argc, char **argv)
{
	struct host_args args = {.set = calloc((size_t)argc, sizeof(char *))};
	struct err err = {0};
	struct job *job = NULL;

	if (!args.set)
		return cmd_fail(&(struct err){1, "no memory"});
	args.socket = livehost_socket(args.buf, sizeof args.buf);
	int rc = cmd_parse(&start_argp, argc, argv, &args);
	if (rc == 0) {
		rc = job_read(livehost_sections, args.job, args.set, args.sets, &job, &err);
		struct work w = {.job = job, .args = &args};
		rc = rc ? cmd_fail(&err) : start_host(&w);
		if (job)
			job_free(job);
	}
	free(args.set);
	return rc;
}

/* The other verbs ask. */

static error_t parse_ask(int key, char *arg, struct argp_state *state)
{
	struct host_args *a = state->input;

	switch (key) {
	case 'S':
		a->socket = arg;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case ARGP_KEY_ARG:
		return cmd_usage(state, "'%.40s' is one argument too many", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option status_options[] = {
	CMD_SOCKET_OPTION,
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{0},
};

static const struct argp_option ask_options[] = {CMD_SOCKET_OPTION, {0}};

static const struct argp status_argp = {
	status_options, parse_ask, NULL, "Shows how much memory a live host has and who has it.",
	NULL,		NULL,	   NULL,
};

static const struct argp stop_argp = {
	ask_options, parse_ask, NULL, "Ends a live host and its guests.", NULL, NULL, NULL,
};

static const struct argp check_argp = {
	ask_options,
	parse_ask,
	NULL,
	"Has a live host recount every page, frame and slot, and compare them with the memory "
	"that the kernel says it uses.",
	NULL,
	NULL,
	NULL,
};

static int ask(const struct host_args *a, const char *what, json_t **reply, struct err *err)
{
	json_t *request = json_pack("{s:s}", "do", what);
	int rc = control_ask(a->socket, request, reply, err);

	json_decref(request);
	return rc;
}

static double mib(const json_t *o, const char *name)
{
	return (double)json_integer_value(json_object_get(o, name)) * PAGE_SIZE / (1 << 20);
}

/* A guest's balloon, where it has one. */
static void print_balloon(const json_t *vm)
{
	const char *driver = json_string_value(json_object_get(vm, "driver"));

	if (!driver || strcmp(driver, "off") == 0)
		return;
	printf("%s: balloon of %.1f MiB, %.1f wanted, driver %s; %lld pages refused, %lld bad "
	       "messages\n",
	       json_string_value(json_object_get(vm, "name")), mib(vm, "balloon"),
	       mib(vm, "balloon_target"), driver,
	       json_integer_value(json_object_get(vm, "balloon_refused")),
	       json_integer_value(json_object_get(vm, "balloon_bad")));
}

static void print_status(const json_t *status)
{
	const json_t *host = json_object_get(status, "host");
	size_t i;
	json_t *vm;

	printf("host %lld: %s, %.1f MiB, %.1f free, %.1f of single pages, %.1f shared, %zu "
	       "guests\n",
	       json_integer_value(json_object_get(status, "pid")),
	       json_string_value(json_object_get(status, "state")), mib(host, "frames"),
	       mib(host, "free"), mib(host, "private"), mib(host, "shared"),
	       json_array_size(json_object_get(status, "vms")));
	json_array_foreach(json_object_get(status, "vms"), i, vm)
	{
		print_balloon(vm);
	}
}

static int parse_and_ask(const struct argp *argp, const char *what, int argc, char **argv,
			 struct host_args *args, json_t **reply)
{
	struct err err = {0};

	args->socket = livehost_socket(args->buf, sizeof args->buf);
	int rc = cmd_parse(argp, argc, argv, args);
	if (rc)
		return rc;
	return ask(args, what, reply, &err) ? cmd_fail(&err) : 0;
}

static int cmd_host_status(int argc, char **argv)
{
	struct host_args args = {0};
	json_t *reply;
	int rc = parse_and_ask(&status_argp, "status", argc, argv, &args, &reply);

	if (rc)
		return rc;
	if (args.json) {
		cmd_print_json(json_incref(reply));
	} else {
		print_status(reply);
	}
	json_decref(reply);
	return 0;
}

static int cmd_host_check(int argc, char **argv)
{
	struct host_args args = {0};
	json_t *reply;
	int rc = parse_and_ask(&check_argp, "check", argc, argv, &args, &reply);

	if (rc)
		return rc;
	json_int_t bad = json_integer_value(json_object_get(reply, "violations"));
	fputs(json_string_value(json_object_get(reply, "text")), stdout);
	printf("%lld violations\n", bad);
	json_decref(reply);
	return bad ? 1 : 0;
}

/* Waits until the host has left its place: another may be started there then. */
static int cmd_host_stop(int argc, char **argv)
{
	struct host_args args = {0};
	json_t *reply;
	int rc = parse_and_ask(&stop_argp, "shutdown", argc, argv, &args, &reply);

	if (rc)
		return rc;
	json_decref(reply);
	struct err err;
	int claim;
	for (int tenths = 0; tenths < STOP_TENTHS; tenths++) {
		rc = access(args.socket, F_OK) == 0 ? -EADDRINUSE
						    : claim_take(args.socket, &claim, &err);
		if (rc != -EADDRINUSE)
			break;
		usleep(100000);
	}
	if (rc == -EADDRINUSE)
		return cmd_fail(&(struct err){1, "the host has not ended within 30 s"});
	if (rc == 0) {
		claim_leave(args.socket);
		close(claim);
	}
	return 0;
}

int cmd_host(int argc, char **argv)
{
	static const struct cmd verbs[] = {
		{"start", "starts a host for live guests", cmd_host_start},
		{"status", "how much memory it has, and who has it", cmd_host_status},
		{"check", "has it recount everything", cmd_host_check},
		{"stop", "ends it and its guests", cmd_host_stop},
		{NULL},
	};
	static const struct cmd_group group = {
		.name = "ballast host",
		.cmds = verbs,
		.doc = "The live host, which owns the memory of real guests."
		       "\v",
		.more = "'ballast vm' starts guests in it; 'ballast top' watches them.\n\n"
			"Examples:\n"
			"  ballast host start -s host.memory=512mb\n"
			"  ballast host status\n",
	};

	return cmd_group(&group, argc, argv);
}
