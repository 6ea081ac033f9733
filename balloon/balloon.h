/*
 * The balloon, host side: takes memory from a guest by asking a driver inside
 * it to allocate pages and name them (Waldspurger 2002, section 3.2).
 *
 * The guest chooses what it can best do without, which no host can know. Each
 * page named loses its frame and becomes BALLOONED; a touch of it pops it: it
 * gets a zeroed frame, as if touched for the first time, and the driver is
 * reset at its next contact, or told of the page if it can take that.
 *
 * The driver is not trusted. Whatever it says is checked (balloon/stream.h,
 * balloon/pages.c), what is refused is counted, and none of it costs another VM
 * more than the time that balloon.messages bounds. Nor is it relied upon: while
 * a driver is missing, silent, slow or distrusted, balloon_serves() says so,
 * and the reclaim loop pages instead (balloon/trust.c).
 *
 * The balloon is wanted as large as what the VM holds beyond its target: held +
 * ballooned - target, from 0 to the cap; and no larger than it was asked to
 * be before while the machine has memory to spare (state above soft) and settings
 * and VMs are what they were (host->adjusting). One host, one thread.
 */
#ifndef BALLAST_BALLOON_BALLOON_H
#define BALLAST_BALLOON_BALLOON_H

#include "balloon/stream.h"
#include "pmap/pmap.h"

/* balloon { } of a job file: the host's side, and the driver of simulated guests. */
struct balloon_opts {
	double cap; /* share of a VM's pages */
	uint64_t poll;
	bool interrupt;
	uint64_t rate, rate_least; /* bytes a second */
	double pressure;
	uint64_t slow_rate; /* bytes a second */
	uint64_t slow_time;
	int64_t messages; /* a second */
	int64_t distrust; /* refusals */
	uint64_t forgive;
	uint64_t message_time, page_time;
	bool hints;
	uint64_t hint_rate;  /* bytes a second */
	uint64_t slice;	     /* driver: ns between allocations while it inflates */
	uint64_t start_rate; /* driver: bytes a second */
	uint64_t backoff;    /* driver: ns without inflating after the guest refused */
	uint64_t trace_read; /* ns to read a page that a traced guest gave and touches */
};

extern const struct opt_section balloon_section;
extern const struct reclaimer balloon_reclaimer;

struct balloon;

/* Makes the balloon a part and a reclaimer of the host: before its first VM. */
MUST_CHECK int balloon_open(struct host *host, struct pmap_part *pmaps,
			    const struct balloon_opts *opts, struct balloon **balloon,
			    struct err *err);

/* No more than this share of the VM's pages from now on; 0: it has no balloon. */
void balloon_cap(struct balloon *balloon, struct vm *vm, double cap);

/*
 * Drives the VM's balloon by hand: it is wanted to have this many pages, up to
 * its cap, whatever the policy says. BALLOON_BY_POLICY: no more by hand.
 */
#define BALLOON_BY_POLICY UINT32_MAX
void balloon_ask(struct balloon *balloon, struct vm *vm, uint32_t pages);

/*
 * A guest that knows its pages by other numbers: from `first` on its numbers
 * are `pages` higher, and those between are nobody's (the hole below 4 GiB of a
 * PC's physical addresses). Only what is said to the driver and by it changes.
 */
void balloon_hole(struct balloon *balloon, struct vm *vm, uint32_t first, uint32_t pages);

/*
 * Where somebody counts the time that the guest waited for the host's paging, for
 * the VIEW message; lives as long as the VM. NULL: nobody does.
 */
void balloon_steal(struct balloon *balloon, struct vm *vm, const uint64_t *ns);

/*
 * The way to the VM's driver, one at a time; copied. Whatever came of an
 * earlier one is kept until the new driver says hello.
 */
void balloon_connect(struct balloon *balloon, struct vm *vm, const struct balloon_end *end);

/* Nobody is there any more; what the driver gave stays out until it is touched. */
void balloon_disconnect(struct balloon *balloon, struct vm *vm);

/* Reads and answers what the VM's driver has sent: to be called when its end rings. */
void balloon_contact(struct balloon *balloon, struct vm *vm);

/* Whether the driver can bring the VM to its target by itself, and before long. */
bool balloon_serves(struct balloon *balloon, const struct vm *vm);

/* What is known of its driver, in a word: "none", "on", "resetting", "distrusted". */
const char *balloon_driver(const struct balloon *balloon, const struct vm *vm);

/* Pages that the balloon is wanted to have. */
uint32_t balloon_target(struct balloon *balloon, const struct vm *vm);

#endif
