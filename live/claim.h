/*
 * The claim on a place where a host listens: the lock of PATH.lock.
 *
 * A socket cannot tell: while a manager that was killed is being followed nobody
 * answers there, and of two hosts that begin at once neither sees the other. The
 * lock goes with the descriptor, which keeper and worker inherit; it is free when
 * the last of them is gone, however they end. The file is nothing by itself.
 */
#ifndef BALLAST_LIVE_CLAIM_H
#define BALLAST_LIVE_CLAIM_H

#include "core/err.h"

/* -EADDRINUSE while another has it. *fd holds it. */
MUST_CHECK int claim_take(const char *path, int *fd, struct err *err);

/* Removes the file; for who has the claim and is about to end. */
void claim_leave(const char *path);

#endif
