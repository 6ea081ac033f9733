/*
 * The way to a live guest's balloon driver: a region of shared memory with the
 * rings of balloon/protocol.h in it, and a bell each way.
 *
 * The driver sits in a Linux that QEMU runs, which finds the region in an
 * ivshmem-doorbell device, or in the guest's process itself, to whose agent the
 * descriptors go (WIRE_CHANNEL). What either writes there goes through
 * balloon/ring.h and balloon/stream.h and is trusted in nothing. A bell that
 * rings without end is not heard for the rest of the second, and the rings are
 * looked at by the clock instead.
 *
 * A channel outlives the manager: the keeper has its descriptors. The next
 * manager makes the rings void, at which the driver gives its guest all back and
 * begins anew; what was ballooned stays so until then. One thread.
 */
#ifndef BALLAST_LIVE_CHANNEL_H
#define BALLAST_LIVE_CHANNEL_H

#include "balloon/balloon.h"
#include "core/err.h"
#include "live/live.h"

#define CHANNEL_SIZE (UINT32_C(256) << 10) /* bytes: the device's BAR */

enum channel_kind { CHANNEL_NONE, CHANNEL_QEMU, CHANNEL_PROCESS };

/* Gives an expected guest its channel; of a QEMU the socket to its device follows (WIRE_DEVICE). */
MUST_CHECK int channel_open(struct live_vm *v, enum channel_kind kind, struct err *err);

/* The host's end of the way to a QEMU's device, the channel's from now on. 0 or -errno. */
MUST_CHECK int channel_greet(struct channel *channel, int end);

/* balloon_ask() and balloon_hole(), remembered for the next manager. */
void channel_ask(struct live_vm *v, uint32_t pages);
void channel_hole(struct live_vm *v, uint32_t first, uint32_t pages);

#endif
