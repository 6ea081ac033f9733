#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRAFTS_MAX 64

/*
 * The one table of the program that is not part of an object: a signal handler
 * has no other way to find the drafts. A path is written only while its slot is
 * CLAIMED, and removed only while it is ARMED, or a folder's: GUARDED.
 */
enum slot_state { SLOT_FREE, SLOT_CLAIMED, SLOT_ARMED, SLOT_GUARDED };

static struct slot {
	atomic_int state;
	pid_t owner; /* who claimed it: a child inherits the table */
	char path[PATH_MAX];
} slots[DRAFTS_MAX];

struct draft {
	FILE *stream;
	struct slot *slot; /* of the temporary file; NULL when written in place */
	char *path;	   /* as the caller named it */
	char *target;	   /* where the rename goes; NULL when written in place */
};

/* Why a write failed, in words that say what to do. */
static const char *write_failure(int errnum)
{
	switch (errnum) {
	case ENOSPC:
		return "the disk is full; free some space or choose another place";
	case EDQUOT:
		return "the disk quota is used up; free some space or choose another place";
	case EFBIG:
		return "the file is larger than the limit on file sizes (ulimit -f) allows";
	case EPIPE:
		return "the program that read our output has gone";
	default:
		return strerror(errnum);
	}
}

static int cannot_write(const char *path, int errnum, struct err *err)
{
	if (strcmp(path, "-") == 0)
		path = "standard output";
	return err_run(err, errnum, "cannot write %s: %s", path, write_failure(errnum));
}

static struct slot *slot_claim(void)
{
	for (size_t i = 0; i < DRAFTS_MAX; i++) {
		int expected = SLOT_FREE;

		if (!atomic_compare_exchange_strong(&slots[i].state, &expected, SLOT_CLAIMED))
			continue;
		slots[i].owner = getpid();
		return &slots[i];
	}
	return NULL;
}

static void slot_release(struct slot *slot)
{
	if (slot)
		atomic_store(&slot->state, SLOT_FREE);
}

/* Makes a file with a new name in the target's folder; its descriptor or -errno. */
static int make_temporary(const char *target, struct slot *slot)
{
	static atomic_uint serial;
	const char *slash = strrchr(target, '/');
	int dir_len = slash ? (int)(slash - target + 1) : 0;

	for (int tries = 0; tries < 1000; tries++) {
		int n = snprintf(slot->path, sizeof slot->path, "%.*s.ballast-%ld-%u.tmp", dir_len,
				 target, (long)getpid(), atomic_fetch_add(&serial, 1));
		if (n < 0 || (size_t)n >= sizeof slot->path)
			return -ENAMETOOLONG;
		/* Armed before the file is there: a signal in between finds nothing. */
		atomic_store(&slot->state, SLOT_ARMED);
		int fd = open(slot->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0)
			return fd;
		atomic_store(&slot->state, SLOT_CLAIMED);
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int open_in_place(struct draft *d)
{
	int fd = open(d->path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Opens what the stream will write to; a descriptor or -errno. */
static int open_target(struct draft *d)
{
	struct stat st;
	bool exists = stat(d->path, &st) == 0;

	if (exists && S_ISDIR(st.st_mode))
		return -EISDIR;
	if (exists && !S_ISREG(st.st_mode))
		return open_in_place(d);
	if (exists && access(d->path, W_OK) != 0)
		return -errno; /* a rename would not ask */
	d->target = exists ? realpath(d->path, NULL) : strdup(d->path);
	if (!d->target)
		return -errno;
	d->slot = slot_claim();
	if (!d->slot)
		return -EMFILE;
	int fd = make_temporary(d->target, d->slot);
	if (fd >= 0 && exists)
		(void)!fchmod(fd, st.st_mode & 0777); /* some file systems have no modes */
	return fd;
}

static void draft_free(struct draft *d)
{
	if (!d)
		return;
	slot_release(d->slot);
	free(d->path);
	free(d->target);
	free(d);
}

int draft_open(const char *path, struct draft **draft, struct err *err)
{
	struct draft *d = calloc(1, sizeof *d);
	int fd, rc;

	if (!d || !(d->path = strdup(path))) {
		rc = -ENOMEM;
		goto fail;
	}
	if (strcmp(path, "-") == 0) {
		d->stream = stdout;
		*draft = d;
		return 0;
	}
	rc = fd = open_target(d);
	if (fd < 0)
		goto fail;
	d->stream = fdopen(fd, "w");
	if (!d->stream) {
		rc = -errno;
		close(fd);
		if (d->slot)
			unlink(d->slot->path);
		goto fail;
	}
	*draft = d;
	return 0;
fail:
	draft_free(d);
	return cannot_write(path, -rc, err);
}

FILE *draft_stream(struct draft *draft)
{
	return draft->stream;
}

const char *draft_path(const struct draft *draft)
{
	return draft->path;
}

int draft_fail(const struct draft *draft, struct err *err)
{
	return cannot_write(draft->path, errno ? errno : EIO, err);
}

/* 0, or the positive errno of the first failure that we learn of. */
static int finish_stream(struct draft *d)
{
	int errnum = 0;

	errno = 0;
	if (fflush(d->stream) != 0 || ferror(d->stream))
		errnum = errno ? errno : EIO;
	if (d->stream == stdout)
		return errnum;
	if (fclose(d->stream) != 0 && !errnum)
		errnum = errno ? errno : EIO;
	return errnum;
}

int draft_commit(struct draft *draft, struct err *err)
{
	int errnum = finish_stream(draft), rc = 0;

	if (!errnum && draft->slot && rename(draft->slot->path, draft->target) != 0)
		errnum = errno;
	if (errnum) {
		if (draft->slot)
			unlink(draft->slot->path);
		rc = cannot_write(draft->path, errnum, err);
	}
	draft_free(draft);
	return rc;
}

void draft_abort(struct draft *draft)
{
	if (!draft)
		return;
	if (draft->stream != stdout)
		fclose(draft->stream);
	if (draft->slot)
		unlink(draft->slot->path);
	draft_free(draft);
}

void file_guard_folder(const char *path)
{
	struct slot *slot = slot_claim();

	if (!slot)
		return;
	int n = snprintf(slot->path, sizeof slot->path, "%s", path);
	atomic_store(&slot->state, n < (int)sizeof slot->path ? SLOT_GUARDED : SLOT_FREE);
}

void file_follow(pid_t parent)
{
	for (size_t i = 0; i < DRAFTS_MAX; i++) {
		if (atomic_load(&slots[i].state) != SLOT_FREE && slots[i].owner != parent)
			atomic_store(&slots[i].state, SLOT_FREE);
	}
}

/* Its own, or that of a parent who is not there any more. */
static bool may_drop(const struct slot *slot)
{
	return slot->owner == getpid() || slot->owner != getppid();
}

void file_drop_drafts(void)
{
	int saved = errno;

	for (size_t i = 0; i < DRAFTS_MAX; i++) {
		if (atomic_load(&slots[i].state) == SLOT_ARMED && may_drop(&slots[i]))
			unlink(slots[i].path);
	}
	for (size_t i = 0; i < DRAFTS_MAX; i++) {
		if (atomic_load(&slots[i].state) == SLOT_GUARDED && may_drop(&slots[i]))
			rmdir(slots[i].path); /* an empty one only */
	}
	errno = saved;
}
