#include "experiments/guestproc.h"

#include "experiments/caught.h"
#include "experiments/datadir.h"
#include "experiments/logfile.h"
#include "live/control.h"
#include "live/program.h"
#include "live/wire_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000      /* for a process to map its memory */
#define LEAST	    (72 << 20) /* bytes: Debian's kernel does not boot in 64 MB */

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
static int announce(struct guestproc *g, const char *socket, struct launch *l, bool *balloon,
		    struct err *err)
{
	json_t *request =
		json_pack("{s:s, s:s, s:I, s:s*, s:s}", "do", "add", "vm", g->name, "pages",
			  (json_int_t)(g->memory >> PAGE_SHIFT), "group", g->group, "balloon",
			  g->no_balloon	   ? "off"
			  : g->linux_guest ? "qemu"
					   : "process");
	json_t *reply = NULL;
	uint32_t first, pages;

	claim_put(&g->claim, request);
	qemu_hole(g->linux_guest ? g->memory : 0, &first, &pages);
	json_object_set_new(request, "hole", json_integer(first));
	json_object_set_new(request, "hole_pages", json_integer(pages));
	int rc = tell(socket, request, &reply, err);
	if (rc)
		return rc;
	snprintf(l->agents, sizeof l->agents, "%s",
		 json_string_value(json_object_get(reply, "agents")));
	*balloon = json_is_true(json_object_get(reply, "balloon"));
	json_decref(reply);
	return 0;
}

/* Hands one end of the way to the guest's balloon device to the host. */
static int give_device(const struct guestproc *g, const struct launch *l, int end)
{
	struct wire w = {.op = WIRE_DEVICE, .version = WIRE_VERSION};
	struct sockaddr_un host = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), fd, rc = 0;

	snprintf(host.sun_path, sizeof host.sun_path, "%.*s", (int)sizeof host.sun_path - 1,
		 l->agents);
	snprintf(w.vm, sizeof w.vm, "%.*s", (int)sizeof w.vm - 1, g->name);
	if (sock < 0 || connect(sock, (struct sockaddr *)&host, sizeof host))
		rc = -errno;
	else if (!wire_send(sock, &w, WIRE_SHORT, end) || wire_receive(sock, &w, &fd) <= 0)
		rc = -ESRCH;
	else
		rc = w.op == WIRE_DONE ? w.rc : -EPROTO;
	if (sock >= 0)
		close(sock);
	return rc;
}

