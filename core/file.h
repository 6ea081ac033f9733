/*
 * Files that are written whole or not at all.
 *
 * A draft is a temporary file beside its target; commit flushes, checks every
 * error that the stream gathered, and renames. Drafts still open when the
 * program is told to stop are removed (file_drop_drafts(), safe in a signal
 * handler), so that Ctrl-C leaves nothing half-written.
 */
#ifndef BALLAST_CORE_FILE_H
#define BALLAST_CORE_FILE_H

#include "core/err.h"

#include <stdio.h>
#include <sys/types.h>

struct draft;

/*
 * path "-" writes to standard output, where commit only flushes. A target that
 * exists and is no plain file (a pipe, /dev/null) is written in place. A link
 * is followed; a file that is replaced keeps its mode.
 */
MUST_CHECK int draft_open(const char *path, struct draft **draft, struct err *err);
FILE *draft_stream(struct draft *draft);
const char *draft_path(const struct draft *draft); /* the target, for messages */

/* Right after a write to the stream failed: says so, from errno, and returns -errno. */
MUST_CHECK int draft_fail(const struct draft *draft, struct err *err);

MUST_CHECK int draft_commit(struct draft *draft, struct err *err); /* frees, also on failure */
void draft_abort(struct draft *draft); /* frees, removes; NULL is fine */

/* A folder that was just made for drafts: file_drop_drafts() removes it if nothing lies in it. */
void file_guard_folder(const char *path);

/*
 * In a child: what its parent has open or guards is removed by file_drop_drafts()
 * here once the parent is gone, and what the parent's own parents have is not.
 */
void file_follow(pid_t parent);

/* Unlinks every open draft, then removes guarded folders; async-signal-safe. */
void file_drop_drafts(void);

#endif
