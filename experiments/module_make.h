/*
 * The guest's balloon module, made by the script that lies with its sources
 * (balloon/linux/module.sh), which copies them first and leaves nothing beside
 * them. What the compiler or a tool has to complain of is the error.
 */
#ifndef BALLAST_EXPERIMENTS_MODULE_MAKE_H
#define BALLAST_EXPERIMENTS_MODULE_MAKE_H

#include "core/err.h"

#include <limits.h>

/* Builds it for a kernel whose headers are here; path: where it lies then (module_folder()). */
MUST_CHECK int module_build(const char *release, char path[PATH_MAX], struct err *err);

/* module.sh VERB RELEASE [TO]: "install" below the root TO, or "dkms" without. */
MUST_CHECK int module_script(const char *verb, const char *release, const char *to,
			     struct err *err);

/* The same for the kernel that Linux guests boot where none is named (live/qemu.h). */
MUST_CHECK int module_for_guests(struct err *err);

#endif