static int add_balloon(const struct guestproc *g, struct launch *l, struct err *err)
{
	int end, rc = launch_device(l, &end);

	if (rc == 0) {
		rc = give_device(g, l, end);
		close(end);
	}
	return rc ? err_run(err, -rc, "vm %s: no balloon device: %s; give --balloon off", g->name,
			    strerror(-rc))
		  : 0;
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

static int make_ram(const struct guestproc *g, struct launch *l, struct err *err)
{
	l->ram_fd = memfd_create("guest memory", MFD_CLOEXEC);
	if (l->ram_fd < 0 || ftruncate(l->ram_fd, (off_t)g->memory))
		return err_run(err, errno, "no file for guest memory: %s", strerror(errno));
	snprintf(l->ram, sizeof l->ram, "/proc/self/fd/%d", l->ram_fd);
	return 0;
}

static int check(const struct guestproc *g, struct err *err)
{
	if (g->linux_guest && g->argv)
		return err_input(err, "vm %s: a Linux guest runs what --run says, not %s", g->name,
				 g->argv[0]);
	if (!g->linux_guest && !g->argv)
		return err_input(err, "vm %s: give --linux, or a program", g->name);
	if (g->memory == 0 || g->memory % PAGE_SIZE)
		return err_input(err, "vm %s: memory is not a whole number of 4 KiB pages",
				 g->name);
	if (g->linux_guest && g->memory < LEAST)
		return err_input(err, "vm %s: a Linux guest needs 72mb or more", g->name);
	return 0;
}

/* The module built for the guest's kernel (ballast module build), or false. */
static bool find_module(const char *kernel, char path[PATH_MAX])
{
	char release[QEMU_RELEASE], folder[PATH_MAX];
	struct err unused;

	if (!qemu_release(kernel, release) || module_folder(release, folder, &unused))
		return false;
	int n = snprintf(path, PATH_MAX, "%s/ballast_balloon.ko", folder);
	return n < PATH_MAX && access(path, R_OK) == 0;
}

static int prepare_program(const struct guestproc *g, struct launch *l, struct err *err)
{
	bool own = false;
	int rc = program_check(g->argv[0], &own, err);

	l->argv = g->argv;
	l->heap = g->heap == HEAP_ON || (g->heap == HEAP_AUTO && !own);
	if (rc == 0 && l->heap)
		return program_path("ballast-heap.so", l->agent, err);
	return rc ? rc : make_ram(g, l, err);
}

int launch_prepare(struct guestproc *g, struct launch *l, struct err *err)
{
	char programs[PATH_MAX], module[PATH_MAX];
	struct err unused;
	int rc = check(g, err);

	*l = (struct launch){.out = -1, .ram_fd = -1, .device = -1, .command.initrd_fd = -1};
	rc = rc ? rc : program_path("ballast-agent.so", l->agent, err);
	if (rc == 0 && !g->linux_guest)
		return prepare_program(g, l, err);
	rc = rc ? rc : make_ram(g, l, err);
	if (rc)
		return rc;
	g->qemu.memory = g->memory;
	g->qemu.ram = l->ram;
	g->qemu.agent = l->agent;
	if (program_path("guest/static", programs, NULL) == 0)
		g->qemu.programs = programs;
	if (!g->qemu.kernel && qemu_kernel(l->kernel, &unused) == 0)
		g->qemu.kernel = l->kernel;
	if (!g->no_balloon && g->qemu.kernel && find_module(g->qemu.kernel, module))
		g->qemu.module = module;
	rc = qemu_command(&g->qemu, &l->command, err);
	g->qemu.programs = g->qemu.module = g->qemu.agent = NULL;
	if (g->qemu.kernel == l->kernel)
		g->qemu.kernel = NULL;
	if (rc == 0 && l->command.initrd_fd >= 0)
		fcntl(l->command.initrd_fd, F_SETFD, FD_CLOEXEC);
	l->argv = l->command.argv;
	return rc;
}

void launch_free(struct launch *l)
{
	qemu_command_free(&l->command);
	if (l->ram_fd >= 0)
		close(l->ram_fd);
	if (l->out >= 0)
		close(l->out);
	if (l->device >= 0)
		close(l->device);
	l->ram_fd = l->out = l->device = -1;
}

int launch_device(struct launch *l, int *end)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	int rc = qemu_balloon(&l->command, pair[1]);
	l->argv = l->command.argv;
	l->device = pair[1];
	if (rc)
		close(pair[0]);
	else
		*end = pair[0];
	return rc;
}

int launch_log(struct launch *l, const char *path, struct err *err)
{
	snprintf(l->log, sizeof l->log, "%s", path);
	return logfile_open(path, &l->out, err);
}

/* What this guest, and no other, inherits. */
static void hand_on(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}

static _Noreturn void become(const struct guestproc *g, const struct launch *l)
{
	char bytes[24];

	hand_on(l->ram_fd);
	hand_on(l->command.initrd_fd);
	hand_on(l->device);
	if (!g->foreground) {
		int null = open("/dev/null", O_RDONLY);
		setsid();
		dup2(null, 0);
		dup2(l->out, 1);
		dup2(l->out, 2);
	}
	caught_child();
	signal(SIGPIPE, SIG_DFL); /* what we ignore, it need not (main.c) */
	signal(SIGXFSZ, SIG_DFL);
	if (g->dies_with_us)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!l->command.plugin)
		setenv("LD_PRELOAD", l->agent, 1);
	if (l->heap) {
		snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)g->memory);
		setenv("BALLAST_HEAP", bytes, 1);
		unsetenv("BALLAST_RAM");
	} else {
		setenv("BALLAST_RAM", l->ram, 1);
	}
	setenv("BALLAST_VM", g->name, 1);
	setenv("BALLAST_AGENT_SOCKET", l->agents, 1);
	execvp(l->argv[0], l->argv);
	dprintf(2, "ballast: %s: %s\n", l->argv[0], strerror(errno));
	_exit(127);
}

int launch_go(const struct guestproc *g, const struct launch *l, pid_t *pid, struct err *err)
{
	fflush(NULL);
	*pid = fork();
	if (*pid < 0)
		return err_run(err, errno, "no process: %s", strerror(errno));
	if (*pid == 0)
		become(g, l);
	return 0;
}

/* The guest's state as the host sees it; "" if it has none of that name. 0 or -errno. */
static int state_of(const struct guestproc *g, const char *socket, char state[16], struct err *err)
{
	json_t *reply = NULL, *vm;
	int rc = tell(socket, json_pack("{s:s}", "do", "status"), &reply, err);
	size_t i;

	*state = '\0';
	if (rc)
		return rc;
	json_array_foreach(json_object_get(reply, "vms"), i, vm)
	{
		const char *name = json_string_value(json_object_get(vm, "name"));
		const char *is = json_string_value(json_object_get(vm, "state"));
		if (name && is && strcmp(name, g->name) == 0)
			snprintf(state, 16, "%s", is);
	}
	json_decref(reply);
	return 0;
}

