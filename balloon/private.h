/*
 * The inside of the balloon's host side, for this folder and its tests.
 *
 * contact.c reads messages and answers, pages.c decides on each page and edits
 * the pmap, trust.c judges the driver: how fast it may go, whether it is
 * slow, whether it is believed. balloon.c makes the part of them.
 */
#ifndef BALLAST_BALLOON_PRIVATE_H
#define BALLAST_BALLOON_PRIVATE_H

#include "balloon/balloon.h"

enum driver_state {
	DRIVER_NONE,	  /* none was ever there, or it has left */
	DRIVER_ON,	  /* said hello, and was welcomed */
	DRIVER_RESETTING, /* was told to reset: its next hello is waited for */
	DRIVER_DISTRUSTED /* its hellos are refused until `forgiven` */
};

struct balloon_vm_stats {
	uint64_t target;       /* pages, gauge */
	uint64_t rate;	       /* pages a second that it may inflate by, gauge */
	uint64_t inflated;     /* pages accepted */
	uint64_t deflated;     /* pages given back */
	uint64_t popped;       /* pages touched while in the balloon */
	uint64_t voided;       /* pages that resets and hellos took out */
	uint64_t hinted;       /* pages accepted as free */
	uint64_t hint_frames;  /* of them, those that had a frame */
	uint64_t refused;      /* pages */
	uint64_t bad_messages; /* that cost the driver its state */
	uint64_t messages;     /* read */
	uint64_t throttled;    /* seconds in which it sent more than it may */
	uint64_t resets;       /* by the host */
	uint64_t hellos;       /* drivers welcomed */
	uint64_t distrusts;    /* times that it was sent away */
	uint64_t slow;	       /* times that it was found slow */
	uint64_t guest_free, guest_cached, guest_swapped, guest_faults, guest_refusals;
	uint64_t guest_swap_ins, guest_swap_outs, guest_pressure;
};

#define POPPED_MOST 65536 /* pages that a driver is told of by name; beyond, it is reset */

struct balloon_vm {
	struct balloon *balloon;
	struct vm *vm;
	uint32_t cap;	/* pages */
	uint32_t most;	/* the highest cap that it ever had: what it has may still be there */
	uint32_t asked; /* pages, by hand; BALLOON_BY_POLICY */
	uint32_t hole_first, hole_pages; /* of the guest's numbers; 0, 0: none */
	const uint64_t *steal_ns;	 /* balloon_steal(), or NULL */
	bool connected;
	struct stream stream;
	enum driver_state state;
	uint32_t caps;	   /* agreed upon */
	uint64_t heard_ns; /* when a message of a driver that is on came last */

	/* What the driver's next contact must hear. */
	bool void_balloon; /* a page was touched: reset */
	bool reset_owed;   /* an answer or a reset found no room */
	uint32_t popped_n;
	uint32_t *popped; /* [POPPED_MOST], for a driver that can hear of them */

	/* trust.c */
	uint64_t tokens;		/* thousandths of messages that may be read now */
	uint64_t tokens_ns;		/* as of then */
	bool throttled;			/* in this second already */
	uint64_t throttled_ns;		/* when */
	uint64_t offences, offences_ns; /* since then */
	uint64_t forgiven_ns;		/* when a distrusted driver is heard again */
	bool is_short; /* of its target, since short_ns, having had short_pages then */
	bool slow;
	uint64_t short_ns, short_pages;
	uint64_t refusals_seen; /* of the guest's counter */
	uint64_t excused;	/* pops, for each of which a page may be wanted back in vain */

	bool ours; /* a page is leaving the balloon by the balloon's own doing */
	struct balloon_vm_stats stats;
};

struct balloon {
	struct host *host;
	struct balloon_opts opts;
	struct balloon_vm **vm; /* [vms] by id */
	size_t vms;
	struct timer tick;
};

static inline struct balloon_vm *balloon_of(const struct balloon *b, const struct vm *vm)
{
	return b->vm[vm->id];
}

static inline uint64_t balloon_pages(const struct balloon_vm *v)
{
	return v->vm->pmap->count[PAGE_BALLOONED];
}

static inline uint64_t pages_of(uint64_t bytes)
{
	return bytes >> PAGE_SHIFT;
}

/* The guest's number of a page, and back; UINT32_MAX where it is no page. */
static inline uint32_t guest_ppn(const struct balloon_vm *v, uint32_t ppn)
{
	return ppn < v->hole_first ? ppn : ppn + v->hole_pages;
}

static inline uint32_t host_ppn(const struct balloon_vm *v, uint32_t ppn)
{
	if (ppn < v->hole_first || v->hole_pages == 0)
		return ppn;
	return ppn - v->hole_first < v->hole_pages ? UINT32_MAX : ppn - v->hole_pages;
}

/* Work done on the guest's behalf, in its time. */
static inline void balloon_charge(const struct balloon_vm *v, uint64_t ns)
{
	if (v->vm->state == VM_RUNNING)
		v->vm->time_ns += ns;
}

/* pages.c: what may become of one page. BALLOON_OK: it did. */
enum balloon_reason page_inflate(struct balloon_vm *v, uint32_t ppn);
enum balloon_reason page_deflate(struct balloon_vm *v, uint32_t ppn);
enum balloon_reason page_hint(struct balloon_vm *v, uint32_t ppn);

/* Every page of the balloon is the guest's again. */
void balloon_forget(struct balloon_vm *v);

extern const struct page_handler balloon_handler; /* its ctx: struct balloon */

/* contact.c: void the balloon, and tell the driver to begin anew. */
void driver_reset(struct balloon_vm *v, enum balloon_reason reason);

/* Sends what a driver needs to know now: its target, and the host's view. */
void driver_tell(struct balloon_vm *v);

/* trust.c. */

/* Computes stats.target from vm->target. */
void trust_retarget(struct balloon_vm *v);

/* Whether a message may be read now; if not, notes the flood. */
bool trust_may_read(struct balloon_vm *v);

/* What was read costs as much as so many messages. */
void trust_spend(struct balloon_vm *v, uint32_t cost);

/* The driver did something wrong; enough of it and it is sent away. */
void trust_offended(struct balloon_vm *v, uint64_t times);

/* Whether a driver's hello is heard. */
bool trust_hears(struct balloon_vm *v);

/* Takes the guest's word on its memory into the rate. */
void trust_stats(struct balloon_vm *v, const struct balloon_stats *s);

/* Judges the progress towards the target. */
void trust_progress(struct balloon_vm *v);

#endif
