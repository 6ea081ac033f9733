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
	bool guest, host; /* map 2 MiB where they can */
	const char *more; /* of the job, or NULL */
};

/* By the reference, in the second half. The parts add up to cycles. */
struct mmu_cost {
	double cycles;
	double tlb, walk, guest, exits, work; /* L2 hits; walks; guest faults; exits; the VMM's */
	double misses, walk_refs, exit_count;
	/* At the end: tables; mappings of 2 MiB, and those broken until then; frames saved by
	   sharing, and pages in use as sampling says, in MB. */
	double table_pages, guest_tables, large, broken, saved, active;
	uint64_t digest; /* of both halves */
};

MUST_CHECK int mmu_point_job(const struct mmu_point *point, uint64_t records, struct job **job,
			     struct err *err);
MUST_CHECK int mmu_point_run(const struct mmu_point *point, struct mmu_cost *cost, struct err *err);

#endif
