/*
 * What a rig is made of, for balloon_rig.c (the host, the loop) and
 * balloon_rig_guest.c (what boots, and in which machine).
 */
#ifndef BALLAST_EXPERIMENTS_BALLOON_RIG_PARTS_H
#define BALLAST_EXPERIMENTS_BALLOON_RIG_PARTS_H

#include "balloon/ring.h"
#include "experiments/balloon_rig.h"
#include "live/ivshmem.h"

#include <unistd.h>

#define RIG_REGION (UINT32_C(1) << 20) /* bytes */

struct text { /* lines that come in pieces */
	char bytes[1 << 16];
	size_t n;
};

struct rig_parts {
	struct rig_opts opts;
	struct backing backing; /* ids, and a page that is left loses its place in the file */
	char dir[48];
	int memory, disk, region, console, keys, qmp; /* -1: none */
	struct ivshmem *iv;
	void *rings; /* polled: the region, mapped */
	struct ring_end ring;
	pid_t qemu;
	struct text heard, told; /* on the console; by QMP */
	bool settled;
};

static inline struct rig_parts *parts_of(const struct rig *r)
{
	return r->parts;
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Writes DIR/initrd. */
MUST_CHECK int rig_initramfs(const struct rig_parts *parts, struct err *err);

/* Starts QEMU; console, keys and qmp are open then. */
MUST_CHECK int rig_start(struct rig_parts *parts, struct err *err);

#endif
