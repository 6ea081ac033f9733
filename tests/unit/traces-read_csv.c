/* CSV by hand: what is read, what is refused with its line, and round trips with the writer. */
#include "traces.h"

static int read_text(const char *text, struct words *words, struct trace_info *info,
		     struct err *err)
{
	return words_of_memory(text, strlen(text), "csv", words, info, err);
}

static void expect(const char *text, const rec_t *want, size_t n)
{
	struct words words;
	struct err err;

	CU_ASSERT_EQUAL(read_text(text, &words, NULL, &err), 0);
	CU_ASSERT_EQUAL_FATAL(words.n, n);
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(words.w[i], want[i]);
	words_free(&words);
}

static void test_plain(void)
{
	const rec_t want[] = {rec_make(REC_READ, 16, 0), rec_make(REC_WRITE, 17, 0),
			      rec_make(REC_READ, REC_PAGE_MAX, 0), rec_make(REC_WRITE, 0, 0)};

	expect("page,op\n0x10,r\n17,w\n68719476735,read\n0,write\n", want, 4);
	expect("op,page\r\nr,0x10\r\nw,17\r\nread,0xFFFFFFFFF\r\nwrite,0", want, 4);
	expect("\xef\xbb\xbfop , page\n\n r,\t16\nw ,17\n\nread,0XfffffffFF\nwrite,00000000\n\n",
	       want, 4);
	expect("page,op\n", want, 0);
	expect("op,page", want, 0);
}

static void test_every_column(void)
{
	const rec_t want[] = {
		rec_make(REC_READ, 1, 0), rec_make(REC_WRITE_ID, 2, 5),
		0xffffffffffffffff,	  rec_make(REC_SLEEP, 3, 0), /* 2^24 + 2 = delta max + 3 */
		rec_make(REC_VM, 2, 0),	  rec_make(REC_WRITE, 3, REC_DELTA_MAX),
		rec_make(REC_VM, 0, 0),	  rec_make(REC_SWITCH, 7, 0),
		rec_make(REC_MAP, 8, 0),  20,
		rec_make(REC_END, 0, 0),
	};
	struct trace_info info;
	struct words words;
	struct err err;
	const char *text = "vm,time_ns,content,op,page\n"
			   "0,1000,,r,1\n"
			   "0,1005,0xffffffffffffffff,w,2\n"
			   "2,16778223,,w,3\n"
			   "0,16778223,,switch,7\n"
			   "0,16778223,20,map,8\n"
			   "0,16778223,,end,0\n";

	expect(text, want, ARRAY_LEN(want));
	CU_ASSERT_EQUAL(read_text(text, &words, &info, &err), 0);
	CU_ASSERT_EQUAL(info.vms, 3);
	CU_ASSERT_EQUAL(info.tick_ns, 1);
	words_free(&words);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "memory:0: empty"},
		{"page\n1\n", "memory:1: column op is missing"},
		{"op\nr\n", "memory:1: column page is missing"},
		{"\n", "memory:1: stray column ''"},
		{"page,op,colour\n", "memory:1: stray column 'colour': columns are page, op"},
		{"page,op,page\n", "memory:1: column page is there twice"},
		{"page,op,\n", "memory:1: stray column ''"},
		{"Page,op\n", "memory:1: stray column 'Page'"},
		{"page,op\n1,r\n2\n", "memory:3: fewer fields than the 2 columns"},
		{"page,op\n1,r,3\n", "memory:2: more fields than the 2 columns"},
		{"page,op\n1,r,\n", "memory:2: more fields"},
		{"page,op\nx,r\n", "memory:2: page is 'x': want a number"},
		{"page,op\n-1,r\n", "memory:2: page is '-1': want a number"},
		{"page,op\n0x,r\n", "memory:2: page is '0x': want a number"},
		{"page,op\n1 2,r\n", "memory:2: page is '1 2': want a number"},
		{"page,op\n,r\n", "memory:2: page is '': want a number"},
		{"page,op\n1e3,r\n", "memory:2: page is '1e3': want a number"},
		{"page,op\n68719476736,r\n", "memory:2: page is 68719476736: at most 68719476735"},
		{"page,op\n18446744073709551616,r\n", "memory:2: page is '18446744073709551616'"},
		{"page,op\n1,x\n",
		 "memory:2: op is 'x': want r, w, read, write, switch, fork, map, unmap, protect, "
		 "file_read, file_write, dma or end"},
		{"page,op\n1,write_id\n", "memory:2: op is 'write_id'"},
		{"page,op\n1,map\n", "memory:2: 'map' needs a content"},
		{"page,op,content\n1,r,3\n", "memory:2: content does not go with 'read'"},
		{"page,op,content\n1,w,c\n", "memory:2: content is 'c': want a number"},
		{"page,op,vm\n1,r,4096\n", "memory:2: vm is 4096: at most 4095"},
		{"page,op,vm\n1,r,\n", "memory:2: vm is '': want a number"},
		{"page,op,time_ns\n1,r,9\n1,r,8\n", "memory:3: time_ns runs back from 9 to 8"},
		{"page,op,time_ns\n1,r,0\n1,r,1125899906842625\n", "memory:3: time_ns leaps"},
		{"page,op\n1,r\n\"1\",r\n", "memory:3: page is '\"1\"'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct words words;
		struct err err = {0};

		CU_ASSERT(read_text(cases[i].text, &words, NULL, &err) < 0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		if (strncmp(err.msg, cases[i].message, strlen(cases[i].message)) != 0) {
			printf("  '%s' is not '%s'\n", err.msg, cases[i].message);
			CU_FAIL("message");
		}
		words_free(&words);
	}
}

