#include "core/stat.h"

#include "core/parse.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const void *where_of(const struct stat_row *stat, const void *base)
{
	return (const char *)base + stat->offset;
}

static uint64_t count_of(const struct stat_row *stat, const void *base)
{
	return *(const uint64_t *)where_of(stat, base);
}

static double real_of(const struct stat_row *stat, const void *base)
{
	return *(const double *)where_of(stat, base);
}

static void bug(const char *what, const char *name)
{
	fprintf(stderr, "statistics: %s: %s\n", what, name);
	abort();
}

void stat_bind(struct stat_scope *scope, const struct stat_row *stats, const void *base)
{
	if (scope->n == STAT_GROUPS_MAX)
		bug("too many groups in a scope", stats->name);
	for (const struct stat_row *stat = stats; stat->name; stat++) {
		for (const struct stat_row *before = stats; before < stat; before++) {
			if (strcmp(before->name, stat->name) == 0)
				bug("twice in a table", stat->name);
		}
		if (stat_find(scope, stat->name, NULL, NULL))
			bug("twice in a scope", stat->name);
	}
	scope->group[scope->n++] = (struct stat_group){stats, base};
}

bool stat_find(const struct stat_scope *scope, const char *name, const struct stat_row **stat,
	       const void **where)
{
	for (size_t i = 0; i < scope->n; i++) {
		const struct stat_group *group = &scope->group[i];

		for (const struct stat_row *row = group->stats; row->name; row++) {
			if (strcmp(row->name, name) != 0)
				continue;
			if (stat)
				*stat = row;
			if (where)
				*where = where_of(row, group->base);
			return true;
		}
	}
	return false;
}

/* JSON has no number that is infinite or none, and integers below 2^63. */
static json_t *value_json(const struct stat_row *stat, const void *base)
{
	double value = stat_value(stat, base);

	if (stat->kind != STAT_REAL && count_of(stat, base) <= INT64_MAX)
		return json_integer((json_int_t)count_of(stat, base));
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *stat_json(const struct stat_scope *scope)
{
	json_t *object = json_object();

	for (size_t i = 0; i < scope->n; i++) {
		const struct stat_group *group = &scope->group[i];

		for (const struct stat_row *row = group->stats; row->name; row++) {
			if (json_object_set_new(object, row->name, value_json(row, group->base))) {
				json_decref(object);
				return NULL;
			}
		}
	}
	return object;
}

double stat_value(const struct stat_row *stat, const void *base)
{
	return stat->kind == STAT_REAL ? real_of(stat, base) : (double)count_of(stat, base);
}

int stat_format(const struct stat_row *stat, const void *base, char *buf, size_t size)
{
	if (stat->kind == STAT_REAL)
		return format_real(buf, size, real_of(stat, base));
	return snprintf(buf, size, "%" PRIu64, count_of(stat, base));
}
