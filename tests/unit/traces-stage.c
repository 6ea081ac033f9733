/* Renumbering against a slow twin; one VM out of several by hand. */
#include "traces.h"

/* A source over words, lending a few at a time. */
struct fixed {
	struct source source;
	const struct words *words;
	size_t at;
};

static ssize_t fixed_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct fixed *f = (struct fixed *)source;
	size_t n = min_u64(f->words->n - f->at, 1 + f->at % 77);
	rec_t any;

	(void)err;
	if (n < f->words->n - f->at && whole_records(f->words->w + f->at, n, &any) < n)
		n++;
	*batch = f->words->w + f->at;
	f->at += n;
	return (ssize_t)n;
}

static void fixed_close(struct source *source)
{
	free(source);
}

static struct source_progress fixed_progress(const struct source *source)
{
	const struct fixed *f = (const struct fixed *)source;

	return (struct source_progress){f->at, f->words->n};
}

static struct source *source_of(const struct words *words)
{
	static const struct source_ops ops = {fixed_next, fixed_close, fixed_progress};
	struct fixed *f = calloc(1, sizeof *f);

	source_init(&f->source, &ops, "words");
	f->source.info.space = TRACE_VPN;
	f->source.info.vms = 3;
	f->words = words;
	return &f->source;
}

/* ---- renumber ------------------------------------------------------------ */

struct twin {
	uint64_t vm, space[3], numbers[3];
	size_t n;
	struct {
		uint64_t vm, space, page, number;
	} seen[20000];
};

static bool twin_find(struct twin *t, uint64_t page, size_t *at)
{
	for (*at = 0; *at < t->n; ++*at) {
		if (t->seen[*at].vm == t->vm && t->seen[*at].page == page &&
		    t->seen[*at].space == t->space[t->vm])
			return true;
	}
	return false;
}

static uint64_t twin_number(struct twin *t, uint64_t page)
{
	size_t at;

	if (!twin_find(t, page, &at)) {
		t->seen[t->n].vm = t->vm;
		t->seen[t->n].space = t->space[t->vm];
		t->seen[t->n].page = page;
		t->seen[t->n++].number = t->numbers[t->vm]++;
	}
	return t->seen[at].number;
}

static void twin_add(struct twin *t, rec_t r, uint64_t operand, struct words *out)
{
	unsigned kind = rec_kind(r);
	rec_t made[2] = {r & ((UINT64_C(1) << 28) - 1) & ~((uint64_t)REC_DELTA_MAX << 4), operand};
	size_t at;

	if (kind == REC_SWITCH) {
		t->space[t->vm] = rec_page(r);
	} else if (kind == REC_UNMAP) {
		for (uint64_t i = 0; i < operand; i++) {
			rec_t gone[2] = {0, 1};

			if (twin_find(t, rec_page(r) + i, &at)) {
				gone[0] = rec_make(REC_UNMAP, t->seen[at].number, 0);
				words_add(out, gone, 2);
			}
		}
	} else if (kind != REC_MAP && kind != REC_FORK && kind != REC_PROTECT) {
		if (kind == REC_VM)
			t->vm = rec_page(r);
		made[0] |= (rec_has_page(kind) ? twin_number(t, rec_page(r)) : rec_page(r)) << 28;
		words_add(out, made, rec_is_wide(r) ? 2 : 1);
	}
}

static uint64_t time_of(const struct words *words)
{
	uint64_t ticks = 0;

	for (size_t i = 0; i < words->n; i += rec_is_wide(words->w[i]) ? 2 : 1)
		ticks += rec_delta(words->w[i]);
	return ticks;
}

