/*
 * A Linux guest in QEMU with the balloon module, and a host's balloon at the
 * other end of its rings, in one process and one loop: what measures the
 * module and what tests it, without the rest of a live host.
 *
 * The guest's memory is a file that QEMU has mapped. A page that the guest
 * gives loses its place in that file, so memory given is memory gained, as
 * QEMU's own balloon gains it. There is no userfaultfd: the guest touches what
 * it likes, unseen; rig_touched() finds what it should have left alone. The host
 * believes that every page has a frame, but for those in the balloon.
 *
 * The guest runs a script under busybox, with the module as /ballast_balloon.ko,
 * and talks by lines on its console. One thread.
 */
#ifndef BALLAST_EXPERIMENTS_BALLOON_RIG_H
#define BALLAST_EXPERIMENTS_BALLOON_RIG_H

#include "balloon/balloon.h"

#include <jansson.h>

struct rig_opts {
	const char *release;	     /* of the kernel */
	const char *image;	     /* where it lies; NULL: in /boot */
	const char *module;	     /* path of ballast_balloon.ko for it */
	const char *const *modules;  /* names of its own modules, put into /; NULL-ended, or NULL */
	const char *const *programs; /* paths, put into /bin; likewise */
	const char *append;	     /* more of its command line, or NULL */
	const char *script;	     /* sh; the guest ends with it */
	uint32_t pages;		     /* memory */
	uint32_t disk_pages;	     /* of an empty disk, /dev/vda; 0: none */
	bool polled;		     /* ivshmem-plain: no interrupts either way */
	bool bridge;		     /* the device, id=balloon, lies behind a bridge of its own */
	bool virtio_balloon;	     /* QEMU's own balloon, id=virtio, is there too */
	void (*line)(void *ctx, const char *line); /* of the console; may be NULL */
	/* QEMU tells of an event, or of a command that failed ("error"); may be NULL. */
	void (*event)(void *ctx, const char *name, const json_t *message);
	void *ctx;
};

struct rig {
	struct host *host;
	struct balloon *balloon;
	struct vm *vm;
	uint64_t start_ns; /* monotonic */
	struct rig_parts *parts;
};

/* Boots the guest. err names what is missing here, with -ENOENT: QEMU, busybox, a kernel. */
MUST_CHECK int rig_open(const struct rig_opts *opts, struct rig **rig, struct err *err);
void rig_close(struct rig *rig); /* the guest is killed */

/* The newest kernel here that has its headers beside it. -ENOENT: none, err says what to install.
 */
MUST_CHECK int rig_kernel(char release[65], struct err *err);

/* Serves for up to `ms`, less once something has happened. 1; 0 once the guest has ended. */
int rig_turn(struct rig *rig, int ms);

/* The balloon is wanted to have so many pages from now on; *rig_has of them it has. */
void rig_want(struct rig *rig, uint32_t pages);
uint32_t rig_has(const struct rig *rig);

/* Pages of the guest's memory file that have memory. */
uint64_t rig_memory(const struct rig *rig);

/* Pages in the balloon that have memory nevertheless: somebody touched them. */
uint32_t rig_touched(const struct rig *rig);

/* A line for the guest's script to read; a command for QEMU, e.g. {"execute": "cont"}. */
void rig_say(struct rig *rig, const char *line);
void rig_qmp(struct rig *rig, const char *command);

/* The device, as it was, comes again after it was unplugged. */
void rig_plug(struct rig *rig);

#endif
