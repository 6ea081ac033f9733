#include "live/steal.h"

#include "live/live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPU_NAME   "CPU "
#define AGENT_NAME "ballast-agent"

/* A small file of the folder, as text. */
static bool read_text(int folder, const char *tid, const char *file, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof path, "%s/%s", tid, file);
	int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* What the thread ran and waited. A number too large is the kernel's mistake: left out. */
static bool read_times(int folder, const char *tid, uint64_t *run, uint64_t *wait)
{
	char text[100], *end;

	if (!read_text(folder, tid, "schedstat", text, sizeof text))
		return false;
	errno = 0;
	*run = strtoull(text, &end, 10);
	if (end == text || *end != ' ')
		return false;
	*wait = strtoull(end, NULL, 10);
	return errno == 0;
}

/* Adds what a thread did since it was read last; one that is new has done it all since. */
static void count(struct steal_meter *m, pid_t tid, uint64_t run, uint64_t wait)
{
	unsigned i = 0;

	while (i < m->threads && m->thread[i].tid != tid)
		i++;
	if (i == STEAL_THREADS)
		return;
	if (i == m->threads)
		m->threads++;
	if (m->thread[i].tid != tid || run < m->thread[i].run_ns || wait < m->thread[i].wait_ns)
		m->thread[i].run_ns = m->thread[i].wait_ns = 0; /* a number used again */
	m->total.run_ns += run - m->thread[i].run_ns;
	m->total.wait_ns += wait - m->thread[i].wait_ns;
	m->thread[i].tid = tid;
	m->thread[i].run_ns = run;
	m->thread[i].wait_ns = wait;
	m->thread[i].seen = true;
}

/* Forgets the threads that have ended. */
static void forget(struct steal_meter *m)
{
	unsigned left = 0;

	for (unsigned i = 0; i < m->threads; i++) {
		if (!m->thread[i].seen)
			continue;
		m->thread[left] = m->thread[i];
		m->thread[left++].seen = false;
	}
	memset(&m->thread[left], 0, (m->threads - left) * sizeof m->thread[0]);
	m->threads = left;
}

static bool is_cpu(const char *name)
{
	return strncmp(name, CPU_NAME, strlen(CPU_NAME)) == 0;
}

/* One pass over the threads: of CPUs alone, or of all but the agent. How many there were. */
static unsigned pass(struct steal_meter *m, DIR *tasks, bool cpus)
{
	unsigned n = 0;

	rewinddir(tasks);
	for (struct dirent *d = readdir(tasks); d; d = readdir(tasks)) {
		uint64_t run, wait;
		char name[32], *end;
		long tid = strtol(d->d_name, &end, 10);

		if (*end || tid <= 0 || strlen(d->d_name) > 20 ||
		    !read_text(dirfd(tasks), d->d_name, "comm", name, sizeof name))
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (cpus ? !is_cpu(name) : strcmp(name, AGENT_NAME) == 0)
			continue;
		if (!read_times(dirfd(tasks), d->d_name, &run, &wait))
			continue;
		count(m, (pid_t)tid, run, wait);
		n++;
	}
	return n;
}

int steal_read_tasks(struct steal_meter *m, const char *path)
{
	DIR *tasks = opendir(path);

	if (!tasks)
		return -errno;
	unsigned n = pass(m, tasks, true);
	n = n ? n : pass(m, tasks, false);
	closedir(tasks);
	forget(m);
	return n ? 0 : -ESRCH;
}

int steal_read(struct steal_meter *m, const struct live_vm *v)
{
	char path[40];

	m->total.fault_ns = v->stats.fault_ns;
	if (v->pid <= 0 || v->state == LIVE_GONE) /* the number may be another's by now */
		return -ESRCH;
	snprintf(path, sizeof path, "/proc/%d/task", (int)v->pid);
	return steal_read_tasks(m, path);
}

uint64_t steal_able_ns(const struct steal *from, const struct steal *to, uint64_t ns, bool faults)
{
	uint64_t run = to->run_ns - from->run_ns, wait = to->wait_ns - from->wait_ns;

	if (faults)
		wait += to->fault_ns - from->fault_ns;
	uint64_t wanted = max_u64(ns, run + wait);
	uint64_t lost = wanted ? (uint64_t)((double)ns * (double)wait / (double)wanted) : 0;
	return lost < ns ? ns - lost : 1;
}
