/*
 * A VM that has an operating system (vm.NAME.os) instead of a trace: the guest
 * made from the job's sections guest { } and workload NAME { }.
 */
#ifndef BALLAST_EXPERIMENTS_VM_OS_H
#define BALLAST_EXPERIMENTS_VM_OS_H

#include "core/job.h"
#include "experiments/sections.h"
#include "traces/guest.h"

static inline bool vm_has_os(const struct vm_opts *opts)
{
	return opts->os != guest_oses[0];
}

/* The guest drives the VM from now on. oracle may be NULL; the job outlives the guest. */
MUST_CHECK int vm_os_new(const struct job *job, struct vm *vm, const struct vm_opts *opts,
			 struct oracle *oracle, struct gos **guest, struct err *err);

#endif
