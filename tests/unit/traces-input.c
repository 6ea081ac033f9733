/* Bytes from files, memory and zstd: every way of reading sees the same ones. */
#include "traces.h"

enum { N = 700001 };
static unsigned char data[N];

static void fill(void)
{
	struct rng rng;

	rng_init(&rng, 13, "test", 0);
	for (size_t i = 0; i < N; i++)
		data[i] = (unsigned char)rng_below(&rng, 20);
}

/* Peeks and skips odd sizes to the end. */
static void drain(struct input *in)
{
	struct rng rng;
	size_t at = 0;
	const uint8_t *p;
	struct err err;

	rng_init(&rng, test_seed(14), "test", 0);
	for (;;) {
		size_t want = rng_below(&rng, 300000) + 1;
		ssize_t have = input_peek(in, want, &p, &err);

		CU_ASSERT_FATAL(have >= 0);
		CU_ASSERT((size_t)have >= min_u64(want, N - at));
		CU_ASSERT_FATAL((size_t)have <= N - at);
		CU_ASSERT(memcmp(p, data + at, (size_t)have) == 0);
		if (have == 0)
			break;
		size_t step = rng_below(&rng, (uint64_t)have) + 1;
		input_skip(in, step);
		at += step;
		CU_ASSERT_EQUAL(input_offset(in), at);
	}
	CU_ASSERT_EQUAL(at, N);
	input_close(in);
}

static void write_file(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");

	CU_ASSERT_FATAL(f && fwrite(bytes, 1, n, f) == n);
	fclose(f);
}

static void test_same_bytes(void)
{
	static const unsigned char skippable[] = {0x50, 0x2a, 0x4d, 0x18, 3,  0,
						  0,	0,    'a',  'b',  'c'};
	size_t room = ZSTD_compressBound(N), half = N / 2, n;
	unsigned char *packed = malloc(2 * room);
	const char *path = test_path("input");
	struct input *in;
	struct err err;

	fill();
	write_file(path, data, N);
	CU_ASSERT_EQUAL_FATAL(input_open(path, &in, &err), 0);
	CU_ASSERT_EQUAL(input_progress(in).total, N);
	drain(in);
	CU_ASSERT_EQUAL_FATAL(input_open_memory("m", data, N, &in, &err), 0);
	drain(in);
	/* two frames, as `cat a.zst b.zst` makes them, behind a skippable one */
	memcpy(packed, skippable, sizeof skippable);
	n = sizeof skippable;
	n += ZSTD_compress(packed + n, room, data, half, 3);
	n += ZSTD_compress(packed + n, room, data + half, N - half, 1);
	CU_ASSERT_EQUAL_FATAL(input_open_memory("m", packed, n, &in, &err), 0);
	drain(in);
	write_file(path, packed, n);
	CU_ASSERT_EQUAL_FATAL(input_open(path, &in, &err), 0);
	drain(in);
	free(packed);
}

/* Reads to the end; 0 or the error. */
static int all(const void *bytes, size_t n, struct err *err)
{
	struct input *in;
	const uint8_t *p;
	ssize_t have;
	int rc = input_open_memory("m", bytes, n, &in, err);

	if (rc)
		return rc;
	while ((have = input_peek(in, 1000, &p, err)) > 0)
		input_skip(in, (size_t)have);
	input_close(in);
	return (int)have;
}

static void test_damaged_zstd(void)
{
	unsigned char packed[400];
	size_t n = ZSTD_compress(packed, sizeof packed, data, 200, 3);
	struct err err;

	CU_ASSERT_EQUAL(all(packed, n, &err), 0);
	for (size_t cut = 4; cut < n; cut++) {
		err.exit_code = 0;
		CU_ASSERT(all(packed, cut, &err) < 0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "packed byte"));
	}
	packed[n] = 'x';
	CU_ASSERT(all(packed, n + 1, &err) < 0);
	CU_ASSERT(all("\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 14, &err) < 0);
}

static void test_lines(void)
{
	static const char text[] = "one\n\ntwo\r\n\r\nthree";
	static const char *const want[] = {"one", "", "two", "", "three"};
	struct input *in;
	const char *line;
	struct err err;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(input_open_memory("m", text, sizeof text - 1, &in, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		CU_ASSERT_EQUAL_FATAL(input_line(in, &line, &n, &err), 1);
		CU_ASSERT(n == strlen(want[i]) && memcmp(line, want[i], n) == 0);
	}
	CU_ASSERT_EQUAL(input_line(in, &line, &n, &err), 0);
	CU_ASSERT_EQUAL(input_bad_line(in, &err, "what"), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.msg, "m:5: what");
	input_close(in);
}

static void test_pread(void)
{
	const char *path = test_path("input");
	struct input *in[2];
	unsigned char buf[8];
	struct err err;
	uint64_t size;

	fill();
	write_file(path, data, N);
	CU_ASSERT_EQUAL_FATAL(input_open(path, &in[0], &err), 0);
	CU_ASSERT_EQUAL_FATAL(input_open_memory("m", data, N, &in[1], &err), 0);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT(input_seekable(in[i], &size) && size == N);
		CU_ASSERT_EQUAL(input_pread(in[i], buf, 8, N - 8, &err), 0);
		CU_ASSERT(memcmp(buf, data + N - 8, 8) == 0);
		CU_ASSERT(input_pread(in[i], buf, 8, N - 7, &err) < 0);
		CU_ASSERT(input_pread(in[i], buf, 8, UINT64_MAX, &err) < 0);
		input_close(in[i]);
	}
}

/* To and fro, in a file and in memory: what is lent is what lies there. */
static void test_seek(void)
{
	const char *path = test_path("input");
	struct input *in[2];
	struct err err;
	struct rng rng;

	fill();
	write_file(path, data, sizeof data);
	rng_init(&rng, test_seed(2), "test", 0);
	CU_ASSERT_EQUAL_FATAL(input_open(path, &in[0], &err), 0);
	CU_ASSERT_EQUAL_FATAL(input_open_memory("memory", data, sizeof data, &in[1], &err), 0);
	for (int i = 0; i < 400; i++) {
		uint64_t at = i % 50 ? rng_below(&rng, sizeof data) : sizeof data;
		size_t want = 1 + rng_below(&rng, 5000);
		const uint8_t *lent;

		CU_ASSERT_EQUAL(input_seek(in[i % 2], at, &err), 0);
		CU_ASSERT_EQUAL(input_offset(in[i % 2]), at);
		ssize_t have = input_peek(in[i % 2], want, &lent, &err);
		CU_ASSERT(have >= (ssize_t)min_u64(want, sizeof data - at));
		CU_ASSERT(have <= (ssize_t)(sizeof data - at));
		CU_ASSERT_EQUAL(memcmp(lent, data + at, (size_t)have), 0);
	}
	input_close(in[0]);
	input_close(in[1]);
}

TESTS("traces/input", {"same bytes", test_same_bytes}, {"damaged zstd", test_damaged_zstd},
      {"lines", test_lines}, {"pread", test_pread}, {"seek", test_seek})
