#include "balloon/stream.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define HEADER sizeof(struct balloon_msg)

const char *reason_name(uint32_t reason)
{
	static const char *const names[] = {
		[BALLOON_OK] = "nothing is wrong",
		[BALLOON_BAD_PPN] = "a page beyond the guest's memory",
		[BALLOON_TWICE] = "a page given twice",
		[BALLOON_NOT_IN] = "a page wanted back that was not given",
		[BALLOON_BUSY] = "a page that the host needs where it is",
		[BALLOON_CAP] = "more pages than the cap",
		[BALLOON_BAD_MSG] = "a malformed message",
		[BALLOON_BAD_VERSION] = "no version in common",
		[BALLOON_BAD_SIZE] = "a size of memory or page that is not the guest's",
		[BALLOON_TOUCHED] = "the guest touched ballooned pages",
		[BALLOON_DISTRUST] = "too much was refused",
		[BALLOON_HOST_RESTART] = "the host begins anew",
		[BALLOON_OFF] = "no balloon is wanted here",
	};

	return reason < ARRAY_LEN(names) ? names[reason] : "an unknown reason";
}

static bool pages_fit(const struct balloon_pages *p, size_t size)
{
	if (size < sizeof *p)
		return false;
	uint32_t count = le32toh(p->count);
	return count > 0 && count <= BALLOON_BATCH_MAX && size == pages_size(count);
}

static bool ack_fits(const struct balloon_ack *a, size_t size)
{
	if (size < sizeof *a || (size - sizeof *a) / 8 > BALLOON_MAP_WORDS)
		return false;
	uint64_t count = (uint64_t)le32toh(a->accepted) + le32toh(a->refused);
	if (count > BALLOON_BATCH_MAX)
		return false;
	bool map = a->refused && count > 1;
	return size == sizeof *a + (map ? 8 * (size_t)map_words((uint32_t)count) : 0);
}

bool message_fits(const struct balloon_msg *m, size_t size)
{
	switch (le16toh(m->type)) {
	case BALLOON_MSG_HELLO:
		return size == sizeof(struct balloon_hello);
	case BALLOON_MSG_INFLATE:
	case BALLOON_MSG_DEFLATE:
	case BALLOON_MSG_HINT:
	case BALLOON_MSG_POPPED:
		return pages_fit((const struct balloon_pages *)m, size);
	case BALLOON_MSG_STATS:
		return size == sizeof(struct balloon_stats);
	case BALLOON_MSG_BYE:
		return size == HEADER;
	case BALLOON_MSG_WELCOME:
		return size == sizeof(struct balloon_welcome);
	case BALLOON_MSG_TARGET:
		return size == sizeof(struct balloon_target);
	case BALLOON_MSG_ACK:
		return ack_fits((const struct balloon_ack *)m, size);
	case BALLOON_MSG_RESET:
		return size == sizeof(struct balloon_reset);
	case BALLOON_MSG_VIEW:
		return size == sizeof(struct balloon_view);
	default:
		return false;
	}
}

void stream_init(struct stream *s, const struct balloon_end *end, uint16_t opening)
{
	memset(s, 0, sizeof *s);
	s->end = *end;
	s->opening = opening;
	s->lost = true;
}

void stream_lose(struct stream *s)
{
	s->lost = true;
	s->seq_in = 0;
}

/* Makes the buffer hold n bytes. 1: it does; 0: not yet. */
static int fill(struct stream *s, uint32_t n)
{
	while (s->have < n) {
		ssize_t got = s->end.recv(s->end.ctx, s->buf + s->have, n - s->have);
		if (got < 0) {
			s->have = 0;
			stream_lose(s);
			return (int)got;
		}
		if (got == 0)
			return 0;
		s->have += (uint32_t)got;
	}
	return 1;
}

/* Forgets the first n bytes of the buffer. */
static void drop(struct stream *s, uint32_t n)
{
	s->have -= n;
	memmove(s->buf, s->buf + n, s->have);
}

static const struct balloon_msg *header(const struct stream *s)
{
	return (const struct balloon_msg *)s->buf;
}

/* What opens a conversation: its type, size, number and, for HELLO, magic. */
static size_t opening_size(const struct stream *s)
{
	return s->opening == BALLOON_MSG_HELLO ? sizeof(struct balloon_hello)
					       : sizeof(struct balloon_welcome);
}

static bool may_open(const struct stream *s)
{
	return le16toh(header(s)->type) == s->opening &&
	       le16toh(header(s)->size) == opening_size(s) && header(s)->seq == 0;
}

static bool opens(const struct stream *s)
{
	const struct balloon_hello *hello = (const struct balloon_hello *)s->buf;

	return s->opening != BALLOON_MSG_HELLO || le32toh(hello->magic) == BALLOON_MAGIC;
}

/* Skips to the opening message. */
static int find_opening(struct stream *s)
{
	for (uint32_t skipped = 0; skipped < STREAM_SKIP_MOST; skipped += HEADER) {
		int rc = fill(s, HEADER);
		if (rc > 0 && may_open(s)) {
			rc = fill(s, (uint32_t)opening_size(s));
			if (rc > 0 && opens(s))
				return rc;
		}
		if (rc <= 0)
			return rc;
		drop(s, HEADER);
		s->skipped += HEADER;
	}
	return 0;
}

static int bad(struct stream *s)
{
	stream_lose(s);
	return -EPROTO;
}

/* A message that follows others, whole, due and well-formed. */
static int take_next(struct stream *s)
{
	int rc = fill(s, HEADER);

	if (rc <= 0)
		return rc;
	uint32_t size = le16toh(header(s)->size);
	if (size < HEADER || size % 8 || size > BALLOON_MSG_MAX)
		return bad(s);
	rc = fill(s, size);
	if (rc <= 0)
		return rc;
	if (le16toh(header(s)->type) == s->opening) {
		if (!may_open(s) || !opens(s))
			return bad(s);
		s->seq_in = 0;
	}
	if (le32toh(header(s)->seq) != s->seq_in || !message_fits(header(s), size))
		return bad(s);
	return 1;
}

int stream_next(struct stream *s, const struct balloon_msg **msg)
{
	drop(s, s->taken);
	s->taken = 0;
	int rc = s->lost ? find_opening(s) : take_next(s);
	if (rc <= 0)
		return rc;
	if (s->lost) {
		s->lost = false;
		s->seq_in = 0;
	}
	s->seq_in++;
	s->taken = le16toh(header(s)->size);
	*msg = header(s);
	return 1;
}

int stream_send(struct stream *s, struct balloon_msg *msg, uint16_t type, size_t size)
{
	*msg = (struct balloon_msg){htole16(type), htole16((uint16_t)size), htole32(s->seq_out)};
	int rc = s->end.send(s->end.ctx, msg, size);
	if (rc == 0)
		s->seq_out++;
	return rc;
}
