/*
 * The folder that results go to.
 *
 * Made before the work begins, so that a bad place is told at once, and taken
 * away again if nothing came to lie in it. Files in it are drafts
 * (core/file.h): whole or not there.
 */
#ifndef BALLAST_EXPERIMENTS_OUTDIR_H
#define BALLAST_EXPERIMENTS_OUTDIR_H

#include "core/file.h"

/* *made: it was not there before, and outdir_drop() may remove it. */
MUST_CHECK int outdir_make(const char *dir, bool *made, struct err *err);
void outdir_drop(const char *dir, bool made);

/* A draft of DIR/NAME. */
MUST_CHECK int outdir_open(const char *dir, const char *name, struct draft **draft,
			   struct err *err);

#endif
