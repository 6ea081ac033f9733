/* What a live host costs a Linux guest: its boot and its steady speed, against plain QEMU. */
#include "experiments/bench.h"

#include "core/os.h"
#include "experiments/guestproc.h"
#include "experiments/livehost.h"
#include "experiments/liveparts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY (UINT64_C(128) << 20)
#define ROUNDS 3
#define BOOT   "true"
#define WORK   "truncate -s 48M /mem/p; verify /mem/p 8 1 1"

/* One guest's life. */
struct life {
	double seconds;
	unsigned long long ops; /* of the verifier */
};

static struct guestproc linux_guest(const char *accel, const char *run)
{
	return (struct guestproc){
		.name = "bench",
		.memory = MEMORY,
		.no_balloon = true,
		.dies_with_us = true,
		.linux_guest = true,
		.qemu = {.cpus = 1, .accel = accel, .run = run},
	};
}

/* QEMU alone, with its memory in the same kind of file. */
static int start_plain(const struct launch *l, pid_t *pid, struct err *err)
{
	fflush(NULL);
	*pid = fork();
	if (*pid < 0)
		return err_run(err, errno, "no process: %s", strerror(errno));
	if (*pid > 0)
		return 0;
	fcntl(l->ram_fd, F_SETFD, 0);
	fcntl(l->command.initrd_fd, F_SETFD, 0);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, 0);
	dup2(l->out, 1);
	dup2(l->out, 2);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(l->argv[0], l->argv);
	_exit(127);
}

/* A host that has as much memory as the guest, and samples it. */
static int open_host(struct job **job, const char *agents, struct liveparts *parts, struct err *err)
{
	*job = NULL;
	if (job_new(livehost_sections, job))
		return err_run(err, ENOMEM, "no memory for a job");
	int rc = job_set(*job, "host.memory=160mb", err);

	rc = rc ? rc : job_set(*job, "sample.sampler=esx", err);
	return rc ? rc : liveparts_open(*job, agents, NULL, parts, err);
}

static int under_host(const struct guestproc *g, struct launch *l, pid_t *pid, struct err *err)
{
	struct liveparts parts = {0};
	struct live_vm *v = NULL;
	struct job *job = NULL;

	snprintf(l->agents, sizeof l->agents, "/tmp/ballast-bench.%d", (int)getpid());
	int rc = open_host(&job, l->agents, &parts, err);
	if (rc == 0)
		rc = live_add(parts.live, g->name, NULL, (uint32_t)(MEMORY >> PAGE_SHIFT), &v, err);
	rc = rc ? rc : launch_go(g, l, pid, err);
	while (rc == 0 && v && v->state != LIVE_GONE && waitpid(*pid, NULL, WNOHANG) == 0)
		rc = live_turn(parts.live, 100000000, err);
	host_free(parts.host);
	if (job)
		job_free(job);
	return rc;
}

static int read_log(const char *path, struct life *life)
{
	char line[512];
	FILE *f = fopen(path, "r");
	unsigned long long bad;
	int found = -EIO;

	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "ops %llu bad %llu", &life->ops, &bad) == 2 && bad == 0)
			found = 0;
	}
	if (f)
		fclose(f);
	return found;
}

/* Boots a guest that runs that and ends, and tells how it went. */
static int live_once(const char *accel, const char *run, bool plain, struct life *life,
		     struct err *err)
{
	struct guestproc g = linux_guest(accel, run);
	char log[64] = "/tmp/ballast-bench-XXXXXX";
	struct launch l;
	pid_t pid = -1;
	int fd = mkstemp(log);

	int rc = launch_prepare(&g, &l, err);
	rc = rc ? rc : launch_log(&l, log, err);
	uint64_t start = os_mono_ns();
	if (rc == 0)
		rc = plain ? start_plain(&l, &pid, err) : under_host(&g, &l, &pid, err);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	life->seconds = (double)(os_mono_ns() - start) / 1e9;
	if (rc == 0 && strcmp(run, BOOT) != 0 && read_log(log, life))
		rc = err_run(err, EIO, "the guest to measure did not come to its end");
	launch_free(&l);
	os_close(fd);
	unlink(log);
	return rc;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Medians of plain QEMU's and of ours, by turns: seconds, or operations. */
static int by_turns(const char *accel, const char *run, double got[2], struct err *err)
{
	double all[2][ROUNDS];
	struct life life = {0};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 2 * ROUNDS; i++) {
		rc = live_once(accel, run, i % 2 == 0, &life, err);
		all[i % 2][i / 2] = strcmp(run, BOOT) == 0 ? life.seconds : (double)life.ops;
	}
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		qsort(all[i], ROUNDS, sizeof all[i][0], by_size);
		got[i] = all[i][ROUNDS / 2];
	}
	return rc;
}

int bench_linux(const struct bench_args *args, json_t *out, struct err *err)
{
	double boot[2], ops[2];
	char kernel[512];

	(void)args;
	if (live_check(err) || qemu_kernel(kernel, err)) {
		json_object_set_new(out, "skipped", json_string(err->msg));
		return 0;
	}
	const char *accel = qemu_accel();
	int rc = by_turns(accel, BOOT, boot, err);
	rc = rc ? rc : by_turns(accel, WORK, ops, err);
	if (rc)
		return rc;
	json_object_set_new(out, "accel", json_string(accel));
	json_object_set_new(out, "boot and power off",
			    json_pack("{s:f, s:f, s:f, s:f, s:f}", "plain_s", boot[0], "ballast_s",
				      boot[1], "ratio", boot[1] / boot[0], "must", 1.3, "aim",
				      1.1));
	json_object_set_new(out, "steady throughput",
			    json_pack("{s:f, s:f, s:f, s:f, s:f}", "plain_ops", ops[0],
				      "ballast_ops", ops[1], "ratio", ops[1] / ops[0], "must", 0.95,
				      "aim", 0.98));
	return 0;
}
