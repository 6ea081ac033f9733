/*
 * A host and its virtual machines, and the sockets that the other folders plug
 * into.
 *
 * A host owns machine memory, a virtual clock, its VMs and a list of parts
 * (pmap, swap, sharing, ...), which the host knows only by their hooks. Policy
 * chooses and mechanism acts: the host decides when frames are short and asks
 * its reclaimers in the order that the job lists; each gives what it can.
 *
 * There are no globals: a thousand hosts fit in one process. A host is
 * single-threaded; in live mode event threads enter it one at a time.
 *
 * A VM that cannot go on (its swapped page is lost, no frame can be found for
 * it) fails alone: its error is kept, its memory goes back to the machine and
 * the others run on.
 */
#ifndef BALLAST_CORE_HOST_H
#define BALLAST_CORE_HOST_H

#include "core/err.h"
#include "core/machine.h"
#include "core/opt.h"
#include "core/stat.h"
#include "core/timer.h"

struct host;
struct vm;
struct pmap;
struct miss_curve;
struct reclaim;
struct reclaim_opts;

/* host { } of a job file. */
struct host_opts {
	int64_t frames;			 /* 0: as memory says */
	uint64_t memory;		 /* bytes; 0: as frames say */
	uint64_t low_memory;		 /* bytes that devices can address */
	const struct policy *backing;	 /* of backings[] */
	const struct policy *thresholds; /* of thresholds_list[] */
	char **reclaimers;		 /* names, in the order in which they are asked */
	double reserve_low, reserve_high;
	uint64_t quantum; /* ns a VM runs ahead of the next */
	uint64_t audit;	  /* ns of virtual time between self-checks; 0 never */
	int64_t seed;
};

/* cost { }: what moves the virtual clock. All in ns. */
struct cost_opts {
	uint64_t ref;	/* a reference that hits */
	uint64_t fault; /* an exit to the manager and back */
	uint64_t zero;	/* clearing a page before hand-out */
};

extern const struct opt_section host_section, cost_section;

/*
 * How short of frames the machine is, by the policy of thresholds; each state
 * is shorter than the one before (Waldspurger 2002, section 6.3). CLEAR is of
 * later ESX only. Thresholds that have no states leave the host in HIGH.
 */
enum host_state { HOST_HIGH, HOST_CLEAR, HOST_SOFT, HOST_HARD, HOST_LOW, HOST_STATES };

extern const char *const host_state_names[HOST_STATES];

/*
 * When frames are reclaimed. By two marks: at or below `low` free frames, until
 * `high` are; where they are 0 and 1, memory is filled to the last frame and one
 * page is replaced per fault, as textbooks count. Or by states: mark[s] is the
 * number of free frames below which state s begins, 0 for one that there is
 * not, and mark[HOST_HIGH] what reclaiming aims at (core/reclaim.h).
 */
struct thresholds {
	struct policy policy;
	/* One of the two. */
	void (*marks)(const struct host_opts *opts, uint32_t frames, uint32_t *low, uint32_t *high);
	void (*states)(const struct reclaim_opts *opts, uint32_t frames, uint32_t *mark);
};

extern const struct policy *const thresholds_list[]; /* none, reserve, esx, esx-later */

static inline bool thresholds_have_states(const struct policy *thresholds)
{
	return ((const struct thresholds *)thresholds)->states != NULL;
}

/*
 * A way to get frames back. One that takes them has reclaim; one that asks a
 * guest for them, and gets them in the guest's own time, has retarget.
 */
struct reclaimer {
	struct policy policy;
	enum host_state from; /* the state from which it is asked: balloon SOFT, swap HARD */
	/*
	 * Frees up to `want` frames of VM `only`, or of any VM where that is
	 * NULL, and returns how many; `only` is left its vm_floor(). needy is the
	 * VM that waits, or NULL. err says why it was fewer, where there is a
	 * reason that a user can mend (a full disk).
	 */
	uint32_t (*reclaim)(void *ctx, uint32_t want, struct vm *only, struct vm *needy,
			    struct err *err);
	/*
	 * Optional: takes one page's frame, any VM's, and hands it straight
	 * over, unowned, without a turn through the free list. MPN_NONE and err
	 * as above.
	 */
	mpn_t (*replace)(void *ctx, struct vm *needy, struct err *err);
	/*
	 * vm->target has changed, or what the VM holds: bring vm_held() to the
	 * target in your own time. Called in every state, so that a balloon
	 * deflates too.
	 */
	void (*retarget)(void *ctx, struct vm *vm);
	/*
	 * With retarget: whether it can still bring this VM to its target, by
	 * itself and before long. Where no reclaimer can, the VM is paged from
	 * SOFT on.
	 */
	bool (*serves)(void *ctx, const struct vm *vm);
};

