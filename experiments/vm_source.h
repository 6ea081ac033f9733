/*
 * What drives a VM of a job, and how large that makes the VM.
 */
#ifndef BALLAST_EXPERIMENTS_VM_SOURCE_H
#define BALLAST_EXPERIMENTS_VM_SOURCE_H

#include "core/job.h"
#include "experiments/sections.h"
#include "traces/traces.h"

/*
 * Opens what the references of that VM of the job come from: a trace, or a gen
 * section. Virtual pages are numbered densely unless the VM has an MMU. The source is the caller's.
 */
MUST_CHECK int vm_open_source(const struct job *job, const char *name, const struct vm_opts *opts,
			      struct source **source, struct err *err);

/* Its size in pages: as its section says, or up to its trace's highest page. */
MUST_CHECK int vm_pages(const struct job *job, const char *name, const struct vm_opts *opts,
			uint32_t *pages, struct err *err);

#endif
