/* For live/ and its tests. */
#ifndef BALLAST_LIVE_PRIVATE_H
#define BALLAST_LIVE_PRIVATE_H

#include "live/live.h"
#include "live/place.h"
#include "live/pool.h"
#include "live/wire.h"

struct uffd_msg;

struct live {
	pthread_mutex_t lock;
	bool locked; /* there is a lock, and whoever opened the host has it */
	struct host *host;
	struct live_opts opts;
	struct loop loop;
	uint64_t start_ns; /* monotonic time at which the host's clock began, and what it lost */
	char *socket;
	struct watch listener;
	struct caller *callers; /* of the agents' socket, the last that came first */
	struct live_vm **vm;	/* [vms] by VM id */
	size_t vms;
	struct pmap_part *pmaps;
	struct kept *kept; /* NULL: nobody keeps what is lost here */
	struct arena arena;
	struct arena_guest *adding; /* the record of the VM that vm_add() is adding */
	uint32_t tag;		    /* of the last move */
	struct balloon *balloon;    /* NULL: guests have none */
	struct watch bell;	    /* rung to wake the loop */
	bool rung;		    /* and not heard yet */
	bool shortage;		    /* of free frames, for the loop to mend */
	uint64_t sleeps_till;	    /* ns of the host's clock; 0: it does not sleep */
};

/* Where the keeper has a guest's descriptors. */
static inline unsigned kept_place(const struct live_vm *v)
{
	return KEPT_GUEST + KEPT_EACH * (unsigned)(v->record - v->live->arena.head->guest);
}

/* attach.c: agents and their guests' lives. */
MUST_CHECK int attach_listen(struct live *live, const char *socket, struct err *err);
void attach_close(struct live *live);
void attach_stop(struct live_vm *v, bool kill);
void attach_hold(struct live_vm *v, bool on);
void attach_ready(struct live_vm *v); /* a new VM, whose guest is expected */
void attach_drop(struct live_vm *v);  /* at the host's end: its process is killed */

/* Kills the guest and gives its memory back; the reason is kept. */
void attach_fail(struct live_vm *v, const struct err *why);

/* Has the agent do them, up to WIRE_MOVES, and waits for that. 0 or -errno, of the agent's too. */
MUST_CHECK int attach_move(struct live_vm *v, const struct wire_move *move, uint32_t n);

/* Waits until the agent has done whatever it was asked, by whomever. 0 or -errno. */
MUST_CHECK int attach_sync(struct live_vm *v);
MUST_CHECK int attach_watch(struct live_vm *v); /* its descriptors, from now on. 0 or -errno */

/* channel.c: see live/channel.h; what attach.c and live.c do with one. */
MUST_CHECK int channel_adopt(struct live_vm *v);	    /* 0 or -errno */
MUST_CHECK bool channel_hand_over(const struct live_vm *v); /* to the agent */
void channel_close(struct live_vm *v);

/* fault.c: what a guest's touch leads to. */
/* now: the monotonic time. Returns the same, afterwards. */
uint64_t fault_event(struct live_vm *v, const struct uffd_msg *msg, uint64_t now);
/*
 * pmap.hide: the sample begins when the page is unmapped, by fault_unmap(),
 * which is before anybody else is in the host.
 */
void fault_hide(void *ctx, ppn_t ppn);
void fault_unmap(struct live_vm *v);
void fault_pin(struct live_vm *v); /* until they are settled, none is evicted */
MUST_CHECK int fault_settle(struct live_vm *v, struct err *err); /* pages AT_MOVING */
/* struct pool_guard */
void fault_protect(void *ctx, uint16_t vm, ppn_t ppn, uint32_t n, bool on);

/*
 * thread.c: who may be in the host.
 *
 * One at a time: whoever has the lock. Whoever opened the host, and turns its
 * loop, has it at all times but while it waits for something to happen, for a
 * guest's thread to end, or for bytes to be moved (struct breather); so what
 * the loop calls, and its caller, need not know of it. A guest's thread has it
 * while it serves what it read, and touches nothing of the host without it.
 */
MUST_CHECK int threads_open(struct live *live); /* 0 or -errno; takes the lock */
void threads_close(struct live *live);
MUST_CHECK int thread_start(struct live_vm *v); /* for v->uffd. 0 or -errno */
void thread_end(struct live_vm *v);
void threads_halt(struct live *live); /* all of them, before the host comes apart */

/* Reclaims frames, if they are short. */
void thread_evict(struct live *live);

/* Waits in the loop for ns at most, till that time of the host's clock. 0 or -errno. */
MUST_CHECK int thread_sleep(struct live *live, uint64_t till, uint64_t ns);

#endif
