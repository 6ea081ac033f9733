/*
 * What every table that a job chooses by name begins with.
 *
 * A kind of policy (victim, reader, backing, ...) is a struct whose first
 * member is a struct policy, and one const, NULL-ended array of pointers to
 * them. The option table (core/opt.h) validates names against the array and
 * stores the pointer; `ballast list` prints it. A new policy is one file and
 * one line in its array.
 */
#ifndef BALLAST_CORE_POLICY_H
#define BALLAST_CORE_POLICY_H

#include "core/types.h"

struct opt_section;

struct policy {
	const char *name;		   /* as written in a job file */
	const char *help;		   /* one line, without a full stop */
	const struct opt_section *section; /* its own options, or NULL */
};

/* The policy of that name in a NULL-ended array, or NULL. */
const struct policy *policy_find(const struct policy *const *list, const char *name);

#endif
