#include "test.h"

#include "live/claim.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *place(const char *end)
{
	static char path[2][80];
	static unsigned n;

	n = !n;
	snprintf(path[n], sizeof path[n], "/tmp/ballast-claim.%d%s", (int)getpid(), end);
	return path[n];
}

static void one_has_it(void)
{
	struct err err = {0};
	int fd = -1, other = 7;

	CU_ASSERT_EQUAL_FATAL(claim_take(place(""), &fd, &err), 0);
	CU_ASSERT_EQUAL(claim_take(place(""), &other, &err), -EADDRINUSE);
	CU_ASSERT_EQUAL(other, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "running there already"));
	close(fd); /* its end, however it came */
	CU_ASSERT_EQUAL_FATAL(claim_take(place(""), &fd, &err), 0);
	claim_leave(place(""));
	CU_ASSERT_NOT_EQUAL(access(place(".lock"), F_OK), 0);
	CU_ASSERT_EQUAL_FATAL(claim_take(place(""), &other, &err), 0); /* the file is another */
	close(fd);
	CU_ASSERT_EQUAL(claim_take(place(""), &fd, &err), -EADDRINUSE);
	claim_leave(place(""));
	close(other);
}

/* Held by whoever inherited it: a worker, when its keeper and its keeper's parent are gone. */
static void heirs_have_it(void)
{
	struct err err = {0};
	int fd = -1, go[2];
	char byte;

	CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
	CU_ASSERT_EQUAL_FATAL(claim_take(place(""), &fd, &err), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) != 0);
	}
	close(fd);
	CU_ASSERT_EQUAL(claim_take(place(""), &fd, &err), -EADDRINUSE);
	close(go[0]);
	close(go[1]);
	waitpid(pid, NULL, 0);
	CU_ASSERT_EQUAL_FATAL(claim_take(place(""), &fd, &err), 0);
	claim_leave(place(""));
	close(fd);
}

static void refused(int want)
{
	struct err err = {0};
	int fd = 7;

	CU_ASSERT_EQUAL(claim_take(place(""), &fd, &err), want);
	CU_ASSERT_EQUAL(fd, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "of this user's alone"));
	claim_leave(place(""));
}

static void others_files_are_none(void)
{
	CU_ASSERT_EQUAL(symlink("/etc/passwd", place(".lock")), 0);
	refused(-ELOOP);
	CU_ASSERT_EQUAL(mkfifo(place(".lock"), 0600), 0);
	refused(-EPERM);
}

TESTS("live/claim", {"one", one_has_it}, {"heirs", heirs_have_it}, {"files", others_files_are_none})
