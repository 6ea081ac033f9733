/* Lines of perf script in the forms that its options make. */
#include "traces/events.h"

#include "imports.h"

static void test_parse(void)
{
	static const struct {
		const char *line;
		uint64_t pid, us;
		const char *name, *rest;
	} cases[] = {
		{"ls 32390/32391  2553.121220: page-faults:     55d2ec8745c0 7f00 ip", 32390,
		 2553121220, "page-faults", "55d2ec8745c0 7f00 ip"},
		{"Web Content 12/13 [003] 7.5: 1 exceptions:page_fault_user: x", 12, 7500000,
		 "exceptions:page_fault_user", "x"},
		{"kdamond.0  4452 [000] 82877.315633: damon:damon_aggregated: target_id=0", 4452,
		 82877315633, "damon:damon_aggregated", "target_id=0"},
		{" 1 0.000000001: e: ", 1, 0, "e", ""},
		{"12.5: cpu/mem-loads,ldlat=30/P: 1", 0, 12500000, "cpu/mem-loads,ldlat=30/P", "1"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct event ev;
		CU_ASSERT_FATAL(event_parse(cases[i].line, strlen(cases[i].line), &ev));
		CU_ASSERT_EQUAL(ev.pid, cases[i].pid);
		CU_ASSERT_EQUAL(ev.us, cases[i].us);
		CU_ASSERT_EQUAL(ev.name_bytes, strlen(cases[i].name));
		CU_ASSERT_NSTRING_EQUAL(ev.name, cases[i].name, strlen(cases[i].name));
		CU_ASSERT_EQUAL((size_t)(ev.end - ev.rest), strlen(cases[i].rest));
		CU_ASSERT_NSTRING_EQUAL(ev.rest, cases[i].rest, strlen(cases[i].rest));
	}
}

static void test_no_event(void)
{
	static const char *const lines[] = {
		"",
		"hello world",
		"ls 1/1 2553.12: page-faults",
		"ls 1/1 2553: page-faults: 1",
		"ls 1/1 .5: e: 1",
		"ls 1/1 5.: e: 1",
		"ls 1/1 5.1234567890: e: 1",
		"ls 1/1 99999999999999999999.5: e: 1",
		"5.5:e: 1",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct event ev;
		CU_ASSERT_FALSE(event_parse(lines[i], strlen(lines[i]), &ev));
	}
}

static void test_first_line(void)
{
	CU_ASSERT_EQUAL(text_line_bytes((const uint8_t *)"abc\ndef\n", 8), 3);
	CU_ASSERT_EQUAL(text_line_bytes((const uint8_t *)"abc", 3), 0);
	CU_ASSERT_EQUAL(text_line_bytes((const uint8_t *)"# c\n", 4), 0);
	CU_ASSERT_EQUAL(text_line_bytes((const uint8_t *)"\nabc\n", 5), 0);
}

TESTS("traces/events", {"parse", test_parse}, {"no event", test_no_event},
      {"first line", test_first_line})
