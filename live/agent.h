/*
 * The agent (live/agent.c), as other code in the same process sees it: the
 * preloaded allocator, the QEMU plugin.
 *
 * Attaching hands the memory to the manager; what cannot be done ends the
 * process with a line that says why, for a guest whose memory is not managed
 * must not run. Called before the program runs, from one thread.
 */
#ifndef BALLAST_LIVE_AGENT_H
#define BALLAST_LIVE_AGENT_H

#include <stddef.h>
#include <stdint.h>

/* Takes the VM's name and its host's socket from the environment. */
void agent_read_names(void);

/* Lays the VM's window over the mapping, and starts the agent's thread. */
void agent_attach(void *base, uint64_t bytes);

/*
 * Puts a descriptor of the agent's, or of its kind, where the program is not in
 * its way and does not close it: its number from now on. At most 8.
 */
int agent_own(int fd);

/* In a child after fork(): it is no guest, and keeps nothing of one open. */
void agent_leave(void);
void agent_disown(void); /* of that, the descriptors */

/* A line on standard error, then the end of the process. */
_Noreturn void agent_give_up(const char *what, const char *why);

#endif
