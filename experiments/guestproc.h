/*
 * A guest's process, started on behalf of a live host: its memory file, its
 * environment with the agent, and the program or QEMU itself.
 *
 * The host is asked to expect the guest first; the process then connects by
 * itself. If it does not come up, the host is told to give it up, and nothing
 * is left behind: the memory is a file without a name.
 */
#ifndef BALLAST_EXPERIMENTS_GUESTPROC_H
#define BALLAST_EXPERIMENTS_GUESTPROC_H

#include "live/qemu.h"

#include <jansson.h>

/* What a guest claims; what is not given stays as the host has it. */
struct claim_args {
	bool has_min, has_max, has_shares;
	uint64_t min, max; /* bytes */
	uint64_t shares;
};

/* Adds what is given to a request. */
void claim_put(const struct claim_args *claim, json_t *request);

struct guestproc {
	const char *name, *group; /* group NULL: the default */
	uint64_t memory;	  /* bytes */
	struct claim_args claim;
	bool foreground;       /* wait for its end, with its output here */
	bool linux_guest;      /* qemu says which; else argv */
	struct qemu_opts qemu; /* memory, ram and programs are filled in here; accel NULL: auto */
	char **argv;	       /* NULL-ended */
};

/* 0 when the guest runs, its exit code with foreground, or -errno with a message. */
MUST_CHECK int guestproc_start(struct guestproc *guest, const char *socket, struct err *err);

#endif
