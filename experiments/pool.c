#include "experiments/pool.h"

#include "experiments/parallel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MAX 256

struct worker {
	pid_t pid;
	uint64_t task;
	char *answer;
	size_t size, room;
};

struct pool {
	const struct pool_tasks *tasks;
	size_t most, workers;
	bool more; /* tasks that have not begun */
	struct worker worker[WORKERS_MAX];
	struct pollfd fd[WORKERS_MAX + 1]; /* of each worker; behind them, what stops all */
};

/* The child. The parent's output buffers are not its to flush. */
static _Noreturn void work(const struct pool_tasks *tasks, uint64_t task, int out, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	FILE *answer = fdopen(out, "w");
	if (!answer)
		_exit(1);
	tasks->work(tasks->arg, task, answer);
	_exit(fclose(answer) == 0 ? 0 : 1);
}

static int start_one(struct pool *p, uint64_t task, struct err *err)
{
	struct worker *w = &p->worker[p->workers];
	pid_t parent = getpid();
	int ends[2];

	if (pipe(ends) != 0)
		return err_run(err, errno, "cannot make a pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		work(p->tasks, task, ends[1], parent);
	}
	int rc = pid < 0 ? err_run(err, errno, "cannot start a process: %s", strerror(errno)) : 0;
	close(ends[1]);
	if (rc) {
		close(ends[0]);
		return rc;
	}
	p->fd[p->workers] = (struct pollfd){.fd = ends[0], .events = POLLIN};
	w->pid = pid;
	w->task = task;
	w->size = 0;
	p->workers++;
	return 0;
}

/* Reads what is there: 1 more may come, 0 at the end, -ENOMEM. */
static int read_some(struct worker *w, int fd)
{
	if (w->room - w->size < 2) {
		size_t room = w->room ? 2 * w->room : 16384;
		char *answer = realloc(w->answer, room);
		if (!answer)
			return -ENOMEM;
		w->answer = answer;
		w->room = room;
	}
	ssize_t n = read(fd, w->answer + w->size, w->room - w->size - 1);
	if (n < 0)
		return errno == EINTR;
	w->size += (size_t)n;
	return n > 0;
}

/* Takes worker w, whose pipe is at its end, out of the pool and tells of it. */
static int end_one(struct pool *p, size_t w, struct err *err)
{
	struct worker ended = p->worker[w];
	const char *death = NULL;
	int status = 0;

	close(p->fd[w].fd);
	while (waitpid(ended.pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		death = strsignal(WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		death = "it could not send its result";
	if (ended.answer)
		ended.answer[ended.size] = '\0';
	int rc = p->tasks->ended(p->tasks->arg, ended.task, ended.answer ? ended.answer : "",
				 ended.size, death, err);
	/* The buffer changes places with the last worker's, and serves again. */
	p->workers--;
	p->worker[w] = p->worker[p->workers];
	p->fd[w] = p->fd[p->workers];
	p->worker[p->workers] = ended;
	return rc;
}

static int wait_some(struct pool *p, struct err *err)
{
	struct pollfd *stop = &p->fd[p->workers];

	*stop = (struct pollfd){.fd = p->tasks->stop_fd, .events = POLLIN};
	if (poll(p->fd, p->workers + 1, -1) < 0)
		return errno == EINTR ? 0 : err_run(err, errno, "poll: %s", strerror(errno));
	if (stop->revents)
		return err_run(err, EINTR, "stopped by a signal");
	for (size_t w = p->workers; w-- > 0;) {
		int rc = p->fd[w].revents ? read_some(&p->worker[w], p->fd[w].fd) : 1;
		if (rc < 0)
			return err_run(err, ENOMEM, "no memory for the answer of a worker");
		if (rc == 0 && (rc = end_one(p, w, err)) != 0)
			return rc;
	}
	return 0;
}

static void stop_all(struct pool *p)
{
	for (size_t w = 0; w < p->workers; w++) {
		kill(p->worker[w].pid, SIGKILL);
		close(p->fd[w].fd);
	}
	for (size_t w = 0; w < p->workers; w++) {
		while (waitpid(p->worker[w].pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	for (size_t w = 0; w < WORKERS_MAX; w++)
		free(p->worker[w].answer);
}

int pool_run(const struct pool_tasks *tasks, struct err *err)
{
	struct pool *p = calloc(1, sizeof *p);
	uint64_t task = 0;
	int rc = 0;

	if (!p)
		return err_run(err, ENOMEM, "no memory for workers");
	p->tasks = tasks;
	p->most = tasks->workers ? tasks->workers : parallel_cores();
	if (p->most > WORKERS_MAX)
		p->most = WORKERS_MAX;
	p->more = true;
	while (rc == 0 && (p->more || p->workers)) {
		if (p->workers < p->most && p->more && (p->more = tasks->next(tasks->arg, &task)))
			rc = start_one(p, task, err);
		else if (p->workers)
			rc = wait_some(p, err);
	}
	stop_all(p);
	free(p);
	return rc;
}
