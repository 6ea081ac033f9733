/* The law toucher: what is touched in each pass, by counting, against a schedule worked out by
 * hand. */
#include "traces.h"

#include "traces/gen.h"

#include <errno.h>
#include <string.h>

#define PAGES 2000
#define SET   10

static struct gen_opts options(char *schedule)
{
	struct gen_opts o;

	if (opt_defaults(&gen_section, &o))
		abort();
	o.law = policy_find(trace_laws, "toucher");
	o.pages = PAGES;
	o.set_pages = SET;
	o.schedule = schedule;
	o.pass = 10000000000; /* six a minute */
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

/* 1 MB = 256 pages from 0.5 min on, 2 MB from 1 min, none from 1.5 min, 0.5 MB from 2 to 2.5. */
#define SCHEDULE "0.5:1, 1:2 1.5:0 2:0.5 2.5"

static void each_pass_touches_what_it_must(void)
{
	for (int zero = 0; zero < 2; zero++) {
		const uint64_t plain[15] = {0,	 0, 0, 256, 256, 256, 512, 512,
					    512, 0, 0, 0,   128, 128, 128};
		struct gen_opts o = options((char[]){SCHEDULE});
		struct trace_info info;
		uint64_t ticks = 0;
		size_t at = 0;

		o.zero_thread = zero;
		struct words words = generate(&o, &info);
		CU_ASSERT_EQUAL(info.tick_ns, 1000);
		CU_ASSERT_EQUAL(info.highest_page, PAGES - 1);
		for (size_t pass = 0; pass < 15; pass++) {
			/* With the zero thread the first pass without the program has all 2 MB. */
			uint64_t n = zero && pass == 9 ? 512 : plain[pass], next = 0, others = 0;
			while (at < words.n &&
			       next + others < n + 3) { /* 3: a quarter of 10, rounded up */
				uint64_t page = rec_page(words.w[at]);
				ticks += rec_delta(words.w[at++]);
				if (page >= PAGES - SET)
					others++;
				else
					CU_ASSERT_EQUAL_FATAL(page, next++);
			}
			CU_ASSERT_EQUAL(next, n);
			CU_ASSERT_EQUAL(others, 3);
			CU_ASSERT_EQUAL(ticks, (pass + 1) * 10000000);
		}
		CU_ASSERT_EQUAL(at, words.n);
		CU_ASSERT_EQUAL(info.records, words.n);
		words_free(&words);
	}
}

static void evenly_in_time(void)
{
	struct gen_opts o = options((char[]){"0:4 1"});
	struct words words = generate(&o, NULL);

	for (size_t i = 0; i < words.n; i++)
		CU_ASSERT_FATAL(rec_delta(words.w[i]) >= 10000000 / 1027 &&
				rec_delta(words.w[i]) <= 10000000 / 1027 + 1);
	words_free(&words);
}

static void the_same_seed_gives_the_same(void)
{
	struct gen_opts o = options((char[]){SCHEDULE});
	struct words a = generate(&o, NULL), b = generate(&o, NULL), c;

	CU_ASSERT(words_equal(&a, &b));
	o.seed++;
	c = generate(&o, NULL);
	CU_ASSERT(!words_equal(&a, &c));
	CU_ASSERT_EQUAL(a.n, c.n);
	words_free(&a);
	words_free(&b);
	words_free(&c);
}

static void refused(char *schedule, uint64_t pass, const char *says)
{
	struct gen_opts o = options(schedule);
	struct source *source;
	struct err err = {0};

	o.pass = pass;
	CU_ASSERT_EQUAL(source_generate(&o, &source, &err), -EINVAL);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	if (!strstr(err.msg, says))
		printf("  '%s' does not say '%s'\n", err.msg, says);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, says));
}

static void bad_schedules(void)
{
	const uint64_t s = 1000000000;
	static char many[2000];

	for (int i = 0; i < 70; i++)
		strcat(many, "1:1 ");
	refused(NULL, s, "law = toucher needs schedule");
	refused((char[]){""}, s, "law = toucher needs schedule");
	refused((char[]){"1:5 2:7"}, s, "the last minute being its end");
	refused((char[]){"0"}, s, "the last minute being its end");
	refused((char[]){"1:5 2 3"}, s, "'3' is too much");
	refused(many, s, "is too much: at most 63 steps");
	refused((char[]){"2:5 1:3 4"}, s, "'1:3 4' is no step");
	refused((char[]){"1:x 4"}, s, "'1:x 4' is no step");
	refused((char[]){"-1:2 4"}, s, "'-1:2 4' is no step");
	refused((char[]){"nan:2 4"}, s, "is no step");
	refused((char[]){"1:inf 4"}, s, "is no step");
	refused((char[]){"1:2x 4"}, s, "is no step");
	refused((char[]){"1:1e12 4"}, s, "is no step");
	refused((char[]){"1:2 1e9"}, s, "is no step");
	refused((char[]){"1:8 4"}, s,
		"2048 pages and 10 of the background are more than pages = 2000");
	refused((char[]){"1:2 4"}, 1500, "pass is a whole number of microseconds");
	refused((char[]){"1:2 4"}, 17 * s, "pass is a whole number of microseconds");
}

TESTS("traces/gen_toucher", {"passes", each_pass_touches_what_it_must}, {"evenly", evenly_in_time},
      {"seeds", the_same_seed_gives_the_same}, {"bad schedules", bad_schedules})