/* It has ended so soon that the host did not show it. */
static int ended(const struct guestproc *g, const struct launch *l, int status, struct err *err)
{
	char line[400];

	logfile_last_line(l->log, line, sizeof line);
	if (l->heap && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		printf("vm %s has ended; its output is in %s\n", g->name, l->log);
		return 0;
	}
	if (l->heap)
		return err_run(err, ECHILD, "vm %s: %s ended with status %d%s", g->name, l->argv[0],
			       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
			       line);
	return err_run(err, ECHILD,
		       "vm %s: %s ended before it mapped its memory, the file that $BALLAST_RAM "
		       "names%s",
		       g->name, l->argv[0], line);
}

static int await(const struct guestproc *g, const struct launch *l, const char *socket, pid_t pid,
		 struct err *err)
{
	int rc = 0, status;
	char state[16];

	for (int ms = 0; rc == 0 && !caught_signal() && ms < PATIENCE_MS; ms += 20) {
		rc = state_of(g, socket, state, err);
		if (rc == 0 && strcmp(state, "running") == 0) {
			printf("vm %s runs as process %d; its output is in %s\n", g->name, (int)pid,
			       l->log);
			return 0;
		}
		if (waitpid(pid, &status, WNOHANG) == pid)
			return rc ? rc : ended(g, l, status, err);
		usleep(20000);
	}
	kill(pid, SIGKILL);
	if (rc)
		return rc;
	if (caught_signal())
		return err_run(err, EINTR, "vm %s: interrupted: it is not started", g->name);
	return err_run(err, ETIMEDOUT,
		       "vm %s: %s did not map its memory, the file that $BALLAST_RAM names, "
		       "within %d s; its output is in %s",
		       g->name, l->argv[0], PATIENCE_MS / 1000, l->log);
}

/*
 * The exit code of the process, or -errno. A terminal's signals go to the guest
 * as well as here, and what it makes of them is its affair; others are passed on.
 */
static int attend(const struct guestproc *g, const char *socket, pid_t pid)
{
	struct err ignored;
	char state[16];
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		usleep(20000); /* or until a signal comes */
		const int sig = caught_take();
		if (sig == SIGTERM || sig == SIGHUP)
			kill(pid, sig);
	}
	if (state_of(g, socket, state, &ignored) == 0 && strcmp(state, "expected") == 0)
		give_up(g, socket); /* it never mapped its memory */
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const struct guestproc *g, struct launch *l, const char *socket, struct err *err)
{
	pid_t pid;

	if (caught_signal())
		return err_run(err, EINTR, "vm %s: interrupted: it is not started", g->name);
	int rc = launch_go(g, l, &pid, err);
	if (rc)
		return rc;
	return g->foreground ? attend(g, socket, pid) : await(g, l, socket, pid, err);
}

static int open_log(const struct guestproc *g, const char *socket, struct launch *l,
		    struct err *err)
{
	char path[PATH_MAX];

	if (g->foreground)
		return 0;
	snprintf(path, sizeof path, "%s.%s.log", socket, g->name);
	return launch_log(l, path, err);
}

static int launch(struct guestproc *g, const char *socket, struct launch *l, struct err *err)
{
	bool balloon = false;
	struct caught signals;

	caught_begin(&signals);
	int rc = announce(g, socket, l, &balloon, err);

	if (rc) {
		caught_end(&signals);
		return rc;
	}
	if (g->linux_guest && balloon)
		rc = add_balloon(g, l, err);
	rc = rc ? rc : open_log(g, socket, l, err);
	rc = rc ? rc : run(g, l, socket, err);
	if (rc < 0)
		give_up(g, socket);
	caught_end(&signals);
	return rc;
}

int guestproc_start(struct guestproc *g, const char *socket, struct err *err)
{
	struct launch l = {.out = -1, .ram_fd = -1, .device = -1, .command.initrd_fd = -1};
	int rc = check(g, err);

	if (rc == 0 && g->linux_guest)
		rc = choose_accel(g, socket, err);
	if (rc == 0)
		rc = launch_prepare(g, &l, err);
	if (rc == 0)
		rc = launch(g, socket, &l, err);
	launch_free(&l);
	return rc;
}
