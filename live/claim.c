#include "live/claim.h"

#include "live/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MOST (PATH_MAX + 8)

static void name_of(const char *path, char name[NAME_MOST])
{
	snprintf(name, NAME_MOST, "%s.lock", path);
}

/* Nobody else's, and nothing that only looks like it. */
static bool is_sound(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid();
}

/* The file that was locked is still the one of that name: it was not just left. */
static bool is_there(const char *name, const struct stat *locked)
{
	struct stat st;

	return lstat(name, &st) == 0 && st.st_ino == locked->st_ino && st.st_dev == locked->st_dev;
}

/* 0 with the lock, -EAGAIN if the file was left meanwhile, or -errno. */
static int try_take(const char *name, int *fd)
{
	struct stat st;
	int rc = 0;

	*fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (*fd < 0)
		return -errno;
	if (fstat(*fd, &st))
		rc = -errno;
	else if (!is_sound(&st))
		rc = -EPERM;
	else if (flock(*fd, LOCK_EX | LOCK_NB))
		rc = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	else if (!is_there(name, &st))
		rc = -EAGAIN;
	if (rc) {
		close(*fd);
		*fd = -1;
	}
	return rc;
}

int claim_take(const char *path, int *fd, struct err *err)
{
	char name[NAME_MOST];
	int rc;

	name_of(path, name);
	do
		rc = try_take(name, fd);
	while (rc == -EAGAIN);
	if (rc == -EADDRINUSE)
		return err_run(err, EADDRINUSE, CONTROL_IN_USE, path);
	if (rc == -EPERM || rc == -ELOOP)
		return err_run(err, -rc, "%s: it must be a file of this user's alone", name);
	return rc ? err_run(err, -rc, "%s: %s", name, strerror(-rc)) : 0;
}

void claim_leave(const char *path)
{
	char name[NAME_MOST];

	name_of(path, name);
	unlink(name);
}
