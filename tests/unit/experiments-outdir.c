#include "experiments/outdir.h"

#include "test.h"

#include <limits.h>
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
	snprintf(path, sizeof path, "%s/no/such", dir);
	CU_ASSERT(outdir_make(path, &made, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 1);

	snprintf(path, sizeof path, "%s/file", dir);
	CU_ASSERT_EQUAL(unlink(path), 0);
	outdir_drop(dir, true);
	CU_ASSERT_EQUAL(access(dir, F_OK), -1);
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

TESTS("experiments/outdir", {"made, kept, dropped", folder}, {"a path too long", long_path})
