#include "experiments/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct flow {
	int fd;
	FILE *to;
	char *text;
	size_t size;
};

/* Starts it with pipes for what it says; signals are as a shell would give them. */
static int start(const char *const *argv, int out, int complaints, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc)
		return -rc;
	rc = posix_spawnattr_init(&attr);
	if (rc) {
		posix_spawn_file_actions_destroy(&actions);
		return -rc;
	}
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
	if (rc == 0)
		rc = posix_spawnp(pid, argv[0], &actions, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

/* Reads both until both are at their end. */
static void drain(struct flow flow[2])
{
	char buf[4096];

	while (flow[0].fd >= 0 || flow[1].fd >= 0) {
		struct pollfd fd[2] = {{flow[0].fd, POLLIN, 0}, {flow[1].fd, POLLIN, 0}};
		if (poll(fd, 2, -1) < 0 && errno != EINTR)
			break;
		for (int i = 0; i < 2; i++) {
			if (!fd[i].revents || flow[i].fd < 0)
				continue;
			ssize_t n = read(flow[i].fd, buf, sizeof buf);
			if (n > 0) {
				fwrite(buf, 1, (size_t)n, flow[i].to);
			} else if (n == 0 || errno != EINTR) {
				close(flow[i].fd);
				flow[i].fd = -1;
			}
		}
	}
}

static const char *last_line(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	const char *newline = strrchr(text, '\n');
	return newline ? newline + 1 : text;
}

/* The program's end, told by its code. */
static int finish(const char *const *argv, pid_t pid, struct flow flow[2], char **out,
		  struct err *err)
{
	int status = 0;

	drain(flow);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	for (int i = 0; i < 2; i++)
		fclose(flow[i].to);
	if (!flow[0].text || !flow[1].text) {
		free(flow[0].text);
		free(flow[1].text);
		return err_run(err, ENOMEM, "no memory for what %s prints", argv[0]);
	}
	int rc = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		rc = err_run(err, EIO, "%s failed: %s", argv[0],
			     *flow[1].text ? last_line(flow[1].text) : "it does not say why");
	free(flow[1].text);
	if (rc)
		free(flow[0].text);
	else
		*out = flow[0].text;
	return rc;
}

int spawn_read(const char *const *argv, char **out, struct err *err)
{
	struct flow flow[2] = {{.fd = -1}, {.fd = -1}};
	int a[2], b[2];
	pid_t pid = 0;

	if (pipe2(a, O_CLOEXEC) != 0)
		return err_run(err, errno, "cannot make a pipe: %s", strerror(errno));
	if (pipe2(b, O_CLOEXEC) != 0) {
		close(a[0]);
		close(a[1]);
		return err_run(err, errno, "cannot make a pipe: %s", strerror(errno));
	}
	int rc = start(argv, a[1], b[1], &pid);
	close(a[1]);
	close(b[1]);
	for (int i = 0; i < 2; i++)
		flow[i].to = rc ? NULL : open_memstream(&flow[i].text, &flow[i].size);
	if (rc == 0 && flow[0].to && flow[1].to) {
		flow[0].fd = a[0];
		flow[1].fd = b[0];
		return finish(argv, pid, flow, out, err);
	}
	close(a[0]);
	close(b[0]);
	if (rc == -ENOENT) {
		err_run(err, ENOENT, "%s is not installed", argv[0]);
		return -ENOENT;
	}
	return err_run(err, rc ? -rc : ENOMEM, "cannot run %s: %s", argv[0],
		       strerror(rc ? -rc : ENOMEM));
}
