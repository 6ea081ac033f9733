#include "balloon/ring.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define HEAD_ROOM 4096u /* before the rings */

static uint32_t load(const __le32 *p)
{
	return le32toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static void store(__le32 *p, uint32_t value)
{
	__atomic_store_n(p, htole32(value), __ATOMIC_RELEASE);
}

static void sides(struct ring_end *end, struct balloon_ring *out, struct balloon_ring *in,
		  const uint32_t offset[2], uint32_t out_size, uint32_t in_size)
{
	end->out = out;
	end->in = in;
	end->out_bytes = (uint8_t *)end->region + offset[0];
	end->in_bytes = (uint8_t *)end->region + offset[1];
	end->out_size = out_size;
	end->in_size = in_size;
}

/* Says in the region where its rings lie. */
static int lay_out(struct ring_end *end, void *region, size_t size)
{
	struct balloon_region *r = region;
	uint32_t each = BALLOON_RING_MIN;

	if (size < BALLOON_REGION_MIN || size % HEAD_ROOM)
		return -EINVAL;
	while (each < BALLOON_RING_MAX && HEAD_ROOM + 4 * (size_t)each <= size)
		each *= 2;
	*end = (struct ring_end){.region = r, .host = true};
	r->version = htole32(BALLOON_REGION_VERSION);
	r->size = htole32(HEAD_ROOM + 2 * each);
	r->to_host.offset = htole32(HEAD_ROOM);
	r->to_guest.offset = htole32(HEAD_ROOM + each);
	r->to_host.size = r->to_guest.size = htole32(each);
	sides(end, &r->to_guest, &r->to_host, (const uint32_t[]){HEAD_ROOM + each, HEAD_ROOM}, each,
	      each);
	__atomic_store_n(&r->magic, htole64(BALLOON_REGION_MAGIC), __ATOMIC_RELEASE);
	return 0;
}

int ring_host_init(struct ring_end *end, void *region, size_t size)
{
	if (size >= BALLOON_REGION_MIN)
		memset(region, 0, sizeof(struct balloon_region));
	return lay_out(end, region, size);
}

int ring_host_adopt(struct ring_end *end, void *region, size_t size, uint32_t past)
{
	int rc = lay_out(end, region, size);

	if (rc)
		return rc;
	const uint32_t answered = load(&end->region->host_epoch);
	end->past = answered ? answered : past;
	ring_host_void(end);
	return 0;
}

static bool ring_lies_well(const struct balloon_ring *ring, uint64_t region)
{
	uint64_t offset = le32toh(ring->offset), size = le32toh(ring->size);

	return size >= BALLOON_RING_MIN && size <= BALLOON_RING_MAX && (size & (size - 1)) == 0 &&
	       offset >= HEAD_ROOM && offset % HEAD_ROOM == 0 && offset + size <= region;
}

/* Guest: asks for empty rings, under a number not used before. */
static void guest_begin(struct ring_end *end)
{
	uint32_t epoch = load(&end->region->guest_epoch) + 1;

	end->epoch = epoch ? epoch : 1;
	end->head = end->tail = 0;
	end->up = false;
	store(&end->region->guest_epoch, end->epoch);
}

int ring_guest_init(struct ring_end *end, void *region, size_t size)
{
	struct balloon_region *r = region;

	if (size < BALLOON_REGION_MIN ||
	    le64toh(__atomic_load_n(&r->magic, __ATOMIC_ACQUIRE)) != BALLOON_REGION_MAGIC ||
	    le32toh(r->version) != BALLOON_REGION_VERSION || le32toh(r->size) > size ||
	    !ring_lies_well(&r->to_host, size) || !ring_lies_well(&r->to_guest, size))
		return -EPROTO;
	*end = (struct ring_end){.region = r};
	sides(end, &r->to_host, &r->to_guest,
	      (const uint32_t[]){le32toh(r->to_host.offset), le32toh(r->to_guest.offset)},
	      le32toh(r->to_host.size), le32toh(r->to_guest.size));
	guest_begin(end);
	return 0;
}

void ring_host_void(struct ring_end *end)
{
	end->epoch = 0;
	store(&end->region->host_epoch, 0);
}

/*
 * Host: whether the guest has asked for empty rings since; if so it gets them.
 * A number answered before asks for nothing: after rings were made void the
 * guest must have noticed.
 */
static bool begun(struct ring_end *end)
{
	uint32_t epoch = load(&end->region->guest_epoch);

	if (epoch == 0 || epoch == end->past)
		return false;
	end->head = end->tail = 0;
	store(&end->in->head, 0);
	store(&end->in->tail, 0);
	store(&end->out->head, 0);
	store(&end->out->tail, 0);
	end->epoch = end->past = epoch;
	store(&end->region->host_epoch, epoch);
	return true;
}

/* Guest: whether the host has ceased to know these rings, said once. */
static bool ended(struct ring_end *end)
{
	bool known = load(&end->region->host_epoch) == end->epoch;

	if (end->up && !known) {
		guest_begin(end);
		return true;
	}
	end->up = known;
	return false;
}

static void copy_in(uint8_t *ring, uint32_t size, uint32_t at, const uint8_t *from, uint32_t n)
{
	uint32_t first = (uint32_t)min_u64(n, size - (at & (size - 1)));

	memcpy(ring + (at & (size - 1)), from, first);
	memcpy(ring, from + first, n - first);
}

static void copy_out(uint8_t *to, const uint8_t *ring, uint32_t size, uint32_t at, uint32_t n)
{
	uint32_t first = (uint32_t)min_u64(n, size - (at & (size - 1)));

	memcpy(to, ring + (at & (size - 1)), first);
	memcpy(to + first, ring, n - first);
}

static int ring_send(void *ctx, const void *bytes, size_t n)
{
	struct ring_end *end = ctx;

	if (!end->epoch || (!end->host && load(&end->region->host_epoch) != end->epoch))
		return -EAGAIN;
	uint32_t used = end->head - load(&end->out->tail);
	if (used > end->out_size || n > end->out_size - used)
		return -EAGAIN; /* a false tail: nothing is sent, and recv finds out in its turn */
	copy_in(end->out_bytes, end->out_size, end->head, bytes, (uint32_t)n);
	end->head += (uint32_t)n;
	store(&end->out->head, end->head);
	return 0;
}

static ssize_t ring_recv(void *ctx, void *bytes, size_t n)
{
	struct ring_end *end = ctx;

	if (end->host ? begun(end) : ended(end))
		return -ECONNRESET;
	if (!end->epoch || (!end->host && !end->up))
		return 0;
	uint32_t there = load(&end->in->head) - end->tail;
	if (there > end->in_size || end->head - load(&end->out->tail) > end->out_size) {
		if (end->host)
			ring_host_void(end);
		else
			guest_begin(end);
		return -EPROTO;
	}
	if (n > there)
		n = there;
	copy_out(bytes, end->in_bytes, end->in_size, end->tail, (uint32_t)n);
	end->tail += (uint32_t)n;
	store(&end->in->tail, end->tail);
	return (ssize_t)n;
}

bool ring_waiting(const struct ring_end *end)
{
	return end->epoch && load(&end->in->head) != end->tail;
}

static void ring_bell(void *ctx)
{
	struct ring_end *end = ctx;

	if (end->bell)
		end->bell(end->bell_ctx);
}

struct balloon_end ring_as_end(struct ring_end *end)
{
	return (struct balloon_end){end, ring_send, ring_recv, ring_bell};
}
