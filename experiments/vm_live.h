/*
 * A VM that is a live guest (vm.NAME.live) instead of a trace: which keys go
 * with which kind, and the guest's process made from them.
 *
 * Traces and live guests do not mix in one job: the ones run in virtual time,
 * the others in real time.
 */
#ifndef BALLAST_EXPERIMENTS_VM_LIVE_H
#define BALLAST_EXPERIMENTS_VM_LIVE_H

#include "core/job.h"
#include "experiments/guestproc.h"
#include "experiments/sections.h"

static inline bool vm_is_live(const struct vm_opts *opts)
{
	return opts->live != live_kinds[0];
}

/* Whether any VM is. */
bool job_is_live(const struct job *job);

/* What does not go together, of any job; the message has the place and the mend. */
MUST_CHECK int vm_live_check(const struct job *job, struct err *err);

/* A program's name or path and its arguments, split. */
struct words {
	char **argv; /* NULL-ended; NULL: none */
};

/*
 * The i-th VM's process. Its texts are the job's, its arguments the words',
 * which outlive it. qemu.accel is NULL where that is to be found out.
 */
MUST_CHECK int vm_live_guest(const struct job *job, size_t i, struct guestproc *guest,
			     struct words *words, struct err *err);
void words_free(struct words *words);

#endif
