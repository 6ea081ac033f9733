/*
 * Everything that a job file may say, in two tables: the sections with their
 * keys, and the kinds of policy that a key chooses from by name.
 *
 * `ballast list` prints them, `ballast run` makes its job from the sections.
 * A new section or kind is one line in experiments/kinds.c.
 */
#ifndef BALLAST_EXPERIMENTS_KINDS_H
#define BALLAST_EXPERIMENTS_KINDS_H

#include "core/opt.h"

struct kind {
	const char *name; /* NULL ends the table */
	const char *help; /* one line: what it decides, and where it is chosen */
	const struct policy *const *policies;
};

extern const struct kind kinds[];
extern const struct opt_section *const job_sections[]; /* NULL-ended */

#endif
