#include "experiments/compare.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const struct plan *plan_of(const struct arm *arm)
{
	return arm->table->plan;
}

static size_t find_axis(const struct plan *plan, const char *key)
{
	size_t a = 0;

	while (a < plan->axes && strcmp(plan->axis[a].key, key) != 0)
		a++;
	return a;
}

static size_t find_value(const struct axis *axis, const char *text)
{
	size_t i = 0;

	while (i < axis->n && strcmp(axis->text[i], text) != 0)
		i++;
	return i;
}

int compare_check(const struct arm *arms, size_t n, struct err *err)
{
	const struct plan *base = plan_of(&arms[0]);

	for (size_t k = 1; k < n; k++) {
		const struct plan *plan = plan_of(&arms[k]);
		if (!json_equal(json_object_get(base->told, "seed_keys"),
				json_object_get(plan->told, "seed_keys")))
			return err_input(err,
					 "%s and %s have other seeds: their runs did not see the "
					 "same draws",
					 arms[0].name, arms[k].name);
		for (size_t a = 0; a < base->axes; a++) {
			if (find_axis(plan, base->axis[a].key) == plan->axes)
				return err_input(err, "%s varies %s, and %s does not", arms[0].name,
						 base->axis[a].key, arms[k].name);
		}
		for (size_t a = 0; a < plan->axes; a++) {
			if (find_axis(base, plan->axis[a].key) == base->axes)
				return err_input(err, "%s varies %s, and %s does not", arms[k].name,
						 plan->axis[a].key, arms[0].name);
		}
	}
	return 0;
}

/* The point of an arm that is the baseline's; false if it has none. */
static bool match(const struct arm *base, uint64_t point, const struct arm *arm, uint64_t *found)
{
	const struct plan *from = plan_of(base), *plan = plan_of(arm);

	*found = 0;
	for (size_t a = 0; a < plan->axes; a++) {
		const struct axis *axis = &plan->axis[a];
		size_t i = arm->value;
		if (a != arm->by) {
			size_t b = find_axis(from, axis->key);
			i = find_value(axis, from->axis[b].text[plan_index(from, point, b)]);
		}
		if (i == axis->n)
			return false;
		*found = *found * axis->n + i;
	}
	return true;
}

/* Whether a point of the baseline's table is one of the baseline's own. */
static bool own(const struct arm *base, uint64_t point)
{
	return base->by == SIZE_MAX || plan_index(plan_of(base), point, base->by) == base->value;
}

static size_t seeds(const struct arm *a, const struct arm *b)
{
	return plan_of(a)->seeds < plan_of(b)->seeds ? plan_of(a)->seeds : plan_of(b)->seeds;
}

void compare_points(const struct arm *arms, size_t n, size_t metric, compared_fn *fn, void *arg,
		    size_t *missing)
{
	uint64_t other;

	*missing = 0;
	for (uint64_t p = 0; p < plan_of(&arms[0])->points; p++) {
		for (size_t k = 1; k < n && own(&arms[0], p); k++) {
			if (!match(&arms[0], p, &arms[k], &other)) {
				++*missing;
				continue;
			}
			struct compared row = {p, k,
					       paired_of(table_values(arms[0].table, metric, p),
							 table_values(arms[k].table, metric, other),
							 seeds(&arms[0], &arms[k]))};
			fn(arg, &row);
		}
	}
}

struct compared_all compare_all(const struct arm *arms, size_t arm, size_t metric)
{
	struct compared_all all = {.sign_p = 1};
	double logs = 0;
	uint64_t other;

	for (uint64_t p = 0; p < plan_of(&arms[0])->points; p++) {
		if (!own(&arms[0], p) || !match(&arms[0], p, &arms[arm], &other))
			continue;
		const double *a = table_values(arms[0].table, metric, p),
			     *b = table_values(arms[arm].table, metric, other);
		for (size_t i = 0; i < seeds(&arms[0], &arms[arm]); i++) {
			if (isnan(a[i]) || isnan(b[i]))
				continue;
			all.pairs++;
			all.plus += b[i] > a[i];
			all.minus += b[i] < a[i];
			logs += a[i] > 0 && b[i] > 0 ? log(b[i] / a[i]) : NAN;
		}
	}
	all.ratio = all.pairs ? exp(logs / (double)all.pairs) : NAN;
	all.sign_p = sign_test(all.plus, all.minus);
	return all;
}
