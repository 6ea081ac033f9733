/*
 * I/O page remapping (Waldspurger 2002, section 7): pages that devices keep
 * asking for move to memory that devices can address.
 *
 * A device that addresses only the low zone (host.low_memory) can neither read
 * nor write a page whose frame is high: it goes through a bounce buffer, which
 * costs a copy each time. Copies are counted by page; a page with io.threshold
 * of them moves to a low frame, and its next transfers are direct. Where no low
 * frame is free a page that no device asked for of late changes places with it;
 * a hand that goes round the low frames halves the count of those it passes.
 *
 * The counts lie in a table of io.entries, bounded whatever a guest does: the
 * least counted of a set ages for every newcomer, so that a page that is asked
 * for again and again stays (Misra and Gries, "Finding repeated elements",
 * 1982), and one pass over all memory drives nothing out. The bounce buffer is
 * a low frame of the manager's own, and the spare one of an exchange.
 *
 * Shared and pinned pages stay where they are. A part of its host.
 */
#ifndef BALLAST_PMAP_IOREMAP_H
#define BALLAST_PMAP_IOREMAP_H

#include "core/opt.h"
#include "pmap/pmap.h"

/* io { } of a job file. */
struct io_opts {
	bool remap;
	int64_t threshold;	       /* copies of a page until it moves */
	int64_t entries;	       /* of the table */
	uint64_t copy_time, move_time; /* ns */
};

extern const struct opt_section io_section;

struct io_stats {
	uint64_t moved;	    /* pages moved to a low frame */
	uint64_t displaced; /* of them, those that another page made room for */
	uint64_t stuck;	    /* pages due to move that could not: shared, pinned, no cold page */
};

/*
 * Where the machine has no high zone every transfer is direct, and there is no
 * part. Remapping needs a low frame for itself.
 */
MUST_CHECK int io_open(struct host *host, struct pmap_part *pmaps, const struct io_opts *opts,
		       struct err *err);

#endif
