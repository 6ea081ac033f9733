/*
 * What a program inside a guest tells the host: lines on the console.
 *
 *   @ballast NAME t=SECONDS ops=N done=TOTAL steal_ms=M KEY=VALUE...
 *   @ballast NAME end bad=N KEY=VALUE...
 *
 * One a second; live/console.h reads them. t is the guest's time since the
 * program began, ops those since the line before (a guest that stood still is
 * late: a rate is ops by the difference of t), done all there were, so that a
 * line that is lost loses nothing. steal_ms is what the guest's own kernel knows
 * of time in which it was not run (/proc/stat; 0 under TCG, where the host
 * measures it: live/steal.h). A line is one write, so that programs' lines do
 * not mix. One thread.
 */
#ifndef BALLAST_LIVE_GUEST_REPORT_H
#define BALLAST_LIVE_GUEST_REPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPORT_EVERY UINT64_C(1000000000) /* ns */

struct report {
	const char *name;
	uint64_t start_ns, next_ns;
	uint64_t told; /* done, as of the last line */
};

static inline uint64_t report_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void report_start(struct report *r, const char *name)
{
	*r = (struct report){name, report_now(), 0, 0};
	r->next_ns = r->start_ns + REPORT_EVERY;
}

static inline bool report_due(const struct report *r)
{
	return report_now() >= r->next_ns;
}

/* Sleeps until a line is due, at most until the time given. */
static inline void report_wait(const struct report *r, uint64_t until_ns)
{
	uint64_t end = r->next_ns < until_ns ? r->next_ns : until_ns;

	for (uint64_t now = report_now(); now < end; now = report_now()) {
		struct timespec t = {(time_t)((end - now) / 1000000000u),
				     (long)((end - now) % 1000000000u)};
		nanosleep(&t, NULL);
	}
}

/* The eighth number of the line "cpu ...", in ticks of the clock that users see. */
static inline unsigned long long report_steal_ms(void)
{
	unsigned long long steal = 0;
	FILE *f = fopen("/proc/stat", "r");

	if (!f)
		return 0;
	if (fscanf(f, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &steal) != 1)
		steal = 0;
	fclose(f);
	return steal * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK);
}

/* Adds the further values, and writes the line whole. */
static inline void report_write(char *line, size_t size, int n, const char *fmt, va_list ap)
{
	size_t at = n > 0 && (size_t)n < size - 1 ? (size_t)n : size - 2;

	if (*fmt && at < size - 2) {
		line[at++] = ' ';
		int more = vsnprintf(line + at, size - 1 - at, fmt, ap);
		at += more > 0 ? (size_t)more : 0;
		at = at < size - 1 ? at : size - 2;
	}
	line[at++] = '\n';
	fflush(stdout);
	if (write(1, line, at) != (ssize_t)at)
		return; /* nobody listens */
}

/* A line with what has been done so far; fmt "" or "key=%d other=%d". */
__attribute__((format(printf, 3, 4))) static inline void
report_line(struct report *r, uint64_t done, const char *fmt, ...)
{
	uint64_t now = report_now(), ms = (now - r->start_ns) / 1000000;
	char line[400];
	va_list ap;

	int n = snprintf(
		line, sizeof line, "@ballast %s t=%llu.%03u ops=%llu done=%llu steal_ms=%llu",
		r->name, (unsigned long long)(ms / 1000), (unsigned)(ms % 1000),
		(unsigned long long)(done - r->told), (unsigned long long)done, report_steal_ms());
	va_start(ap, fmt);
	report_write(line, sizeof line, n, fmt, ap);
	va_end(ap);
	r->told = done;
	while (r->next_ns <= now)
		r->next_ns += REPORT_EVERY;
}

/* The last line: how many results were wrong. */
__attribute__((format(printf, 3, 4))) static inline void
report_end(const struct report *r, uint64_t bad, const char *fmt, ...)
{
	char line[400];
	va_list ap;

	int n = snprintf(line, sizeof line, "@ballast %s end bad=%llu", r->name,
			 (unsigned long long)bad);
	va_start(ap, fmt);
	report_write(line, sizeof line, n, fmt, ap);
	va_end(ap);
}

#endif
