#include "experiments/guestproc.h"

#include "experiments/datadir.h"
#include "live/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000 /* for a process to map its memory */

/* What the process needs to know; all of it is inherited. */
struct launch {
	char **argv;
	char ram[40]; /* a file without a name */
	char agents[200], agent[PATH_MAX], log[PATH_MAX];
	int out; /* its output; -1: ours */
};

static int tell(const char *socket, json_t *request, json_t **reply, struct err *err)
{
	json_t *unused = NULL;
	int rc = control_ask(socket, request, reply ? reply : &unused, err);

	json_decref(request);
	json_decref(unused);
	return rc;
}

void claim_put(const struct claim_args *c, json_t *request)
{
	if (c->has_min)
		json_object_set_new(request, "min",
				    json_integer((json_int_t)(c->min >> PAGE_SHIFT)));
	if (c->has_max)
		json_object_set_new(request, "max",
				    json_integer((json_int_t)(c->max >> PAGE_SHIFT)));
	if (c->has_shares)
		json_object_set_new(request, "shares", json_integer((json_int_t)c->shares));
}

/* Asks the host to expect the guest. */
static int announce(struct guestproc *g, const char *socket, struct launch *l, struct err *err)
{
	json_t *request = json_pack("{s:s, s:s, s:I, s:s*}", "do", "add", "vm", g->name, "pages",
				    (json_int_t)(g->memory >> PAGE_SHIFT), "group", g->group);
	json_t *reply = NULL;

	claim_put(&g->claim, request);
	int rc = tell(socket, request, &reply, err);
	if (rc)
		return rc;
	snprintf(l->agents, sizeof l->agents, "%s",
		 json_string_value(json_object_get(reply, "agents")));
	json_decref(reply);
	return 0;
}

/* What the host knows of this machine, or finds out now, once. */
static int choose_accel(struct guestproc *g, const char *socket, struct err *err)
{
	json_t *reply = NULL;
	int rc;

	if (g->qemu.accel)
		return 0;
	rc = tell(socket, json_pack("{s:s}", "do", "status"), &reply, err);
	if (rc)
		return rc;
	const char *known = json_string_value(json_object_get(reply, "accel"));
	g->qemu.accel = known && strcmp(known, "kvm") == 0   ? "kvm"
			: known && strcmp(known, "tcg") == 0 ? "tcg"
							     : NULL;
	json_decref(reply);
	if (g->qemu.accel)
		return 0;
	g->qemu.accel = qemu_accel();
	return tell(socket, json_pack("{s:s, s:s}", "do", "accel", "is", g->qemu.accel), NULL, err);
}

static void give_up(const struct guestproc *g, const char *socket)
{
	struct err ignored;

	if (tell(socket, json_pack("{s:s, s:s, s:b}", "do", "stop", "vm", g->name, "kill", 1), NULL,
		 &ignored))
		return; /* the host has noticed by itself */
}

static int make_ram(const struct guestproc *g, struct launch *l, int *fd, struct err *err)
{
	*fd = memfd_create("guest memory", 0);
	if (*fd < 0 || ftruncate(*fd, (off_t)g->memory))
		return err_run(err, errno, "no file for guest memory: %s", strerror(errno));
	snprintf(l->ram, sizeof l->ram, "/proc/self/fd/%d", *fd);
	return 0;
}

static _Noreturn void become(const struct guestproc *g, const struct launch *l)
{
	if (!g->foreground) {
		int null = open("/dev/null", O_RDONLY);
		setsid();
		dup2(null, 0);
		dup2(l->out, 1);
		dup2(l->out, 2);
	}
	setenv("LD_PRELOAD", l->agent, 1);
	setenv("BALLAST_RAM", l->ram, 1);
	setenv("BALLAST_VM", g->name, 1);
	setenv("BALLAST_AGENT_SOCKET", l->agents, 1);
	execvp(l->argv[0], l->argv);
	dprintf(2, "ballast: %s: %s\n", l->argv[0], strerror(errno));
	_exit(127);
}

/* The guest's state as the host sees it: 1 running, 0 not yet, or -errno. */
static int state_of(const struct guestproc *g, const char *socket, struct err *err)
{
	json_t *reply = NULL, *vm;
	int rc = tell(socket, json_pack("{s:s}", "do", "status"), &reply, err);
	size_t i;

	if (rc)
		return rc;
	json_array_foreach(json_object_get(reply, "vms"), i, vm)
	{
		const char *name = json_string_value(json_object_get(vm, "name"));
		const char *state = json_string_value(json_object_get(vm, "state"));
		if (name && state && strcmp(name, g->name) == 0)
			rc = strcmp(state, "running") == 0;
	}
	json_decref(reply);
	return rc;
}

