/*
 * Whole messages out of a stream of bytes, and into it: what both ends of the
 * protocol need before they look at a message.
 *
 * An end (struct balloon_end) carries bytes: a ring in memory, a socket. What
 * comes out of it is taken for an attacker's: a message is copied into the
 * stream's own buffer before anything of it is read, its size is checked
 * against its type to the byte, its number against the one due. The first thing
 * wrong makes the stream lost: from then on it skips, 8 bytes at a time, to the
 * message that begins a conversation (HELLO for a host, WELCOME for a driver).
 * No call reads more than STREAM_SKIP_MOST bytes of rubbish, so that a flood of
 * it cannot hold the reader.
 *
 * A stream allocates nothing. One thread.
 */
#ifndef BALLAST_BALLOON_STREAM_H
#define BALLAST_BALLOON_STREAM_H

#include "balloon/protocol.h"
#include "core/types.h"

#include <sys/types.h>

/* One end of a way to the other side. Hooks are required. */
struct balloon_end {
	void *ctx;
	/* The whole of it, or -EAGAIN: no room now; -EPIPE: nobody there. */
	int (*send)(void *ctx, const void *bytes, size_t n);
	/*
	 * Up to n bytes, 0 if there are none now. -ECONNRESET: the other side begins
	 * anew, and so do both streams of bytes; -EPIPE: it is gone; -EPROTO: what it
	 * did makes no sense. Each is said once.
	 */
	ssize_t (*recv)(void *ctx, void *bytes, size_t n);
	/* Tells the other side to look. */
	void (*ring)(void *ctx);
};

#define STREAM_SKIP_MOST 16384

struct stream {
	struct balloon_end end;
	uint16_t opening; /* the type that a lost stream waits for */
	bool lost;	  /* true at first: nothing was said yet */
	uint32_t have;	  /* bytes in buf */
	uint32_t taken;	  /* of them, the message handed out last */
	uint32_t seq_in;  /* of the message due */
	uint32_t seq_out; /* of the next one sent */
	uint64_t skipped; /* bytes, of a lost stream */
	_Alignas(8) uint8_t buf[BALLOON_MSG_MAX];
};

void stream_init(struct stream *s, const struct balloon_end *end, uint16_t opening);

/* Begins anew: nothing is due, the opening message is waited for. */
void stream_lose(struct stream *s);

/*
 * The next whole message, good until the next call, with its size known to be
 * that of its type. 0: none yet. -EPROTO: the stream is lost from here on; or
 * what the end says.
 */
MUST_CHECK int stream_next(struct stream *s, const struct balloon_msg **msg);

/* Sends msg, of its type's size, numbered. 0, -EAGAIN, -EPIPE. */
MUST_CHECK int stream_send(struct stream *s, struct balloon_msg *msg, uint16_t type, size_t size);

/*
 * Whether a message of that size may be one of that type; `pages` ones and ACK
 * vary and are judged by their counts. m has size bytes.
 */
bool message_fits(const struct balloon_msg *m, size_t size);

/* Bytes of a message that names count pages. */
static inline size_t pages_size(uint32_t count)
{
	return (sizeof(struct balloon_pages) + 4 * (size_t)count + 7) & ~(size_t)7;
}

/* Words of the map of a batch of count pages. */
static inline uint32_t map_words(uint32_t count)
{
	return (count + 63) / 64;
}

const char *reason_name(uint32_t reason);

#endif
