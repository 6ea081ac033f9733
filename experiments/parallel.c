#include "experiments/parallel.h"

#include "experiments/crew.h"
#include "experiments/progress.h"

#include "core/file.h"

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

struct message {
	_Alignas(max_align_t) char result[PARALLEL_RESULT_MAX];
	struct err err; /* of the task, exit_code 0 if it went well */
};

_Static_assert(sizeof(struct message) <= 4096, "written at once (PIPE_BUF)");

struct pool {
	const struct tasks *tasks;
	size_t started, ended;
	nfds_t workers;
	struct pollfd fd[PARALLEL_MOST + 1]; /* the last may be the tokens' */
	struct {
		pid_t pid;
		size_t task;
	} worker[PARALLEL_MOST];
};

size_t parallel_cores(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > PARALLEL_MOST ? PARALLEL_MOST : (size_t)n;
}

/* Dies with its parent, and where it can takes its drafts along (main.c). */
static void follow(pid_t parent)
{
	struct sigaction act;
	bool ignored = sigaction(SIGTERM, NULL, &act) == 0 && act.sa_handler == SIG_IGN;

	prctl(PR_SET_PDEATHSIG, ignored ? SIGKILL : SIGTERM);
	if (getppid() != parent)
		_exit(1);
	file_follow(parent);
}

/* The child: one task, one message. The parent's output buffers are not its to flush. */
static _Noreturn void work(const struct tasks *tasks, size_t task, int out, pid_t parent)
{
	struct message m = {0};

	follow(parent);
	crew_leave();
	if (tasks->run(tasks->arg, task, m.result, &m.err) && !m.err.exit_code)
		err_run(&m.err, EIO, "task %zu failed", task);
	_exit(write(out, &m, sizeof m) == sizeof m ? 0 : 1);
}

static int start_one(struct pool *p, struct err *err)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe(ends) != 0) {
		crew_give();
		return err_run(err, errno, "cannot make a pipe: %s", strerror(errno));
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		work(p->tasks, p->started, ends[1], parent);
	}
	int rc = pid < 0 ? err_run(err, errno, "cannot start a process: %s", strerror(errno)) : 0;
	close(ends[1]);
	if (rc) {
		close(ends[0]);
		crew_give();
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
	crew_give();
	crew_run_done();
	p->workers--;
	p->fd[w] = p->fd[p->workers];
	p->worker[w] = p->worker[p->workers];
	const char *why = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "no signal";
	if (got != sizeof m && !t->died)
		return err_run(err, EIO, "task %zu died without a result (%s)", task, why);
	if (got != sizeof m) {
		t->died(t->arg, task, why);
		p->ended++;
	} else if (m.err.exit_code) {
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

/* Until a worker has ended or, where there is room for one more, a token is there. */
static int wait_some(struct pool *p, bool room, struct err *err)
{
	const struct tasks *t = p->tasks;
	nfds_t n = p->workers;

	if (room && crew_token_fd() >= 0)
		p->fd[n++] = (struct pollfd){.fd = crew_token_fd(), .events = POLLIN};
	int ready = poll(p->fd, n, t->done && t->tick_ms ? (int)t->tick_ms : -1);
	if (ready < 0)
		return errno == EINTR ? 0 : err_run(err, errno, "poll: %s", strerror(errno));
	if (ready == 0 && t->done)
		t->done(t->done_arg, p->ended, t->n);
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
		crew_give();
	}
}

int parallel_run(const struct tasks *tasks, struct err *err)
{
	struct pool pool = {.tasks = tasks};
	size_t most = tasks->most ? tasks->most : parallel_cores();
	int rc = 0;

	assert(tasks->result_size <= PARALLEL_RESULT_MAX && most <= PARALLEL_MOST);
	crew_expect_runs(tasks->n);
	while (rc == 0 && pool.ended < tasks->n) {
		bool room = pool.started < tasks->n && pool.workers < most;
		if (room && crew_take())
			rc = start_one(&pool, err);
		else
			rc = wait_some(&pool, room, err);
	}
	stop_all(&pool);
	return rc;
}

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
	progress_update(arg, done, total);
}

int parallel_each(const char *label, size_t n, task_fn *run, void *arg, void *results,
		  size_t result_size, struct err *err)
{
	struct progress progress;
	struct tasks tasks = {
		.n = n,
		.run = run,
		.arg = arg,
		.results = results,
		.result_size = result_size,
	};

	if (crew_token_fd() >= 0)
		return parallel_run(&tasks, err);
	tasks.done = show_progress;
	tasks.done_arg = &progress;
	progress_start(&progress, label, "runs");
	int rc = parallel_run(&tasks, err);
	progress_end(&progress);
	return rc;
}
