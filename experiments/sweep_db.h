/*
 * results.sqlite, where a sweep keeps its runs.
 *
 *   runs    a row per finished run: run, point, seed, a column per axis (numbers
 *           in base units), state (done, failed), error, summary (JSON)
 *   stats   a view of the summaries, tidy: run, name ("vm.a.faults"), value
 *   timing  run, cpu_s, wall_s, node: what differs from time to time
 *   axes    position, key, type, unit
 *   meta    the plan and the version that wrote it
 *
 * Each run is one transaction, so that a kill at any moment loses none that
 * was told finished, and a row is never written twice. One process writes, the
 * sweep's leader; workers send it their results. On a local file system the
 * journal is a write-ahead log, which needs no flush per run; that log needs
 * memory shared between readers, which network file systems do not give, so
 * there it is a rollback journal.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_DB_H
#define BALLAST_EXPERIMENTS_SWEEP_DB_H

#include "experiments/sweep_record.h"

struct sweep_db;

/* Whether DIR holds results, of whatever kind. */
bool sweep_db_there(const char *dir);

/* Makes the tables; an empty file that a kill left is taken over. */
MUST_CHECK int sweep_db_create(const char *dir, const struct plan *plan, struct sweep_db **db,
			       struct err *err);

/* Opens what is there, to write or to read alone. */
MUST_CHECK int sweep_db_open(const char *dir, bool write, struct sweep_db **db, struct err *err);

/* Folds the journal into the one file, if it was written to. NULL is fine. */
void sweep_db_close(struct sweep_db *db);

/* The plan as it was told; NULL with an error where the file is no good. Owned by the caller. */
json_t *sweep_db_plan(struct sweep_db *db, struct err *err);

/* Adds a run, or replaces one that failed. Without db, *record is unchanged. */
MUST_CHECK int sweep_db_put(struct sweep_db *db, const struct plan *plan,
			    const struct record *record, struct err *err);

/*
 * Takes up a plan that is the one kept with more seeds than `from`: every row gets
 * the number that its run has in it. Without db unchanged.
 */
MUST_CHECK int sweep_db_grow(struct sweep_db *db, const struct plan *plan, uint32_t from,
			     struct err *err);

/* Each run that is there, in order; summary is NULL where it has none. Non-zero stops it. */
typedef int sweep_row_fn(void *arg, const struct record *row, struct err *err);
MUST_CHECK int sweep_db_each(struct sweep_db *db, bool summaries, sweep_row_fn *fn, void *arg,
			     struct err *err);

#endif
