#include "replay.h"

#include <errno.h>

struct mix {
	unsigned wide, timed; /* of 1000 records */
	uint32_t tick_ns, pages, frames;
	size_t words;
	bool long_batches;
};

static size_t random_record(struct rng *rng, const struct mix *mix, rec_t *word)
{
	static const unsigned char wide[] = {REC_WRITE_ID,   REC_MAP, REC_UNMAP,  REC_FILE_READ,
					     REC_FILE_WRITE, REC_DMA, REC_PROTECT};
	static const unsigned char rare[] = {REC_SWITCH, REC_SLEEP, REC_VM, REC_FORK};
	uint64_t page = rng_below(rng, mix->pages) * rng_below(rng, 100) / 100;
	uint64_t delta = rng_below(rng, 1000) < mix->timed ? rng_below(rng, 30) : 0;
	unsigned kind = (unsigned)rng_below(rng, 2);

	if (rng_below(rng, 1000) < mix->wide)
		kind = wide[rng_below(rng, sizeof wide)];
	else if (rng_below(rng, 1000) < mix->wide / 4)
		kind = rare[rng_below(rng, sizeof rare)];
	if (kind == REC_VM) /* another one's records are refused */
		page = 0;
	word[0] = rec_make((enum rec_kind)kind, page, delta);
	word[1] = kind == REC_UNMAP ? rng_below(rng, min_u64(mix->pages - page, 3) + 1)
		  : kind == REC_DMA ? rng_below(rng, 2)
		  : mix->timed	    ? rng_u64(rng)
				    : rng_below(rng, 16); /* nothing where a record has its time */
	return rec_is_wide(word[0]) ? 2 : 1;
}

/* Cuts the words into batches, none between a record and its operand. */
static struct script *cut(struct rng *rng, const rec_t *word, const struct mix *mix, size_t words)
{
	struct script *script = script_new(mix->tick_ns);

	for (size_t at = 0; at < words;) {
		size_t end = at, n = 1 + rng_below(rng, mix->long_batches ? words : 3000);
		while (end < words && end - at < n)
			end += rec_is_wide(word[end]) ? 2 : 1;
		script_add(script, word + at, end - at);
		at = end;
	}
	return script;
}

/* The replayer does what the twin does, and never goes on past `until`. */
static void compare(const struct mix *mix, uint64_t seed)
{
	rec_t *word = malloc((mix->words + 2) * sizeof *word);
	static struct twin twin;
	struct err err = {0};
	size_t words = 0, at = 0, steps = 0;
	struct bench b;
	struct rng rng;
	int rc;

	rng_init(&rng, seed, "replay", mix->wide);
	while (words < mix->words)
		words += random_record(&rng, mix, word + words);
	bench_open(&b, cut(&rng, word, mix, words),
		   (struct bench_shape){mix->pages, mix->frames, "lru", "ids", false});
	twin = (struct twin){.pages = mix->pages, .frames = mix->frames, .tick_ns = mix->tick_ns};
	do {
		uint64_t until = b.vm->time_ns + 1 + rng_below(&rng, 1u << rng_below(&rng, 24));
		rc = step(&b, until, &err);
		CU_ASSERT_TRUE_FATAL(rc == STEP_MORE || rc == STEP_ENDED);
		while (at < words && twin.time_ns < b.vm->time_ns)
			at += twin_record(&twin, word + at);
		CU_ASSERT_TRUE_FATAL(twin.before_ns < until);
		compare_counts(&b, &twin);
	} while (rc == STEP_MORE && ++steps < 4 * mix->words);
	CU_ASSERT_EQUAL(rc, STEP_ENDED);
	CU_ASSERT_EQUAL(at, words);
	compare_pages(&b, &twin);
	bench_close(&b);
	free(word);
}

static void every_kind_in_small_batches(void)
{
	uint64_t seed = test_seed(1);

	for (uint64_t i = 0; i < 6; i++)
		compare(&(struct mix){.wide = 500,
				      .timed = 500,
				      .tick_ns = 3,
				      .pages = 60,
				      .frames = 20,
				      .words = 100000 / TEST_SCALE},
			seed + i);
}

