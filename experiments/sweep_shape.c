#include "experiments/sweep_shape.h"

/* The axis with most values that is numeric, or not, and is not taken; the first of equals. */
static size_t widest(const struct plan *plan, bool numeric, size_t taken)
{
	size_t best = SHAPE_NONE;

	for (size_t a = 0; a < plan->axes; a++) {
		if (axis_numeric(&plan->axis[a]) != numeric || plan->axis[a].n < 2 || a == taken)
			continue;
		if (best == SHAPE_NONE || plan->axis[a].n > plan->axis[best].n)
			best = a;
	}
	return best;
}

static size_t first_word(const struct plan *plan, size_t taken)
{
	for (size_t a = 0; a < plan->axes; a++) {
		if (!axis_numeric(&plan->axis[a]) && plan->axis[a].n >= 2 && a != taken &&
		    plan->axis[a].n <= SHAPE_SERIES_MAX)
			return a;
	}
	return SHAPE_NONE;
}

static void choose(const struct plan *plan, struct shape *s)
{
	s->x = widest(plan, true, SHAPE_NONE);
	if (s->x == SHAPE_NONE) {
		s->x = widest(plan, false, SHAPE_NONE);
		s->kind = s->x == SHAPE_NONE ? SHAPE_NOTHING : SHAPE_BARS;
		s->series = first_word(plan, s->x);
		return;
	}
	s->y = widest(plan, true, s->x);
	s->kind = s->y == SHAPE_NONE ? SHAPE_LINES : SHAPE_HEAT;
	if (s->kind == SHAPE_LINES)
		s->series = first_word(plan, SHAPE_NONE);
}

void shape_of(const struct plan *plan, struct shape *s)
{
	*s = (struct shape){.x = SHAPE_NONE, .y = SHAPE_NONE, .series = SHAPE_NONE, .panels = 1};
	choose(plan, s);
	for (size_t a = 0; a < plan->axes && s->panels <= SHAPE_PANELS_MAX; a++) {
		if (plan->axis[a].n < 2 || a == s->x || a == s->y || a == s->series)
			continue;
		s->panel[s->panel_axes++] = a;
		s->panels *= plan->axis[a].n;
	}
	if (s->panels > SHAPE_PANELS_MAX)
		s->kind = SHAPE_NOTHING;
}

void shape_scale(const struct axis *axis, double *scale, const char **unit)
{
	static const struct {
		double least;
		const char *unit;
	} sizes[] = {{0x1p30, "GiB"}, {0x1p20, "MiB"}, {0x1p10, "KiB"}, {1, "bytes"}},
	  times[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
	double most = 0;
	size_t i = 0;

	for (size_t k = 0; k < axis->n; k++)
		most = axis->number[k] > most ? axis->number[k] : most;
	*scale = 1;
	*unit = "";
	if (axis->type == OPT_BYTES) {
		while (i < 3 && most < sizes[i].least)
			i++;
		*scale = sizes[i].least;
		*unit = sizes[i].unit;
	} else if (axis->type == OPT_TIME) {
		while (i < 3 && most < times[i].least)
			i++;
		*scale = times[i].least;
		*unit = times[i].unit;
	}
}

bool shape_log(const struct axis *axis)
{
	double least = 0, largest = 0;

	if (axis->n < 3 || axis->number[0] <= 0)
		return false;
	for (size_t i = 1; i < axis->n; i++) {
		double step = axis->number[i] - axis->number[i - 1];
		if (step <= 0)
			return false;
		least = i == 1 || step < least ? step : least;
		largest = step > largest ? step : largest;
	}
	return axis->number[axis->n - 1] >= 8 * axis->number[0] && largest >= 3 * least;
}
