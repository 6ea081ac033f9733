/* How a format is told, whole_records() against a walk, and long sleeps. */
#include "traces.h"

static const char *format_of(const char *name, const void *data, size_t n)
{
	static char format[24];
	struct source *source;
	struct err err;

	if (source_open_memory(name, data, n, NULL, &source, &err))
		return err.exit_code == 2 ? "refused" : "failed";
	snprintf(format, sizeof format, "%s", source_info(source)->format);
	source_close(source);
	return format;
}

static void test_told_by_name(void)
{
	static const char *const names[][2] = {
		{"a.u32", "u32"},
		{"a.u64", "u64"},
		{"a.b/c.u32.zst", "u32"},
		{"x.oracleGeneral", "oracleGeneral"},
		{"x.oracleGeneral.zst", "oracleGeneral"},
		{"l.lackey", "lackey"},
		{"a.champsim", "champsim"},
		{"a.drmemtrace.zst", "drmemtrace"},
		{"a.perf", "perf"},
		{"a.damon", "damon"},
		{"a.bt", "refused"},
		{"a.dat", "refused"},
		{".u32", "refused"},
		{"u32", "refused"},
		{"a.u32.gz", "refused"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		CU_ASSERT_STRING_EQUAL(format_of(names[i][0], "\1\0\0\0\0\0\0\0", 8), names[i][1]);
}

static void test_told_by_bytes(void)
{
	CU_ASSERT_STRING_EQUAL(format_of("x", "page,op\n", 8), "csv");
	CU_ASSERT_STRING_EQUAL(format_of("x", "op , page", 9), "csv");
	CU_ASSERT_STRING_EQUAL(format_of("x", "pages,op\n", 9), "refused");
	CU_ASSERT_STRING_EQUAL(format_of("x", "==12== Lackey", 13), "lackey");
	CU_ASSERT_STRING_EQUAL(format_of("x", " L 10,4\n", 8), "lackey");
	CU_ASSERT_STRING_EQUAL(format_of("x", "I  10,4\n", 8), "lackey");
	CU_ASSERT_STRING_EQUAL(format_of("x", "ls 1/1 2.5: page-faults: 10\n", 28), "perf");
	CU_ASSERT_STRING_EQUAL(format_of("x", "k 1 2.5: damon:damon_aggregated: t\n", 35), "damon");
	CU_ASSERT_STRING_EQUAL(format_of("x", "\31\0\0\0\5\0\0\0\0\0\0\0", 12), "drmemtrace");
	CU_ASSERT_STRING_EQUAL(format_of("x", "", 0), "refused");
}

/* What is packed in a way that is not read here is told from what is unknown. */
static void test_packed(void)
{
	static const char *const heads[][2] = {
		{"\xfd"
		 "7zXZ\0\0",
		 "xz -dc"},
		{"\x1f\x8b\x08\0\0\0\0", "gzip -dc"},
		{"PK\x03\x04\0\0\0", "unzip -p"},
		{"\x04\x22\x4d\x18\0\0\0", "lz4 -dc"},
		{"BZh91AY", "bzip2 -dc"},
	};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct source *source;
		struct err err = {0};
		CU_ASSERT(source_open_memory("x", heads[i][0], 7, NULL, &source, &err) < 0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, heads[i][1]));
	}
}

static void test_unknown_format(void)
{
	struct source *source;
	struct err err = {0};

	CU_ASSERT(source_open_memory("x", "", 0, "u16", &source, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "'u16'"));
	CU_ASSERT(source_open("/nonexistent/trace", NULL, &source, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT(source_open("/tmp", NULL, &source, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "directory"));
	CU_ASSERT(source_open("/tmp", NULL, &source, NULL) < 0); /* the code alone */
}

static void test_whole_records(void)
{
	struct rng rng;

	rng_init(&rng, test_seed(12), "test", 0);
	for (int round = 0; round < 20000; round++) {
		rec_t w[40], any = 0, got;
		size_t n = rng_below(&rng, ARRAY_LEN(w) + 1), i = 0;
		unsigned wide = (unsigned)rng_below(&rng, 4);

		for (size_t k = 0; k < n; k++)
			w[k] = rng_below(&rng, 16) < wide ? rng_u64(&rng) : rng_u64(&rng) & ~8ull;
		while (i < n) {
			if (rec_is_wide(w[i]) && i + 2 > n)
				break;
			any |= w[i];
			i += rec_is_wide(w[i]) ? 2 : 1;
		}
		CU_ASSERT_EQUAL(whole_records(w, n, &got), i);
		CU_ASSERT_EQUAL(got, any);
	}
}

static void test_sleep(void)
{
	static struct batch batch;
	uint64_t ticks = REC_DELTA_MAX + REC_PAGE_MAX + 10;

	CU_ASSERT(batch_sleep(&batch, &ticks));
	CU_ASSERT_EQUAL(batch.n, 2);
	CU_ASSERT_EQUAL(batch.word[0], rec_make(REC_SLEEP, REC_PAGE_MAX, 0));
	CU_ASSERT_EQUAL(batch.word[1], rec_make(REC_SLEEP, 10, 0));
	CU_ASSERT_EQUAL(ticks, REC_DELTA_MAX);
	batch.n = BATCH_WORDS;
	CU_ASSERT(!batch_sleep(&batch, &ticks));
	CU_ASSERT_EQUAL(ticks, REC_DELTA_MAX);
}

TESTS("traces/source", {"told by name", test_told_by_name}, {"told by bytes", test_told_by_bytes},
      {"packed", test_packed}, {"unknown format", test_unknown_format},
      {"whole records", test_whole_records}, {"sleep", test_sleep})