/* The last line that the guest wrote before it failed. */
static void last_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "r");
	char text[400];

	*line = '\0';
	while (f && fgets(text, sizeof text, f)) {
		text[strcspn(text, "\r\n")] = '\0';
		if (*text)
			snprintf(line, size, ": %.300s", text);
	}
	if (f)
		fclose(f);
}

static int await(const struct guestproc *g, const struct launch *l, const char *socket, pid_t pid,
		 struct err *err)
{
	char line[400];
	int rc;

	for (int ms = 0; ms < PATIENCE_MS; ms += 20) {
		rc = state_of(g, socket, err);
		if (rc)
			return rc < 0 ? rc : 0;
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			last_line(l->log, line, sizeof line);
			return err_run(err, ECHILD,
				       "vm %s: %s ended before it mapped its memory, the file that "
				       "$BALLAST_RAM names%s",
				       g->name, l->argv[0], line);
		}
		usleep(20000);
	}
	kill(pid, SIGKILL);
	return err_run(err, ETIMEDOUT,
		       "vm %s: %s did not map its memory, the file that $BALLAST_RAM names, "
		       "within %d s; its output is in %s",
		       g->name, l->argv[0], PATIENCE_MS / 1000, l->log);
}

static int run(const struct guestproc *g, struct launch *l, const char *socket, struct err *err)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return err_run(err, errno, "no process: %s", strerror(errno));
	if (pid == 0)
		become(g, l);
	if (!g->foreground) {
		int rc = await(g, l, socket, pid, err);
		if (rc == 0)
			printf("vm %s runs as process %d; its output is in %s\n", g->name, (int)pid,
			       l->log);
		return rc;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int open_log(const struct guestproc *g, const char *socket, struct launch *l,
		    struct err *err)
{
	if (g->foreground)
		return 0;
	snprintf(l->log, sizeof l->log, "%s.%s.log", socket, g->name);
	l->out = open(l->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return l->out < 0 ? err_run(err, errno, "%s: %s", l->log, strerror(errno)) : 0;
}

static int launch(struct guestproc *g, const char *socket, struct launch *l,
		  struct qemu_command *command, struct err *err)
{
	char programs[PATH_MAX];
	int rc = 0;

	if (g->linux_guest) {
		rc = choose_accel(g, socket, err);
		g->qemu.memory = g->memory;
		g->qemu.ram = l->ram;
		if (rc == 0 && program_path("guest/static", programs, NULL) == 0)
			g->qemu.programs = programs;
		rc = rc ? rc : qemu_command(&g->qemu, command, err);
		l->argv = command->argv;
	} else {
		l->argv = g->argv;
	}
	rc = rc ? rc : announce(g, socket, l, err);
	if (rc)
		return rc;
	rc = open_log(g, socket, l, err);
	rc = rc ? rc : run(g, l, socket, err);
	if (rc)
		give_up(g, socket);
	return rc;
}

int guestproc_start(struct guestproc *g, const char *socket, struct err *err)
{
	struct qemu_command command = {.initrd_fd = -1};
	struct launch l = {.out = -1};
	int fd = -1, rc;

	if (g->linux_guest && g->argv)
		return err_input(err, "vm %s: a Linux guest runs what --run says, not %s", g->name,
				 g->argv[0]);
	if (!g->linux_guest && !g->argv)
		return err_input(err, "vm %s: give --linux, or a program that maps $BALLAST_RAM",
				 g->name);
	if (g->memory == 0 || g->memory % PAGE_SIZE)
		return err_input(err, "vm %s: memory is not a whole number of 4 KiB pages",
				 g->name);
	if (g->linux_guest && g->memory < 48 << 20)
		return err_input(err, "vm %s: a Linux guest needs 48mb or more", g->name);
	rc = program_path("ballast-agent.so", l.agent, err);
	rc = rc ? rc : make_ram(g, &l, &fd, err);
	rc = rc ? rc : launch(g, socket, &l, &command, err);
	qemu_command_free(&command);
	if (fd >= 0)
		close(fd);
	if (l.out >= 0)
		close(l.out);
	return rc;
}
