/* The writers of foreign formats: bytes by hand, next accesses against a slow twin, refusals. */
#include "traces.h"

static const struct trace_info plain = {.vms = 1, .tick_ns = 500000000};

static unsigned char *written(const struct words *words, const char *format, size_t *n)
{
	struct err err = {0};

	if (words_write(words, test_path("out"), format, &plain, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	return test_read_file(test_path("out"), n);
}

static struct words sample(void)
{
	const rec_t made[] = {
		rec_make(REC_READ, 5, 0),
		rec_make(REC_WRITE, 0x7fffffff, 3),
		rec_make(REC_SLEEP, 9, 0),
		rec_make(REC_WRITE_ID, 1, 0),
		99,
		rec_make(REC_READ, 5, 2),
		rec_make(REC_END, 0, 0),
	};
	struct words words = {0};

	words_add(&words, made, ARRAY_LEN(made));
	return words;
}

static void test_raw(void)
{
	static const unsigned char u32[] = {5, 0, 0, 0,	  255, 255, 255, 255,
					    1, 0, 0, 128, 5,   0,   0,	 0};
	static const unsigned char u64[] = {5,	 0,   0, 0, 0,	 0, 0, 0, 255, 255, 255,
					    127, 0,   0, 0, 128, 1, 0, 0, 0,   0,   0,
					    0,	 128, 5, 0, 0,	 0, 0, 0, 0,   0};
	struct words words = sample();
	size_t n;
	unsigned char *file = written(&words, "u32", &n);

	CU_ASSERT(n == sizeof u32 && memcmp(file, u32, n) == 0);
	free(file);
	file = written(&words, "u64", &n);
	CU_ASSERT(n == sizeof u64 && memcmp(file, u64, n) == 0);
	free(file);
	words_free(&words);
}

static void test_csv(void)
{
	static const char csv[] = "page,op,time_ns,content,vm\n"
				  "5,read,0,,0\n"
				  "2147483647,write,1500000000,,0\n"
				  "1,write,6000000000,99,0\n"
				  "5,read,7000000000,,0\n"
				  "0,end,7000000000,,0\n";
	struct words words = sample();
	size_t n;
	unsigned char *file = written(&words, "csv", &n);

	CU_ASSERT(n == sizeof csv - 1 && memcmp(file, csv, n) == 0);
	free(file);
	words_free(&words);
}

/* Each record says its page, whole seconds, 4096 bytes and when the page comes next. */
static void test_oracle_general(void)
{
	struct words words = sample();
	static const struct {
		uint32_t seconds;
		uint64_t page;
		int64_t next;
	} want[] = {{0, 5, 3}, {1, 0x7fffffff, -1}, {6, 1, -1}, {7, 5, -1}};
	size_t n;
	unsigned char *file = written(&words, "oracleGeneral", &n);

	CU_ASSERT_EQUAL_FATAL(n, 24 * ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		uint32_t size = 4096;

		CU_ASSERT(memcmp(file + 24 * i, &want[i].seconds, 4) == 0);
		CU_ASSERT(memcmp(file + 24 * i + 4, &want[i].page, 8) == 0);
		CU_ASSERT(memcmp(file + 24 * i + 12, &size, 4) == 0);
		CU_ASSERT(memcmp(file + 24 * i + 16, &want[i].next, 8) == 0);
	}
	free(file);
	words_free(&words);
}

/* Over several chunks of the spool, with counts at their seams. */
static void test_next_twin(void)
{
	static const size_t counts[] = {0, 1, 8191, 8192, 8193, 16384, 20000};
	struct rng rng;

	rng_init(&rng, test_seed(31), "test", 0);
	for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
		struct words words = words_random(&rng, counts[k],
						  (struct shape){.pages = 3000, .only_rw = true});
		int64_t *last = malloc(3000 * sizeof *last);
		bool right = true;
		size_t n;
		unsigned char *file = written(&words, "oracleGeneral", &n);

		memset(last, 0xff, 3000 * sizeof *last);
		CU_ASSERT_EQUAL_FATAL(n, 24 * counts[k]);
		for (size_t i = counts[k]; i-- > 0;) {
			uint64_t page = rec_page(words.w[i]);

			right &= memcmp(file + 24 * i + 4, &page, 8) == 0;
			right &= memcmp(file + 24 * i + 16, &last[page], 8) == 0;
			last[page] = (int64_t)i;
		}
		CU_ASSERT(right);
		free(last);
		free(file);
		words_free(&words);
	}
}

/* What a format has no words for is refused, and nothing is left of the file. */
static void test_refused(void)
{
	static const struct {
		const char *format;
		rec_t record;
		const char *message;
	} cases[] = {
		{"u32", REC_SWITCH, "record 1 is 'switch', which u32 cannot say"},
		{"u64", REC_VM, "record 1 is 'vm', which u64 cannot say"},
		{"oracleGeneral", REC_MAP, "record 1 is 'map', which oracleGeneral cannot say"},
		{"u32", UINT64_C(0x80000000) << 28, "page 2147483648 does not fit 31 bits"},
		{"csv", 7, "record 1 is of unknown kind 7"},
		{"bt", 7, "record 1: a VM, a range"},
		{"u16", REC_READ, "'u16'"},
		{"csv", REC_SLEEP | REC_PAGE_MAX << 28, "record 1: over 2^64 ns have passed"},
	};

	test_path("x");
	size_t before = test_folder_files();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct words words = {0};
		struct err err = {0};
		rec_t two[2] = {cases[i].record, 1};

		words_add(&words, two, rec_is_wide(two[0]) ? 2 : 1);
		CU_ASSERT(words_write(&words, test_path("none"), cases[i].format, &plain, &err) <
			  0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		if (!strstr(err.msg, cases[i].message)) {
			printf("  '%s' lacks '%s'\n", err.msg, cases[i].message);
			CU_FAIL("message");
		}
		CU_ASSERT_EQUAL(test_folder_files(), before);
		words_free(&words);
	}
}

/* A folder that is not there, and a disk that is full: a failed run, with the name. */
static void test_cannot_write(void)
{
	struct words words = sample();
	struct err err = {0};

	CU_ASSERT(words_write(&words, "/nonexistent/file", "bt", &plain, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/nonexistent/file"));
	CU_ASSERT(words_write(&words, "/dev/full", "u32", &plain, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/dev/full"));
	words_free(&words);
}

TESTS("traces/write", {"raw", test_raw}, {"csv", test_csv}, {"oracleGeneral", test_oracle_general},
      {"next access, twin", test_next_twin}, {"refused", test_refused},
      {"cannot write", test_cannot_write})