/*
 * Who divides the memory: fills vm->target of every VM, from claims. The
 * reason is for the record. 0, or -errno with the targets as they were.
 */
struct planner {
	int (*plan)(void *ctx, const char *reason, struct err *err);
	void *ctx;
	uint64_t period_ns; /* between plans where nothing else calls for one */
};

/*
 * Asked before a private page is written to swap. Whoever can do without the
 * page's frame in another way (sharing: an equal page has one) may take the
 * page out of its private frame and says true; then there is nothing to evict.
 */
struct screen {
	bool (*settle)(void *ctx, struct vm *vm, ppn_t ppn);
	void *ctx;
};

/* A part of the manager, as the host sees it. Hooks may be NULL. */
struct part {
	const char *name;
	int (*vm_added)(void *ctx, struct vm *vm);    /* 0 or -errno: the VM is not added */
	void (*vm_emptied)(void *ctx, struct vm *vm); /* gives back all the memory that it holds */
	void (*vm_removed)(void *ctx, struct vm *vm); /* frees what vm_added made */
	size_t (*audit)(void *ctx, FILE *out);	      /* recounts; returns violations */
	void (*close)(void *ctx);		      /* last parts first */
	void (*refresh)(void *ctx);		      /* brings costly gauges up to date */
	void (*gauge)(void *ctx); /* the same for cheap ones, before each row of a series */
	/*
	 * The options of a section that may be set while it runs (struct opt,
	 * live) are these from now on; they were checked.
	 */
	void (*changed)(void *ctx, const struct opt_section *section, const void *opts);
};

/*
 * For guests that run by themselves: whoever calls a reclaimer may let others
 * enter the host while bytes are being moved, between release and retake. The
 * caller sets it for that call, and release takes it away till retake.
 */
struct breather {
	void (*release)(void *ctx); /* NULL: nobody enters meanwhile */
	void (*retake)(void *ctx);
	void *ctx;
};

/*
 * Likewise: whoever reclaims frames beside the guests, so that none waits for
 * it. While a frame is free host_take_frame() then reclaims nothing itself: it
 * calls wake, which has host_replenish() called before long.
 */
struct evictor {
	void (*wake)(void *ctx); /* NULL: there is nobody */
	void *ctx;
	uint64_t in_line; /* frames reclaimed by host_take_frame() all the same */
};

/*
 * Likewise: while it is on, a touch that would wait for a disk is -EAGAIN, with
 * nothing changed, and notes what it waits for. fetch then brings that nearer;
 * it may be called, with a copy of the notes, while others use the host.
 */
#define AWAITED_MOST 16

struct awaited {
	bool on;
	uint32_t n;
	uint64_t what[AWAITED_MOST];
	void (*fetch)(const void *ctx, const uint64_t *what, uint32_t n); /* NULL: none waits */
	const void *ctx;
};

#define IN_LINE_BATCH 16 /* frames that it then reclaims at once */

enum step { STEP_MORE = 0, STEP_ENDED = 1 };

/* What drives a VM: a trace, a guest-OS model, a live guest. step: STEP_* or -errno. */
struct guest {
	const char *name;
	int (*step)(void *state, struct vm *vm, uint64_t until_ns, struct err *err);
	void (*close)(void *state);
	size_t (*audit)(const void *state, FILE *out); /* optional: recounts; returns violations */
};

enum vm_state { VM_RUNNING, VM_ENDED, VM_FAILED, VM_REMOVED };

