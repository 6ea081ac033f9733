/*
 * The experiments of `ballast reproduce`: one table.
 *
 * An experiment is a folder experiments/ID/ (jobs, plot script, data), a
 * function that runs it and a line in experiments[]. It writes its files,
 * named ID.*, into a folder that exists, each whole or not at all. It runs in a
 * process of its own beside others, prints nothing, and spreads its runs by
 * parallel_run(), which keeps all of them together to the jobs allowed.
 */
#ifndef BALLAST_EXPERIMENTS_EXPERIMENT_H
#define BALLAST_EXPERIMENTS_EXPERIMENT_H

#include "core/err.h"

#include <jansson.h>

struct experiment {
	const char *id; /* NULL ends the table */
	const char *title;
	/*
	 * Adds to told what it has to tell: "files", the names of those written; and
	 * lines for a reader and expectations (experiments/expect.h), if any.
	 */
	int (*run)(const char *dir, json_t *told, struct err *err);
	/*
	 * Runs on live guests, alone: by name, or where --live is given. One of id
	 * X-live is a variant of X.
	 */
	bool live;
};

extern const struct experiment experiments[];

int replay_curves_run(const char *dir, json_t *told, struct err *err);
int double_paging_run(const char *dir, json_t *told, struct err *err);
int esx_fig2_run(const char *dir, json_t *told, struct err *err);
int esx_fig4_run(const char *dir, json_t *told, struct err *err);
int esx_fig5_run(const char *dir, json_t *told, struct err *err);
int esx_fig6_run(const char *dir, json_t *told, struct err *err);
int esx_ioremap_run(const char *dir, json_t *told, struct err *err);
int esx_fig7_run(const char *dir, json_t *told, struct err *err);
int esx_fig8_run(const char *dir, json_t *told, struct err *err);
int sampler_race_run(const char *dir, json_t *told, struct err *err);
int mmu_modes_run(const char *dir, json_t *told, struct err *err);
int esx_fig2_live_run(const char *dir, json_t *told, struct err *err);
int esx_fig8_live_run(const char *dir, json_t *told, struct err *err);
int balloon_race_run(const char *dir, json_t *told, struct err *err);
int mmu_pages_run(const char *dir, json_t *told, struct err *err);
int free_hints_run(const char *dir, json_t *told, struct err *err);
int tax_sweep_run(const char *dir, json_t *told, struct err *err);
int esx_fig4_live_run(const char *dir, json_t *told, struct err *err);
int esx_fig6_live_run(const char *dir, json_t *told, struct err *err);
int esx_fig7_live_run(const char *dir, json_t *told, struct err *err);
int sharing_scan_run(const char *dir, json_t *told, struct err *err);

#endif
