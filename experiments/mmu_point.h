/*
 * What the experiments on translation have in common: their workloads, and a
 * point, which is one workload in one mode, run for n references and for 2 n, so
 * that the second half is told apart from the start.
 */
#ifndef BALLAST_EXPERIMENTS_MMU_POINT_H
#define BALLAST_EXPERIMENTS_MMU_POINT_H

#include "core/err.h"
#include "core/job.h"

#define MMU_LOADS 4
struct mmu_load {
	const char *law, *name;
};
extern const struct mmu_load mmu_loads[MMU_LOADS];

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

/* n points side by side, under a progress bar of that label. */
typedef struct mmu_point mmu_point_fn(size_t task);
MUST_CHECK int mmu_points_run(const char *id, mmu_point_fn *point, size_t n, struct mmu_cost *cost,
			      struct err *err);

/* Tells of the longer of a point's two runs as a job. */
MUST_CHECK int mmu_point_tell(const struct mmu_point *point, const char *name, json_t *told,
			      struct err *err);

/* Expects that no run differs from what another mode made of the same references. */
void mmu_expect_same(const char *quantity, double differ, json_t *told);

/* The columns of both tables, and a row of them, without an end of line. */
#define MMU_COST_COLUMNS "cycles,tlb,walk,guest_faults,exits,vmm_work,misses,walk_refs"
void mmu_cost_put(FILE *out, const struct mmu_cost *cost);

#endif
