/* What the tests of the importers share: bytes in, records or one message out. */
#ifndef BALLAST_TESTS_IMPORTS_H
#define BALLAST_TESTS_IMPORTS_H

#include "traces.h"

/* Reads memory whole, and again packed, which can only be read from front to back. */
static inline void import_expect(const void *data, size_t bytes, const char *format,
				 const rec_t *want, size_t n)
{
	struct words words, piped;
	struct trace_info info = {0};
	struct err err;

	CU_ASSERT_EQUAL_FATAL(words_of_memory(data, bytes, format, &words, &info, &err), 0);
	CU_ASSERT_EQUAL(info.space, TRACE_VPN);
	CU_ASSERT_STRING_EQUAL(info.format, format);
	CU_ASSERT_EQUAL(words.n, n);
	for (size_t i = 0; i < n && i < words.n; i++)
		CU_ASSERT_EQUAL(words.w[i], want[i]);
	CU_ASSERT_EQUAL(words_of_pipe(data, bytes, format, &piped, NULL, &err), 0);
	CU_ASSERT(words_equal(&words, &piped));
	words_free(&words);
	words_free(&piped);
}

/* Refused as bad input with a message that holds this. */
static inline void import_refused(const void *data, size_t bytes, const char *format,
				  const char *message)
{
	struct words words;
	struct err err = {0};

	CU_ASSERT(words_of_memory(data, bytes, format, &words, NULL, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	if (!strstr(err.msg, message)) {
		printf("  '%s' has no '%s'\n", err.msg, message);
		CU_FAIL("message");
	}
	words_free(&words);
}

#endif
