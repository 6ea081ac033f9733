#include "guest.h"

/* 65536 pages of 68 + 11 bytes are 1264 pages of structures, and 768 of kernel. */
static void structures(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.pages = 65536, .kernel = 3 << 20, .structures = true});
	CU_ASSERT_EQUAL(t.g->stats.kernel, 768 + 1264 + 1);
	CU_ASSERT_EQUAL(pages_free(t.g), 65536 - 768 - 1264 - 1);
	CU_ASSERT_EQUAL(t.vm->pmap->count[PAGE_PRIVATE], 768 + 1264 + 1);
	guest_free(&t);
	guest_new(&t, (struct guest_shape){.pages = 32768, .kernel = 3 << 20, .structures = true});
	CU_ASSERT_EQUAL(t.g->stats.kernel, 768 + 632 + 1);
	guest_free(&t);
	guest_new(&t, (struct guest_shape){.pages = 32768, .kernel = 3 << 20});
	CU_ASSERT_EQUAL(t.g->stats.kernel, 768 + 1);
	guest_free(&t);
}

/* Windows clears all that is free; it takes as long as booting takes. */
static void zeroing(void)
{
	struct test_guest t;
	uint64_t boot_ns = UINT64_C(20000000000);

	guest_new(&t, (struct guest_shape){.os = "windows", .kernel = 1 << 20, .boot_ns = boot_ns});
	CU_ASSERT_EQUAL(t.g->stats.zeroed, 8192 - 256 - 1);
	CU_ASSERT_EQUAL(t.vm->pmap->count[PAGE_PRIVATE], 8192);
	for (uint32_t i = 256; i < 8192; i += 100)
		CU_ASSERT(test_reads_as(t.vm, i, 0));
	CU_ASSERT(t.vm->time_ns > boot_ns / 32 * 31 && t.vm->time_ns <= boot_ns);
	CU_ASSERT_EQUAL(t.g->stats.booted, 1);
	guest_free(&t);
}

/* Kernel text is the same in two guests of a name, page by page, and differs between pages. */
static void text(void)
{
	struct test_guest a, b, w;

	guest_new(&a, (struct guest_shape){.kernel = 1 << 20});
	guest_new(&b, (struct guest_shape){.kernel = 1 << 20, .pages = 4096});
	guest_new(&w, (struct guest_shape){.kernel = 1 << 20, .os = "windows"});
	const struct machine *m[] = {a.t.m, b.t.m, w.t.m};
	uint64_t same = 0, other = 0, last = 0;
	for (uint32_t i = 0; i < 256; i++) {
		uint64_t x = m[0]->ids[pte_value(test_entry(a.vm, i))];
		same += x == m[1]->ids[pte_value(test_entry(b.vm, i))];
		other += x == m[2]->ids[pte_value(test_entry(w.vm, i))];
		last += x == 0 || x == m[0]->ids[pte_value(test_entry(a.vm, (i + 1) % 256))];
	}
	CU_ASSERT_EQUAL(same, 256);
	CU_ASSERT_EQUAL(other, 0);
	CU_ASSERT_EQUAL(last, 0);
	guest_free(&a);
	guest_free(&b);
	guest_free(&w);
}

static void too_small(void)
{
	struct test_guest t;
	struct err err = {0};

	CU_ASSERT(guest_open(&t, (struct guest_shape){.pages = 700, .kernel = 3 << 20}, &err) < 0);
	CU_ASSERT(test_one_line(&err));
	CU_ASSERT_EQUAL(err.exit_code, 2);
	test_host_free(&t.t);
}

TESTS("traces/guest_boot", {"structures", structures}, {"zeroing", zeroing}, {"text", text},
      {"too small", too_small})
