/*
 * QEMU as the guest's process: stock QEMU 7.2 or newer, whose guest memory is a
 * file that the agent lays the VM's window over.
 *
 * Nothing may pin guest memory, for eviction cannot see pins: drives go
 * through the page cache (cache=writeback), and there are no vhost, VFIO or
 * passed-through devices, no memory balloon and no virtio-mem of QEMU's. What
 * a user can choose here is therefore chosen one by one.
 *
 * The Linux that runs inside is this machine's kernel package with an initramfs
 * made on the spot (busybox, the guest programs), unless the user names others.
 */
#ifndef BALLAST_LIVE_QEMU_H
#define BALLAST_LIVE_QEMU_H

#include "core/err.h"
#include "core/policy.h"

struct qemu_opts {
	uint64_t memory; /* bytes, whole pages */
	unsigned cpus;
	const char *accel;    /* "kvm" or "tcg" */
	const char *ram;      /* file of that size: the guest's memory */
	const char *kernel;   /* NULL: the newest in /boot */
	const char *initrd;   /* NULL: ours */
	const char *append;   /* more of the kernel's command line, or NULL */
	const char *disk;     /* a raw image, or NULL */
	uint64_t disk_rate;   /* requests a second that it serves at most; 0: all */
	const char *run;      /* ours: a shell command; the guest ends with it. NULL: it waits */
	const char *programs; /* ours: folder of the guest programs; NULL: none */
	const char *agent;    /* loaded as a plugin where that can be; NULL: never */
	const char *module;   /* ours: the balloon module for the kernel; NULL: none */
	bool init_on_alloc;   /* left to the kernel; else off */
};

#define DISK_RATE_MAX 1000000 /* requests a second */

#define QEMU_RELEASE 65 /* bytes of a kernel's release with its 0 (uname(2)) */

/* This machine's newest kernel, one for clouds before others. 0 or -errno with a message. */
MUST_CHECK int qemu_kernel(char path[512], struct err *err);

/* What a kernel's file says it is, for `uname -r`; false: nothing that is a release. */
bool qemu_release(const char *kernel, char release[QEMU_RELEASE]);

/* The programs of our initramfs that are no busybox's (live/guest/), for people. */
extern const struct policy *const guest_programs[];

/* A command line, NULL-ended, and what it names. Freed by qemu_command_free(). */
struct qemu_command {
	char *argv[48];
	size_t n;
	int initrd_fd; /* of ours, inherited by QEMU; -1 none */
	bool plugin;   /* the agent is in it; else it must be preloaded */
};

/* What is missing or wrong is said with its mend. The kernel file of *command is checked. */
MUST_CHECK int qemu_command(const struct qemu_opts *opts, struct qemu_command *command,
			    struct err *err);
/* Adds the balloon's device, whose region comes through that socket (live/ivshmem.h). 0 or -ENOMEM.
 */
MUST_CHECK int qemu_balloon(struct qemu_command *command, int socket);

/*
 * Where QEMU leaves a hole in a guest's physical addresses: its memory from page
 * *first on lies *pages higher. 0, 0: nowhere.
 */
void qemu_hole(uint64_t memory, uint32_t *first, uint32_t *pages);

void qemu_command_free(struct qemu_command *command);

/* "kvm" where a test guest boots with it within some seconds, else "tcg". */
const char *qemu_accel(void);

#endif
