/* A pool of workers: every task told once, deaths told apart, answers of any size, memory flat. */
#include "experiments/pool.h"

#include "test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct work {
	uint64_t n, started, ended, deaths, bytes;
	uint64_t kill_every, stop_at;
	size_t answer; /* bytes of each */
	uint8_t seen[2000];
};

static bool next(void *arg, uint64_t *task)
{
	struct work *w = arg;

	*task = w->started;
	return w->started++ < w->n;
}

static void work(void *arg, uint64_t task, FILE *answer)
{
	const struct work *w = arg;

	for (size_t i = 0; i < w->answer; i++)
		fputc('a' + (int)(task % 26), answer);
	if (w->kill_every && task % w->kill_every == 1)
		raise(SIGKILL);
}

static int ended(void *arg, uint64_t task, const char *answer, size_t size, const char *death,
		 struct err *err)
{
	struct work *w = arg;

	w->seen[task]++;
	w->ended++;
	w->deaths += death != NULL;
	if (!death) {
		CU_ASSERT_EQUAL(size, w->answer);
		CU_ASSERT_EQUAL(strlen(answer), size);
		CU_ASSERT(size == 0 || answer[size - 1] == 'a' + (int)(task % 26));
	} else {
		CU_ASSERT_STRING_EQUAL(death, strsignal(SIGKILL));
	}
	return w->stop_at && w->ended == w->stop_at ? err_run(err, EIO, "enough") : 0;
}

static int run(struct work *w, size_t workers, int stop_fd, struct err *err)
{
	struct pool_tasks tasks = {workers, next, work, ended, w, stop_fd};

	return pool_run(&tasks, err);
}

static void none_left(void)
{
	CU_ASSERT_EQUAL(waitpid(-1, NULL, WNOHANG), -1);
	CU_ASSERT_EQUAL(errno, ECHILD);
}

static void all_are_told(void)
{
	struct err err = {0};

	for (size_t workers = 0; workers <= 8; workers += 4) {
		struct work w = {.n = 100, .answer = 10, .kill_every = 7};
		CU_ASSERT_EQUAL(run(&w, workers, -1, &err), 0);
		CU_ASSERT_EQUAL(w.ended, 100);
		CU_ASSERT_EQUAL(w.deaths, 15); /* 1, 8, .. 99 */
		for (size_t i = 0; i < 100; i++)
			CU_ASSERT_EQUAL(w.seen[i], 1);
		none_left();
	}
}

static void sizes(void)
{
	static const size_t size[] = {0, 1, 16383, 16384, 65537, 300000};
	struct err err = {0};

	for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
		struct work w = {.n = 5, .answer = size[i]};
		CU_ASSERT_EQUAL(run(&w, 3, -1, &err), 0);
		CU_ASSERT_EQUAL(w.ended, 5);
	}
	struct work none = {0};
	CU_ASSERT_EQUAL(run(&none, 2, -1, &err), 0);
}

/* What is told may stop all; so may a descriptor. Nobody is left behind. */
static void stopping(void)
{
	struct work w = {.n = 1000, .stop_at = 5};
	struct err err = {0};
	int ends[2];

	CU_ASSERT_EQUAL(run(&w, 4, -1, &err), -EIO);
	CU_ASSERT_STRING_EQUAL(err.msg, "enough");
	CU_ASSERT_EQUAL(w.ended, 5);
	none_left();
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	CU_ASSERT_EQUAL(write(ends[1], "x", 1), 1);
	w = (struct work){.n = 1000};
	CU_ASSERT_EQUAL(run(&w, 4, ends[0], &err), -EINTR);
	CU_ASSERT_EQUAL(w.ended, 0);
	none_left();
	close(ends[0]);
	close(ends[1]);
}

TESTS("experiments/pool", {"all are told", all_are_told}, {"sizes", sizes}, {"stopping", stopping})
