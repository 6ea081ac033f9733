/*
 * Live guests: the manager of real processes' memory.
 *
 * The guest's process carries an agent (live/agent.c), which lays the VM's
 * window of the pool (live/pool.h) over the guest's memory and sends a
 * userfaultfd. Everything after that is the core's: a fault becomes
 * pmap_touch(), which takes a frame, swaps in or unshares as it does for a
 * trace; afterwards the guest's page tables are made to show what the pmap
 * says. The page's state decides, an event is only a hint: it may be late,
 * doubled, or about a page that has changed meanwhile.
 *
 * Threads: whoever opens a host turns its loop over descriptors and the host's
 * timers, whose clock is the time since it started, and may use the host between
 * turns; while the loop waits, each guest's own thread serves its events, one
 * at a time (live/private.h). Between turns guests wait, so they should be
 * short. A guest that breaks the agent's protocol, or whose page is lost, is
 * killed; the others run on.
 */
#ifndef BALLAST_LIVE_LIVE_H
#define BALLAST_LIVE_LIVE_H

#include "live/arena.h"
#include "live/loop.h"
#include "pmap/pmap.h"

#include <pthread.h>
#include <sys/types.h>

/* live { } of a job file. */
struct live_opts {
	const struct policy *fault_around; /* of arounds[]: pages mapped at a first touch */
	const struct policy *swap_io;	   /* of swap_ios[] */
	bool beside;			   /* a guest's thread follows it from CPU to CPU */
	uint64_t orphan;		   /* ns that a guest waits for a manager that is gone */
	uint64_t time; /* ns after which whoever runs the host ends it; 0: never */
};

extern const struct policy *const swap_ios[]; /* auto, uring, sync */
extern const struct policy *const arounds[];  /* off, 2, 4, ... 64 */

extern const struct opt_section live_section;

enum live_state { LIVE_EXPECTED, LIVE_ATTACHING, LIVE_RUNNING, LIVE_DYING, LIVE_GONE };

extern const char *const live_state_names[];

/* What the guests did, by VM. */
struct live_stats {
	uint64_t events;      /* read from the userfaultfd */
	uint64_t again;	      /* of them, about pages that were there already */
	uint64_t around;      /* pages mapped at a neighbour's first touch */
	uint64_t moves;	      /* pages that the agent mapped elsewhere, or back */
	uint64_t gap_writes;  /* shared pages written before they were registered anew */
	uint64_t fetched;     /* pages read from the disk while others used the host */
	uint64_t fault_ns;    /* time in the handler */
	uint64_t fault_worst; /* ns, of one event */
	uint64_t bells;	      /* rung by its balloon driver, as far as they were told apart */
	uint64_t deaf;	      /* seconds in which there were too many of them */
};

#define AT_MOVING (UINT32_C(1) << 31)
#define HIDE_MOST 64 /* pages that the agent is asked to unmap at once */

struct balloon;
struct channel;
struct live;

/* A guest, from when it is expected until it is gone. */
struct live_vm {
	struct live *live;
	struct vm *vm;
	enum live_state state;
	pid_t pid;
	struct watch uffd, sock, process; /* the last is a pidfd */
	struct err why;			  /* it is DYING, if there is a reason */
	pthread_t thread;		  /* serves its events, while it is threaded */
	bool threaded, stopping;
	int pagemap;
	uint32_t around;		   /* pages that a first touch maps at most */
	uint32_t hidden[HIDE_MOST], hides; /* sampled pages that the guest has mapped yet */
	uint64_t base;			   /* of its memory, in its own process */
	/*
	 * [pages] 0: mapped to its window, else to that slot of the pool + 1.
	 * With AT_MOVING that is what was asked for; where it is, nobody knows.
	 */
	uint32_t *at;
	struct arena_guest *record;
	struct channel *channel; /* its balloon's, or NULL */
	struct live_stats stats;
};

/*
 * Makes a host whose backing is backing_live one of live guests, as its last
 * part, before its first VM; socket is where agents connect (made here, with
 * mode 0600). kept: the keeper's, or NULL. slots: of the swap area.
 */
MUST_CHECK int live_open(struct host *host, struct pmap_part *pmaps, const struct live_opts *opts,
			 const char *socket, struct kept *kept, uint32_t slots, struct live **live,
			 struct err *err);

/* The host's balloon, for guests that have a channel (live/channel.h). */
void live_balloon(struct live *live, struct balloon *balloon);

/* Where the swap area's checksums outlive the manager: [slots]. */
uint64_t *live_sums(struct live *live);

/* Adds a VM, whose guest is now expected to connect. pages > 0; group NULL: the default. */
MUST_CHECK int live_add(struct live *live, const char *name, const char *group, uint32_t pages,
			struct live_vm **v, struct err *err);

/* What the VM claims where the host has a planner: min <= max <= its pages. */
void live_claim(struct live_vm *v, uint64_t min, uint64_t max, uint32_t shares);

/*
 * After a manager that was killed: adds a VM for every guest that it had. Who
 * knows more of them (their groups: v->record) says so, and then live_resume()
 * makes the pmaps true and lets the guests run on. A guest that cannot be taken
 * over is killed alone; -errno is the host's end.
 */
MUST_CHECK int live_adopt(struct live *live, struct err *err);
MUST_CHECK int live_resume(struct live *live, struct err *err);

/* The guest of that name that is not gone, or NULL. */
struct live_vm *live_find(const struct live *live, const char *name);

/* All guests there have been: the i-th, in order of arrival; NULL past the last. */
struct live_vm *live_at(const struct live *live, size_t i);

/* Holds its process (SIGSTOP), within some milliseconds, or lets it go on. Not for long. */
void live_hold(struct live_vm *v, bool on);

/* Asks a guest to end (SIGTERM), or kills it; one that is only expected is given up. */
void live_stop(struct live_vm *v, bool kill);

/* No agent connects any more: their socket is gone. */
void live_refuse(struct live *live);

/* One turn of the loop. 0, or -errno if the host cannot go on. */
MUST_CHECK int live_turn(struct live *live, uint64_t timeout_ns, struct err *err);

struct loop *live_loop(struct live *live);
struct host *live_host(struct live *live);

/* Whether this process may manage guests: the kernel's features and its rights. */
MUST_CHECK int live_check(struct err *err);

#endif
