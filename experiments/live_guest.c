#include "experiments/live_guest.h"

#include "balloon/balloon.h"
#include "core/os.h"
#include "experiments/logfile.h"
#include "experiments/outdir.h"
#include "live/channel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define SECOND		UINT64_C(1000000000)
#define ATTACH_PATIENCE (20 * SECOND) /* for a process to map its memory */
#define END_PATIENCE	(5 * SECOND)  /* for one that is told to end */
#define PATH_ROOM	200

void live_guest_init(struct live_guest *g, const char *folder)
{
	*g = (struct live_guest){.folder = folder};
	g->launch = (struct launch){.ram_fd = -1, .out = -1, .device = -1};
	g->launch.command.initrd_fd = -1;
	g->meter.console.fd = -1;
}

void live_guest_free(struct live_guest *g)
{
	meter_close(&g->meter);
	launch_free(&g->launch);
	words_free(&g->words);
}

int live_guest_prepare(struct live_guest *g, const struct job *job, size_t i,
		       const char *(*accel)(void *ctx), void *ctx, struct err *err)
{
	int rc = vm_live_guest(job, i, &g->proc, &g->words, err);

	g->opts = job_titled(job, &vm_section, i);
	if (rc)
		return rc;
	if (g->proc.linux_guest && !g->proc.qemu.accel)
		g->proc.qemu.accel = accel(ctx);
	return launch_prepare(&g->proc, &g->launch, err);
}

static void log_of(const struct live_guest *g, char path[PATH_ROOM])
{
	snprintf(path, PATH_ROOM, "%s/%s.log", g->folder, g->proc.name);
}

/* Its way to the host's balloon, as its section says. */
static int open_balloon(struct live_guest *g, struct balloon *balloon, struct err *err)
{
	const struct vm_opts *opts = g->opts;
	uint32_t first, pages;

	if (!balloon)
		return 0;
	if (!opts->balloon || opts->balloon_cap > 0)
		balloon_cap(balloon, g->live->vm, opts->balloon ? opts->balloon_cap : 0);
	if (!opts->balloon)
		return 0;
	int rc = channel_open(g->live, g->proc.linux_guest ? CHANNEL_QEMU : CHANNEL_PROCESS, err);
	if (rc == 0) {
		qemu_hole(g->proc.linux_guest ? g->proc.memory : 0, &first, &pages);
		channel_hole(g->live, first, pages);
	}
	if (rc == 0 && opts->balloon_size)
		channel_ask(g->live, (uint32_t)(opts->balloon_size >> PAGE_SHIFT));
	return rc;
}

int live_guest_come(struct live_guest *g, const struct liveparts *parts, const struct terms *t,
		    struct err *err)
{
	const char *group = g->proc.group;
	uint32_t pages = (uint32_t)(g->opts->memory >> PAGE_SHIFT);

	int rc = live_add(parts->live, g->proc.name, group, pages, &g->live, err);
	if (rc)
		return rc;
	live_claim(g->live, t->promise.min, t->promise.max, t->shares);
	meter_bind(&g->meter, g->live);
	rc = group ? sharing_group(parts->sharing, g->live->vm, group, err) : 0;
	return rc ? rc : open_balloon(g, parts->balloon, err);
}

int live_guest_launch(struct live_guest *g, struct err *err)
{
	char path[PATH_ROOM];

	log_of(g, path);
	snprintf(g->launch.agents, sizeof g->launch.agents, "%s/agents", g->folder);
	int end, rc = launch_log(&g->launch, path, err);
	if (rc == 0 && g->live->channel && g->proc.linux_guest) {
		rc = launch_device(&g->launch, &end);
		rc = rc ? rc : channel_greet(g->live->channel, end);
		if (rc)
			err_run(err, -rc, "vm %s: no balloon device: %s", g->proc.name,
				strerror(-rc));
	}
	if (rc == 0)
		rc = launch_go(&g->proc, &g->launch, &g->pid, err);
	g->since_ns = os_mono_ns();
	return rc;
}

void live_guest_end(struct live_guest *g)
{
	if (!g->live || g->live->state == LIVE_GONE || g->ending)
		return;
	g->ending = true;
	g->since_ns = os_mono_ns();
	live_stop(g->live, false);
}

static void fail(struct live_guest *g, const struct err *why)
{
	if (!g->err.exit_code) {
		g->err = *why;
		err_prefix(&g->err, "vm %s", g->proc.name);
	}
	if (g->live->state == LIVE_EXPECTED)
		g->live->why = *why;
	live_stop(g->live, true);
}

