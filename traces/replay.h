/*
 * The replayer: a guest whose memory references come from a trace.
 *
 * Physical traces go straight to the pmap; virtual ones arrive here numbered
 * densely by first touch (source_renumber). The loop takes batches of records
 * and runs on the pmap's bits: a reference that hits costs a load of the
 * record, a test of the entry by the record's kind and a store of the bits
 * that it sets. Everything else, from a fault to a record that is no
 * reference, fails that one test and goes the slow way.
 *
 * Time moves by cost.ref per record plus the trace's own deltas; the loop ends
 * when the VM's time reaches what the scheduler allows. Where pages have bytes,
 * each write gives its page new contents, and the content oracle, if there is
 * one, is told. A replayer belongs to one VM, and so do the records: one that
 * says that others' follow is an error.
 */
#ifndef BALLAST_TRACES_REPLAY_H
#define BALLAST_TRACES_REPLAY_H

#include "core/oracle.h"
#include "pmap/pmap.h"
#include "traces/traces.h"

struct replay;

extern const struct guest replay_guest; /* its state is a struct replay */

/* Takes ownership of the source, also on failure; oracle may be NULL. */
MUST_CHECK int replay_new(struct vm *vm, struct source *source, struct oracle *oracle,
			  struct replay **replay, struct err *err);

struct source_progress replay_progress(const struct replay *replay);

#endif
