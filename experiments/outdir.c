#include "experiments/outdir.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int outdir_make(const char *dir, bool *made, struct err *err)
{
	struct stat st;

	*made = mkdir(dir, 0777) == 0;
	if (*made) {
		file_guard_folder(dir);
		return 0;
	}
	if (errno == ENOENT || errno == ENOTDIR)
		return err_input(err,
				 "%s: there is no folder to make it in: make it, or give "
				 "another -o",
				 dir);
	if (errno != EEXIST)
		return err_run(err, errno, "%s: cannot make the folder: %s", dir, strerror(errno));
	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
		return err_input(err, "%s: is there and is no folder: give another -o", dir);
	if (access(dir, W_OK) != 0)
		return err_run(err, errno, "%s: cannot write there: %s", dir, strerror(errno));
	return 0;
}

void outdir_drop(const char *dir, bool made)
{
	if (made)
		rmdir(dir); /* succeeds only on an empty folder */
}

int outdir_open(const char *dir, const char *name, struct draft **draft, struct err *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
		return err_input(err, "%s: the path is too long", dir);
	return draft_open(path, draft, err);
}

FILE *outset_add(struct outset *set, const char *name, struct err *err)
{
	struct draft *draft;

	if (set->n == OUTSET_MAX)
		abort(); /* a bug */
	if (outdir_open(set->dir, name, &draft, err))
		return NULL;
	set->draft[set->n++] = draft;
	return draft_stream(draft);
}

void outset_abort(struct outset *set)
{
	while (set->n > 0)
		draft_abort(set->draft[--set->n]);
}

int outset_commit(struct outset *set, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < set->n && rc == 0; i++) {
		FILE *stream = draft_stream(set->draft[i]);
		errno = 0;
		if (fflush(stream) != 0 || ferror(stream))
			rc = draft_fail(set->draft[i], err);
	}
	for (size_t i = 0; i < set->n; i++) {
		if (rc == 0)
			rc = draft_commit(set->draft[i], err);
		else
			draft_abort(set->draft[i]);
	}
	set->n = 0;
	return rc;
}
