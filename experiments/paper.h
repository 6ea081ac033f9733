/*
 * Numbers that a paper's figures show: tables in experiments/paper/.
 *
 * A file is CSV: lines that begin with '#' are comments, then a line of column
 * names, then rows of numbers; an empty field is a point that is not known.
 */
#ifndef BALLAST_EXPERIMENTS_PAPER_H
#define BALLAST_EXPERIMENTS_PAPER_H

#include "core/err.h"

#define PAPER_COLUMNS 16
#define PAPER_ROWS    1024

struct paper {
	size_t columns, rows;
	char column[PAPER_COLUMNS][32];
	double cell[PAPER_ROWS][PAPER_COLUMNS]; /* NAN: not known */
};

/* name: "paper/fig4_sharing.csv". The caller frees the table. */
MUST_CHECK int paper_load(const char *name, struct paper **paper, struct err *err);

/* The row's value in that column; NAN if there is no such row or column. */
double paper_value(const struct paper *paper, size_t row, const char *column);

#endif
