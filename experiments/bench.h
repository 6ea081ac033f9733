/*
 * Benches: how fast the parts are, beside what they are measured against.
 *
 * A bench measures everything it compares in one run on one machine, since
 * speeds move from hour to hour and only ratios stand. It is a function and a
 * line in benches[] (cmd_bench.c), and fills a JSON object: what --json prints,
 * and a line per key otherwise. Never run as a test: nothing here passes or
 * fails by its speed.
 */
#ifndef BALLAST_EXPERIMENTS_BENCH_H
#define BALLAST_EXPERIMENTS_BENCH_H

#include "core/err.h"

#include <jansson.h>

struct bench_args {
	const char *peer; /* --peer: a program to measure against, or NULL */
};

struct bench {
	const char *name; /* NULL ends the table */
	const char *help; /* one line */
	int (*run)(const struct bench_args *args, json_t *out, struct err *err); /* 0 or -errno */
};

extern const struct bench benches[];

int bench_replay(const struct bench_args *args, json_t *out, struct err *err);

#endif
