#include "core/err.h"

#include "test.h"

#include <errno.h>
#include <string.h>

static void classes_and_codes(void)
{
	struct err err = {0};

	CU_ASSERT_EQUAL(err_input(&err, "line %d", 3), -EINVAL);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_STRING_EQUAL(err.msg, "line 3");
	CU_ASSERT_EQUAL(err_run(&err, ENOSPC, "disk %s", "full"), -ENOSPC);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_STRING_EQUAL(err.msg, "disk full");
	CU_ASSERT_EQUAL(err_run(&err, 0, "no errno"), -EIO); /* never success */
	CU_ASSERT_EQUAL(err_input(NULL, "nobody listens"), -EINVAL);
	CU_ASSERT_EQUAL(err_run(NULL, ENOMEM, "nobody listens"), -ENOMEM);
	err_prefix(NULL, "nobody");
}

static void prefixes_stack_and_keep_the_class(void)
{
	struct err err = {0};

	err_run(&err, EIO, "cannot read");
	err_prefix(&err, "%s:%d", "a.bt", 7);
	err_prefix(&err, "vm a");
	CU_ASSERT_STRING_EQUAL(err.msg, "vm a: a.bt:7: cannot read");
	CU_ASSERT_EQUAL(err.exit_code, 1);
}

/* Characters beyond ASCII stay; bytes that are none, and controls in disguise, do not. */
static void names_in_utf8(void)
{
	static const char good[] = "\xc3\xbc \xe2\x82\xac \xf0\x9f\x8e\x88";
	struct err err = {0};

	err_input(&err, "%s", good);
	CU_ASSERT_STRING_EQUAL(err.msg, good);
	err_input(&err, "%s",
		  "\x80|\xff|\xc3|\xc2\x9b|\xc0\xaf|\xe0\x80\xaf|\xed\xa0\x80|"
		  "\xf4\x90\x80\x80");
	CU_ASSERT_STRING_EQUAL(err.msg, "?|?|?|??|??|???|???|????");
	err_run(&err, EIO, "%s", "cut \xe2\x82");
	CU_ASSERT_STRING_EQUAL(err.msg, "cut ??");
}

/* Hostile names cannot make a second line nor overrun. */
static void always_one_line(void)
{
	struct err err = {0};
	char name[2000];

	err_input(&err, "%s", "a\nb\tc\033[1m\x7f");
	CU_ASSERT_STRING_EQUAL(err.msg, "a?b?c?[1m?");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	err_input(&err, "%s", name);
	CU_ASSERT_EQUAL(strlen(err.msg), sizeof err.msg - 1);
	err_prefix(&err, "%s\n", name);
	CU_ASSERT(strlen(err.msg) < sizeof err.msg);
	CU_ASSERT_PTR_NULL(strchr(err.msg, '\n'));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, ": xxx"));
}

TESTS("core/err", {"classes and codes", classes_and_codes},
      {"prefixes stack and keep the class", prefixes_stack_and_keep_the_class},
      {"names in UTF-8", names_in_utf8}, {"always one line", always_one_line})
