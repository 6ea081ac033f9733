/* The kernel's KSM, put to work on pages of ours. */
#include "experiments/bench.h"

#include "core/os.h"
#include "experiments/progress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KSM	 "/sys/kernel/mm/ksm/"
#define MERGED	 "/proc/self/ksm_merging_pages"
#define TOO_LONG UINT64_C(180000000000) /* ns after which it is not waited for any longer */
#define ROUNDS	 6			/* full scans after which it will find no more */

static const char *const knobs[] = {"run", "pages_to_scan", "sleep_millisecs"};

#define KNOBS ARRAY_LEN(knobs)

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static int read_number(const char *path, long long *value)
{
	FILE *f = fopen(path, "re");

	if (!f)
		return -ENOTSUP;
	int n = fscanf(f, "%lld", value);
	fclose(f);
	return n == 1 ? 0 : -ENOTSUP;
}

static int knob_read(const char *name, long long *value)
{
	char path[80];

	snprintf(path, sizeof path, KSM "%s", name);
	return read_number(path, value);
}

static int knob_write(const char *name, long long value)
{
	char path[80], text[24];
	int len = snprintf(text, sizeof text, "%lld", value);

	snprintf(path, sizeof path, KSM "%s", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -ENOTSUP;
	ssize_t n = write(fd, text, (size_t)len);
	close(fd);
	return n == len ? 0 : -ENOTSUP;
}

/* The thread's process id; 0 if there is none. */
static long ksmd_pid(void)
{
	DIR *proc = opendir("/proc");
	const struct dirent *d;
	long found = 0;

	while (proc && !found && (d = readdir(proc)) != NULL) {
		char path[300], name[32] = "";
		snprintf(path, sizeof path, "/proc/%s/comm", d->d_name);
		FILE *f = d->d_name[0] >= '0' && d->d_name[0] <= '9' ? fopen(path, "re") : NULL;
		if (!f)
			continue;
		if (fgets(name, sizeof name, f) && strcmp(name, "ksmd\n") == 0)
			found = strtol(d->d_name, NULL, 10);
		fclose(f);
	}
	if (proc)
		closedir(proc);
	return found;
}

/* CPU time of a process, user and system; it is counted in ticks of 10 ms. */
static int cpu_of(long pid, uint64_t *ns)
{
	unsigned long long user, system;
	char path[64], line[512];

	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return -ENOTSUP;
	const char *p = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	fclose(f);
	if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
			 &system) != 2)
		return -ENOTSUP;
	*ns = (user + system) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
	return 0;
}

/* What the thread is set to. */
struct knobs {
	long long value[KNOBS];
};

static int knobs_save(struct knobs *k)
{
	for (size_t i = 0; i < KNOBS; i++) {
		/* Writing back what was read says whether we may. */
		if (knob_read(knobs[i], &k->value[i]) || knob_write(knobs[i], k->value[i]))
			return -ENOTSUP;
	}
	return 0;
}

static int knobs_restore(const struct knobs *k, struct err *err)
{
	int rc = 0;

	for (size_t i = KNOBS; i-- > 0;) {
		if (knob_write(knobs[i], k->value[i]))
			rc = err_run(err, EIO, KSM "%s could not be set back to %lld", knobs[i],
				     k->value[i]);
	}
	return rc;
}

static int knobs_full_speed(void)
{
	return knob_write("pages_to_scan", 100000) || knob_write("sleep_millisecs", 0) ||
			       knob_write("run", 1)
		       ? -ENOTSUP
		       : 0;
}

/* Lets the thread run until so many pages of this process share. */
static int wait_for_merges(long pid, size_t merges, uint64_t *cpu_ns, struct err *err)
{
	const uint64_t start_ns = os_mono_ns();
	long long merged = 0, first_round, round;
	uint64_t start_cpu, end_cpu = 0;
	struct progress progress;
	int rc = 0;

	if (knob_read("full_scans", &first_round) || cpu_of(pid, &start_cpu) || knobs_full_speed())
		return err_run(err, ENOTSUP, "the kernel's KSM is not ours to use");
	progress_start(&progress, "KSM", "pages");
	do {
		usleep(5000);
		if (interrupted)
			rc = -EINTR;
		else if (read_number(MERGED, &merged) || knob_read("full_scans", &round))
			rc = -ENOTSUP;
		else if (os_mono_ns() - start_ns > TOO_LONG || round - first_round > ROUNDS)
			rc = -ETIME;
		progress_update(&progress, (uint64_t)merged, merges);
	} while (rc == 0 && merged < (long long)merges);
	progress_end(&progress);
	if (rc == 0)
		rc = cpu_of(pid, &end_cpu);
	*cpu_ns = end_cpu - start_cpu;
	return rc ? err_run(err, -rc, "the kernel's KSM did not finish: %s", strerror(-rc)) : 0;
}

/* Gives the memory back and lets the thread see it, or it would do so in its next run. */
static void release(void *p, size_t bytes, long long shared_before)
{
	long long shared = shared_before;

	munmap(p, bytes);
	for (int i = 0; i < 400 && !interrupted; i++) {
		if (knob_read("pages_shared", &shared) || shared <= shared_before)
			return;
		usleep(5000);
	}
}

/* Takes the memory. */
static int with_ksm(void *p, size_t bytes, size_t merges, uint64_t *cpu_ns, struct err *err)
{
	const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE};
	struct sigaction act = {.sa_handler = on_signal}, old[ARRAY_LEN(signals)];
	struct knobs saved;
	long long merged, shared;
	const long pid = ksmd_pid();

	if (!pid || read_number(MERGED, &merged) || knob_read("pages_shared", &shared) ||
	    knobs_save(&saved)) {
		munmap(p, bytes);
		return err_run(err, ENOTSUP, "the kernel's KSM is not ours to use");
	}
	interrupted = 0;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		sigaction(signals[i], &act, &old[i]);
		if (old[i].sa_handler == SIG_IGN) /* nohup's and background jobs' stay ignored */
			sigaction(signals[i], &old[i], NULL);
	}
	int rc = wait_for_merges(pid, merges, cpu_ns, err);
	release(p, bytes, shared);
	int restored = knobs_restore(&saved, rc ? NULL : err);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	if (interrupted)
		raise(interrupted); /* as if it had come now, with all put back */
	return rc ? rc : restored;
}

int bench_ksm(size_t pages, size_t merges, void (*fill)(void *arg, size_t page, uint8_t *bytes),
	      void *arg, uint64_t *cpu_ns, struct err *err)
{
	const size_t bytes = pages * PAGE_SIZE;
	uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return err_run(err, ENOMEM, "no memory for %zu pages", pages);
	madvise(p, bytes, MADV_NOHUGEPAGE); /* which it would have to split first */
	for (size_t i = 0; i < pages; i++)
		fill(arg, i, p + i * PAGE_SIZE);
	if (madvise(p, bytes, MADV_MERGEABLE) == 0)
		return with_ksm(p, bytes, merges, cpu_ns, err);
	munmap(p, bytes);
	return err_run(err, ENOTSUP, "this kernel has no KSM");
}
