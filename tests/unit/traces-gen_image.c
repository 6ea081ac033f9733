/* The law image: its classes counted by sorting what was written, against the definition. */
#include "traces.h"

#include "traces/gen.h"

#include <errno.h>

#define PAGES 20000

static struct gen_opts options(int64_t seed)
{
	struct gen_opts o;

	if (opt_defaults(&gen_section, &o))
		abort();
	o.law = policy_find(trace_laws, "image");
	o.refs = o.pages = PAGES;
	o.seed = seed;
	o.zero = 0.07;
	o.copies = 0.10; /* 2,000 pages of 800 contents: 400 in three copies, 400 in two */
	o.copy_contents = 0.04;
	o.common = 0.45;
	o.member = 0.75;
	return o;
}

static struct words generate(const struct gen_opts *o, struct trace_info *info)
{
	struct source *source;
	struct words words;
	struct err err;

	if (source_generate(o, &source, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	CU_ASSERT_EQUAL(words_read(source, &words, info, &err), 0);
	return words;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The contents that a boot wrote, sorted; each page once. */
static uint64_t *boot(const struct gen_opts *o)
{
	struct words words = generate(o, NULL);
	uint64_t *ids = calloc((size_t)o->pages, sizeof *ids);
	bool *seen = calloc((size_t)o->pages, sizeof *seen);
	size_t n = 0;

	CU_ASSERT_EQUAL_FATAL(words.n, 2 * (size_t)o->pages);
	for (size_t i = 0; i < words.n; i += 2) {
		uint64_t page = rec_page(words.w[i]);
		CU_ASSERT_EQUAL(rec_kind(words.w[i]), REC_WRITE_ID);
		CU_ASSERT_EQUAL(rec_delta(words.w[i]), 0);
		CU_ASSERT_FATAL(page < (uint64_t)o->pages);
		CU_ASSERT(!seen[page]);
		seen[page] = true;
		ids[n++] = words.w[i + 1];
	}
	qsort(ids, n, sizeof *ids, by_number);
	free(seen);
	words_free(&words);
	return ids;
}

static size_t run_length(const uint64_t *ids, size_t at, size_t n)
{
	size_t end = at;

	while (end < n && ids[end] == ids[at])
		end++;
	return end - at;
}

static void test_classes(void)
{
	struct gen_opts o = options(1);
	uint64_t *ids = boot(&o);
	size_t copies[5] = {0}; /* contents that so many pages hold */
	size_t zero = run_length(ids, 0, PAGES);

	CU_ASSERT_EQUAL(ids[0], 0);
	CU_ASSERT_EQUAL(zero, 1400);
	for (size_t i = zero; i < PAGES;) {
		size_t n = run_length(ids, i, PAGES);
		CU_ASSERT_FATAL(n < ARRAY_LEN(copies));
		copies[n]++;
		i += n;
	}
	CU_ASSERT_EQUAL(copies[4], 0);
	CU_ASSERT_EQUAL(copies[3], 400);
	CU_ASSERT_EQUAL(copies[2], 400);
	CU_ASSERT_EQUAL(copies[1], PAGES - 1400 - 2000); /* common ones and the VM's own */
	free(ids);
}

/* Contents that both have, the zero page not counted; of them, those that a has once. */
static size_t in_both(const uint64_t *a, const uint64_t *b, size_t *singles)
{
	size_t both = 0;

	*singles = 0;
	for (size_t i = 0, j = 0; i < PAGES && j < PAGES;) {
		if (a[i] != 0 && a[i] == b[j]) {
			both++;
			*singles += run_length(a, i, PAGES) == 1;
		}
		if (a[i] <= b[j])
			i += run_length(a, i, PAGES);
		else
			j += run_length(b, j, PAGES);
	}
	return both;
}

/*
 * Each of two VMs holds 9,000 of 12,000 common contents: both hold 6,750 on
 * average, with variance 12,000 (3/4)^2 (1/4)^2: five deviations are 103. Of the
 * 800 of 1,067 with copies 600 +- 31.
 */
static void test_two_vms(void)
{
	struct gen_opts a = options(1), b = options(2);
	uint64_t *x = boot(&a), *y = boot(&b);
	size_t singles, both = in_both(x, y, &singles);

	CU_ASSERT(singles >= 6750 - 103 && singles <= 6750 + 103);
	CU_ASSERT(both - singles >= 600 - 31 && both - singles <= 600 + 31);
	free(y);
	b.image = 2; /* another image: nothing but zero pages in common */
	y = boot(&b);
	CU_ASSERT_EQUAL(in_both(x, y, &singles), 0);
	free(y);
	free(x);
	a.member = b.member = 1; /* the same image: all of it */
	b.image = 1;
	x = boot(&a);
	y = boot(&b);
	CU_ASSERT_EQUAL(in_both(x, y, &singles), 9800);
	CU_ASSERT_EQUAL(singles, 9000);
	free(x);
	free(y);
}

/* After the boot: paced touches, of which write_ratio rewrite pages of the set. */
static void test_rewriting(void)
{
	struct gen_opts o = options(3);
	struct trace_info info;
	size_t writes = 0, reads = 0, zero = 0, own = 0;
	bool hot[PAGES] = {false};

	o.refs = PAGES + 100000;
	o.write_ratio = 0.25;
	o.set_pages = 300;
	o.pace = 7000000;
	uint64_t *ids = boot(&(struct gen_opts){.law = o.law,
						.refs = PAGES,
						.pages = PAGES,
						.seed = 3,
						.image = 1,
						.zero = o.zero,
						.copies = o.copies,
						.copy_contents = o.copy_contents,
						.common = o.common,
						.member = o.member,
						.pace = o.pace});
	struct words words = generate(&o, &info);
	CU_ASSERT_EQUAL(info.tick_ns, 1000);
	for (size_t i = 0; i < 600; i += 2)
		hot[rec_page(words.w[i])] = true;
	for (size_t i = 2 * PAGES; i < words.n; i++) {
		rec_t r = words.w[i];
		CU_ASSERT_EQUAL(rec_delta(r), 7000);
		CU_ASSERT_FATAL(rec_page(r) < PAGES);
		if (rec_kind(r) == REC_READ) {
			reads++;
			continue;
		}
		CU_ASSERT_EQUAL(rec_kind(r), REC_WRITE_ID);
		CU_ASSERT(hot[rec_page(r)]);
		uint64_t id = words.w[++i];
		writes++;
		zero += id == 0;
		own += !bsearch(&id, ids, PAGES, sizeof id, by_number);
	}
	CU_ASSERT_EQUAL(writes + reads, 100000);
	CU_ASSERT(writes >= 25000 - 550 && writes <= 25000 + 550); /* four deviations: 548 */
	/* 7 % zero (four deviations: 161); 38 % the VM's own, always new (307). */
	CU_ASSERT(zero >= writes * 7 / 100 - 165 && zero <= writes * 7 / 100 + 165);
	CU_ASSERT(own >= writes * 38 / 100 - 310 && own <= writes * 38 / 100 + 310);
	free(ids);
	words_free(&words);
}

static void test_same_seed_same_trace(void)
{
	struct gen_opts o = options(5);
	struct words a, b, c;

	o.refs = 3 * PAGES;
	a = generate(&o, NULL);
	b = generate(&o, NULL);
	CU_ASSERT(words_equal(&a, &b));
	o.seed = 6;
	c = generate(&o, NULL);
	CU_ASSERT(!words_equal(&a, &c));
	words_free(&a);
	words_free(&b);
	words_free(&c);
}

/* Classes that fill the VM to the last page, or not at all. */
static void test_extremes(void)
{
	struct gen_opts o = options(1);

	o.zero = 0;
	o.pages = o.refs = 3;
	o.copies = 2.0 / 3;
	o.copy_contents = 1.0 / 3;
	o.common = 1.0 / 3;
	uint64_t *ids = boot(&o);
	CU_ASSERT((ids[0] == ids[1]) != (ids[1] == ids[2]));
	free(ids);
	o.zero = o.copies = o.copy_contents = o.common = 0;
	ids = boot(&o);
	CU_ASSERT(ids[0] != 0 && ids[0] != ids[1] && ids[1] != ids[2]);
	free(ids);
	o.zero = 1;
	ids = boot(&o);
	CU_ASSERT_EQUAL(ids[2], 0);
	free(ids);
}

static void refused(const struct gen_opts *o, const char *word)
{
	struct source *source;
	struct err err = {0};

	CU_ASSERT_EQUAL(source_generate(o, &source, &err), -EINVAL);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, word));
}

static void test_wrong_options(void)
{
	struct gen_opts o = options(1);

	o.common = 0.9;
	refused(&o, "zero, copies and common");
	o = options(1);
	o.zero = __builtin_nan("");
	refused(&o, "zero, copies and common");
	o = options(1);
	o.copy_contents = 0.06;
	refused(&o, "at least two copies");
	o = options(1);
	o.copy_contents = 0;
	refused(&o, "at least two copies");
	o = options(1);
	o.member = 0;
	refused(&o, "member");
	o = options(1);
	o.pace = 1500;
	refused(&o, "pace");
	o = options(1);
	o.pace = 17000000000;
	refused(&o, "pace");
	o = options(1);
	o.pages = INT64_C(1) << 27;
	o.set_pages = 1;
	refused(&o, "pages");
	o = options(1);
	o.law = policy_find(trace_laws, "mix");
	o.mix = (char[]){"image:1"};
	refused(&o, "mix");
}

TESTS("traces/gen_image", {"classes", test_classes}, {"two VMs", test_two_vms},
      {"rewriting", test_rewriting}, {"same seed, same trace", test_same_seed_same_trace},
      {"extremes", test_extremes}, {"wrong options", test_wrong_options})
