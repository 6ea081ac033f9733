/*
 * The two rings of balloon/protocol.h in a region of memory: a balloon_end for
 * either side.
 *
 * The region is shared with somebody who may write anything into it at any
 * time. So an end keeps its own indices and the places and sizes of the rings
 * for itself, reads the other side's index once per call, and copies bytes out
 * before anybody looks at them. A difference of indices beyond the ring's size
 * is -EPROTO, and the host then calls the rings void, so that the guest must
 * start anew.
 *
 * The simulated guest's region is a piece of its own memory, the live one's a
 * device's. An end owns nothing; the region outlives it. One thread per end.
 */
#ifndef BALLAST_BALLOON_RING_H
#define BALLAST_BALLOON_RING_H

#include "balloon/stream.h"

struct ring_end {
	struct balloon_region *region;
	uint8_t *out_bytes, *in_bytes;
	struct balloon_ring *out, *in;
	uint32_t out_size, in_size; /* powers of two */
	uint32_t head, tail;	    /* head of out, tail of in: this side's */
	uint32_t epoch;		    /* the guest's number; 0: the rings are void */
	uint32_t past;		    /* host: the number that it answered last */
	bool host;
	bool up;		 /* guest: the host has answered */
	void (*bell)(void *ctx); /* what ring() calls; NULL: nobody listens, the other side polls */
	void *bell_ctx;
};

/*
 * Lays the region out and becomes its host. size is a multiple of 4096, at
 * least BALLOON_REGION_MIN; -EINVAL otherwise.
 */
MUST_CHECK int ring_host_init(struct ring_end *end, void *region, size_t size);

/*
 * The same of a region whose host has died, and whose guest may be there: the
 * rings are void, and the guest begins anew. past: the number that was answered
 * last, if that host had left it somewhere safe (ring_end.past); else 0.
 */
MUST_CHECK int ring_host_adopt(struct ring_end *end, void *region, size_t size, uint32_t past);

/*
 * Becomes the guest of a region of that size: the layout is checked against
 * it, -EPROTO if it is none. It asks the host for empty rings at once, and
 * again each time that the host calls them void; nothing can be sent before the
 * host has looked: ring().
 */
MUST_CHECK int ring_guest_init(struct ring_end *end, void *region, size_t size);

/* Host: makes the rings void, so that the guest begins anew. */
void ring_host_void(struct ring_end *end);

/* Whether the other side says that there is more to receive. */
bool ring_waiting(const struct ring_end *end);

/* The hooks, for struct balloon_end; its ctx is the ring_end. */
struct balloon_end ring_as_end(struct ring_end *end);

#endif
