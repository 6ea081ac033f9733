/*
 * What live variants of experiments have in common. Their id is that of the
 * experiment with "-live" behind it, their job and plot script are live.job and
 * live.gp in its folder, and their rows say on what they were measured.
 */
#ifndef BALLAST_EXPERIMENTS_LIVE_VARIANT_H
#define BALLAST_EXPERIMENTS_LIVE_VARIANT_H

#include "core/err.h"

#include <jansson.h>

/* The figure ID-live, whose rows are there (plot_experiment()). */
MUST_CHECK int live_variant_plot(const char *id, const char *dir, json_t *told, struct err *err);

/* Notes: what a live run is, and this one's own job (ID-live.job). */
MUST_CHECK int live_variant_tell(const char *id, json_t *told, struct err *err);

#endif
