/*
 * A job array of a sweep, as a folder that its tasks and the leader share:
 * DIR/slurm/NAME, NAME the array's name in Slurm, which nobody else has.
 *
 *   array.json   the plan, the runs to do, how many tasks do them
 *   task.sh      what Slurm starts for each
 *   T.jsonl      records of task T, a line each (experiments/sweep_record.h)
 *   T.err        what it complained about
 *
 * Task T does runs T, T + tasks, .. of the list. A file has one writer, which
 * appends whole lines, and one reader, which takes whole lines, so that a file
 * system shared by machines needs no lock. A task that Slurm starts again goes
 * on behind the lines that it left.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_ARRAY_H
#define BALLAST_EXPERIMENTS_SWEEP_ARRAY_H

#include "experiments/sweep.h"

#include <limits.h>

#define ARRAY_NAME_MAX	32
#define ARRAY_STATE_MAX 24

struct array {
	char name[ARRAY_NAME_MAX], dir[PATH_MAX];
	uint64_t *run; /* [runs] */
	size_t runs, tasks;
	size_t *offset;			/* [tasks] read so far of each file */
	char (*state)[ARRAY_STATE_MAX]; /* [tasks] what Slurm said last; "" nothing yet */
	bool live;			/* Slurm knows of tasks that have not ended */
};

/* Makes the folder for the sweep's open runs but those in taken (a bit per run, or NULL). */
MUST_CHECK int array_make(const struct sweep *sweep, const uint8_t *taken, size_t most_tasks,
			  size_t workers, struct array *array, struct err *err);

/* Reads array.json of a folder that is there. */
MUST_CHECK int array_load(const struct sweep *sweep, const char *name, struct array *array,
			  struct err *err);
void array_release(struct array *array);

/* Takes what tasks have written since; *n: records. */
MUST_CHECK int array_collect(struct array *array, struct sweep *sweep, size_t *n, struct err *err);

/* Records as failed the runs of tasks that left none, with what Slurm says of the task. */
MUST_CHECK int array_give_up(const struct array *array, struct sweep *sweep, struct err *err);

/* Removes the folder. */
void array_remove(const struct array *array);

/* The task's side: its part of the runs. */
MUST_CHECK int array_task(const char *dir, size_t task, struct err *err);

#endif
