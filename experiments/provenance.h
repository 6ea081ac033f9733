/*
 * Where a result came from: run.json.
 *
 * The resolved options (defaults too), seed, version, a hash of every trace
 * and the machine: what one needs to make the same bytes again.
 */
#ifndef BALLAST_EXPERIMENTS_PROVENANCE_H
#define BALLAST_EXPERIMENTS_PROVENANCE_H

#include "core/job.h"

/* XXH3 of a whole file, as 16 hex digits. */
MUST_CHECK int provenance_hash(const char *path, char hex[17], struct err *err);

/* NULL and an error if a trace cannot be read again. */
json_t *provenance_json(const struct job *job, struct err *err);

/*
 * The commit that the program was built from, with "-dirty" where the tree had
 * changes; "unknown" outside of a repository.
 */
extern const char ballast_build[];

/* cpu, system, release, architecture. */
json_t *machine_json(void);

#endif
