#include "core/job_private.h"

#include "test.h"

#include <errno.h>
#include <string.h>

static struct err err;

static int scan(const char *text, char *copy)
{
	strcpy(copy, text);
	return job_scan(copy, strlen(copy), "J", &err);
}

/* Comments become blanks, line by line; strings keep what looks like one. */
static void comments_become_blanks(void)
{
	static const char *const pairs[][2] = {
		{"host { } # x \"\n#", "host { }      \n "},
		{"// a\nhost { }", "    \nhost { }"},
		{"host /* {\n\" */ { }", "host     \n     { }"},
		{"vm a { trace = \"#no //no /*no\" }", "vm a { trace = \"#no //no /*no\" }"},
		{"vm a { trace = '#\"' }", "vm a { trace = '#\"' }"},
		{"vm a { trace = a/b }//c", "vm a { trace = a/b }   "},
		{"host { }\r\n", "host { } \n"},
		{"host { reclaim = { } }", "host { reclaim = \" \" }"},
		{"host { reclaim = {\n} }", "host { reclaim = \"\n\" }"},
		{"", ""},
	};
	char copy[100];

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		CU_ASSERT_EQUAL(scan(pairs[i][0], copy), 0);
		CU_ASSERT_STRING_EQUAL(copy, pairs[i][1]);
	}
}

static void what_libconfuse_stumbles_over_is_refused(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"host {\n", "J:1: this '{' is not closed"},
		{"host { }\nhost { reclaim = { a\n", "J:2: this '{' is not closed"},
		{"host { } }", "J:1: this '}' closes nothing"},
		{"host { { { } } }", "'{' in a list"},
		{"vm a {\n trace = \"x\n }", "J:2: this string is not closed"},
		{"vm a { trace = \"x", "J:1: this string is not closed"},
		{"vm a { trace = \"x\\", "J:1: this string is not closed"},
		{"vm a { trace = \"x\\\n\" }", "J:1: this string is not closed"},
		{"vm a { trace = 'x\" }", "this string is not closed; end it with '"},
		{"host { } /* x", "J:1: this comment is not closed"},
		{"/*/ x", "J:1: this comment is not closed"},
		{"vm a { trace = \"\\101\" }", "write \\xHH"},
		{"vm a { trace = \"\\9\" }", "write \\xHH"},
		{"vm a { trace = \"\\x0\" }", "cannot hold a NUL byte"},
		{"vm a { trace = \"\\x00\" }", "cannot hold a NUL byte"},
		{"vm a { trace = \"${HOME\" }", "'${' is not closed"},
		{"vm a { trace = \"${HOME", "'${' is not closed"},
		{"vm a { trace = ${HOME} }", "'$' outside quotes; put the value in quotes"},
		{"vm a { trace = a*b }", "'*' outside quotes"},
		{"vm a { trace = a\\b }", "'\\' outside quotes"},
		{"vm a { trace = dir//file }", "put it in quotes"},
		{"vm a { trace = dir/*file }", "put it in quotes"},
		{"host { reclaim += { a } }", "write the whole list"},
		{"host { \x01 }", "J:1: byte 0x01 outside quotes"},
		{"\xef\xbb\xbfhost { }", "byte 0xef"},
		{"include(\"a\"", "')' is missing"},
		{"include(\"a\" \"b\")", "')' is missing"},
		{"include(\"a\", \"b\")", "')' is missing"},
		{"include()", "')' out of place"},
		{"include)", "')' out of place"},
		{"host {\n \"\" = 3 }", "J:2: an empty key"},
		{"host { memory = \"\" \"\" = 3 }", "J:1: an empty key"},
		{"vm|a { }", "is no section"},
		{"\"vm|memory\" = 3", "is no section"},
		{"\"host\" { }", "is no section"},
		{"vm \"a b\" { }", "cannot name a vm"},
		{"vm a|b { }", "cannot name a vm"},
		{"vm \"\" { }", "cannot name a vm"},
		{"vm a.b { }", "cannot name a vm"},
		{"\n\nvm a1234567890123456789012345678901 { }", "J:3: "},
	};
	char copy[100];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CU_ASSERT_EQUAL(scan(bad[i].text, copy), -EINVAL);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		if (!strstr(err.msg, bad[i].says))
			printf("  %s: %s\n", bad[i].text, err.msg);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, bad[i].says));
	}
}

static void what_is_right_passes(void)
{
	static const char *const good[] = {
		"vm a123456789012345678901234567890 { }",
		"vm a { memory = 1.5gb trace = ../x/y-1_2.bt }",
		"vm a { trace = \"\\\"\\\\ \\x41 ${HOME} ${X:-y}\" }",
		"vm a { trace = 'it\\'s' }",
		"include(\"x.job\") include(y.job)",
		"vm a { trace = \"\" } host { reclaim = \"\" reclaim = {\"\"} }",
		"host { reclaim = {a, 'b', \"c\",} tax = 75% }",
	};
	char copy[200];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (scan(good[i], copy))
			CU_FAIL(err.msg);
		CU_ASSERT_STRING_EQUAL(copy, good[i]);
	}
}

static void nul_bytes_and_limits(void)
{
	static char text[3 * JOB_VALUE_MAX];
	char nul[] = "host {\n \0 }";

	CU_ASSERT_EQUAL(job_scan(nul, sizeof nul - 1, "J", &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "J:2: a NUL byte"));

	sprintf(text, "vm a { trace = \"%*s\" }", JOB_VALUE_MAX, "x");
	CU_ASSERT_EQUAL(job_scan(text, strlen(text), "J", &err), 0);
	sprintf(text, "vm a { trace = \"%*s\" }", JOB_VALUE_MAX + 1, "x");
	CU_ASSERT_EQUAL(job_scan(text, strlen(text), "J", &err), -EINVAL);

	char *p = stpcpy(text, "host { reclaim = {");
	for (int i = 0; i < JOB_LIST_MAX; i++)
		p = stpcpy(p, "a,");
	strcpy(p, "} }");
	CU_ASSERT_EQUAL(job_scan(text, strlen(text), "J", &err), 0);
	strcpy(p, "a} }");
	CU_ASSERT_EQUAL(job_scan(text, strlen(text), "J", &err), -EINVAL);
}

TESTS("core/jobscan", {"comments become blanks", comments_become_blanks},
      {"what libConfuse stumbles over is refused", what_libconfuse_stumbles_over_is_refused},
      {"what is right passes", what_is_right_passes},
      {"NUL bytes and limits", nul_bytes_and_limits})
