#include "experiments/progress.h"

#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

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

/* What a bar of five updates, 50 ms apart, writes to standard error if that is fd. */
static void draw_to(int fd)
{
	struct progress p;
	int saved = dup(STDERR_FILENO);

	CU_ASSERT_FATAL(saved >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	progress_start(&p, "replay", "records");
	for (unsigned i = 0; i < 5; i++) {
		usleep(50000);
		for (int k = 0; k < 1000; k++)
			progress_update(&p, i, 10);
	}
	progress_end(&p);
	CU_ASSERT_FATAL(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
}

static void silent_without_a_terminal(void)
{
	FILE *capture = tmpfile();
	char text[8];

	CU_ASSERT_PTR_NOT_NULL_FATAL(capture);
	draw_to(fileno(capture));
	CU_ASSERT_EQUAL(fread(text, 1, sizeof text, capture), 0);
	fclose(capture);
}

/* What has come through a terminal, until it is quiet for a while; its length. */
static size_t drawn_text(int master, char *text, size_t size)
{
	struct pollfd ready = {.fd = master, .events = POLLIN};
	size_t n = 0;

	while (n < size - 1 && poll(&ready, 1, 300) > 0) {
		ssize_t got = read(master, text + n, size - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	return n;
}

/* On a terminal: drawn at most ten times a second, and erased at the end. */
static void drawn_on_a_terminal(void)
{
	static const char erase[] = "\r\033[K";
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	if (master < 0 || grantpt(master) || unlockpt(master))
		SKIP("no pseudo terminal");
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	CU_ASSERT_FATAL(slave >= 0);
	char text[4096] = "";
	setenv("TERM", "xterm", 1);
	draw_to(slave);
	size_t n = drawn_text(master, text, sizeof text);
	CU_ASSERT_FATAL(n > 2 * strlen(erase));
	CU_ASSERT_EQUAL(strncmp(text, "\r\033[Kreplay  [", 13), 0);
	CU_ASSERT_STRING_EQUAL(text + n - strlen(erase), erase);
	unsigned drawn = 0;
	for (const char *p = text; (p = strstr(p, "replay")); p++)
		drawn++;
	/* 250 ms and what the machine adds; each drawing 100 ms after the one before. */
	CU_ASSERT(drawn >= 1 && drawn <= 5);

	setenv("TERM", "dumb", 1);
	draw_to(slave);
	CU_ASSERT_EQUAL(drawn_text(master, text, sizeof text), 0);
	close(slave);
	close(master);
}

TESTS("experiments/progress", {"lines", lines},
      {"what is unknown is left out", what_is_unknown_is_left_out},
      {"odd counts stay in bounds", odd_counts_stay_in_bounds},
      {"silent without a terminal", silent_without_a_terminal},
      {"drawn on a terminal", drawn_on_a_terminal})
