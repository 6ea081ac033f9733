/*
 * Where a guest's event thread runs.
 *
 * A guest that waits for a page waits for the thread that serves it, which on
 * its own CPU is there at once and on another one has to be woken from idleness,
 * for several times the price of the work (docs/live.md). So the thread follows:
 * now and then it looks on which CPU the guest's thread was that it served
 * last, and moves there. Each thread calls this for itself.
 */
#ifndef BALLAST_LIVE_PLACE_H
#define BALLAST_LIVE_PLACE_H

#include <stdint.h>
#include <sys/types.h>

struct place {
	int cpu; /* where the caller has put itself; -1 nowhere yet */
	uint32_t events;
};

/* An event of that process's thread was served. */
void place_beside(struct place *place, pid_t pid, uint32_t thread);

/* The processor in a line of /proc/PID/stat, or -1 where there is none in it. */
int place_parse(const char *stat);

#endif
