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
#include <limits.h>
#include <sys/types.h>

/* What a guest claims; what is not given stays as the host has it. */
struct claim_args {
	bool has_min, has_max, has_shares;
	uint64_t min, max; /* bytes */
	uint64_t shares;
};

/* Adds what is given to a request. */
void claim_put(const struct claim_args *claim, json_t *request);

/* A program's malloc(): out of guest memory, or not; AUTO: not if it maps $BALLAST_RAM itself. */
enum guest_heap { HEAP_AUTO, HEAP_ON, HEAP_OFF };

struct guestproc {
	const char *name, *group; /* group NULL: the default */
	uint64_t memory;	  /* bytes */
	struct claim_args claim;
	bool no_balloon;   /* it gets no way to the host's balloon */
	bool foreground;   /* wait for its end, with its output here */
	bool dies_with_us; /* killed when the thread that started it is no more */
	bool linux_guest;  /* qemu says which; else argv */
	enum guest_heap heap;
	struct qemu_opts qemu; /* memory, ram and programs are filled in here; accel NULL: auto */
	char **argv;	       /* NULL-ended */
};

/* 0 when the guest runs, its exit code with foreground, or -errno with a message. */
MUST_CHECK int guestproc_start(struct guestproc *guest, const char *socket, struct err *err);

/* What the process needs to know; all of it is inherited. Freed by launch_free(), in any state. */
struct launch {
	struct qemu_command command;
	char **argv;
	int ram_fd;
	char ram[40];	  /* a file without a name */
	char kernel[512]; /* where the guest's opts name none */
	char agents[200], agent[PATH_MAX], log[PATH_MAX];
	int out;    /* its output; -1: ours */
	int device; /* QEMU's end of the way to its balloon device; -1 none */
	bool heap;  /* its heap is the guest's memory, and there is no file */
};

/*
 * In steps, for whoever is the host himself: all that can be refused; where the
 * output goes; the process. Before the last, agents names the host's socket for
 * agents, and the host expects the guest. qemu.accel is chosen.
 */
MUST_CHECK int launch_prepare(struct guestproc *guest, struct launch *launch, struct err *err);
MUST_CHECK int launch_log(struct launch *launch, const char *path, struct err *err);
MUST_CHECK int launch_go(const struct guestproc *guest, const struct launch *launch, pid_t *pid,
			 struct err *err);
void launch_free(struct launch *launch);

/*
 * Between: a QEMU guest gets the device in which a driver finds the host's
 * balloon. *end is the host's end of the way to it (channel_greet()), and the
 * caller's to close. 0 or -errno.
 */
MUST_CHECK int launch_device(struct launch *launch, int *end);

#endif