/* Long batches, few records with an operand or a time: what the fast loop meets. */
static void rare_kinds_in_long_batches(void)
{
	static const struct mix mixes[] = {
		{.wide = 0, .timed = 0},
		{.wide = 2, .timed = 0},
		{.wide = 0, .timed = 1},
		{.wide = 2, .timed = 1},
		{.wide = 600, .timed = 0},
		{.wide = 600, .timed = 1},
		{.wide = 0, .timed = 0, .pages = 256}, /* no page beyond, by the bits alone */
	};
	uint64_t seed = test_seed(2);

	for (size_t i = 0; i < ARRAY_LEN(mixes); i++) {
		struct mix mix = mixes[i];
		mix.tick_ns = 1000;
		mix.pages = mix.pages ? mix.pages : PAGES_MOST;
		mix.frames = i % 2 || mix.pages < PAGES_MOST ? 150 : PAGES_MOST;
		mix.words = TEST_SCALE > 1 ? 140000 : 300000; /* more than two chunks */
		mix.long_batches = true;
		for (uint64_t k = 0; k < 3; k++)
			compare(&mix, seed + k);
	}
}

/* Nearly all records take an operand: whatever a piece of a batch ends with is one. */
static void operands_everywhere(void)
{
	uint64_t seed = test_seed(3);

	for (uint64_t k = 0; k < 4; k++)
		compare(&(struct mix){.wide = k % 2 ? 990 : 1000,
				      .timed = 0,
				      .tick_ns = 1,
				      .pages = 50,
				      .frames = 50,
				      .words = 200001,
				      .long_batches = true},
			seed + k);
}

/* The record after n good ones of one batch is bad: what the error says. */
static void expect_error(rec_t bad, size_t more_words, size_t n, const char *text)
{
	struct script *script = script_new(1);
	rec_t words[40] = {0};
	struct err err = {0};
	struct bench b;
	char number[32];

	for (size_t i = 0; i < n; i++)
		words[i] = rec_make(REC_READ, i % 3, 0);
	words[n] = bad;
	script_add(script, words, 5); /* a batch before, of five */
	script_add(script, words, n + 1 + more_words);
	bench_open(&b, script, (struct bench_shape){8, 8, "clock", "ids", false});
	CU_ASSERT_EQUAL(step(&b, UINT64_MAX / 4, &err), STEP_MORE);
	int rc = step(&b, UINT64_MAX / 4, &err);
	for (int i = 0; i < 3 && rc == STEP_MORE; i++) /* a batch may take several steps */
		rc = step(&b, UINT64_MAX / 4, &err);
	CU_ASSERT_TRUE(rc < 0);
	CU_ASSERT_TRUE(test_one_line(&err));
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, text));
	snprintf(number, sizeof number, "script: record %zu ", 5 + n + 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, number));
	if (!strstr(err.msg, text) || !strstr(err.msg, number))
		printf("  %s\n", err.msg);
	CU_ASSERT_EQUAL(test_stat(&b.vm->stats, "refs"), 5 + n);
	bench_close(&b);
}

