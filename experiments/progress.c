#include "experiments/progress.h"

#include "core/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_NS 100000000u
#define BAR_CELLS   20

void progress_start(struct progress *p, const char *label, const char *unit)
{
	const char *term = getenv("TERM");

	*p = (struct progress){
		.on = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0,
		.label = label,
		.unit = unit,
		.start_ns = os_mono_ns(),
	};
	p->drawn_ns = p->start_ns; /* what is done in a moment shows no bar */
}

/* 1234567 as "1.23 M". */
static void short_number(char *buf, size_t size, double value)
{
	static const char *const suffixes[] = {"", " k", " M", " G", " T"};
	size_t i = 0;

	while (value >= 999.5 && i + 1 < ARRAY_LEN(suffixes)) {
		value /= 1000;
		i++;
	}
	int decimals = i == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
	snprintf(buf, size, "%.*f%s", decimals, value, suffixes[i]);
}

static void time_left(char *buf, size_t size, double seconds)
{
	unsigned s = seconds < 360000 ? (unsigned)(seconds + 0.5) : 360000;

	if (s >= 3600)
		snprintf(buf, size, "%u:%02u:%02u left", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(buf, size, "%u:%02u left", s / 60, s % 60);
}

void progress_line(const struct progress *p, uint64_t done, uint64_t total, uint64_t elapsed_ns,
		   char *buf, size_t size)
{
	char count[24], rate[24], left[32] = "", bar[BAR_CELLS + 1];
	double seconds = (double)elapsed_ns / 1e9;
	double per_second = elapsed_ns ? (double)done / seconds : 0;

	short_number(count, sizeof count, (double)done);
	short_number(rate, sizeof rate, per_second);
	if (total == 0) {
		snprintf(buf, size, "%s  %s %s  %s/s", p->label, count, p->unit, rate);
		return;
	}
	double share = done < total ? (double)done / (double)total : 1;
	size_t cells = (size_t)(share * BAR_CELLS);
	memset(bar, '.', BAR_CELLS);
	memset(bar, '#', cells);
	bar[BAR_CELLS] = '\0';
	if (done > 0)
		time_left(left, sizeof left, seconds / share - seconds);
	snprintf(buf, size, "%s  [%s] %3u %%  %s %s  %s/s  %s", p->label, bar,
		 (unsigned)(share * 100), count, p->unit, rate, left);
}

void progress_update(struct progress *p, uint64_t done, uint64_t total)
{
	char line[160];

	if (!p->on)
		return;
	uint64_t now = os_mono_ns();
	if (now - p->drawn_ns < INTERVAL_NS)
		return;
	p->drawn_ns = now;
	progress_line(p, done, total, now - p->start_ns, line, sizeof line);
	fprintf(stderr, "\r\033[K%s", line);
	fflush(stderr);
}

void progress_clear(struct progress *p)
{
	if (p->on && p->drawn_ns != p->start_ns) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
}

void progress_end(struct progress *p)
{
	progress_clear(p);
	p->on = false;
}
