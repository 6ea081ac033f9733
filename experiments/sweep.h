/*
 * A sweep under way: its plan, where its results lie, what is done and failed.
 *
 * The leader (this process) alone writes results.sqlite. It hands runs to
 * workers on this machine (sweep_local()) or to Slurm (sweep_slurm()), takes
 * their records as they come, in any order, and keeps each before it counts
 * it. Whatever happens to leader or workers, what is in results.sqlite is
 * done, and the rest is to do: resuming needs no other book-keeping. A run
 * that fails is recorded and stops no other.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_H
#define BALLAST_EXPERIMENTS_SWEEP_H

#include "experiments/metric.h"
#include "experiments/progress.h"
#include "experiments/sweep_db.h"

struct sweep {
	const char *dir; /* borrowed */
	struct plan *plan;
	struct sweep_db *db;
	int lock_fd;
	uint8_t *done;		/* a bit per run */
	uint64_t ended, failed; /* of all runs; before: ended when this process began */
	uint64_t before, cursor;
	const struct metric *metrics; /* that every summary should have, or NULL */
	size_t n_metrics;
	bool checked; /* a summary had them */
	struct progress progress;
};

struct sweep_choice {
	const char *dir;
	bool resume;	/* go on where results are */
	bool retry;	/* runs that failed are to do again */
	uint32_t seeds; /* of a sweep that goes on: so many now, if not 0 */
};

/*
 * Begins a sweep in a folder that exists, or goes on with the one there. plan
 * may be NULL where one resumes: then it is the one kept there. More seeds than
 * that has are added to it; nothing else of it changes. Takes plan over.
 */
MUST_CHECK int sweep_open(const struct sweep_choice *choice, struct plan *plan, struct sweep *sweep,
			  struct err *err);
void sweep_close(struct sweep *sweep);

/* The next run that is not done; false when there is none behind the last one given. */
bool sweep_next(struct sweep *sweep, uint64_t *run);
bool sweep_is_done(const struct sweep *sweep, uint64_t run);

/* Keeps a record. One of a run that is done already is dropped. */
MUST_CHECK int sweep_take(struct sweep *sweep, const struct record *record, struct err *err);

/*
 * Does what is to do, by so many workers at a time (0: the cores). stop_fd as
 * in pool_tasks: -EINTR.
 */
MUST_CHECK int sweep_local(struct sweep *sweep, size_t workers, int stop_fd, struct err *err);

#endif
