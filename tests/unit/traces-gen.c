/* The generators: what each law promises, by counting; the same seed gives the same trace. */
#include "traces.h"

#include "traces/gen.h"

static struct gen_opts options(const char *law)
{
	struct gen_opts o;

	if (opt_defaults(&gen_section, &o))
		abort();
	o.law = policy_find(trace_laws, law);
	return o;
}

static struct words generate(const struct gen_opts *o)
{
	struct source *source;
	struct words words;
	struct err err;

	if (source_generate(o, &source, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	CU_ASSERT_EQUAL(words_read(source, &words, NULL, &err), 0);
	CU_ASSERT_EQUAL(words.n, (size_t)o->refs);
	return words;
}

static void test_same_seed_same_trace(void)
{
	for (const struct policy *const *law = trace_laws; *law; law++) {
		if (!((const struct law *)*law)->fill)
			continue; /* image: traces-gen_image.c */
		struct gen_opts o = options((*law)->name);
		struct words a, b, c, d;
		bool pages_equal = true;

		o.refs = 30001;
		o.mix = (char[]){"zipf:1 uniform:2"};
		a = generate(&o);
		b = generate(&o);
		CU_ASSERT(words_equal(&a, &b));
		o.write_ratio = 0.9; /* a stream of its own: the pages stay */
		c = generate(&o);
		for (size_t i = 0; i < a.n; i++)
			pages_equal &= rec_page(a.w[i]) == rec_page(c.w[i]);
		CU_ASSERT(pages_equal);
		CU_ASSERT(!words_equal(&a, &c));
		o.seed++;
		d = generate(&o);
		CU_ASSERT(!words_equal(&c, &d));
		words_free(&a);
		words_free(&b);
		words_free(&c);
		words_free(&d);
	}
}

/* Of 100,000 draws at 0.3 four standard deviations are 580; 0 and 1 are exact. */
static void test_write_ratio(void)
{
	static const struct {
		double ratio;
		size_t low, high;
	} cases[] = {{0, 0, 0}, {0.3, 29420, 30580}, {1, 100000, 100000}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gen_opts o = options("sequential");
		struct words words;
		size_t writes = 0;

		o.refs = 100000;
		o.write_ratio = cases[i].ratio;
		words = generate(&o);
		for (size_t j = 0; j < words.n; j++)
			writes += rec_kind(words.w[j]) == REC_WRITE;
		CU_ASSERT(writes >= cases[i].low && writes <= cases[i].high);
		words_free(&words);
	}
}

static void test_sequential(void)
{
	struct gen_opts o = options("sequential");
	struct words words;

	o.refs = 20000;
	o.pages = 777;
	words = generate(&o);
	for (size_t i = 0; i < words.n; i++)
		CU_ASSERT_EQUAL(rec_page(words.w[i]), i % 777);
	words_free(&words);
}

/* Chi-square of counts that should be equal, in standard deviations from its mean. */
static double unevenness(const size_t *count, size_t cells, size_t draws)
{
	double expected = (double)draws / (double)cells, chi2 = 0;

	for (size_t i = 0; i < cells; i++)
		chi2 += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
	return (chi2 - (double)(cells - 1)) / __builtin_sqrt(2.0 * (double)(cells - 1));
}

static void test_uniform(void)
{
	struct gen_opts o = options("uniform");
	static size_t count[1000];
	struct words words;

	o.refs = 500000;
	o.pages = 1000;
	words = generate(&o);
	for (size_t i = 0; i < words.n; i++)
		count[rec_page(words.w[i])]++;
	CU_ASSERT(__builtin_fabs(unevenness(count, 1000, words.n)) < 4);
	words_free(&words);
}

/* Within a phase: set_pages pages in a row, all of them; between phases it moves. */
static void test_phases(void)
{
	struct gen_opts o = options("phases");
	struct words words;
	unsigned moves = 0;
	uint64_t first = 0;

	o.refs = 100000;
	o.pages = 10000;
	o.set_pages = 50;
	o.phase_refs = 5000;
	words = generate(&o);
	for (size_t phase = 0; phase < 20; phase++) {
		uint64_t low = UINT64_MAX, high = 0;

		for (size_t i = phase * 5000; i < (phase + 1) * 5000; i++) {
			low = min_u64(low, rec_page(words.w[i]));
			high = max_u64(high, rec_page(words.w[i]));
		}
		CU_ASSERT_EQUAL(high - low, 49); /* missed with probability 2 * 0.98^5000 */
		CU_ASSERT(high < 10000);
		moves += low != first;
		first = low;
	}
	CU_ASSERT(moves >= 19);
	words_free(&words);
}

/* Without a scan every reference lies in the window; with nothing but it, it is sequential. */
static void test_drift(void)
{
	struct gen_opts o = options("drift");
	struct words words;

	o.refs = 200000;
	o.pages = 1000;
	o.set_pages = 100;
	o.phase_refs = 20000;
	o.scan_ratio = 0;
	words = generate(&o);
	for (size_t i = 0; i < words.n; i++) {
		uint64_t first = (i + 1) * 100 / 20000 % 1000;
		CU_ASSERT((rec_page(words.w[i]) + 1000 - first) % 1000 < 100);
	}
	words_free(&words);
	o.scan_ratio = 1;
	words = generate(&o);
	for (size_t i = 0; i < words.n; i++)
		CU_ASSERT_EQUAL(rec_page(words.w[i]), i % 1000);
	words_free(&words);
}

/* Three in four references continue the loop; of 100,000, give or take four sigma (550). */
static void test_mix(void)
{
	struct gen_opts o = options("mix");
	struct words words;
	uint64_t next = 0;
	size_t loop = 0;

	o.refs = 100000;
	o.pages = INT64_C(1) << 30; /* uniform hits the next page of the loop once in 2^30 */
	o.mix = (char[]){"sequential:0.75, uniform:0.25"};
	words = generate(&o);
	for (size_t i = 0; i < words.n; i++) {
		if (rec_page(words.w[i]) == next) {
			next++;
			loop++;
		}
	}
	CU_ASSERT(loop > 74450 && loop < 75550);
	words_free(&words);
}

static void refused(struct gen_opts *o, const char *word)
{
	struct source *source;
	struct err err = {0};

	CU_ASSERT(source_generate(o, &source, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, word));
}

static void test_wrong_options(void)
{
	static const char *const mixes[] = {"",
					    "zipf",
					    "zipf:",
					    "zipf:0",
					    "zipf:-1",
					    "zipf:nan",
					    "zipf:1x",
					    "mix:1",
					    "zopf:1",
					    "zipf:1 zipf:1 zipf:1 zipf:1 zipf:1 zipf:1 zipf:1 "
					    "zipf:1 zipf:1"};
	struct gen_opts o = options("phases");

	o.pages = 10;
	o.set_pages = 11;
	refused(&o, "set_pages = 11 is more than pages = 10");
	o = options("zipf");
	o.pages = 0;
	refused(&o, "pages");
	o = options("zipf");
	o.refs = 0;
	refused(&o, "refs");
	o = options("zipf");
	o.alpha = __builtin_nan("");
	refused(&o, "alpha");
	o = options("mix");
	for (size_t i = 0; i < ARRAY_LEN(mixes); i++) {
		o.mix = strdup(mixes[i]);
		refused(&o, "mix");
		free(o.mix);
	}
}

/* What the replayer sizes a VM by is known before the first record. */
static void test_bounds_known(void)
{
	struct gen_opts o = options("zipf");
	struct source *source;
	struct err err;

	o.pages = 12345;
	CU_ASSERT_EQUAL_FATAL(source_generate(&o, &source, &err), 0);
	CU_ASSERT_EQUAL(source_info(source)->highest_page, 12344);
	CU_ASSERT_EQUAL(source_info(source)->records, 1000000);
	CU_ASSERT(!source_info(source)->counted);
	source_close(source);
}

TESTS("traces/gen", {"same seed, same trace", test_same_seed_same_trace},
      {"write ratio", test_write_ratio}, {"sequential", test_sequential}, {"uniform", test_uniform},
      {"phases", test_phases}, {"drift", test_drift}, {"mix", test_mix},
      {"wrong options", test_wrong_options}, {"bounds known", test_bounds_known})