struct vm {
	struct host *host;
	char *name;
	struct pmap *pmap; /* the pmap part's */
	uint64_t time_ns;  /* this VM's own clock; host clock <= every running VM's */
	uint32_t pages;	   /* size, in PPNs */
	uint16_t id;	   /* index in host->vm */
	enum vm_state state;
	/* What it may have, in pages; min <= max <= pages. vm_add() says 0, pages, 0, 1. */
	uint64_t min, max, overhead;
	uint32_t shares;
	uint64_t target; /* pages: what the planner gives it; vm_add() says max */
	uint64_t active; /* pages in use, by the sampler's estimate; read vm_active() */
	bool sampled;	 /* there is such an estimate */
	const struct miss_curve *curve; /* by a sampler that makes one (tax/alloc.h), or NULL */
	const uint64_t *held[3]; /* private and shared pages, and those in transit: the pmap's */
	bool blocked;		 /* it waits for memory and does not run */
	bool in_turn;		 /* the scheduler's: it will come to this VM */
	struct vm *next_blocked; /* in the order of waking */
	struct err err;		 /* why, if VM_FAILED */
	const struct guest *guest;
	void *guest_state;
	struct stat_scope stats;
};

#define HOST_TIME_MAX (UINT64_C(1) << 62) /* ns, 146 years: a run whose time gets there ends */

#define HOST_PARTS_MAX	    16
#define HOST_RECLAIMERS_MAX 8

struct host_stats {
	uint64_t frames;    /* of the machine */
	uint64_t time_ns;   /* virtual time at which the last VM stopped */
	uint64_t min_free;  /* frames */
	uint64_t reclaims;  /* times that free frames ran short */
	uint64_t vm_failed; /* VMs */
};

/* Told of what happened; reason is one line. vm may be NULL. */
typedef void event_fn(void *ctx, uint64_t time_ns, const struct vm *vm, const char *event,
		      const char *reason);

struct host {
	struct host_opts opts;
	struct cost_opts cost;
	struct meter meter;
	struct machine machine;
	struct clock clock;
	struct vm **vm; /* [vms] */
	size_t vms;
	uint32_t mark_low, mark_high; /* frames */
	struct {
		const struct part *part;
		void *ctx;
	} part[HOST_PARTS_MAX];
	size_t parts;
	struct {
		const struct reclaimer *reclaimer;
		void *ctx;
	} reclaimer[HOST_RECLAIMERS_MAX];
	size_t reclaimers;
	struct screen screen;	/* at most one */
	struct planner planner; /* at most one; plan may be NULL */
	struct breather breather;
	struct evictor evictor;
	struct awaited awaited;
	enum host_state state;
	bool adjusting; /* settings or VMs have changed: balloons are asked in every state */
	struct reclaim *reclaim; /* NULL: thresholds without states */
	struct turns *turns;	 /* the scheduler's, while host_run() lasts */
	struct vm *running;	 /* whose turn it is, or NULL */
	uint64_t turn_ends_ns;	 /* when, unless the guest ends it sooner */
	uint64_t turn_max_ns;	 /* the longest turn, 0: any */
	struct vm *blocked;	 /* the first to be woken; NULL: none waits */
	size_t arrivals;	 /* VMs still to come: the run waits for them */
	struct host_stats stats;
	struct stat_scope scope;
	event_fn *on_event; /* optional */
	void *event_ctx;
	void (*on_step)(void *ctx); /* optional: between steps, for a progress bar */
	void *step_ctx;
	volatile bool stop; /* set to end host_run() early, e.g. on Ctrl-C */
};

/* opts->frames decides the size and must be > 0 and < 2^32 - 1. */
MUST_CHECK int host_new(const struct host_opts *opts, const struct cost_opts *cost,
			struct host **host, struct err *err);
void host_free(struct host *host); /* with its VMs, guests and parts */

/* Parts come before the first VM. Both abort when the table is full: a bug. */
void host_add_part(struct host *host, const struct part *part, void *ctx);
void host_add_reclaimer(struct host *host, const struct reclaimer *reclaimer, void *ctx);

/*
 * Pages that have a frame, their own or a shared one. The paper's allocation
 * counts both, which is how the sum of all can pass the machine's memory.
 */
static inline uint64_t vm_held(const struct vm *vm)
{
	return *vm->held[0] + *vm->held[1] + *vm->held[2];
}

/* Pages that the VM uses: all that it holds where nothing samples it. */
static inline uint64_t vm_active(const struct vm *vm)
{
	return vm->sampled ? vm->active : vm_held(vm);
}

/*
 * Pages that are left to a VM whose pages are taken: its target, its min where
 * another VM cannot go on without, nothing where it cannot itself.
 */
