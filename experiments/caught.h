/*
 * Signals that end a command which has guests' processes to end first.
 *
 * Between the two calls those that would kill it are noted and nothing more
 * (what was ignored stays so); system calls that wait return -EINTR. One such
 * piece of work a process.
 */
#ifndef BALLAST_EXPERIMENTS_CAUGHT_H
#define BALLAST_EXPERIMENTS_CAUGHT_H

#include <signal.h>

#define CAUGHT_SIGNALS 4 /* SIGINT, SIGTERM, SIGHUP, SIGQUIT */

struct caught {
	struct sigaction old[CAUGHT_SIGNALS];
};

void caught_begin(struct caught *c);

/* The last signal, or 0. */
int caught_signal(void);

/* The same, and it is forgotten: whoever ends need not die of it. */
int caught_take(void);

/* In a child: they kill it. */
void caught_child(void);

/* As before; the last signal, if there was one, then does what it does. */
void caught_end(const struct caught *c);

#endif