static void bad_records_are_named(void)
{
	static const unsigned char with_page[] = {REC_READ, REC_WRITE, REC_WRITE_ID,
						  REC_MAP,  REC_UNMAP, REC_DMA};
	static const unsigned char wide[] = {REC_WRITE_ID,   REC_MAP, REC_UNMAP,   REC_FILE_READ,
					     REC_FILE_WRITE, REC_DMA, REC_PROTECT, 15};

	for (size_t i = 0; i < ARRAY_LEN(with_page); i++) {
		for (size_t n = 5; n < 38; n += 8) {
			enum rec_kind kind = (enum rec_kind)with_page[i];
			expect_error(rec_make(kind, 8, 0), 1, n, "names page 8, beyond");
			expect_error(rec_make(kind, REC_PAGE_MAX, 1), 1, n,
				     "names page 68719476735, beyond");
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		expect_error(rec_make((enum rec_kind)wide[i], 0, 0), 0, 20, "lacks its operand");
	expect_error(rec_make((enum rec_kind)7, 0, 0), 0, 20, "unknown kind 7");
	expect_error(rec_make(REC_VM, 2, 0), 0, 20, "is of VM 2: say which VM");
	expect_error(rec_make((enum rec_kind)15, REC_PAGE_MAX, 0), 1, 20, "unknown kind 15");
}

/* Runs the words to their end on a small host. What host_run() returned. */
static int run(const rec_t *word, size_t n, uint32_t tick_ns, struct bench *b, struct err *err)
{
	struct script *script = script_new(tick_ns);

	*err = (struct err){0};
	if (n)
		script_add(script, word, n);
	bench_open(b, script, (struct bench_shape){8, 4, "lru", "ids", false});
	return host_run(b->t.host, err);
}

static void ranges_stay_inside(void)
{
	struct err err;
	struct bench b;
	rec_t ok[] = {rec_make(REC_WRITE, 7, 0),
		      rec_make(REC_UNMAP, 0, 0),
		      8,
		      rec_make(REC_UNMAP, 7, 0),
		      1,
		      rec_make(REC_UNMAP, 3, 0),
		      0};
	static const uint64_t far[] = {2, 8, UINT32_MAX, UINT64_MAX - 6, UINT64_MAX};

	CU_ASSERT_EQUAL(run(ok, ARRAY_LEN(ok), 1, &b, &err), 0);
	CU_ASSERT_EQUAL(b.vm->pmap->count[PAGE_UNBACKED], 8);
	for (uint32_t i = 0; i < 7; i++) /* what was never touched costs no memory */
		CU_ASSERT_EQUAL(test_entry(b.vm, i), 0);
	bench_close(&b);
	for (size_t i = 0; i < ARRAY_LEN(far); i++) {
		rec_t bad[] = {rec_make(REC_WRITE, 7, 0), rec_make(REC_UNMAP, 7, 0), far[i]};
		CU_ASSERT_EQUAL(run(bad, 3, 1, &b, &err), -EINVAL);
		CU_ASSERT_TRUE(test_one_line(&err));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "vm a: script: record 2 "));
		CU_ASSERT_EQUAL(b.vm->pmap->count[PAGE_PRIVATE], 1); /* nothing was unmapped */
		bench_close(&b);
	}
}

static void nothing_after_the_end(void)
{
	rec_t word[] = {rec_make(REC_READ, 1, 0), rec_make(REC_END, 0, 0), rec_make(REC_READ, 2, 0),
			rec_make((enum rec_kind)7, 0, 0)};
	struct err err;
	struct bench b;

	CU_ASSERT_EQUAL(run(word, 4, 1, &b, &err), 0);
	CU_ASSERT_EQUAL(b.vm->state, VM_ENDED);
	CU_ASSERT_EQUAL(test_stat(&b.vm->stats, "refs"), 1);
	CU_ASSERT_EQUAL(pte_state(test_entry(b.vm, 2)), PAGE_UNBACKED);
	bench_close(&b);
	CU_ASSERT_EQUAL(run(word, 0, 1, &b, &err), 0); /* a trace of nothing */
	CU_ASSERT_EQUAL(b.vm->state, VM_ENDED);
	CU_ASSERT_EQUAL(b.vm->time_ns, 0);
	bench_close(&b);
}

/* The longest sleeps that a record can say, many of them: time does not come round. */
static void endless_sleep_is_bad_input(void)
{
	rec_t word[100];
	struct err err;
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(word); i++)
		word[i] = rec_make(REC_SLEEP, REC_PAGE_MAX, REC_DELTA_MAX);
	CU_ASSERT_EQUAL(run(word, ARRAY_LEN(word), UINT32_MAX, &b, &err), -EINVAL);
	CU_ASSERT_TRUE(test_one_line(&err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "146 years"));
	CU_ASSERT_TRUE(b.vm->time_ns >= HOST_TIME_MAX && b.vm->time_ns < 3 * HOST_TIME_MAX);
	bench_close(&b);
	for (size_t i = 0; i < ARRAY_LEN(word); i++)
		word[i] = rec_make(REC_READ, 0, REC_DELTA_MAX);
	CU_ASSERT_EQUAL(run(word, ARRAY_LEN(word), UINT32_MAX, &b, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "146 years"));
	bench_close(&b);
}

