/*
 * Whether a program can be a process guest, found out before it is started: the
 * loader must load what LD_PRELOAD names into it. It does so for dynamically
 * linked programs of this machine's kind that run as who started them.
 *
 * What the program file says is read with bounds: it may be anything.
 */
#ifndef BALLAST_LIVE_PROGRAM_H
#define BALLAST_LIVE_PROGRAM_H

#include "core/err.h"
#include "core/types.h"

/*
 * name as execvp() takes it. *own_memory: its file names BALLAST_RAM, so it is
 * taken for one that maps its memory itself. Refused, with the reason: no such
 * program, statically linked, setuid, of another machine, a script for env(1).
 */
MUST_CHECK int program_check(const char *name, bool *own_memory, struct err *err);

/* Whether the program's file has the text in it; false too if there is no such program. */
bool program_names(const char *name, const char *text);

#endif
