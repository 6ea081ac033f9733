#include "live/keeper.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACE_UP  KEPT_MOST		/* what kept_up() says */
#define FDS_MOST  (2 * KEPT_MOST + 256) /* of a worker: those and its own */
#define VAIN_MOST 5			/* workers killed one after another before they were up */

union control {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void say(int channel, unsigned place, int fd)
{
	union control control = {0};
	struct iovec iov = {&place, sizeof place};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof control.buf;
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(&control.align), &fd, sizeof fd);
	}
	/* Without a keeper at the other end SIGTERM is on its way here (PR_SET_PDEATHSIG). */
	while (sendmsg(channel, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

void kept_put(const struct kept *kept, unsigned place, int fd)
{
	if (kept)
		say(kept->channel, place, fd);
}

void kept_up(const struct kept *kept)
{
	if (kept)
		say(kept->channel, PLACE_UP, -1);
}

static const int ends[] = {SIGTERM, SIGINT, SIGHUP}; /* signals */

void kept_listen(void (*end)(int sig))
{
	struct sigaction act = {.sa_handler = end}, old;
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		sigaddset(&mask, ends[i]);
		sigaction(ends[i], NULL, &old);
		if (ends[i] != SIGHUP || old.sa_handler != SIG_IGN) /* nohup's */
			sigaction(ends[i], &act, NULL);
	}
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

struct keeper {
	struct kept kept; /* the keeper's own copies */
	bool up;
};

/* Takes one message; false when the worker's end is closed and nothing is left to take. */
static bool take(struct keeper *k, int channel)
{
	union control control;
	unsigned place;
	struct iovec iov = {&place, sizeof place};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof control.buf};
	ssize_t n = recvmsg(channel, &msg, MSG_CMSG_CLOEXEC);
	int fd = -1;

	if (n < 0 && errno == EINTR)
		return true;
	if (n != sizeof place)
		return false;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	if (place == PLACE_UP)
		k->up = true;
	if (place >= KEPT_MOST) {
		if (fd >= 0)
			close(fd);
		return true;
	}
	if (k->kept.fd[place] >= 0)
		close(k->kept.fd[place]);
	k->kept.fd[place] = fd;
	return true;
}

/* For the signal handler alone: one keeper a process. */
static volatile sig_atomic_t worker, asked; /* asked: by that signal, to end */

static void pass_on(int sig)
{
	asked = sig;
	if (worker > 0)
		kill((pid_t)worker, sig);
}

/* Those that end it wait until the worker has said what to do then. */
static void prepare_worker(sigset_t *mask)
{
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		sigaddset(mask, ends[i]);
	sigprocmask(SIG_SETMASK, mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/*
 * A signal that comes meanwhile waits until there is somebody to pass it on to.
 * What the last worker was asked, and did not live to do, the next one is.
 */
static pid_t start(struct keeper *k, int channel[2], int (*work)(void *ctx, struct kept *kept),
		   void *ctx)
{
	pid_t keeper = getpid();
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid_t pid = fork();
	if (pid != 0) {
		worker = pid;
		if (pid > 0 && asked)
			kill(pid, asked);
		sigprocmask(SIG_SETMASK, &old, NULL);
		return pid;
	}
	prepare_worker(&old);
	if (getppid() != keeper)
		_exit(1);
	close(channel[0]);
	k->kept.channel = channel[1];
	_exit(work(ctx, &k->kept));
}

/* One worker's life; its status. */
static int live_once(struct keeper *k, int (*work)(void *ctx, struct kept *kept), void *ctx)
{
	int channel[2], status = 1 << 8;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel))
		return status;
	k->up = false;
	pid_t pid = start(k, channel, work, ctx);
	close(channel[1]);
	while (pid > 0 && take(k, channel[0]))
		;
	close(channel[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	worker = 0;
	return status;
}

/* As many descriptors as the system allows, up to what can be needed. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= FDS_MOST)
		return;
	limit.rlim_cur = limit.rlim_max < FDS_MOST ? limit.rlim_max : FDS_MOST;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return; /* then there are fewer guests */
}

int keeper_run(int (*work)(void *ctx, struct kept *kept), void *ctx)
{
	struct keeper k = {0};
	int status;

	for (unsigned i = 0; i < KEPT_MOST; i++)
		k.kept.fd[i] = -1;
	raise_limit();
	kept_listen(pass_on);
	for (unsigned vain = 0;; k.kept.lives++) {
		status = live_once(&k, work, ctx);
		vain = k.up ? 0 : vain + 1;
		if (!WIFSIGNALED(status) || vain > (k.kept.lives ? VAIN_MOST : 0))
			break;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
