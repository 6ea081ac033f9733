/*
 * The balloon drivers of a run: who gives a guest its driver, and when.
 *
 * Which reclaimers a host has, and in which order they are asked, is the job's
 * choice (host.reclaimers). With the balloon among them every VM gets a driver,
 * unless its vm section says no. A guest operating system offers its own
 * allocator to it, a guest that replays a trace a clock hand
 * (traces/replay_guest.h).
 */
#ifndef BALLAST_EXPERIMENTS_BALLOONING_H
#define BALLAST_EXPERIMENTS_BALLOONING_H

#include "balloon/balloon.h"
#include "core/balloon_guest.h"
#include "core/job.h"
#include "core/oracle.h"
#include "experiments/sections.h"

extern const struct policy *const reclaimers[]; /* balloon, swap */

/* Whether the list, NULL for the default, names the reclaimer; a name that is none is an error. */
MUST_CHECK int reclaimers_check(const struct job *job, const struct host_opts *opts,
				struct err *err);

struct ballooning;

MUST_CHECK int ballooning_new(struct host *host, struct balloon *balloon,
			      const struct balloon_opts *opts, struct ballooning **ballooning,
			      struct err *err);
void ballooning_free(struct ballooning *ballooning); /* before the host */

/* Gives the VM what its section says; guest: its allocator, or NULL if it replays a trace. */
MUST_CHECK int ballooning_add(struct ballooning *ballooning, struct vm *vm,
			      const struct vm_opts *opts, const struct driver_guest *guest,
			      struct oracle *oracle, struct err *err);

#endif
