#include "experiments/outdir.h"

#include "test.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/ballast-outdir-XXXXXX";

static void folder(void)
{
	char path[PATH_MAX];
	struct stat st;
	struct draft *draft;
	bool made;
	struct err err = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sub", dir);
	CU_ASSERT_EQUAL(outdir_make(path, &made, &err), 0);
	CU_ASSERT(made);
	CU_ASSERT(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
	CU_ASSERT_EQUAL(outdir_make(path, &made, &err), 0);
	CU_ASSERT(!made);
	outdir_drop(path, made);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	outdir_drop(path, true);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);

	snprintf(path, sizeof path, "%s/file", dir);
	CU_ASSERT_EQUAL_FATAL(outdir_open(dir, "file", &draft, &err), 0);
	CU_ASSERT_EQUAL_FATAL(draft_commit(draft, &err), 0);
	CU_ASSERT(outdir_make(path, &made, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	strcat(path, "/in a file");
	CU_ASSERT(outdir_make(path, &made, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	snprintf(path, sizeof path, "%s/no/such", dir);
	err.exit_code = 0;
	CU_ASSERT(outdir_make(path, &made, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/no/such: there is no folder to make it in"));

	snprintf(path, sizeof path, "%s/file", dir);
	CU_ASSERT_EQUAL(unlink(path), 0);
	outdir_drop(dir, true);
	CU_ASSERT_EQUAL(access(dir, F_OK), -1);
}

static void put(const char *folder, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fclose(f);
}

static void others(void)
{
	static const char *const ours[] = {"run.json", "summary.json", "index.html",
					   "results.sqlite", "esx-fig4.gp"};
	char folder[] = "/tmp/ballast-outdir-XXXXXX", path[PATH_MAX];
	struct err err = {0};

	CU_ASSERT_EQUAL(outdir_check("/no/such", &err), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	CU_ASSERT_EQUAL(outdir_check(folder, &err), 0);
	put(folder, ".ballast-12-3.tmp");
	put(folder, ".lock");
	CU_ASSERT_EQUAL(outdir_check(folder, &err), 0);
	put(folder, "thesis.tex");
	CU_ASSERT_EQUAL(outdir_check(folder, &err), -EINVAL);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "(thesis.tex)"));
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		put(folder, ours[i]);
		CU_ASSERT_EQUAL(outdir_check(folder, &err), 0);
		snprintf(path, sizeof path, "%s/%s", folder, ours[i]);
		unlink(path);
	}
	put(folder, ".hidden");
	snprintf(path, sizeof path, "%s/thesis.tex", folder);
	unlink(path);
	CU_ASSERT_EQUAL(outdir_check(folder, &err), -EINVAL);
	snprintf(path, sizeof path, "rm -r %s", folder);
	CU_ASSERT_EQUAL(system(path), 0);
}

static void long_path(void)
{
	static char name[PATH_MAX + 1];
	struct draft *draft;
	struct err err = {0};

	for (size_t i = 0; i < PATH_MAX; i++)
		name[i] = 'x';
	CU_ASSERT(outdir_open(name, "file", &draft, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
}

/* A set of files: nothing shows before the commit, and then all or none. */
static void sets(void)
{
	char name[PATH_MAX], here[] = "/tmp/ballast-outdir-XXXXXX";
	struct outset set = {.dir = here};
	struct err err = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(here));
	for (int fails = 0; fails < 2; fails++) {
		FILE *a = outset_add(&set, "a", &err), *b = outset_add(&set, "b", &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(a);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b);
		fputs("first", a);
		fputs("second", b);
		CU_ASSERT_EQUAL(fflush(a), 0);
		snprintf(name, sizeof name, "%s/a", here);
		CU_ASSERT_EQUAL(access(name, F_OK), -1);
		if (fails) /* what is still to be written cannot be */
			CU_ASSERT_PTR_NOT_NULL_FATAL(freopen("/dev/full", "w", b));
		if (fails)
			fputs("third", b);
		CU_ASSERT_EQUAL(outset_commit(&set, &err), fails ? -ENOSPC : 0);
		CU_ASSERT_EQUAL(access(name, F_OK), fails ? -1 : 0);
		snprintf(name, sizeof name, "%s/b", here);
		CU_ASSERT_EQUAL(access(name, F_OK), fails ? -1 : 0);
		unlink(name);
		snprintf(name, sizeof name, "%s/a", here);
		unlink(name);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/b: the disk is full"));
	CU_ASSERT_PTR_NOT_NULL(outset_add(&set, "a", &err));
	CU_ASSERT_PTR_NULL(outset_add(&set, "no/such", &err));
	CU_ASSERT_EQUAL(set.n, 1);
	outset_abort(&set);
	CU_ASSERT_EQUAL(set.n, 0);
	CU_ASSERT_EQUAL(rmdir(here), 0);
}

TESTS("experiments/outdir", {"made, kept, dropped", folder}, {"what others have", others},
      {"a path too long", long_path}, {"sets", sets})
