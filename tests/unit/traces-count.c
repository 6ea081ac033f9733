/* Counting distinct pages, against a slow twin over sparse pages, VMs and address spaces. */
#include "traces.h"

struct twin {
	uint64_t vm, space[8], vms, records, writes, pages, highest;
	struct {
		uint64_t vm, space, page;
	} seen[4000];
};

static void twin_touch(struct twin *t, uint64_t page)
{
	uint64_t i = 0, space = t->space[t->vm];

	t->highest = max_u64(t->highest, page);
	while (i < t->pages &&
	       (t->seen[i].vm != t->vm || t->seen[i].space != space || t->seen[i].page != page))
		i++;
	t->seen[i].vm = t->vm;
	t->seen[i].space = space;
	t->seen[i].page = page;
	t->pages += i == t->pages;
}

static void twin_add(struct twin *t, rec_t r, uint64_t operand)
{
	uint64_t page = rec_page(r);
	unsigned kind = rec_kind(r);

	t->records++;
	t->writes += kind == REC_WRITE || kind == REC_WRITE_ID;
	if (kind == REC_VM) {
		t->vm = page;
		t->vms = max_u64(t->vms, page + 1);
	} else if (kind == REC_SWITCH) {
		t->space[t->vm] = page;
	} else if (kind == REC_MAP || kind == REC_UNMAP) {
		if (operand)
			t->highest = max_u64(t->highest, page + operand - 1);
	} else if (kind == REC_READ || kind == REC_WRITE || kind == REC_WRITE_ID ||
		   kind == REC_DMA) {
		twin_touch(t, page);
	}
}

static void test_twin(void)
{
	static const struct shape shapes[] = {
		{.pages = 300}, {.pages = 100000}, {.pages = REC_PAGE_MAX + 1}, {.pages = 1}};
	struct rng rng;

	rng_init(&rng, test_seed(8), "test", 0);
	for (size_t k = 0; k < ARRAY_LEN(shapes); k++) {
		struct words words = words_random(&rng, 4000, shapes[k]);
		static struct twin twin;
		struct trace_info info = {0};
		struct counter *counter;
		uint64_t n_words;
		struct err err;

		twin = (struct twin){.vms = 1};
		CU_ASSERT_EQUAL_FATAL(counter_new(&counter), 0);
		for (size_t i = 0; i < words.n;) {
			size_t n = rec_is_wide(words.w[i]) ? 2 : 1;

			CU_ASSERT_EQUAL(counter_add(counter, words.w + i, n, &err), 0);
			twin_add(&twin, words.w[i], words.w[i + n - 1]);
			i += n;
		}
		counter_result(counter, &info, &n_words);
		CU_ASSERT_EQUAL(n_words, words.n);
		CU_ASSERT_EQUAL(info.records, twin.records);
		CU_ASSERT_EQUAL(info.writes, twin.writes);
		CU_ASSERT_EQUAL(info.pages, twin.pages);
		CU_ASSERT_EQUAL(info.highest_page, twin.highest);
		CU_ASSERT_EQUAL(info.vms, twin.vms);
		counter_free(counter);
		words_free(&words);
	}
}

static void test_out_of_range(void)
{
	static const rec_t bad[][2] = {
		{7},
		{15},
		{(rec_t)VMS_MAX << 28 | REC_VM},
		{REC_PAGE_MAX << 28 | REC_MAP, 2},
		{1 << 28 | REC_UNMAP, UINT64_MAX},
		{REC_PAGE_MAX << 28 | REC_PROTECT, 2 * 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct counter *counter;
		struct err err = {0};

		CU_ASSERT_EQUAL_FATAL(counter_new(&counter), 0);
		CU_ASSERT(counter_add(counter, bad[i], rec_is_wide(bad[i][0]) ? 2 : 1, &err) < 0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "record 1: a VM, a range"));
		counter_free(counter);
	}
}

TESTS("traces/count", {"twin", test_twin}, {"out of range", test_out_of_range})
