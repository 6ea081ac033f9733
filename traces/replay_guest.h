/*
 * What a guest that replays a physical trace offers its balloon driver.
 *
 * Such a guest has no allocator to ask: its trace was recorded once and touches
 * what it touches. So it is given the choice that its operating system would
 * have made, near enough: a clock hand gives pages not touched since it last
 * came by, each page a second chance (PTE_ACCESSED; where a sampler harvests
 * that bit too, each sees only what the other left). Pages without contents are
 * passed over: taking them would gain nothing.
 *
 * What a page held is forgotten when it is given, and the content oracle, if
 * there is one, is told so. A touch of it later stands for a fault on the
 * guest's own swap: the VM's time moves by the time of that read.
 */
#ifndef BALLAST_TRACES_REPLAY_GUEST_H
#define BALLAST_TRACES_REPLAY_GUEST_H

#include "core/balloon_guest.h"
#include "core/oracle.h"
#include "pmap/pmap.h"

struct replay_guest;

/* read_ns: of a page from the swap that this guest would have. oracle may be NULL. */
MUST_CHECK int replay_guest_new(struct vm *vm, struct oracle *oracle, uint64_t read_ns,
				struct replay_guest **guest, struct err *err);
void replay_guest_free(struct replay_guest *guest);

/* Its table, for driver_new(); its ctx is the replay_guest. */
struct driver_guest replay_guest_table(struct replay_guest *guest);

#endif
