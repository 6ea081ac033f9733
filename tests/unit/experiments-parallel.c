/* Tasks in processes: results in their order, failures told, none left behind. */
#include "experiments/parallel.h"

#include "test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N 40

struct work {
	size_t bad_task; /* fails, or dies */
	bool die;
	uint64_t updates, last_done;
};

/* Early tasks take longest, so that they end out of order. */
static int square(void *arg, size_t task, void *result, struct err *err)
{
	const struct work *w = arg;
	struct timespec nap = {0, (long)(N - task) * 100000};

	if (task == w->bad_task && w->die)
		raise(SIGKILL);
	if (task == w->bad_task)
		return err_input(err, "task %zu does not like its input", task);
	nanosleep(&nap, NULL);
	*(uint64_t *)result = task * task;
	return 0;
}

static void count(void *arg, uint64_t done, uint64_t total)
{
	struct work *w = arg;

	w->updates++;
	w->last_done = done;
	CU_ASSERT_EQUAL(total, N);
}

static int run(struct work *w, uint64_t results[N], struct err *err)
{
	struct tasks tasks = {N, square, w, results, sizeof(uint64_t), count, w};

	memset(results, 0xff, N * sizeof(uint64_t));
	return parallel_run(&tasks, err);
}

static void order(void)
{
	struct work w = {.bad_task = N};
	struct err err = {0};
	uint64_t results[N];

	CU_ASSERT_EQUAL(run(&w, results, &err), 0);
	for (uint64_t i = 0; i < N; i++)
		CU_ASSERT_EQUAL(results[i], i * i);
	CU_ASSERT_EQUAL(w.updates, N);
	CU_ASSERT_EQUAL(w.last_done, N);
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void failure(void)
{
	struct work w = {.bad_task = 7};
	struct err err = {0};
	uint64_t results[N];

	CU_ASSERT_EQUAL(run(&w, results, &err), -EINVAL);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_STRING_EQUAL(err.msg, "task 7 does not like its input");
	CU_ASSERT(w.last_done < N);
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void death(void)
{
	struct work w = {.bad_task = 3, .die = true};
	struct err err = {0};
	uint64_t results[N];

	CU_ASSERT_EQUAL(run(&w, results, &err), -EIO);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "task 3 died without a result (Killed)"));
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void nothing(void)
{
	struct tasks tasks = {.n = 0, .run = square};
	struct err err = {0};

	CU_ASSERT_EQUAL(parallel_run(&tasks, &err), 0);
}

TESTS("experiments/parallel", {"results in order", order}, {"a task fails", failure},
      {"a task dies", death}, {"no tasks", nothing})
