/* The law netbuf: packets in their order, through a ring, by counting. */
#include "traces.h"

#include "traces/gen.h"

#include <errno.h>
#include <string.h>

#define PAGES 500
#define RING  8

static struct gen_opts options(double received)
{
	struct gen_opts o;

	if (opt_defaults(&gen_section, &o))
		abort();
	o.law = policy_find(trace_laws, "netbuf");
	o.pages = PAGES;
	o.set_pages = RING;
	o.refs = PAGES + 3 * 30000;
	o.write_ratio = received;
	o.pace = 7000;
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

/* Checks one packet's records and tells its buffer; *received: what kind it was. */
static uint64_t packet(const struct words *words, size_t *at, bool *received)
{
	const rec_t *w = words->w + *at;
	uint64_t buffer = rec_page(w[0]);

	CU_ASSERT_EQUAL_FATAL(rec_delta(w[0]), 7);
	*received = rec_kind(w[0]) == REC_DMA;
	if (*received) {
		CU_ASSERT_EQUAL_FATAL(w[1], 1);
		CU_ASSERT_EQUAL_FATAL(w[2], rec_make(REC_READ, buffer, 0));
	} else {
		CU_ASSERT_EQUAL_FATAL(rec_kind(w[0]), REC_WRITE);
		CU_ASSERT_EQUAL_FATAL(w[1], rec_make(REC_DMA, buffer, 0));
		CU_ASSERT_EQUAL_FATAL(w[2], 0);
	}
	CU_ASSERT_FATAL(rec_kind(w[3]) == REC_READ && rec_page(w[3]) < PAGES);
	*at += 4;
	return buffer;
}

static void packets_go_round(void)
{
	for (int i = 0; i <= 4; i++) {
		struct gen_opts o = options(i / 4.0);
		struct trace_info info;
		struct words words = generate(&o, &info);
		uint64_t ring[RING], received = 0;
		bool is;
		size_t at = 0;

		CU_ASSERT_EQUAL(info.highest_page, PAGES - 1);
		for (; at < PAGES; at++)
			CU_ASSERT_EQUAL(words.w[at], rec_make(REC_WRITE, at, 0));
		for (size_t p = 0; p < 30000; p++) {
			uint64_t buffer = packet(&words, &at, &is);
			received += is;
			if (p < RING)
				ring[p] = buffer;
			CU_ASSERT_EQUAL(buffer, ring[p % RING]);
		}
		CU_ASSERT_EQUAL(at, words.n);
		for (int a = 0; a < RING; a++) {
			for (int b = 0; b < a; b++)
				CU_ASSERT_NOT_EQUAL(ring[a], ring[b]);
		}
		/* Four standard deviations of 30,000 draws are at most 347. */
		CU_ASSERT(received + 347 >= 7500u * (unsigned)i &&
			  received <= 7500u * (unsigned)i + 347);
		CU_ASSERT((i > 0 && i < 4) || received == 7500u * (unsigned)i);
		words_free(&words);
	}
}

static void the_same_seed_gives_the_same(void)
{
	struct gen_opts o = options(0.5);
	struct words a = generate(&o, NULL), b = generate(&o, NULL), c;

	CU_ASSERT(words_equal(&a, &b));
	o.seed++;
	c = generate(&o, NULL);
	CU_ASSERT(!words_equal(&a, &c));
	words_free(&a);
	words_free(&b);
	words_free(&c);
}

static void bad_pace(void)
{
	struct gen_opts o = options(0.5);
	struct source *source;
	struct err err = {0};

	o.pace = 1500;
	CU_ASSERT_EQUAL(source_generate(&o, &source, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.msg, "pace is a whole number of microseconds, at most 16s");
}

TESTS("traces/gen_netbuf", {"packets", packets_go_round}, {"seeds", the_same_seed_gives_the_same},
      {"bad pace", bad_pace})
