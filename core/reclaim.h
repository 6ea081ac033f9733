/*
 * The reclaim loop: what the host does when frames are short.
 *
 * The states high, (clear,) soft, hard and low (Waldspurger 2002, section 6.3)
 * begin where free frames fall below their mark, and are left for the one above
 * when free frames pass that one's mark by a width. In soft balloons are asked,
 * and VMs without one that works paged; in hard all VMs above their targets are
 * paged, in low they are blocked as well. Targets come from the planner, which
 * divides host_divisible() pages. For free = frames - overhead - sum(held) +
 * saved: what is aimed at is free just when VMs hold that many together, more
 * than machine memory while sharing lasts. For reclaim.adjust after settings or
 * VMs have changed balloons are asked in every state.
 *
 * Nobody starves or deadlocks: in low a VM at its target replaces a page of its
 * own, so it needs no one; a tick comes every reclaim.tick while frames are
 * short, and either frees frames, of which finitely many are missing, or wakes
 * the VM that has been blocked longest. No VM is taken below its min but for a
 * frame of its own, or has more than its max, or than its min without shares.
 * Owns the states, the order of waking and its timers.
 */
#ifndef BALLAST_CORE_RECLAIM_H
#define BALLAST_CORE_RECLAIM_H

#include "core/host.h"

/* reclaim { } of a job file. */
struct reclaim_opts {
	double high, soft, hard, low; /* shares of machine memory */
	double width;		      /* share of the high mark */
	uint64_t tick, adjust;	      /* ns */
	int64_t rate;		      /* pages/s; 0: no bound */
};

extern const struct opt_section reclaim_section;

/* Whether the marks fall from high to low; the message has both figures. */
MUST_CHECK int reclaim_check(const struct reclaim_opts *opts, struct err *err);

struct reclaim;

/*
 * Makes the loop a part of the host, before its first VM. Where the host's
 * thresholds have no states there is none: *reclaim is NULL and host->reclaim
 * too, and everything goes as those thresholds say.
 */
MUST_CHECK int reclaim_open(struct host *host, const struct reclaim_opts *opts,
			    struct reclaim **reclaim, struct err *err);

/*
 * Has the planner set new targets, and acts on them: for changed parameters,
 * VMs that came or went. The reason goes into events.csv. Without a loop
 * nothing happens.
 */
void host_plan(struct host *host, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Pages that the VMs may hold together with as much free as is aimed at. */
uint64_t host_divisible(const struct host *host);

/* Frames that sharing saves: pages held beyond the frames that back them. */
uint64_t host_saved(const struct host *host);

/* host_replenish() of a host with a loop: acts on the state as it is. */
void reclaim_now(struct reclaim *reclaim);

/* host_take_slow() of a host with a loop. */
int reclaim_take(struct reclaim *reclaim, struct vm *vm, mpn_t *mpn, struct err *why);

/* For tests: the free frames below which a state begins, and what is aimed at. */
uint32_t reclaim_mark(const struct reclaim *reclaim, enum host_state state);
uint32_t reclaim_goal(const struct reclaim *reclaim);

#endif
