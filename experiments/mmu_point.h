/*
 * A point of the experiments on translation: one workload in one mode, run for n
 * references and for 2 n, so that the second half is told apart from the start.
 */
#ifndef BALLAST_EXPERIMENTS_MMU_POINT_H
#define BALLAST_EXPERIMENTS_MMU_POINT_H

#include "core/err.h"
#include "core/job.h"

struct mmu_point {
	const char *law, *mode;
	uint64_t records, pages; /* records of the first half */
	double churn;
};

/* By the reference, in the second half. The parts add up to cycles. */
struct mmu_cost {
	double cycles;
	double tlb, walk, guest, exits, work; /* L2 hits; walks; guest faults; exits; the VMM's */
	double misses, walk_refs, exit_count;
	double table_pages, guest_tables; /* at the end */
	uint64_t digest;		  /* of both halves */
};

MUST_CHECK int mmu_point_job(const struct mmu_point *point, uint64_t records, struct job **job,
			     struct err *err);
MUST_CHECK int mmu_point_run(const struct mmu_point *point, struct mmu_cost *cost, struct err *err);

#endif