static inline uint64_t vm_floor(const struct vm *vm, const struct vm *needy)
{
	return vm == needy ? 0 : needy ? vm->min : vm->target;
}

/* pages > 0. The name is copied; the guest is attached with vm_drive(). */
MUST_CHECK int vm_add(struct host *host, const char *name, uint32_t pages, struct vm **vm,
		      struct err *err);
void vm_drive(struct vm *vm, const struct guest *guest, void *state);

/* Stops the VM for good; its memory goes back. The error is copied. */
void vm_fail(struct vm *vm, const struct err *err);

/* The same for a guest that has come to its end. why is for the record. */
void vm_end(struct vm *vm, const char *why);

/* The same for a VM that is taken away. */
void vm_retire(struct vm *vm, const char *reason);

/* It holds nothing any more and never will. */
static inline bool vm_gone(const struct vm *vm)
{
	return vm->state == VM_FAILED || vm->state == VM_REMOVED;
}

/*
 * A blocked VM gets no turn until it is woken, in the order of blocking. The one
 * that runs ends its turn after the reference at hand: its time passes.
 */
void vm_block(struct vm *vm);
void vm_wake(struct vm *vm);

/* Virtual time: the running VM's, or the clock's. */
static inline uint64_t host_now(const struct host *host)
{
	return host->running ? max_u64(host->running->time_ns, host->clock.now_ns)
			     : host->clock.now_ns;
}

/*
 * A frame for the VM, not yet owned nor zeroed, reclaiming where frames are
 * short. On -ENOMEM nothing changed but what the reclaimers did. Inlined up to
 * the mark, since every fault comes through here.
 */
int host_take_slow(struct host *host, struct vm *vm, mpn_t *mpn, struct err *err);

MUST_CHECK static inline int host_take_frame(struct host *host, struct vm *vm, mpn_t *mpn,
					     struct err *err)
{
	if (unlikely(host->machine.free <= host->mark_low))
		return host_take_slow(host, vm, mpn, err);
	*mpn = machine_take(&host->machine);
	return 0;
}

/*
 * Textbook replacement: no free frame, one wanted, and one reclaimer that can give
 * it. A reclaimer that is itself in need of a frame asks if it is that one, and then
 * hands over what its replace() would: what host_take_frame() comes to, without the
 * long way there, since every swap-in comes through here.
 */
static inline bool host_replaces(const struct host *host, const struct reclaimer *reclaimer)
{
	return host->machine.free <= host->mark_low && host->mark_high == 1 && !host->reclaim &&
	       host->reclaimers == 1 && host->reclaimer[0].reclaimer == reclaimer;
}

/* 0, or -ENOMEM where mpn is MPN_NONE, of which why tells as a reclaimer does. */
MUST_CHECK int host_no_frame(const struct host *host, struct err *why, struct err *err);

MUST_CHECK static inline int host_replaced(struct host *host, mpn_t mpn, struct err *why,
					   struct err *err)
{
	host->stats.reclaims++;
	host->stats.min_free = min_u64(host->stats.min_free, host->machine.free);
	host->evictor.in_line++;
	return likely(mpn_valid(mpn)) ? 0 : host_no_frame(host, why, err);
}

/* For the evictor: reclaims what free frames are short of. */
void host_replenish(struct host *host);

/*
 * Runs every guest to its end, interleaved by virtual time, firing timers on
 * the way, and audits at the end. A VM added by a timer's function joins in. A guest's bad input
 * (class 2) ends the run; a VM that fails otherwise fails alone and the run goes on and returns 0.
 */
MUST_CHECK int host_run(struct host *host, struct err *err);

/* To be called before statistics are read out: all of them, or those of a series. */
void host_refresh(struct host *host);
void host_gauge(struct host *host);

/* Tells every part of a section's options that were set anew. */
void host_changed(struct host *host, const struct opt_section *section, const void *opts);

/* Tells on_event, at the VM's time, or the host's where vm is NULL. */
void host_event(struct host *host, const struct vm *vm, const char *event, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* The same, at the host's time and not the VM's: of what is done to a VM. */
void host_event_now(struct host *host, const struct vm *vm, const char *event, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* Recounts every identity of machine and parts; writes the violations, returns how many. */
size_t host_audit(struct host *host, FILE *out);

#endif
