/* For live/ and its tests. */
#ifndef BALLAST_LIVE_PRIVATE_H
#define BALLAST_LIVE_PRIVATE_H

#include "live/live.h"
#include "live/pool.h"
#include "live/wire.h"

struct live {
	struct host *host;
	struct live_opts opts;
	struct loop loop;
	uint64_t start_ns; /* monotonic time at which the host's clock began, and what it lost */
	char *socket;
	struct watch listener;
	struct live_vm **vm; /* [vms] by VM id */
	size_t vms;
	struct pmap_part *pmaps;
	struct kept *kept; /* NULL: nobody keeps what is lost here */
	struct arena arena;
	struct arena_guest *adding; /* the record of the VM that vm_add() is adding */
	uint32_t tag;		    /* of the last move */
	struct balloon *balloon;    /* NULL: guests have none */
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
void attach_ready(struct live_vm *v); /* a new VM, whose guest is expected */
void attach_drop(struct live_vm *v);  /* at the host's end: its process is killed */

/* Kills the guest and gives its memory back; the reason is kept. */
void attach_fail(struct live_vm *v, const struct err *why);

/* Has the agent do it, and waits for that. 0 or -errno, of the agent's too. */
MUST_CHECK int attach_move(struct live_vm *v, const struct wire_move *move);

/* Waits until the agent has done whatever it was asked, by whomever. 0 or -errno. */
MUST_CHECK int attach_sync(struct live_vm *v);
MUST_CHECK int attach_watch(struct live_vm *v); /* its descriptors, from now on. 0 or -errno */

/* channel.c: see live/channel.h; what attach.c and live.c do with one. */
MUST_CHECK int channel_adopt(struct live_vm *v);	    /* 0 or -errno */
MUST_CHECK bool channel_hand_over(const struct live_vm *v); /* to the agent */
void channel_close(struct live_vm *v);

/* fault.c: what a guest's touch leads to. */
void fault_ready(struct watch *w, uint32_t events);
void fault_hide(void *ctx, ppn_t ppn); /* pmap.hide */
void fault_pin(struct live_vm *v);     /* until they are settled, none is evicted */
MUST_CHECK int fault_settle(struct live_vm *v, struct err *err); /* pages AT_MOVING */
/* struct pool_guard */
void fault_protect(void *ctx, uint16_t vm, ppn_t ppn, uint32_t n, bool on);

#endif
