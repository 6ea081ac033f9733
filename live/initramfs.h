/*
 * An initramfs for Linux guests, written from files of this machine: a cpio
 * archive of the "newc" form (cpio(5); the kernel's buffer-format.rst).
 */
#ifndef BALLAST_LIVE_INITRAMFS_H
#define BALLAST_LIVE_INITRAMFS_H

#include "core/err.h"

#include <stdio.h>
#include <sys/types.h>

struct initramfs {
	FILE *out;
	uint32_t inode;
};

/* Members in the order of the calls; a folder before what is in it. 0 or -errno. */
MUST_CHECK int initramfs_folder(struct initramfs *i, const char *name);
MUST_CHECK int initramfs_text(struct initramfs *i, const char *name, mode_t mode, const char *text);
MUST_CHECK int initramfs_link(struct initramfs *i, const char *name, const char *target);
MUST_CHECK int initramfs_console(struct initramfs *i); /* dev/console */

/* Copies a file; err names it. */
MUST_CHECK int initramfs_file(struct initramfs *i, const char *name, mode_t mode, const char *path,
			      struct err *err);

/*
 * Adds a kernel module, "drivers/block/virtio_blk" below a folder like
 * /lib/modules/VERSION/kernel, compressed or not, to lib/modules/ (which the
 * caller has made), under a name that sorts in the order of the calls. A kernel
 * that has no such module has it built in, or the guest will miss what it does:
 * that is no error.
 */
MUST_CHECK int initramfs_module(struct initramfs *i, const char *folder, const char *module,
				struct err *err);

MUST_CHECK int initramfs_end(struct initramfs *i); /* the caller closes the stream */

#endif