/* Equal to the twin's but for deltas, whose sum stays the same. */
static void test_renumber_twin(void)
{
	static struct twin twin;
	struct words words, want = {0}, got;
	struct trace_info info;
	struct source *source;
	struct rng rng;
	struct err err;

	rng_init(&rng, test_seed(21), "test", 0);
	words = words_random(&rng, 10000, (struct shape){.pages = 400, .delta = 50});
	twin = (struct twin){0};
	for (size_t i = 0; i < words.n; i += rec_is_wide(words.w[i]) ? 2 : 1) {
		if (rec_kind(words.w[i]) == REC_SWITCH) /* few spaces, so that pages come again */
			words.w[i] = rec_make(REC_SWITCH, rec_page(words.w[i]) % 3, 1);
		twin_add(&twin, words.w[i], words.w[i + 1], &want);
	}
	rec_t end = rec_make(REC_END, 0, 0);
	words_add(&words, &end, 1);
	words_add(&want, &end, 1);
	CU_ASSERT_EQUAL_FATAL(source_renumber(source_of(&words), &source, &err), 0);
	CU_ASSERT_EQUAL(words_read(source, &got, &info, &err), 0);
	CU_ASSERT_EQUAL(info.space, TRACE_PPN);
	CU_ASSERT_EQUAL(time_of(&got), time_of(&words));
	CU_ASSERT_EQUAL_FATAL(got.n, want.n);
	for (size_t i = 0; i < got.n; i++) {
		CU_ASSERT_EQUAL(got.w[i] & ~((uint64_t)REC_DELTA_MAX << 4), want.w[i]);
		if (rec_is_wide(got.w[i])) {
			i++;
			CU_ASSERT_EQUAL(got.w[i], want.w[i]);
		}
	}
	words_free(&words);
	words_free(&want);
	words_free(&got);
}

/* A range that takes more records than a batch holds; the time of what is dropped is kept. */
static void test_long_unmap(void)
{
	struct words words = {0}, got;
	struct source *source;
	struct err err;
	uint64_t n = 3 * BATCH_WORDS, ticks = 0;

	for (uint64_t i = 0; i < n; i++) {
		rec_t r = rec_make(REC_READ, REC_PAGE_MAX - i, REC_DELTA_MAX);
		words_add(&words, &r, 1);
	}
	rec_t unmap[] = {rec_make(REC_MAP, 0, REC_DELTA_MAX), 5, /* dropped, but not its time */
			 rec_make(REC_UNMAP, REC_PAGE_MAX - n + 1, REC_DELTA_MAX), n};
	words_add(&words, unmap, 4);
	CU_ASSERT_EQUAL_FATAL(source_renumber(source_of(&words), &source, &err), 0);
	CU_ASSERT_EQUAL(words_read(source, &got, NULL, &err), 0);
	for (size_t i = 0; i < got.n; i += rec_is_wide(got.w[i]) ? 2 : 1)
		ticks += rec_delta(got.w[i]) +
			 (rec_kind(got.w[i]) == REC_SLEEP ? rec_page(got.w[i]) : 0);
	CU_ASSERT_EQUAL(ticks, (n + 2) * REC_DELTA_MAX);
	CU_ASSERT_EQUAL_FATAL(got.n, n + 1 + 2 * n); /* reads, a sleep, unmaps */
	for (uint64_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(rec_page(got.w[n + 1 + 2 * i]), n - 1 - i);
		CU_ASSERT_EQUAL(got.w[n + 2 + 2 * i], 1);
	}
	words_free(&words);
	words_free(&got);
}

