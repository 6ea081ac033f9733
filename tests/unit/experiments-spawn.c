/* Other programs: what they print, how they fail, that none is there. */
#include "experiments/spawn.h"

#include "test.h"

#include <errno.h>
#include <string.h>

static void prints(void)
{
	const char *const argv[] = {"printf", "%s\n", "one", "two", NULL};
	struct err err = {0};
	char *out = NULL;

	CU_ASSERT_EQUAL_FATAL(spawn_read(argv, &out, &err), 0);
	CU_ASSERT_STRING_EQUAL(out, "one\ntwo\n");
	free(out);
}

/* More than a pipe holds, on both streams. */
static void prints_much(void)
{
	const char *const argv[] = {"sh", "-c", "yes | head -c 300000 | tee /dev/stderr", NULL};
	struct err err = {0};
	char *out = NULL;

	CU_ASSERT_EQUAL_FATAL(spawn_read(argv, &out, &err), 0);
	CU_ASSERT_EQUAL(strlen(out), 300000);
	free(out);
}

static void fails(void)
{
	const char *const argv[] = {"sh", "-c", "echo out; echo why >&2; echo because >&2; exit 3",
				    NULL};
	const char *const quiet[] = {"false", NULL};
	const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
	const char *const none[] = {"ballast-no-such-program", NULL};
	struct err err = {0};
	char *out = NULL;

	CU_ASSERT_EQUAL(spawn_read(argv, &out, &err), -EIO);
	CU_ASSERT_STRING_EQUAL(err.msg, "sh failed: because");
	CU_ASSERT_EQUAL(spawn_read(quiet, &out, &err), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "does not say why"));
	CU_ASSERT_EQUAL(spawn_read(killed, &out, &err), -EIO);
	CU_ASSERT_EQUAL(spawn_read(none, &out, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "is not installed"));
	CU_ASSERT_PTR_NULL(out);
}

TESTS("experiments/spawn", {"prints", prints}, {"prints much", prints_much}, {"fails", fails})