static void a_source_that_fails_ends_the_run(void)
{
	struct script *script = script_new(1);
	rec_t word[] = {rec_make(REC_READ, 1, 0)};
	struct err err = {0};
	struct bench b;

	script->fail = -EINVAL;
	script_add(script, word, 1);
	bench_open(&b, script, (struct bench_shape){8, 4, "lru", "ids", false});
	CU_ASSERT_EQUAL(host_run(b.t.host, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.msg, "vm a: the script fails");
	bench_close(&b);
}

static void count_step(void *ctx)
{
	struct host *host = ctx;

	host->stop |= host->stats.reclaims > 1000;
}

/*
 * One frame for two VMs, and a fault takes longer than a VM's turn: each
 * reference is done with its fault, or the VMs would take the frame from each
 * other for ever. By hand: no page is touched twice in a row, so each is a fault.
 */
static void two_vms_share_one_frame(void)
{
	rec_t word[90];
	struct replay *replay;
	struct test_host t;
	struct err err = {0};

	test_host_new(&t, (struct test_shape){.frames = 1, .read_ns = 5000000});
	for (size_t i = 0; i < ARRAY_LEN(word); i++)
		word[i] = rec_make(i % 2 ? REC_WRITE : REC_READ, i % 3, 0);
	for (int i = 0; i < 2; i++) {
		struct script *script = script_new(1);
		script_add(script, word, ARRAY_LEN(word));
		CU_ASSERT_EQUAL(replay_new(test_vm(&t, i ? "b" : "a", 3), &script->source, NULL,
					   &replay, &err),
				0);
	}
	t.host->on_step = count_step;
	t.host->step_ctx = t.host;
	CU_ASSERT_EQUAL(host_run(t.host, &err), 0);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(test_stat(&t.host->vm[i]->stats, "refs"), 90);
		CU_ASSERT_EQUAL(test_stat(&t.host->vm[i]->stats, "faults"), 90);
	}
	test_host_free(&t);
}

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

/* With bytes: the oracle hears of every write and agrees; pages given ids hold them. */
static void writes_have_contents(void)
{
	static uint64_t id[60];
	static bool plain[60];
	struct mix mix = {.wide = 300, .timed = 300, .tick_ns = 1, .pages = 60, .frames = 20};
	size_t words = 20000, n = 0;
	rec_t *word = malloc((words + 2) * sizeof *word);
	struct err err = {0};
	struct bench b;
	struct rng rng;

	rng_init(&rng, test_seed(4), "contents", 0);
	memset(id, 0, sizeof id);
	memset(plain, 0, sizeof plain);
	while (n < words) {
		size_t at = n;
		n += random_record(&rng, &mix, word + n);
		uint32_t page = (uint32_t)rec_page(word[at]), pages = (uint32_t)word[at + 1];
		unsigned kind = rec_kind(word[at]);
		if (kind == REC_WRITE)
			plain[page] = true;
		if (kind == REC_WRITE_ID) {
			id[page] = word[at + 1];
			plain[page] = false;
		}
		for (uint32_t i = 0; kind == REC_UNMAP && i < pages; i++) {
			id[page + i] = 0;
			plain[page + i] = false;
		}
	}
	bench_open(&b, cut(&rng, word, &mix, n),
		   (struct bench_shape){60, 20, "random", "ram", true});
	CU_ASSERT_EQUAL(host_run(b.t.host, &err), 0);
	CU_ASSERT_EQUAL(oracle_check(b.oracle, b.vm, read_page, stdout, &err), 0);
	for (uint32_t i = 0; i < 60; i++)
		CU_ASSERT_TRUE(plain[i] || test_reads_as(b.vm, i, id[i]));
	bench_close(&b);
	free(word);
}

TESTS("traces/replay", {"every kind, small batches", every_kind_in_small_batches},
      {"rare kinds, long batches", rare_kinds_in_long_batches},
      {"operands everywhere", operands_everywhere}, {"bad records", bad_records_are_named},
      {"ranges", ranges_stay_inside}, {"end", nothing_after_the_end},
      {"endless sleep", endless_sleep_is_bad_input},
      {"source fails", a_source_that_fails_ends_the_run}, {"one frame", two_vms_share_one_frame},
      {"contents", writes_have_contents})
