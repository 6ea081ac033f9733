/*
 * Statistics, declared once.
 *
 * A row says name, unit, help, kind and where the value lies in a struct of
 * counters. CSV headers, JSON objects, man pages and `top` are all made from
 * these rows. A stat_group binds a table to one instance; a scope ("host", or
 * one VM) is a list of groups, flattened into one namespace: a name may occur
 * once in a scope.
 */
#ifndef BALLAST_CORE_STAT_H
#define BALLAST_CORE_STAT_H

#include "core/types.h"

#include <jansson.h>

enum stat_kind {
	STAT_COUNTER, /* uint64_t, only grows */
	STAT_GAUGE,   /* uint64_t, goes up and down */
	STAT_REAL,    /* double */
};

struct stat_row {
	const char *name; /* NULL ends a table */
	enum stat_kind kind;
	const char *unit; /* "pages", "ns", "1" */
	size_t offset;
	bool series; /* a column of series.csv */
	const char *help;
};

#define STAT_GROUPS_MAX 16

struct stat_group {
	const struct stat_row *stats;
	const void *base;
};

struct stat_scope {
	size_t n;
	struct stat_group group[STAT_GROUPS_MAX];
};

/* Binds a table to an instance. Aborts when full or when a name occurs twice: a bug. */
void stat_bind(struct stat_scope *scope, const struct stat_row *stats, const void *base);

/* {"refs": 1, ...} in table order. NULL only without memory. */
json_t *stat_json(const struct stat_scope *scope);

/* Row and location of a name in the scope; false if there is none. */
bool stat_find(const struct stat_scope *scope, const char *name, const struct stat_row **stat,
	       const void **where);

/* The value as a double, whatever its kind. */
double stat_value(const struct stat_row *stat, const void *base);

/* Writes the value in full precision, integers as integers. Returns the length. */
int stat_format(const struct stat_row *stat, const void *base, char *buf, size_t size);

#endif
