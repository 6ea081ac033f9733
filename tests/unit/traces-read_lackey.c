/* Lackey's text by hand, in the form that valgrind 3.19 prints. */
#include "traces.h"

static int read_text(const char *text, struct words *words, struct trace_info *info,
		     struct err *err)
{
	return words_of_memory(text, strlen(text), "lackey", words, info, err);
}

static void expect(const char *text, const rec_t *want, size_t n)
{
	struct words words;
	struct trace_info info;
	struct err err;

	CU_ASSERT_EQUAL(read_text(text, &words, &info, &err), 0);
	CU_ASSERT_EQUAL(info.space, TRACE_VPN);
	CU_ASSERT_EQUAL_FATAL(words.n, n);
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(words.w[i], want[i]);
	words_free(&words);
}

static void test_sample(void)
{
	const rec_t want[] = {
		rec_make(REC_READ, 0x4020, 0),	rec_make(REC_WRITE, 0x1ffefff, 0),
		rec_make(REC_READ, 0x4020, 0),	rec_make(REC_READ, 0x421c, 0),
		rec_make(REC_WRITE, 0x421c, 0), rec_make(REC_READ, 0x4020, 0),
	};

	expect("==1234== Lackey, an example Valgrind tool\n"
	       "==1234== \n"
	       "I  04020030,3\n"
	       "I  04020033,5\n" /* the same page, the same kind: dropped */
	       " S 1ffefffff8,8\n"
	       "I  04020cc0,1\n"
	       " L 0421ce18,8\n"
	       " M 0421ce20,8\n" /* load and store */
	       "--1234-- a note\n"
	       "**1234** a note of the program\n"
	       "\n"
	       "I  04020cc8,7",
	       want, ARRAY_LEN(want));
}

static void test_straddling(void)
{
	const rec_t want[] = {rec_make(REC_READ, 1, 0), rec_make(REC_READ, 2, 0),
			      rec_make(REC_WRITE, 2, 0), rec_make(REC_WRITE, 3, 0),
			      rec_make(REC_WRITE, 5, 0)};

	expect(" L 1ffc,8\n S 2fff,4096\n S 5000,4096\n", want, 5);
}

/* Both halves of the 48-bit space; their pages stay distinct in 36 bits. */
static void test_canonical(void)
{
	const rec_t want[] = {rec_make(REC_READ, 0x7ffffffff, 0),
			      rec_make(REC_READ, 0xfffffffff, 0),
			      rec_make(REC_READ, 0x800000000, 0)};

	expect(" L 7FFFFFFFF000,1\n L fffffffffffff000,8\n L ffff800000000000,1\n", want, 3);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"hello\n", "memory:1: 'hello' is no line of lackey's"},
		{"I  04020030,3\n L\n", "memory:2: ' L' is no line"},
		{" L ,3\n", "memory:1: ' L ,3' is no line"},
		{" L 10\n", "memory:1: ' L 10' is no line"},
		{" L 10,\n", "memory:1: ' L 10,' is no line"},
		{" L 10,4 \n", "memory:1: ' L 10,4 ' is no line"},
		{" L 0x10,4\n", "memory:1: ' L 0x10,4' is no line"},
		{" L 10,-4\n", "memory:1: ' L 10,-4' is no line"},
		{"I 10,4\n", "memory:1: 'I 10,4' is no line"},
		{" X 10,4\n", "memory:1: ' X 10,4' is no line"},
		{"\tL 10,4\n", "memory:1: '?L 10,4' is no line"},
		{" L 10000000000000000,4\n", "memory:1: ' L 10000000000000000,4' is no line"},
		{" L 10,0\n", "memory:1: an access of 0 bytes"},
		{" L 10,4097\n", "memory:1: an access of 4097 bytes"},
		{" L 800000000000,4\n", "memory:1: 800000000000 is no address of 48 bits"},
		{" L 7ffffffffffe,4\n", "memory:1: 7ffffffffffe is no address of 48 bits"},
		{" L fffffffffffffffe,4\n", "memory:1: fffffffffffffffe is no address"},
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

TESTS("traces/read_lackey", {"sample", test_sample}, {"straddling", test_straddling},
      {"canonical", test_canonical}, {"refused", test_refused})
