/*
 * VMs whose addresses are translated: how a run makes one, and what it tells.
 */
#ifndef BALLAST_EXPERIMENTS_TRANSLATING_H
#define BALLAST_EXPERIMENTS_TRANSLATING_H

#include "core/job.h"
#include "experiments/sections.h"
#include "traces/replay_mmu.h"

#include <jansson.h>

/* Whether the VM gets an MMU: its trace is one of virtual pages then. */
bool translating(const struct vm_opts *opts, const struct run_opts *run);

/* What the VM of that index cannot have besides. */
MUST_CHECK int translating_check(const struct job *job, size_t vm, struct err *err);

/* Pages that a trace needs, its guest's tables included. */
uint64_t translating_pages(const struct trace_info *info);

/* Takes ownership of the source, also on failure. oracle may be NULL. */
MUST_CHECK int translating_add(struct vm *vm, struct source *source, const struct vm_opts *opts,
			       const struct mmu_opts *mmu, struct oracle *oracle,
			       struct replay_mmu **replay, struct err *err);

/* Adds "translation_digest" to what a run says of a VM, if it has an MMU. */
void translating_tell(const struct vm *vm, json_t *told);

#endif
