#include "test.h"

#include "live/keeper.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Each worker reads from the pipe that the first one had kept how many came
 * before it, and is killed; the fourth ends by itself.
 */
static int work(void *ctx, struct kept *kept)
{
	unsigned n = 0, *deaths = ctx;
	int fd[2];

	if (kept->lives == 0) {
		if (pipe(fd))
			return 1;
		kept_put(kept, KEPT_GUEST, fd[0]);
		kept_put(kept, KEPT_GUEST + 1, fd[1]);
		kept_put(kept, KEPT_POOL, fd[0]);
		kept_put(kept, KEPT_POOL, -1); /* and thought better of it */
		kept_up(kept);
	} else {
		fd[0] = kept->fd[KEPT_GUEST];
		fd[1] = kept->fd[KEPT_GUEST + 1];
		if (kept->fd[KEPT_POOL] != -1 || read(fd[0], &n, sizeof n) != sizeof n ||
		    n != kept->lives - 1)
			return 1;
	}
	if (kept->lives == *deaths)
		return 40 + (int)kept->lives;
	if (write(fd[1], &kept->lives, sizeof kept->lives) != sizeof kept->lives)
		return 1;
	raise(SIGKILL);
	return 1;
}

static int dies_at_once(void *ctx, struct kept *kept)
{
	(void)ctx;
	(void)kept;
	raise(SIGKILL);
	return 0;
}

static int waits(void *ctx, struct kept *kept)
{
	(void)ctx;
	kept_up(kept);
	kept_listen(SIG_DFL);
	kill(getppid(), SIGTERM); /* the keeper passes it on */
	pause();
	return 0;
}

/* In a process of its own: it handles signals. */
static int keep(int (*fn)(void *ctx, struct kept *kept), void *ctx)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(keeper_run(fn, ctx));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void descriptors_outlive_workers(void)
{
	unsigned deaths = 3;

	CU_ASSERT_EQUAL(keep(work, &deaths), 43);
	deaths = 0;
	CU_ASSERT_EQUAL(keep(work, &deaths), 40);
}

static void a_keeper_gives_up(void)
{
	CU_ASSERT_EQUAL(keep(dies_at_once, NULL), 1);
	unsigned deaths = 50; /* only the first says that it is up: five more, then no more */
	CU_ASSERT_EQUAL(keep(work, &deaths), 1);
}

static int asked(void *ctx, struct kept *kept)
{
	return kept->lives ? 7 : waits(ctx, kept);
}

/* A worker that a signal ends is followed, whatever the signal; a real one handles SIGTERM. */
static void signals_go_to_the_worker(void)
{
	CU_ASSERT_EQUAL(keep(asked, NULL), 7);
}

static bool comes(int sig)
{
	const struct timespec patience = {20, 0};
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, sig);
	return sigtimedwait(&mask, NULL, &patience) == sig;
}

/* The first is killed when it has been asked to end, and has not begun to. */
static int dies_as_it_is_asked(void *ctx, struct kept *kept)
{
	const int *sig = ctx;

	kept_up(kept);
	if (kept->lives == 0) {
		kill(getppid(), *sig);
		if (!comes(*sig))
			return 1;
		raise(SIGKILL);
	}
	return comes(*sig) ? 30 + (int)kept->lives : 2;
}

static void who_is_asked_to_end_does(void)
{
	CU_ASSERT_EQUAL(keep(dies_as_it_is_asked, &(int){SIGTERM}), 31);
	CU_ASSERT_EQUAL(keep(dies_as_it_is_asked, &(int){SIGHUP}), 31);
}

TESTS("live/keeper", {"asked", who_is_asked_to_end_does},
      {"descriptors", descriptors_outlive_workers}, {"giving up", a_keeper_gives_up},
      {"signals", signals_go_to_the_worker})
