/*
 * The content oracle: what each guest page must read as, kept outside the
 * manager.
 *
 * Whoever drives a guest tells the oracle of each write; after any number of
 * faults, evictions and merges the oracle looks at every page through the
 * machine and compares. It keeps one content id a page and shares no code with
 * what it checks. Pages that the manager holds elsewhere (swapped) are read
 * back by touching them first: oracle_check() is told how.
 */
#ifndef BALLAST_CORE_ORACLE_H
#define BALLAST_CORE_ORACLE_H

#include "core/host.h"

struct oracle;

MUST_CHECK int oracle_new(struct oracle **oracle);
void oracle_free(struct oracle *oracle);

/* From now on the page reads as content_expand(id). 0 or -ENOMEM. */
MUST_CHECK int oracle_write(struct oracle *oracle, const struct vm *vm, ppn_t ppn, uint64_t id);

/* The same with what another page reads as. */
MUST_CHECK int oracle_copy(struct oracle *oracle, const struct vm *vm, ppn_t to, ppn_t from);

/* An id that no write has used before. */
uint64_t oracle_fresh_id(struct oracle *oracle);

/* Makes a page resident and says where; how a test reads a guest's page. */
typedef int oracle_read_fn(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err);

/*
 * Reads every page of a running VM and compares. Returns how many were wrong,
 * each reported as a line, or -errno if a page could not be read.
 */
MUST_CHECK int64_t oracle_check(const struct oracle *oracle, struct vm *vm, oracle_read_fn *read,
				FILE *out, struct err *err);

/* The same of all VMs that live. -EUCLEAN, with a count and the first, if any page is wrong. */
MUST_CHECK int oracle_check_all(const struct oracle *oracle, const struct host *host,
				oracle_read_fn *read, struct err *err);

#endif
