/*
 * The answer of a sweep that comes with the program, out of its own results.
 *
 * An answer is a list of statements in experiments/sweeps/sweeps.json. Each has
 * words with places for figures ("say": "takes {times} times as long"), what
 * the figures are ("with": {"times": SQL}), and what must hold of them for the
 * words to be true ("expect": SQL). So an answer cannot contradict the figures
 * beside it: they are of the runs at hand, whatever their seeds, axes or job,
 * and words that do not hold are told as such.
 *
 * The SQL is SQLite's, over two tables of the metrics that the entry names:
 *
 *   points  a column per axis (as in results.sqlite), a column per metric: the mean
 *   runs    the same for each run that is done, with its seed
 *   at('host.time_ns', 'swap.victim=lru', 'host.memory=4mb')  one mean of points
 *
 * What a sweep has no runs for is NULL there, and a statement that comes out
 * NULL is one that it does not ask about.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_ANSWER_H
#define BALLAST_EXPERIMENTS_SWEEP_ANSWER_H

#include "experiments/sweep_table.h"

/*
 * *told: [{"text": "..", "holds": true}], owned by the caller. Where the sweep
 * does not ask, text is NULL and holds null. -EUCLEAN if the entry is no good.
 */
MUST_CHECK int answer_tell(const json_t *entry, struct sweep_db *db, const struct plan *plan,
			   json_t **told, struct err *err);

#endif
