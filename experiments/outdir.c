#include "experiments/outdir.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What only a result folder holds. */
static bool tells_of_results(const char *name)
{
	static const char *const ours[] = {"run.json", "summary.json", "index.html",
					   "results.sqlite"};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		if (strcmp(name, ours[i]) == 0)
			return true;
	}
	return dot && strcmp(dot, ".gp") == 0;
}

/* ".", "..", and what a killed program left. */
static bool tells_nothing(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, ".lock") == 0 ||
	       strncmp(name, ".ballast-", 9) == 0;
}

int outdir_check(const char *dir, struct err *err)
{
	DIR *folder = opendir(dir);
	char other[64] = "";
	bool results = false;
	const struct dirent *entry;

	if (!folder)
		return 0; /* outdir_make() says what is wrong */
	while (!results && (entry = readdir(folder)) != NULL) {
		results = tells_of_results(entry->d_name);
		if (!results && !tells_nothing(entry->d_name))
			snprintf(other, sizeof other, "%.50s", entry->d_name);
	}
	closedir(folder);
	if (results || !*other)
		return 0;
	return err_input(err,
			 "%s: is there and holds other things than results (%s): give another -o, "
			 "or --force to write there all the same",
			 dir, other);
}

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