static void test_renumber_refused(void)
{
	static const rec_t bad[][2] = {
		{(rec_t)VMS_MAX << 28 | REC_VM, 0},
		{REC_UNMAP, (UINT64_C(1) << 22) + 1},
		{REC_PAGE_MAX << 28 | REC_UNMAP, 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct words words = {0}, got;
		struct source *source;
		struct err err = {0};

		words_add(&words, bad[i], rec_is_wide(bad[i][0]) ? 2 : 1);
		CU_ASSERT_EQUAL_FATAL(source_renumber(source_of(&words), &source, &err), 0);
		CU_ASSERT(words_read(source, &got, NULL, &err) < 0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		words_free(&words);
		words_free(&got);
	}
}

/* ---- one VM -------------------------------------------------------------- */

static void test_only_vm(void)
{
	const rec_t made[] = {
		rec_make(REC_READ, 1, 1),     rec_make(REC_VM, 1, 2),
		rec_make(REC_WRITE_ID, 2, 3), 40,
		rec_make(REC_SLEEP, 50, 0),   rec_make(REC_VM, 0, 4),
		rec_make(REC_MAP, 3, 5),      6,
		rec_make(REC_VM, 1, 6),	      rec_make(REC_READ, 4, 7),
		rec_make(REC_END, 0, 0),
	};
	const rec_t want0[] = {rec_make(REC_READ, 1, 1), rec_make(REC_MAP, 3, 2 + 3 + 50 + 4 + 5),
			       6, rec_make(REC_END, 0, 6 + 7)};
	const rec_t want1[] = {rec_make(REC_WRITE_ID, 2, 1 + 2 + 3), 40, rec_make(REC_SLEEP, 50, 0),
			       rec_make(REC_READ, 4, 4 + 5 + 6 + 7), rec_make(REC_END, 0, 0)};
	struct words words = {0}, got, want[2] = {{0}, {0}};

	words_add(&words, made, ARRAY_LEN(made));
	words_add(&want[0], want0, ARRAY_LEN(want0));
	words_add(&want[1], want1, ARRAY_LEN(want1));
	for (uint32_t vm = 0; vm < 2; vm++) {
		struct source *source;
		struct trace_info info;
		struct err err;

		CU_ASSERT_EQUAL_FATAL(source_only_vm(source_of(&words), vm, &source, &err), 0);
		CU_ASSERT_EQUAL(words_read(source, &got, &info, &err), 0);
		CU_ASSERT_EQUAL(info.vms, 1);
		CU_ASSERT(words_equal(&got, &want[vm]));
		words_free(&got);
		words_free(&want[vm]);
	}
	words_free(&words);
}

/* A VM that is not there: told at once where VMs are counted, else at the end. */
static void test_no_such_vm(void)
{
	const rec_t made[] = {rec_make(REC_READ, 1, 1), rec_make(REC_VM, 1, 2),
			      rec_make(REC_VM, VMS_MAX, 2)};
	struct words words = {0}, got;
	struct source *source, *inner;
	struct err err = {0};

	words_add(&words, made, 2);
	CU_ASSERT_EQUAL_FATAL(source_only_vm(source_of(&words), 2, &source, &err), 0);
	CU_ASSERT_STRING_EQUAL(source_name(source), "words (VM 2)");
	CU_ASSERT_EQUAL(words_read(source, &got, NULL, &err), 0); /* one of three, though idle */
	CU_ASSERT_EQUAL(got.n, 0);
	words_free(&got);
	CU_ASSERT_EQUAL_FATAL(source_only_vm(source_of(&words), 3, &source, &err), 0);
	CU_ASSERT(words_read(source, &got, NULL, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "words: there is no VM 3: it has 3"));
	words_free(&got);
	inner = source_of(&words);
	inner->info.counted = true;
	err = (struct err){0};
	CU_ASSERT(source_only_vm(inner, 3, &source, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	words_add(&words, made + 2, 1);
	CU_ASSERT_EQUAL_FATAL(source_only_vm(source_of(&words), 0, &source, &err), 0);
	CU_ASSERT(words_read(source, &got, NULL, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "words: record 3: VM 4096: at most 4096"));
	words_free(&got);
	words_free(&words);
}

TESTS("traces/stage", {"renumber, twin", test_renumber_twin}, {"long unmap", test_long_unmap},
      {"renumber refused", test_renumber_refused}, {"only one VM", test_only_vm},
      {"no such VM", test_no_such_vm})
