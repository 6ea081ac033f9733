/*
 * What live variants of experiments have in common. Their id is that of the
 * experiment with "-live" behind it, their job and plot script are live.job and
 * live.gp in its folder, and their rows say on what they were measured.
 */
#ifndef BALLAST_EXPERIMENTS_LIVE_VARIANT_H
#define BALLAST_EXPERIMENTS_LIVE_VARIANT_H

#include "core/err.h"

#include <jansson.h>
#include <stdint.h>

#define LIVE_DISK_PATH 40

/* The figure ID-live, whose rows are there (plot_experiment()). */
MUST_CHECK int live_variant_plot(const char *id, const char *dir, json_t *told, struct err *err);

/* Notes: what a live run is, and this one's own job (ID-live.job). */
MUST_CHECK int live_variant_tell(const char *id, json_t *told, struct err *err);

/*
 * An empty disk for a guest. The path leads to it as long as the caller keeps fd
 * open; then nothing is left of it, however the program ends.
 */
MUST_CHECK int live_variant_disk(int64_t bytes, int *fd, char path[LIVE_DISK_PATH],
				 struct err *err);

#endif
