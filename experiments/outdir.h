/*
 * The folder that results go to.
 *
 * Made before the work begins, so that a bad place is told at once, and taken
 * away again, by a signal too, if nothing came to lie in it. Files in it are
 * drafts (core/file.h): whole or not there; those of an outset appear together.
 */
#ifndef BALLAST_EXPERIMENTS_OUTDIR_H
#define BALLAST_EXPERIMENTS_OUTDIR_H

#include "core/file.h"

/*
 * Refuses a folder that holds things, but none that says that they are results
 * of ours (run.json, index.html, ...), so that nobody's files are written over
 * by mistake. What is not there, or empty, is fine.
 */
MUST_CHECK int outdir_check(const char *dir, struct err *err);

/* *made: it was not there before, and outdir_drop() may remove it. */
MUST_CHECK int outdir_make(const char *dir, bool *made, struct err *err);
void outdir_drop(const char *dir, bool made);

/* A draft of DIR/NAME. */
MUST_CHECK int outdir_open(const char *dir, const char *name, struct draft **draft,
			   struct err *err);

#define OUTSET_MAX 8

/* Files that belong together: all are written before the first appears under its name. */
struct outset {
	const char *dir;
	struct draft *draft[OUTSET_MAX];
	size_t n;
};

/* The stream of one more, or NULL with a message. Its errors come out at the commit. */
MUST_CHECK FILE *outset_add(struct outset *set, const char *name, struct err *err);
MUST_CHECK int outset_commit(struct outset *set, struct err *err); /* frees, also on failure */
void outset_abort(struct outset *set);

#endif
