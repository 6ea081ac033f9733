/*
 * A server of QEMU's ivshmem-doorbell device for one guest: a region of memory
 * that both sides map, and a bell each way.
 *
 * QEMU connects to a UNIX socket and is handed descriptors (QEMU's
 * ivshmem-spec, "Client-Server protocol"): numbers of 8 bytes, little-endian,
 * some with a descriptor. The region is peer 0's and ours; the guest is peer 1
 * with one vector. What is in the region is the guest's to scribble on: whoever
 * uses it copies before looking (balloon/ring.h). QEMU blocks until it is
 * answered, so the socket has to be served while QEMU starts.
 *
 * Nothing waits in here; the caller polls the descriptors. One thread.
 */
#ifndef BALLAST_LIVE_IVSHMEM_H
#define BALLAST_LIVE_IVSHMEM_H

#include "core/err.h"
#include "live/region.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ivshmem;

/*
 * Hands a region to the QEMU at the other end of a socket, without a server of
 * its own: the numbers wait there until QEMU reads them. The socket stays open
 * until then. False if QEMU is gone.
 */
bool ivshmem_greet(int peer, const struct region *region);

/* size: a power of two, of whole pages: the device's BAR. The path must be free. */
MUST_CHECK int ivshmem_new(const char *path, size_t size, struct ivshmem **ivshmem,
			   struct err *err);
void ivshmem_free(struct ivshmem *ivshmem); /* the path goes, too */

void *ivshmem_region(const struct ivshmem *ivshmem);

/* Becomes readable when a guest comes: then call ivshmem_serve(). */
int ivshmem_listener(const struct ivshmem *ivshmem);

/* Greets the guest that came; one that was there before is forgotten. */
MUST_CHECK int ivshmem_serve(struct ivshmem *ivshmem, struct err *err);

/* Becomes readable when the guest rings: then call ivshmem_rung(). */
int ivshmem_bell(const struct ivshmem *ivshmem);

/* Whether it has rung since. */
bool ivshmem_rung(struct ivshmem *ivshmem);

/* Rings the guest's bell; nothing happens while there is none. ctx: the ivshmem. */
void ivshmem_ring(void *ctx);

#endif
