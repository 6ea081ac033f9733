/*
 * The keeper: what is left when the manager is killed.
 *
 * A live host is two processes. The worker is the manager; the keeper forked it
 * and holds copies of every descriptor that must not be closed: the pool, the
 * arena, the swap file, and each guest's userfaultfd, agent socket and pidfd.
 * It looks at none of them. When the worker dies by a signal the keeper forks
 * another, which inherits them all and finds in the arena what they mean
 * (live/adopt.c). It is small, so that it does not die itself; if it does, the
 * worker ends the guests.
 */
#ifndef BALLAST_LIVE_KEEPER_H
#define BALLAST_LIVE_KEEPER_H

#include "core/types.h"

#define KEPT_GUESTS 256 /* running at a time */

/* A guest's descriptors, from its place on: the agent's, then its balloon channel's. */
enum {
	KEPT_UFFD,
	KEPT_SOCK,
	KEPT_PROCESS,
	KEPT_REGION,		       /* REGION_FDS of them */
	KEPT_DEVICE = KEPT_REGION + 3, /* the way to QEMU's ivshmem device */
	KEPT_EACH
};

/* Places of descriptors. Of guest i: KEPT_GUEST + KEPT_EACH * i and those after it. */
enum {
	KEPT_POOL,
	KEPT_ARENA,
	KEPT_SWAP,
	KEPT_GUEST,
	KEPT_MOST = KEPT_GUEST + KEPT_EACH * KEPT_GUESTS
};

/* As a worker sees it. Where a function takes one, NULL is a host without a keeper. */
struct kept {
	int channel;	   /* to the keeper */
	unsigned lives;	   /* workers that died before this one */
	int fd[KEPT_MOST]; /* inherited ones, this worker's to use or to close; -1 none */
};

/* Has the keeper hold a copy of fd at that place, or with fd -1 nothing any more. */
void kept_put(const struct kept *kept, unsigned place, int fd);

/*
 * Runs work() in a worker, and again after each that is killed, until one
 * ends by itself; returns its exit code. A first worker that is killed before it
 * has said that it is up is not followed, nor are a few such in a row: 1. SIGTERM,
 * SIGINT and SIGHUP go to the worker, and to the next if that one is killed; work()
 * begins with them blocked, and lets them in when it can end in good order
 * (kept_listen()).
 */
int keeper_run(int (*work)(void *ctx, struct kept *kept), void *ctx);

/* From now on the signals that end the worker are handled so. */
void kept_listen(void (*end)(int sig));

/* The worker is up: from now on it is followed. */
void kept_up(const struct kept *kept);

#endif
