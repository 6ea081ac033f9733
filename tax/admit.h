/*
 * Admission: a VM is let in only if what it is promised can be kept.
 *
 * Waldspurger 2002, section 6.2: its min and its overhead need machine memory,
 * max - min needs room in the swap area, so that whatever the others do it can
 * have its min in frames and the rest somewhere. The argument of isolation
 * rests on this: with sum(min + overhead) <= frames, a VM below its min that
 * needs a frame always finds one free, or one held by a VM above its min.
 *
 * The ledger is arithmetic and belongs to its caller. The overhead is a real
 * reservation: frames that the manager takes and keeps until the VM goes.
 */
#ifndef BALLAST_TAX_ADMIT_H
#define BALLAST_TAX_ADMIT_H

#include "core/host.h"

/* Pages that a VM is promised. */
struct promise {
	uint64_t min, max, overhead;
};

struct ledger {
	uint64_t frames, slots;	     /* that there are */
	uint64_t promised, overhead; /* of frames: minimums and overhead */
	uint64_t swap;		     /* of slots */
};

/*
 * Enters a VM's promise. -EINVAL with the figures that are missing, and then the
 * ledger is as it was.
 */
MUST_CHECK int admit(struct ledger *ledger, const char *name, const struct promise *promise,
		     struct err *err);

/* Strikes a promise that was entered. */
void admit_strike(struct ledger *ledger, const struct promise *promise);

struct overhead;

/* Makes the reservations a part of the host, before its first VM. */
MUST_CHECK int overhead_open(struct host *host, struct overhead **overhead, struct err *err);

/* Takes vm->overhead frames for the manager, for as long as the VM is there. */
MUST_CHECK int overhead_take(struct overhead *overhead, struct vm *vm, struct err *err);

#endif