/* What its command ended with, as our initramfs says (live/qemu.c); -1: it did not come to that. */
static int linux_status(const struct live_guest *g)
{
	static const char sign[] = "ballast: the guest has ended with status ";
	FILE *f = fopen(g->launch.log, "r");
	char line[400];
	int status = -1;

	while (f && fgets(line, sizeof line, f)) {
		if (strncmp(line, sign, strlen(sign)) == 0)
			status = atoi(line + strlen(sign));
	}
	if (f)
		fclose(f);
	return status;
}

/* The last line that it wrote, or for a Linux what it ran. */
static void ended_badly(struct live_guest *g, const char *how, int number)
{
	char line[400];
	struct err why;

	logfile_last_line(g->launch.log, line, sizeof line);
	if (g->proc.linux_guest && number < 0)
		err_run(&why, ECHILD, "its Linux ended before what it was to run%s", line);
	else if (g->proc.linux_guest)
		err_run(&why, ECHILD, "%s %s %d; its log says more",
			g->opts->run ? g->opts->run : "it", how, number);
	else
		err_run(&why, ECHILD, "%s %s %d%s", g->launch.argv[0], how, number, line);
	fail(g, &why);
}

/* Its process has ended, with that status. */
static void ended(struct live_guest *g, int status)
{
	bool attached = g->live->state != LIVE_EXPECTED;
	struct err why;
	char line[400];

	g->pid = 0;
	if (g->ending)
		return;
	if (!attached) {
		logfile_last_line(g->launch.log, line, sizeof line);
		err_run(&why, ECHILD,
			"%s ended before it mapped its memory, the file that $BALLAST_RAM names%s",
			g->launch.argv[0], line);
		fail(g, &why);
	} else if (!WIFEXITED(status)) {
		ended_badly(g, "was killed by signal", WTERMSIG(status));
	} else if (WEXITSTATUS(status)) {
		ended_badly(g, "ended with status", WEXITSTATUS(status));
	} else if (g->proc.linux_guest && !g->opts->initrd && linux_status(g)) {
		ended_badly(g, "ended with status", linux_status(g));
	}
}

void live_guest_look(struct live_guest *g, uint64_t now)
{
	char path[PATH_ROOM];
	struct err why;
	int status;

	if (!g->live)
		return;
	log_of(g, path);
	if (g->since_ns)
		meter_read(&g->meter, path, g->live, now);
	if (g->pid && waitpid(g->pid, &status, WNOHANG) == g->pid)
		ended(g, status);
	if (!g->pid)
		return;
	if (!g->ending && g->live->state < LIVE_RUNNING && now - g->since_ns > ATTACH_PATIENCE) {
		err_run(&why, ETIMEDOUT,
			"%s did not map its memory, the file that $BALLAST_RAM names, within "
			"%llu s",
			g->launch.argv[0], (unsigned long long)(ATTACH_PATIENCE / SECOND));
		kill(g->pid, SIGKILL);
		fail(g, &why);
	}
	if (g->ending && now - g->since_ns > END_PATIENCE)
		live_stop(g->live, true);
}

bool live_guest_gone(const struct live_guest *g)
{
	return !g->pid && (!g->live || g->live->state == LIVE_GONE);
}

/*
 * The host has had its leave; if it never came to the host, nobody has told it to
 * end, and it may wait for a host that does not serve it any more.
 */
void live_guest_wait(struct live_guest *g)
{
	if (!g->pid)
		return;
	kill(g->pid, SIGKILL);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	g->pid = 0;
}

static const char *kernel_of(const struct live_guest *g)
{
	const struct qemu_command *c = &g->launch.command;

	for (size_t i = 0; i + 1 < c->n; i++) {
		if (strcmp(c->argv[i], "-kernel") == 0)
			return c->argv[i + 1];
	}
	return "";
}

json_t *live_guest_json(const struct live_guest *g)
{
	if (!g->proc.linux_guest)
		return json_pack("{s:s}", "program", g->launch.argv[0]);
	return json_pack("{s:s, s:s}", "kernel", kernel_of(g), "accel", g->proc.qemu.accel);
}

int live_guest_log(const struct live_guest *g, const char *dir, struct err *err)
{
	char path[PATH_ROOM], name[64], data[16384];
	struct draft *draft;
	size_t n;

	log_of(g, path);
	FILE *in = fopen(path, "r");
	if (!in)
		return 0; /* its guest never came */
	snprintf(name, sizeof name, "guest-%s.log", g->proc.name);
	int rc = outdir_open(dir, name, &draft, err);
	while (rc == 0 && (n = fread(data, 1, sizeof data, in)) > 0)
		fwrite(data, 1, n, draft_stream(draft));
	fclose(in);
	return rc ? rc : draft_commit(draft, err);
}
