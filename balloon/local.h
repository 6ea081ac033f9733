/*
 * A driver in the same process as its host: the simulated guest's.
 *
 * Both ends, and the memory with the rings between them; ringing one end's bell
 * is a call of the other. Nothing is shorter than with a real guest: the bytes
 * go through the same rings and checks.
 */
#ifndef BALLAST_BALLOON_LOCAL_H
#define BALLAST_BALLOON_LOCAL_H

#include "balloon/driver.h"

struct local_driver;

/* A driver for the VM, from start_ns on the host's clock; the table is copied. */
MUST_CHECK int local_driver_new(struct balloon *balloon, struct vm *vm,
				const struct driver_guest *guest, const struct balloon_opts *opts,
				uint64_t start_ns, struct local_driver **local, struct err *err);

/* Before the host goes: the driver vanishes without a word. */
void local_driver_free(struct local_driver *local);

struct driver *local_driver_of(struct local_driver *local);

#endif
