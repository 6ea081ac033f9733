/*
 * The balloon driver of the simulated guest (Waldspurger 2002, section 3.2).
 *
 * It lives inside the guest: it takes pages through the guest's own allocator
 * (struct driver_guest), so that the guest chooses what to do without, and
 * names them to the host. Each poll of virtual time it reports how the guest
 * does and learns its target; while it is short of it, it allocates a slice
 * every few milliseconds, at a rate that doubles while the guest gives and is
 * halved when it refuses. It never kills the guest: out of memory, the guest
 * asks it first (release), and gets pages back at once.
 *
 * It says one thing at a time and waits for the answer, so that host and driver
 * agree on what is in the balloon. It remembers a bit per page of the guest.
 * Timers of a clock run it: the simulated guest's is its host's, one in a live
 * process has its own (struct driver_place). One clock, one thread.
 */
#ifndef BALLAST_BALLOON_DRIVER_H
#define BALLAST_BALLOON_DRIVER_H

#include "balloon/balloon.h"
#include "core/balloon_guest.h"

struct driver;

/* Where it runs. */
struct driver_place {
	const char *name; /* for the log: printable ASCII, at most 15 */
	uint32_t pages;	  /* of the guest */
	struct clock *clock;
	const struct vm *vm; /* simulated: stops with it, rests while it is blocked; else NULL */
};

/* The same as below for any guest. place is copied, what it points to is not. */
MUST_CHECK int driver_new_at(const struct driver_place *place, const struct driver_guest *guest,
			     const struct balloon_opts *opts, const struct balloon_end *end,
			     uint64_t start_ns, struct driver **driver);

/*
 * Starts at start_ns on the host's clock; the end is the guest's, copied, as is
 * the guest's table. The driver stops by itself when the VM fails.
 */
MUST_CHECK int driver_new(struct vm *vm, const struct driver_guest *guest,
			  const struct balloon_opts *opts, const struct balloon_end *end,
			  uint64_t start_ns, struct driver **driver, struct err *err);

/* Before the host goes. Nothing is given back: as when a guest is switched off. */
void driver_free(struct driver *driver);

/* The host rang: looks now, or rather when the clock next runs. */
void driver_interrupt(struct driver *driver);

/* Gives every page back and says good-bye, as when a module is unloaded. */
void driver_stop(struct driver *driver);

/* Pages that it holds. */
uint32_t driver_holds(const struct driver *driver);

/* Whether pages are on their way to the host or back: they can only be freed later. */
bool driver_waits(const struct driver *driver);

#endif
