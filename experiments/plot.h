/*
 * Figures: rows in a CSV file, drawn by gnuplot from a script beside them.
 *
 * The script of figure NAME is copied to DIR/NAME.gp, reads DIR/NAME.csv and
 * writes to standard output, as SVG or PNG by its variable `format`; so a user
 * can change it and draw again with the command in its first lines.
 */
#ifndef BALLAST_EXPERIMENTS_PLOT_H
#define BALLAST_EXPERIMENTS_PLOT_H

#include "core/err.h"

#include <jansson.h>

/* Copies the program's own file SCRIPT (data_path()) to DIR/NAME.gp. */
MUST_CHECK int plot_script(const char *script, const char *dir, const char *name, struct err *err);

/* Makes DIR/NAME.FORMAT, for the formats "svg" and "png". */
MUST_CHECK int plot_draw(const char *dir, const char *name, const char *format, struct err *err);

/*
 * The figure of experiment ID, whose rows are there: from experiments/ID/plot.gp, in every format.
 * Adds the names of all four files to told.
 */
MUST_CHECK int plot_experiment(const char *id, const char *dir, json_t *told, struct err *err);

/* The same of figure NAME, drawn by the program's own file SCRIPT. */
MUST_CHECK int plot_figure(const char *script, const char *name, const char *dir, json_t *told,
			   struct err *err);

#endif
