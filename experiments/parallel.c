#include "experiments/parallel.h"

#include "experiments/progress.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MAX 64

struct message {
	_Alignas(max_align_t) char result[PARALLEL_RESULT_MAX];
	struct err err; /* of the task, exit_code 0 if it went well */
};

_Static_assert(sizeof(struct message) <= 4096, "written at once (PIPE_BUF)");

struct pool {
	const struct tasks *tasks;
	size_t started, ended;
	nfds_t workers;
	struct pollfd fd[WORKERS_MAX];
	struct {
		pid_t pid;
		size_t task;
	} worker[WORKERS_MAX];
};

static nfds_t cores(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

	return (nfds_t)(n > WORKERS_MAX ? WORKERS_MAX : n);
}

/* The child: one task, one message. The parent's output buffers are not its to flush. */
static _Noreturn void work(const struct tasks *tasks, size_t task, int out, pid_t parent)
{
	struct message m = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (tasks->run(tasks->arg, task, m.result, &m.err) && !m.err.exit_code)
		err_run(&m.err, EIO, "task %zu failed", task);
	_exit(write(out, &m, sizeof m) == sizeof m ? 0 : 1);
}

static int start_one(struct pool *p, struct err *err)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe(ends) != 0)
		return err_run(err, errno, "cannot make a pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		work(p->tasks, p->started, ends[1], parent);
	}
	int rc = pid < 0 ? err_run(err, errno, "cannot start a process: %s", strerror(errno)) : 0;
	close(ends[1]);
	if (rc) {
		close(ends[0]);
		return rc;
	}
	p->fd[p->workers] = (struct pollfd){.fd = ends[0], .events = POLLIN};
	p->worker[p->workers].pid = pid;
	p->worker[p->workers].task = p->started;
	p->workers++;
	p->started++;
	return 0;
}

static ssize_t read_whole(int fd, void *buf, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, (char *)buf + got, size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* Takes a worker's message and the worker from the pool. */
static int end_one(struct pool *p, nfds_t w, struct err *err)
{
	const struct tasks *t = p->tasks;
	size_t task = p->worker[w].task;
	struct message m;
	int status, rc = 0;

	ssize_t got = read_whole(p->fd[w].fd, &m, sizeof m);
	close(p->fd[w].fd);
	while (waitpid(p->worker[w].pid, &status, 0) < 0 && errno == EINTR)
		;
	p->workers--;
	p->fd[w] = p->fd[p->workers];
	p->worker[w] = p->worker[p->workers];
	if (got != sizeof m)
		return err_run(err, EIO, "task %zu died without a result (%s)", task,
			       WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "no signal");
	if (m.err.exit_code) {
		*err = m.err;
		rc = m.err.exit_code == 2 ? -EINVAL : -EIO;
	} else {
		memcpy((char *)t->results + task * t->result_size, m.result, t->result_size);
		p->ended++;
	}
	if (t->done)
		t->done(t->done_arg, p->ended, t->n);
	return rc;
}

static int wait_some(struct pool *p, struct err *err)
{
	if (poll(p->fd, p->workers, -1) < 0)
		return errno == EINTR ? 0 : err_run(err, errno, "poll: %s", strerror(errno));
	for (nfds_t w = p->workers; w-- > 0;) {
		int rc = p->fd[w].revents ? end_one(p, w, err) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static void stop_all(struct pool *p)
{
	for (nfds_t w = 0; w < p->workers; w++) {
		kill(p->worker[w].pid, SIGKILL);
		close(p->fd[w].fd);
		while (waitpid(p->worker[w].pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

int parallel_run(const struct tasks *tasks, struct err *err)
{
	struct pool pool = {.tasks = tasks};
	nfds_t most = cores();
	int rc = 0;

	assert(tasks->result_size <= PARALLEL_RESULT_MAX);
	while (rc == 0 && pool.ended < tasks->n) {
		if (pool.started < tasks->n && pool.workers < most)
			rc = start_one(&pool, err);
		else
			rc = wait_some(&pool, err);
	}
	stop_all(&pool);
	return rc;
}

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
	progress_update(arg, done, total);
}

int parallel_shown(const struct tasks *tasks, const char *label, struct err *err)
{
	struct progress progress;
	struct tasks shown = *tasks;

	shown.done = show_progress;
	shown.done_arg = &progress;
	progress_start(&progress, label, "runs");
	int rc = parallel_run(&shown, err);
	progress_end(&progress);
	return rc;
}
