// SPDX-License-Identifier: GPL-2.0-only
#include "bb.h"

#include <asm/barrier.h>

#define HEAD_ROOM 4096

/* Shared with another machine's processor, as it were: barriers also on one processor. */
static u32 get(const __le32 *p)
{
	return le32_to_cpu(virt_load_acquire(p));
}

static void put(__le32 *p, u32 value)
{
	virt_store_release(p, cpu_to_le32(value));
}

static bool lies_well(const struct balloon_ring *ring, size_t region)
{
	u64 offset = le32_to_cpu(ring->offset), size = le32_to_cpu(ring->size);

	return size >= BALLOON_RING_MIN && size <= BALLOON_RING_MAX && !(size & (size - 1)) &&
	       offset >= HEAD_ROOM && offset % HEAD_ROOM == 0 && offset + size <= region;
}

/* Asks for empty rings, under a number not used before. */
void bb_channel_begin(struct bb_channel *ch)
{
	u32 epoch = get(&ch->region->guest_epoch) + 1;

	ch->epoch = epoch ? epoch : 1;
	ch->head = ch->tail = 0;
	ch->up = false;
	ch->welcomed = false;
	put(&ch->region->guest_epoch, ch->epoch);
}

int bb_channel_init(struct bb_channel *ch, void *region, size_t size, void __iomem *regs)
{
	struct balloon_region *r = region;

	if (size < BALLOON_REGION_MIN ||
	    le64_to_cpu(virt_load_acquire(&r->magic)) != BALLOON_REGION_MAGIC)
		return -ENODEV; /* some other use of such a device */
	if (le32_to_cpu(r->version) != BALLOON_REGION_VERSION || le32_to_cpu(r->size) > size ||
	    !lies_well(&r->to_host, size) || !lies_well(&r->to_guest, size))
		return -EPROTO;
	ch->region = r;
	ch->size = size;
	ch->regs = regs;
	ch->out = &r->to_host;
	ch->in = &r->to_guest;
	ch->out_size = le32_to_cpu(ch->out->size);
	ch->in_size = le32_to_cpu(ch->in->size);
	ch->out_bytes = (u8 *)r + le32_to_cpu(ch->out->offset);
	ch->in_bytes = (u8 *)r + le32_to_cpu(ch->in->offset);
	bb_channel_begin(ch);
	return 0;
}

static void copy_in(struct bb_channel *ch, const void *from, u32 n)
{
	u32 at = ch->head & (ch->out_size - 1), first = min(n, ch->out_size - at);

	memcpy(ch->out_bytes + at, from, first);
	memcpy(ch->out_bytes, from + first, n - first);
}

static void copy_out(struct bb_channel *ch, void *to, u32 n)
{
	u32 at = ch->tail & (ch->in_size - 1), first = min(n, ch->in_size - at);

	memcpy(to, ch->in_bytes + at, first);
	memcpy(to + first, ch->in_bytes, n - first);
}

bool bb_channel_room(const struct bb_channel *ch, size_t size)
{
	u32 used;

	if (get(&ch->region->host_epoch) != ch->epoch)
		return false;
	used = ch->head - get(&ch->out->tail);
	return used <= ch->out_size && size <= ch->out_size - used;
}

int bb_channel_send(struct bb_channel *ch, void *msg, u16 type, size_t size)
{
	struct balloon_msg *head = msg;

	if (!bb_channel_room(ch, size))
		return -EAGAIN;
	if (type == BALLOON_MSG_HELLO)
		ch->seq_out = 0;
	head->type = cpu_to_le16(type);
	head->size = cpu_to_le16(size);
	head->seq = cpu_to_le32(ch->seq_out++);
	copy_in(ch, msg, size);
	ch->head += size;
	put(&ch->out->head, ch->head);
	return 0;
}

