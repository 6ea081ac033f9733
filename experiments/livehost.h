/*
 * A live host: the manager's parts put together for real guests, and what its
 * socket answers (docs/live.md). The counterpart of experiments/run.h, which
 * puts them together for traces.
 *
 * Its job file has the sections in livehost_sections; guests come and go while
 * it runs. One thread.
 */
#ifndef BALLAST_EXPERIMENTS_LIVEHOST_H
#define BALLAST_EXPERIMENTS_LIVEHOST_H

#include "core/job.h"
#include "live/keeper.h"

extern const struct opt_section *const livehost_sections[];

struct livehost;

/*
 * Checks what this machine and the job allow, and opens the host's sockets
 * (socket, and socket.agents), where the caller has the claim. The job outlives it.
 * Events go to log, a line each. As a worker after one that was killed it takes
 * that one's guests over.
 */
MUST_CHECK int livehost_open(struct job *job, const char *socket, FILE *log, struct kept *kept,
			     struct livehost **host, struct err *err);
void livehost_close(struct livehost *host); /* guests that are left are killed */

/* Serves until it is told to stop, by a client or by livehost_stop(). */
MUST_CHECK int livehost_run(struct livehost *host, struct err *err);

void livehost_stop(struct livehost *host); /* async-signal-safe */

/* Where a user's host listens: $BALLAST_SOCKET, or below the user's runtime folder. */
const char *livehost_socket(char *buf, size_t size);

#endif
