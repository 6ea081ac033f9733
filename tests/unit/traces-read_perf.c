/* perf script's text, as perf 6.1 prints it for page faults, and for perf mem by its manual. */
#include "imports.h"

static void test_sample(void)
{
	static const char text[] =
		"# a comment\n"
		"\n"
		"ls 32390/32390  2553.121220: page-faults:     55d2ec8745c0     55d2ec8745c0 main\n"
		"ls 32390/32390  2553.121230: page-faults:     55d2ec8745c8\n" /* 10 us later */
		"cc1 32400/32400  2553.121225: page-faults: 55d2ec8745c0\n"    /* lags behind */
		"ls 32390/32390  2553.121300: cpu/mem-stores/P: ffff888000001000 x\n"
		"ls 32390/32390  2553.121300: cpu/mem-loads,ldlat=30/P: 0 no address\n"
		"ls 32390/32390  2573.121300: page-faults: 1000";
	const rec_t want[] = {
		rec_make(REC_READ, 0x55d2ec874, 0),
		rec_make(REC_READ, 0x55d2ec874, 10),
		rec_make(REC_SWITCH, 32400, 0),
		rec_make(REC_READ, 0x55d2ec874, 0),
		rec_make(REC_SWITCH, 0, 0),
		rec_make(REC_WRITE, 0x888000001, 70),
		rec_make(REC_SLEEP, 20000000 - REC_DELTA_MAX, 0),
		rec_make(REC_READ, 1, REC_DELTA_MAX),
	};

	import_expect(text, strlen(text), "perf", want, ARRAY_LEN(want));
}

static void test_refused(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"hello\n", "memory:1: 'hello' is no sample of perf script's"},
		{"ls 1/1 1.5: page-faults: 1000\n\t ffff main+0x1\n", "memory:2: '"},
		{"ls 1/1 1.5: page-faults: main+0x1\n", "memory:1: no address behind the event"},
		{"ls 1/1 1.5: page-faults:\n", "memory:1: no address behind the event"},
		{"ls 1/1 1.5: page-faults: 800000000000\n", "800000000000 is no address of 48"},
		{"ls 1/1 0.5: e: 1\nls 1/1 1125899907.0: e: 1\n", "memory:2: 'ls"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		import_refused(cases[i].text, strlen(cases[i].text), "perf", cases[i].message);
}

TESTS("traces/read_perf", {"sample", test_sample}, {"refused", test_refused})
