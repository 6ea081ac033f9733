/*
 * Scripts of which the program writes the head and a file the rest.
 *
 * The head sets variables (texts, arrays) that the rest, one of
 * experiments/plots/, draws by; both lie in one script, to be changed and
 * drawn again.
 */
#ifndef BALLAST_EXPERIMENTS_PLOT_HEAD_H
#define BALLAST_EXPERIMENTS_PLOT_HEAD_H

#include "experiments/outdir.h"

#include <jansson.h>

/* DIR/NAME.gp with its first lines; rows are in DIR/NAME.csv. */
MUST_CHECK int plot_head(const char *dir, const char *name, struct draft **draft, struct err *err);

/* name = 'text', whatever the text holds. */
void plot_set(struct draft *draft, const char *name, const char *text);
void plot_number(struct draft *draft, const char *name, double value);

/* array name[n] = [..] */
void plot_array(struct draft *draft, const char *name, const char *const *texts, size_t n);

/* Adds experiments/plots/BODY.gp, draws SVG and PNG; the names of all four files go to files. */
MUST_CHECK int plot_body(struct draft *draft, const char *body, const char *dir, const char *name,
			 json_t *files, struct err *err);

#endif
