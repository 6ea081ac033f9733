/* u32, u64 and oracleGeneral: bytes by hand, cuts, pages out of range. */
#include "traces.h"

static void expect(const void *data, size_t n, const char *format, const rec_t *want, size_t words)
{
	struct words got;
	struct err err;

	CU_ASSERT_EQUAL(words_of_memory(data, n, format, &got, NULL, &err), 0);
	CU_ASSERT_EQUAL_FATAL(got.n, words);
	for (size_t i = 0; i < words; i++)
		CU_ASSERT_EQUAL(got.w[i], want[i]);
	words_free(&got);
	CU_ASSERT_EQUAL(words_of_pipe(data, n, format, &got, NULL, &err), 0);
	CU_ASSERT_EQUAL(got.n, words);
	words_free(&got);
}

static void refused(const void *data, size_t n, const char *format, const char *message)
{
	struct words got;
	struct err err = {0};

	CU_ASSERT(words_of_memory(data, n, format, &got, NULL, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	if (!strstr(err.msg, message)) {
		printf("  '%s' lacks '%s'\n", err.msg, message);
		CU_FAIL("message");
	}
	words_free(&got);
}

static void test_u32(void)
{
	static const unsigned char data[] = {5, 0, 0, 0, 1, 2, 3, 0x84, 0xff, 0xff, 0xff, 0x7f, 9};
	const rec_t want[] = {rec_make(REC_READ, 5, 0), rec_make(REC_WRITE, 0x04030201, 0),
			      rec_make(REC_READ, 0x7fffffff, 0)};

	expect(data, 12, "u32", want, 3);
	expect(data, 0, "u32", want, 0);
	refused(data, 13, "u32", "memory: at byte 12: 1 bytes are left, a u32 record has 4");
}

static void test_u64(void)
{
	static const unsigned char data[] = {5,	  0, 0, 0,    0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
					     0xf, 0, 0, 0x80, 0, 0, 0, 0, 0x10, 0,    0,    0};
	const rec_t want[] = {rec_make(REC_READ, 5, 0), rec_make(REC_WRITE, REC_PAGE_MAX, 0)};

	expect(data, 16, "u64", want, 2);
	refused(data, 24, "u64", "memory: at byte 16: a page number over 2^36 - 1");
	refused(data, 15, "u64", "memory: at byte 8: 7 bytes are left");
}

static void test_oracle_general(void)
{
	/* seconds, object, size, next access: 24 bytes, as libCacheSim's reader takes them */
	static const unsigned char data[] = {
		10,  0,	  0,   0,   7,	 0,   0,   0,	0,   0,	  0,   0,   0,	 16,  0,   0,
		1,   0,	  0,   0,   0,	 0,   0,   0,	12,  0,	  0,   0,   8,	 1,   0,   0,
		0,   0,	  0,   0,   0,	 16,  0,   0,	255, 255, 255, 255, 255, 255, 255, 255,
		11,  0,	  0,   0,   9,	 0,   0,   0,	0,   0,	  0,   0,   0,	 16,  0,   0,
		255, 255, 255, 255, 255, 255, 255, 255, 13,  0,	  0,   0,   9,	 0,   0,   0,
		0,   1,	  0,   0,   0,	 16,  0,   0,	255, 255, 255, 255, 255, 255, 255, 255,
	};
	/* Ticks of 1 ms; the third record's time runs back and stands still. */
	const rec_t want[] = {rec_make(REC_READ, 7, 0), rec_make(REC_READ, 264, 2000),
			      rec_make(REC_READ, 9, 0)};

	expect(data, 72, "oracleGeneral", want, 3);
	refused(data, 96, "oracleGeneral", "memory: at byte 72: a page number over 2^36 - 1");
	refused(data, 71, "oracleGeneral", "memory: at byte 48: 23 bytes are left");
}

/* Over many batches nothing is lost or doubled at their seams. */
static void test_long(void)
{
	enum { N = 3 * BATCH_WORDS + 5 };
	static uint32_t data[N];
	struct words got;
	struct err err;

	for (uint32_t i = 0; i < N; i++)
		data[i] = i * 7;
	CU_ASSERT_EQUAL(words_of_pipe(data, sizeof data, "u32", &got, NULL, &err), 0);
	CU_ASSERT_EQUAL_FATAL(got.n, N);
	for (uint32_t i = 0; i < N; i++)
		CU_ASSERT_EQUAL(got.w[i], rec_make(REC_READ, i * 7, 0));
	words_free(&got);
}

TESTS("traces/read_packed", {"u32", test_u32}, {"u64", test_u64},
      {"oracleGeneral", test_oracle_general}, {"long", test_long})
