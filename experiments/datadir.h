/*
 * Where the program's own files lie: job files, bundled traces, plot scripts.
 *
 * The program is found first (/proc/self/exe), the files from there, so that a
 * source tree and an installation both work from any folder and can be moved:
 *
 *   TREE/build/ballast    TREE/experiments/        TREE/build/
 *   PREFIX/bin/ballast    PREFIX/share/ballast/    PREFIX/lib/ballast/
 *
 * The guest's kernel module is built for one kernel at a time, where there is room:
 *
 *   TREE/balloon/linux/            TREE/build/module/RELEASE/
 *   PREFIX/share/ballast/module/   $XDG_CACHE_HOME/ballast/module/RELEASE/ (~/.cache)
 */
#ifndef BALLAST_EXPERIMENTS_DATADIR_H
#define BALLAST_EXPERIMENTS_DATADIR_H

#include "core/err.h"

#include <limits.h>

/* The path of such a file ("jobs/replay.job"), which exists. */
MUST_CHECK int data_path(const char *name, char path[PATH_MAX], struct err *err);

/* The same of what was built beside the program: the agent, the guest programs. */
MUST_CHECK int program_path(const char *name, char path[PATH_MAX], struct err *err);

/* The folder of the guest module's sources. */
MUST_CHECK int module_sources(char path[PATH_MAX], struct err *err);

/* The folder for the module built for a kernel, which need not exist. */
MUST_CHECK int module_folder(const char *release, char path[PATH_MAX], struct err *err);

#endif
