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

#include "experiments/bench_bare.h"

#include "core/err.h"
#include "traces/traces.h"

#include <jansson.h>

struct bench_args {
	const char *peer; /* --peer: a program to measure against, or NULL */
};

struct bench {
	const char *name; /* NULL ends the table */
	const char *help; /* one line */
	int (*run)(const struct bench_args *args, json_t *out, struct err *err); /* 0 or -errno */
	bool apart; /* run when it is named, and not with all others: it takes minutes */
};

extern const struct bench benches[];

int bench_replay(const struct bench_args *args, json_t *out, struct err *err);
int bench_full(const struct bench_args *args, json_t *out, struct err *err);
int bench_guest(const struct bench_args *args, json_t *out, struct err *err);
int bench_mmu(const struct bench_args *args, json_t *out, struct err *err);
int bench_linux(const struct bench_args *args, json_t *out, struct err *err);
int bench_live(const struct bench_args *args, json_t *out, struct err *err);
int bench_sharing(const struct bench_args *args, json_t *out, struct err *err);

/* A trace in a file without a name, which goes when this process does. */
struct bench_trace {
	char path[64];
	int fd;
	uint32_t *ref; /* the same as bare references */
	struct bare_trace bare;
};

/* Spools at most `most` references of the source, which is closed, in that format. */
MUST_CHECK int bench_trace_make(struct source *source, const char *format, size_t most,
				struct bench_trace *trace, struct err *err);
void bench_trace_drop(struct bench_trace *trace);

/* Runs a program to its end: what it printed, up to size - 1 bytes, and its CPU time. */
MUST_CHECK int bench_program(char *const argv[], char *out, size_t size, uint64_t *cpu_ns,
			     struct err *err);

/*
 * Has the kernel's KSM share `pages` pages that fill() makes, `merges` of which
 * it can merge, and says how much CPU time its thread took. Its settings are
 * restored, on a signal too. -ENOTSUP where KSM is not there or not ours to use.
 */
int bench_ksm(size_t pages, size_t merges, void (*fill)(void *arg, size_t page, uint8_t *bytes),
	      void *arg, uint64_t *cpu_ns, struct err *err);

#endif
