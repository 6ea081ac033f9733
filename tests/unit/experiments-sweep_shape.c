/* Which figure a grid gets, in which units. */
#include "experiments/sweep_shape.h"

#include "test.h"

#include <string.h>

static double ramp[64];

static struct axis words(size_t n)
{
	return (struct axis){.type = OPT_CHOICE, .n = n};
}

static struct axis numbers(size_t n)
{
	for (size_t i = 0; i < 64; i++)
		ramp[i] = (double)i;
	return (struct axis){.type = OPT_INT, .n = n, .number = ramp};
}

static struct shape shape(size_t n, const struct axis *axes)
{
	struct plan plan = {.axes = n};
	struct shape s;

	memcpy(plan.axis, axes, n * sizeof *axes);
	shape_of(&plan, &s);
	return s;
}

static void kinds(void)
{
	struct axis one[] = {numbers(5)}, two[] = {words(3), numbers(5)},
		    bars[] = {words(2), words(4)}, heat[] = {numbers(3), words(2), numbers(9)},
		    none[] = {numbers(1), words(1)}, three[] = {numbers(3), numbers(2), numbers(4)};
	struct shape s = shape(1, one);

	CU_ASSERT(s.kind == SHAPE_LINES && s.x == 0 && s.series == SHAPE_NONE && s.panels == 1);
	s = shape(2, two);
	CU_ASSERT(s.kind == SHAPE_LINES && s.x == 1 && s.series == 0 && s.panels == 1);
	s = shape(2, bars);
	CU_ASSERT(s.kind == SHAPE_BARS && s.x == 1 && s.series == 0 && s.panels == 1);
	s = shape(3, heat);
	CU_ASSERT(s.kind == SHAPE_HEAT && s.x == 2 && s.y == 0 && s.panel[0] == 1 && s.panels == 2);
	s = shape(3, three);
	CU_ASSERT(s.kind == SHAPE_HEAT && s.x == 2 && s.y == 0 && s.panel[0] == 1);
	CU_ASSERT_EQUAL(shape(2, none).kind, SHAPE_NOTHING);
	CU_ASSERT_EQUAL(shape(0, none).kind, SHAPE_NOTHING);
}

/* Series are few enough to tell apart, panels to look at. */
static void bounds(void)
{
	struct axis many[] = {words(40), numbers(5)}, some[] = {words(12), words(3), numbers(5)};
	struct shape s = shape(2, many);

	CU_ASSERT_EQUAL(s.kind, SHAPE_NOTHING);
	s = shape(3, some);
	CU_ASSERT(s.kind == SHAPE_LINES && s.series == 0 && s.panels == 3);
}

static void scale(enum opt_type type, double most, double factor, const char *unit)
{
	double number[] = {1, most}, s;
	struct axis axis = {.type = type, .n = 2, .number = number};
	const char *u;

	shape_scale(&axis, &s, &u);
	CU_ASSERT_EQUAL(s, factor);
	CU_ASSERT_STRING_EQUAL(u, unit);
}

static void scales(void)
{
	scale(OPT_BYTES, 0x1p30, 0x1p30, "GiB");
	scale(OPT_BYTES, 0x1p30 - 1, 0x1p20, "MiB");
	scale(OPT_BYTES, 4096, 1024, "KiB");
	scale(OPT_BYTES, 0, 1, "bytes");
	scale(OPT_TIME, 2e9, 1e9, "s");
	scale(OPT_TIME, 5e6, 1e6, "ms");
	scale(OPT_TIME, 999, 1, "ns");
	scale(OPT_INT, 1e9, 1, "");
}

static bool is_log(size_t n, const double *number)
{
	struct axis axis = {.type = OPT_INT, .n = n, .number = (double *)number};

	return shape_log(&axis);
}

static void logs(void)
{
	CU_ASSERT_TRUE(is_log(4, (const double[]){1, 2, 4, 8}));
	CU_ASSERT_TRUE(is_log(3, (const double[]){10, 100, 1000}));
	CU_ASSERT_FALSE(is_log(3, (const double[]){0, 1, 1000}));
	CU_ASSERT_FALSE(is_log(4, (const double[]){1, 4, 7, 10}));
	CU_ASSERT_FALSE(is_log(2, (const double[]){1, 1000}));
	CU_ASSERT_FALSE(is_log(3, (const double[]){1000, 100, 10}));
}

TESTS("experiments/sweep_shape", {"kinds", kinds}, {"bounds", bounds}, {"scales", scales},
      {"logs", logs})
