/*
 * Sweeps on a cluster: the runs as a Slurm job array, followed and collected.
 *
 * The leader stays what it is on one machine: it alone writes results.sqlite.
 * It submits one array of the runs to do (experiments/sweep_array.h), reads
 * what the tasks write, and asks squeue how they stand; an accounting database
 * is not needed. A run is failed when its task has ended and left no line. A
 * leader that is killed leaves the array running; the next one finds the
 * folder, takes what is there, and follows the array if Slurm still has it. A
 * leader that is told to stop cancels.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_SLURM_H
#define BALLAST_EXPERIMENTS_SWEEP_SLURM_H

#include "experiments/sweep.h"

struct slurm_opts {
	const char *partition, *time; /* as sbatch takes them; NULL: the cluster's default */
	size_t array_size;	      /* tasks at most */
	size_t workers;		      /* at a time in each task; 0: 1 */
};

/* Whether Slurm's commands can be found; -ENOENT with the mend. */
MUST_CHECK int sweep_slurm_there(struct err *err);

/* Does what is to do. stop_fd as in pool_tasks: the array is cancelled, -EINTR. */
MUST_CHECK int sweep_slurm(struct sweep *sweep, const struct slurm_opts *opts, int stop_fd,
			   struct err *err);

/* Takes what arrays of earlier leaders have left; -EBUSY where Slurm still works on one. */
MUST_CHECK int sweep_slurm_leftovers(struct sweep *sweep, struct err *err);

#endif
