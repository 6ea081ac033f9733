/*
 * The program's own files for a test program: they are looked for from where it
 * lies (experiments/datadir.h), as BUILD/tests/experiments. test_data() puts a
 * link there that goes when the program ends, so that other tests find none.
 */
#ifndef BALLAST_TESTS_DATA_H
#define BALLAST_TESTS_DATA_H

#include "test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static char test_data_link[4096];

static inline void test_data_end(void)
{
	unlink(test_data_link);
}

static inline void test_data(void)
{
	char *slash;
	ssize_t n = readlink("/proc/self/exe", test_data_link, sizeof test_data_link - 20);

	CU_ASSERT_FATAL(n > 0);
	test_data_link[n] = '\0';
	for (int up = 0; up < 2 && (slash = strrchr(test_data_link, '/')) != NULL; up++)
		*slash = '\0';
	strcat(test_data_link, "/experiments");
	CU_ASSERT_FATAL(symlink("../../experiments", test_data_link) == 0 || errno == EEXIST);
	atexit(test_data_end);
}

#endif
