/*
 * What a sweep's figure looks like, by the shape of its grid.
 *
 *   one axis of numbers        lines with intervals, one per value of a word axis
 *   two or more                a heat map over the two that have most values
 *   none                       bars, grouped where there are two axes
 *
 * Axes beyond these make panels; an axis of one value is none.
 */
#ifndef BALLAST_EXPERIMENTS_SWEEP_SHAPE_H
#define BALLAST_EXPERIMENTS_SWEEP_SHAPE_H

#include "experiments/sweep_plan.h"

#define SHAPE_PANELS_MAX 12
#define SHAPE_SERIES_MAX 16
#define SHAPE_NONE	 SIZE_MAX

enum shape_kind { SHAPE_NOTHING, SHAPE_LINES, SHAPE_BARS, SHAPE_HEAT };

struct shape {
	enum shape_kind kind; /* NOTHING: one point, or too many panels */
	size_t x, y, series;  /* axes, or SHAPE_NONE; y is a heat map's */
	size_t panel[PLAN_AXES_MAX], panel_axes;
	size_t panels; /* the product of theirs, at least 1 */
};

void shape_of(const struct plan *plan, struct shape *shape);

/* A number's unit for people, by the largest of an axis: value / *scale in *unit ("" for none). */
void shape_scale(const struct axis *axis, double *scale, const char **unit);

/* Whether an axis is drawn by its logarithm: positive, in steps that grow. */
bool shape_log(const struct axis *axis);

#endif
