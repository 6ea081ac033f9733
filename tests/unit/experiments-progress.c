#include "experiments/progress.h"

#include "test.h"

#include <string.h>

static const struct progress bar = {.label = "replay", .unit = "records"};

static void check_line(uint64_t done, uint64_t total, uint64_t ns, const char *want)
{
	char line[200];

	progress_line(&bar, done, total, ns, line, sizeof line);
	CU_ASSERT_STRING_EQUAL(line, want);
	if (strcmp(line, want) != 0)
		printf("  %s\n", line);
}

static void lines(void)
{
	/* 12.3 M in 2 s is 6.15 M/s; of 50 M that is 24.6 %, 4 cells; 6.13 s are left. */
	check_line(12300000, 50000000, 2000000000,
		   "replay  [####................]  24 %  12.3 M records  6.15 M/s  0:06 left");
	check_line(50, 100, 3600000000000,
		   "replay  [##########..........]  50 %  50 records  0/s  1:00:00 left");
	check_line(100, 100, 1000000000,
		   "replay  [####################] 100 %  100 records  100/s  0:00 left");
}

static void what_is_unknown_is_left_out(void)
{
	check_line(1500, 0, 1000000000, "replay  1.50 k records  1.50 k/s");
	check_line(0, 0, 0, "replay  0 records  0/s");
	check_line(0, 100, 1000000000, "replay  [....................]   0 %  0 records  0/s  ");
}

static void odd_counts_stay_in_bounds(void)
{
	char line[16];

	check_line(200, 100, 1000000000,
		   "replay  [####################] 100 %  200 records  200/s  0:00 left");
	check_line(1, UINT64_MAX, 1000000000,
		   "replay  [....................]   0 %  1 records  1/s  100:00:00 left");
	progress_line(&bar, 1, 2, 3, line, sizeof line);
	CU_ASSERT_EQUAL(strlen(line), sizeof line - 1);
}

/* Standard error is no terminal here: nothing may be drawn. */
static void silent_without_a_terminal(void)
{
	struct progress p;
	char text[8];
	FILE *capture = tmpfile();

	CU_ASSERT_PTR_NOT_NULL_FATAL(capture);
	FILE *saved = stderr;
	CU_ASSERT_PTR_NOT_NULL_FATAL(freopen("/dev/null", "w", stderr));
	stderr = capture;
	progress_start(&p, "replay", "records");
	progress_update(&p, 1, 2);
	progress_end(&p);
	stderr = saved;
	rewind(capture);
	CU_ASSERT_EQUAL(fread(text, 1, sizeof text, capture), 0);
	fclose(capture);
}

TESTS("experiments/progress", {"lines", lines},
      {"what is unknown is left out", what_is_unknown_is_left_out},
      {"odd counts stay in bounds", odd_counts_stay_in_bounds},
      {"silent without a terminal", silent_without_a_terminal})