static bool pages_fit(const struct balloon_pages *p, size_t size)
{
	u32 count = size >= sizeof(*p) ? le32_to_cpu(p->count) : 0;

	return count && count <= BALLOON_BATCH_MAX &&
	       size == ALIGN(sizeof(*p) + 4 * (size_t)count, 8);
}

static bool ack_fits(const struct balloon_ack *a, size_t size)
{
	u64 count;

	if (size < sizeof(*a))
		return false;
	count = (u64)le32_to_cpu(a->accepted) + le32_to_cpu(a->refused);
	if (count > BALLOON_BATCH_MAX)
		return false;
	return size == sizeof(*a) + (a->refused && count > 1 ? 8 * DIV_ROUND_UP(count, 64) : 0);
}

/* Whether it is a host's message of the right size. */
static bool fits(const struct balloon_msg *m, size_t size)
{
	switch (le16_to_cpu(m->type)) {
	case BALLOON_MSG_WELCOME:
		return size == sizeof(struct balloon_welcome);
	case BALLOON_MSG_TARGET:
		return size == sizeof(struct balloon_target);
	case BALLOON_MSG_ACK:
		return ack_fits((const struct balloon_ack *)m, size);
	case BALLOON_MSG_RESET:
		return size == sizeof(struct balloon_reset);
	case BALLOON_MSG_POPPED:
		return pages_fit((const struct balloon_pages *)m, size);
	case BALLOON_MSG_VIEW:
		return size == sizeof(struct balloon_view);
	default:
		return false;
	}
}

/* The host moves its head by whole messages. 1: one is in buf. */
static int take(struct bb_channel *ch)
{
	const struct balloon_msg *m = (const struct balloon_msg *)ch->buf;
	u32 there = get(&ch->in->head) - ch->tail, size;

	if (there == 0)
		return 0;
	if (there > ch->in_size || there < sizeof(*m))
		return -EPROTO;
	copy_out(ch, ch->buf, sizeof(*m));
	size = le16_to_cpu(m->size);
	if (size < sizeof(*m) || size % 8 || size > BALLOON_MSG_MAX || size > there)
		return -EPROTO;
	copy_out(ch, ch->buf, size);
	ch->tail += size;
	put(&ch->in->tail, ch->tail);
	/* The copy is what counts: the header may have changed under it. */
	return le16_to_cpu(m->size) == size && fits(m, size) ? 1 : -EPROTO;
}

int bb_channel_recv(struct bb_channel *ch, const struct balloon_msg **msg)
{
	bool known = get(&ch->region->host_epoch) == ch->epoch;
	const struct balloon_msg *m = (const struct balloon_msg *)ch->buf;
	int rc;

	if (ch->up && !known) {
		bb_channel_begin(ch);
		return -ECONNRESET;
	}
	ch->up = known;
	while (known && (rc = take(ch)) != 0) {
		if (rc < 0) {
			bb_channel_begin(ch);
			return rc;
		}
		if (le16_to_cpu(m->type) == BALLOON_MSG_WELCOME) {
			ch->welcomed = true;
			ch->seq_in = le32_to_cpu(m->seq);
		} else if (!ch->welcomed) {
			continue; /* said before the host heard our hello */
		} else if (le32_to_cpu(m->seq) != ch->seq_in) {
			bb_channel_begin(ch);
			return -EPROTO;
		}
		ch->seq_in++;
		*msg = m;
		return 1;
	}
	return 0;
}

bool bb_channel_ready(const struct bb_channel *ch)
{
	bool known = get(&ch->region->host_epoch) == ch->epoch;

	return known != ch->up || (known && get(&ch->in->head) != ch->tail);
}

void bb_channel_ring(const struct bb_channel *ch)
{
	if (ch->regs && get(&ch->region->host_waits))
		writel(BALLOON_HOST_PEER << 16 | BALLOON_VECTOR, ch->regs + 12);
}

void bb_channel_waits(struct bb_channel *ch, bool waits)
{
	put(&ch->region->guest_waits, waits);
	virt_mb(); /* the look that follows must not come before it */
}
