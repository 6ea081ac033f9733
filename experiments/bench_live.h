/*
 * What `bench live` measures, of a live host and of the system calls alone.
 *
 * A round touches every page of a guest for the first time, evicts them, has
 * them touched again, samples them, and so on; each figure is the median of the
 * rounds, in ns a page. The bare guest is a process with its memory registered,
 * whose faults are answered by nothing but the calls that it takes.
 */
#ifndef BALLAST_EXPERIMENTS_BENCH_LIVE_H
#define BALLAST_EXPERIMENTS_BENCH_LIVE_H

#include "core/err.h"

#define BENCH_PAGES  4096
#define BENCH_ROUNDS 7
#define BENCH_RUN    16 /* neighbours that are evicted together */

enum bench_what {
	BENCH_MISSING, /* a first touch, each by itself */
	BENCH_AROUND8, /* with 8 pages mapped at each */
	BENCH_AROUND16,
	BENCH_EVICT,
	BENCH_SWAP_IN,
	BENCH_SAMPLE,  /* taking the mapping away */
	BENCH_SAMPLED, /* and the touch that finds it gone */
	BENCH_WHATS
};

typedef double bench_figures[BENCH_WHATS][BENCH_ROUNDS];

struct bench_bare;

/* A bare guest, and one round of its figures. 0 or -errno with a message. */
MUST_CHECK int bench_bare_open(struct bench_bare **bare, struct err *err);
MUST_CHECK int bench_bare_round(const struct bench_bare *bare, bench_figures ns, size_t round,
				struct err *err);
void bench_bare_close(struct bench_bare *bare); /* NULL is fine */

#endif
