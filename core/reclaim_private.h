/*
 * What the parts of the reclaim loop share: core/reclaim.c knows when,
 * core/reclaim_page.c from whom, core/reclaim_stat.c tells of it.
 */
#ifndef BALLAST_CORE_RECLAIM_PRIVATE_H
#define BALLAST_CORE_RECLAIM_PRIVATE_H

#include "core/reclaim.h"

/* What the loop tells of a VM. */
struct reclaim_vm {
	uint64_t held, target; /* pages, as of the last gauge */
	uint64_t paged;	       /* frames */
	uint64_t untold;       /* of them, those that no event has told of yet */
	bool fell_short;       /* and that there were too few was told */
	uint64_t blocks, blocked_ns;
	uint64_t since_ns; /* while it is blocked: since when */
};

struct reclaim {
	struct host *host;
	struct reclaim_opts opts;
	uint32_t mark[HOST_STATES]; /* frames */
	uint32_t goal, width;	    /* frames */
	struct timer tick, period;
	uint64_t since_ns;	/* what state_ns counts up to */
	uint64_t told_ns;	/* of paging */
	uint64_t paid_ns;	/* up to when the time to swap pages out is used */
	uint64_t adjust_ns;	/* until when the host is adjusting */
	uint64_t divided;	/* pages that the last plan divided */
	bool capped;		/* some VM may have less than its size */
	bool acting;		/* what it does must not set it off again */
	struct reclaim_vm **vm; /* [vms] by VM id */
	size_t vms;
	struct {
		uint64_t state, goal;
		uint64_t state_ns[HOST_STATES];
		uint64_t changes, plans, paged, blocks;
	} stats;
};

static inline uint64_t vm_excess(const struct vm *vm)
{
	uint64_t held = vm_held(vm);

	return held > vm->target ? held - vm->target : 0;
}

/* The most that it may have, however much is free. */
static inline uint64_t vm_ceiling(const struct vm *vm)
{
	return vm->shares ? vm->max : vm->min;
}

/* Frames to reclaim at once while somebody waits for one. */
static inline uint32_t reclaim_unit(const struct reclaim *r)
{
	return r->host->evictor.wake ? IN_LINE_BATCH : 1;
}

/* reclaim_stat.c */

extern const struct stat_row reclaim_host_rows[], reclaim_vm_rows[];

void reclaim_count_time(struct reclaim *r);
void reclaim_count_blocked(struct reclaim *r, struct vm *vm);
void reclaim_gauge(void *ctx);
size_t reclaim_audit(void *ctx, FILE *out);

/* reclaim_page.c */

/*
 * Has the reclaimers page out up to `want` frames' worth of that VM; returns how
 * many frames they freed. Charged to needy, if there is one.
 */
uint32_t reclaim_ask(struct reclaim *r, struct vm *vm, uint32_t want, struct vm *needy,
		     struct err *err);

/*
 * Pages VMs above their targets, in proportion, as far as free frames are short
 * of the goal, and in every state those above their ceilings; as far as
 * reclaim.rate allows, `least` pages in any case. Returns the frames freed.
 */
uint32_t reclaim_page(struct reclaim *r, uint64_t least);

/* Whether some VM holds more than its ceiling. */
bool reclaim_over_ceiling(const struct reclaim *r);

/* Tells what was paged since, while state and targets are still those that it was paged for. */
void reclaim_tell(struct reclaim *r);

/*
 * No frame is free: one of somebody's, synchronously. First the VM furthest
 * above its target, then the one furthest above its min, at last the needy
 * one itself. False: nobody has one to give.
 */
bool reclaim_force(struct reclaim *r, struct vm *needy, struct err *err);

#endif