static void test_long_line(void)
{
	static char text[6000] = "page,op\n";
	struct words words;
	struct err err;

	memset(text + 8, '1', sizeof text - 9);
	CU_ASSERT(read_text(text, &words, NULL, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "memory:2: a line of over 4096 bytes"));
	words_free(&words);
}

/* A gap that takes more sleeps than a batch holds. */
static void test_long_gap(void)
{
	uint64_t ticks = 0;
	struct words words;
	struct err err;

	CU_ASSERT_EQUAL(
		read_text("page,op,time_ns\n1,r,0\n2,r,1125899906842624\n", &words, NULL, &err), 0);
	CU_ASSERT(words.n > BATCH_WORDS);
	for (size_t i = 0; i < words.n; i++)
		ticks += rec_delta(words.w[i]) +
			 (rec_kind(words.w[i]) == REC_SLEEP ? rec_page(words.w[i]) : 0);
	CU_ASSERT_EQUAL(ticks, UINT64_C(1) << 50);
	words_free(&words);
}

/* What the writer writes is read as it was, sleeps and changes of VM as time and column. */
static void test_round_trip(void)
{
	struct trace_info info = {.tick_ns = 1, .vms = 1};
	struct words words, once, twice;
	unsigned char *file;
	struct rng rng;
	struct err err;
	size_t n;

	rng_init(&rng, test_seed(9), "test", 0);
	words = words_random(&rng, 30000, (struct shape){.pages = 1 << 30, .delta = 1000});
	words.w[0] = rec_make(REC_READ, 3, 0); /* time begins at the first record */
	CU_ASSERT_EQUAL_FATAL(words_write(&words, test_path("t"), "csv", &info, &err), 0);
	file = test_read_file(test_path("t"), &n);
	CU_ASSERT_EQUAL(words_of_memory(file, n, "auto", &once, NULL, &err), 0);
	free(file);
	CU_ASSERT_EQUAL_FATAL(words_write(&once, test_path("t"), "csv", &info, &err), 0);
	file = test_read_file(test_path("t"), &n);
	CU_ASSERT_EQUAL(words_of_memory(file, n, "auto", &twice, NULL, &err), 0);
	free(file);
	CU_ASSERT(words_equal(&once, &twice));
	/* Without what CSV says in other words, the same records in the same order. */
	size_t i = 0, j = 0;
	bool same = true;
	while (i < words.n && j < once.n) {
		unsigned a = rec_kind(words.w[i]), b = rec_kind(once.w[j]);

		if (a == REC_SLEEP || a == REC_VM) {
			i++;
		} else if (b == REC_SLEEP || b == REC_VM) {
			j++;
		} else {
			same &= a == b && rec_page(words.w[i]) == rec_page(once.w[j]);
			i++, j++;
			if (a >= REC_WIDE)
				same &= words.w[i++] == once.w[j++];
		}
	}
	CU_ASSERT(same && words.n - i < 10 && j == once.n);
	words_free(&words);
	words_free(&once);
	words_free(&twice);
}

TESTS("traces/read_csv", {"plain", test_plain}, {"every column", test_every_column},
      {"refused", test_refused}, {"long line", test_long_line}, {"long gap", test_long_gap},
      {"round trip", test_round_trip})
