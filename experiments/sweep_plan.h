/*
 * The plan of a sweep: a job, the axes of a grid, seeds; every run by number.
 *
 * Run r is seed r % seeds + 1 of point r / seeds; points count through the
 * grid with the last axis fastest. Seed k adds k - 1 to every `seed` key of the
 * job (host, generators), so that seed 1 is the job as it stands and two
 * generators that the job tells apart stay apart; all points see the same
 * draws under the same seed. Axes and pins leave their keys alone.
 *
 * The plan is told whole as JSON (keys that the job gives, axes, seeds, hashes
 * of the traces, version): what a resumed sweep is compared with, and all that
 * a worker on another machine needs. Two plans that tell the same make the
 * same rows.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_PLAN_H
#define BALLAST_EXPERIMENTS_SWEEP_PLAN_H

#include "experiments/sweep_axis.h"

#define PLAN_AXES_MAX 12
#define PLAN_RUNS_MAX 10000000

struct plan {
	struct job *job; /* without axes and seeds */
	json_t *told;
	struct axis axis[PLAN_AXES_MAX];
	size_t axes;
	uint32_t seeds;
	uint64_t points, runs; /* runs = points * seeds */
};

/* What a user says; words are borrowed. */
struct plan_args {
	const char *job;	/* a file */
	const char *const *set; /* [sets] assignments */
	const char *const *vary;
	const char *const *pin; /* [pins] seed keys that stay as the job says */
	size_t sets, varied, pins;
	uint32_t seeds;
};

MUST_CHECK int plan_new(const struct plan_args *args, struct plan **plan, struct err *err);

/* From what plan->told was. */
MUST_CHECK int plan_from(const json_t *told, struct plan **plan, struct err *err);
void plan_free(struct plan *plan); /* NULL is fine */

/*
 * -EINVAL with the first difference in words, of a plan that is kept and one that
 * is asked for. How many seeds they have is left aside: seed k of a point is the
 * same run in both.
 */
MUST_CHECK int plan_same(const json_t *kept, const json_t *asked, struct err *err);

/* -EINVAL if it is another version's, whose runs may have other results. */
MUST_CHECK int plan_same_version(const json_t *kept, struct err *err);

/* That the traces are what they were. */
MUST_CHECK int plan_check_traces(const struct plan *plan, struct err *err);

static inline uint64_t plan_point(const struct plan *plan, uint64_t run)
{
	return run / plan->seeds;
}

static inline uint32_t plan_seed(const struct plan *plan, uint64_t run)
{
	return (uint32_t)(run % plan->seeds) + 1;
}

/* Which value of an axis a point has. */
size_t plan_index(const struct plan *plan, uint64_t point, size_t axis);

/* Makes the job that of a run. */
MUST_CHECK int plan_apply(const struct plan *plan, uint64_t run, struct job *job, struct err *err);

/* {"swap.victim": "lru", "host.memory": 4194304}: numbers in base units. */
json_t *plan_point_json(const struct plan *plan, uint64_t point);

/* "swap.victim=lru host.memory=4mb": for people. Cut where buf ends. */
void plan_point_text(const struct plan *plan, uint64_t point, char *buf, size_t size);

#endif
