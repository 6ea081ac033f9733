/* DAMON's tracepoint by hand, in the form of the kernel's trace/events/damon.h. */
#include "imports.h"

#define AT(time) "kdamond.0  4452 [000] " time ": damon:damon_aggregated: "

static void test_regions(void)
{
	static const char text[] =
		AT("10.000000") "target_id=7 nr_regions=3 4096-12288: 5 102\n" AT(
			"10.000000") "target_id=7 nr_regions=3 12288-409600: 0 3\n" /* not accessed
										     */
		AT("10.000000") "target_id=7 nr_regions=3 1000000-1000001: 1 0\n"
				"ls 1/1 10.05: page-faults: 1000\n"	    /* another event */
		AT("10.100000") "target_id=8 nr_regions=1 4096-8192: 20\n"; /* without an age */
	const rec_t want[] = {
		rec_make(REC_READ, 1, 0),      rec_make(REC_READ, 2, 0),
		rec_make(REC_READ, 244, 0),    rec_make(REC_SWITCH, 8, 0),
		rec_make(REC_READ, 1, 100000),
	};

	import_expect(text, strlen(text), "damon", want, ARRAY_LEN(want));
}

/* A region of more pages than a batch holds. */
static void test_large(void)
{
	static const char text[] = AT("1.0") "target_id=0 nr_regions=1 0-409600000: 1 1\n";
	enum { N = 100000 };
	rec_t *want = calloc(N, sizeof *want);

	for (uint64_t i = 0; i < N; i++)
		want[i] = rec_make(REC_READ, i, 0);
	import_expect(text, strlen(text), "damon", want, N);
	free(want);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"hello\n", "memory:1: 'hello' is no sample"},
		{AT("1.0") "target_id=0 nr_regions=1 4096-8192:\n", "memory:1: no region behind"},
		{AT("1.0") "target_id=0 nr_regions=1 4096 8192: 1 1\n", "memory:1: no region"},
		{AT("1.0") "target=0 nr_regions=1 4096-8192: 1 1\n", "memory:1: no region"},
		{AT("1.0") "target_id=0 nr_regions=1 8192-8192: 1 1\n",
		 "a region from 8192 to 8192"},
		{AT("1.0") "target_id=0 nr_regions=1 0-140737488355329: 1 1\n", "want addresses"},
		{AT("1.0") "target_id=0 nr_regions=1 0-1099511627777: 1 1\n", "1 TiB at most"},
		{AT("1.0") "target_id=0 nr_regions=1 0-18446744073709551615: 1 1\n", "a region"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		import_refused(cases[i].text, strlen(cases[i].text), "damon", cases[i].message);
}

TESTS("traces/read_damon", {"regions", test_regions}, {"large", test_large},
      {"refused", test_refused})
