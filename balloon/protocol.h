/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a balloon driver and its host say to one another: the one header for
 * every end (the simulated guest, a process guest, the Linux module).
 *
 * A message is a header of 8 bytes and a body of fixed-width little-endian
 * fields; its size is a multiple of 8 and at most BALLOON_MSG_MAX. Messages
 * follow one another in a stream of bytes each way: a socket, a pipe, or a pair
 * of rings in shared memory (below), which is the same stream. Every size is
 * exact for the version agreed upon.
 *
 * The driver speaks first, HELLO, with the versions that it knows; WELCOME says
 * which one is spoken, or why none is. A HELLO may come at any time and means
 * that the driver holds nothing: its host forgets the balloon. RESET asks a
 * driver to free what it holds and to begin with a HELLO. A host that cannot
 * make sense of the stream sends RESET and skips, 8 bytes at a time, up to the
 * next well-formed HELLO.
 *
 * The host trusts nothing: a page that it does not accept is refused in the
 * answer, counted, and costs nobody else anything.
 */
#ifndef BALLAST_BALLOON_PROTOCOL_H
#define BALLAST_BALLOON_PROTOCOL_H

#include <linux/types.h>

#define BALLOON_MAGIC	  0x6f6f6c62 /* "bloo" */
#define BALLOON_VERSION	  1	     /* the only one so far */
#define BALLOON_MSG_MAX	  4096	     /* bytes of a message */
#define BALLOON_BATCH_MAX 1020	     /* pages in one: (BALLOON_MSG_MAX - 16) / 4 */
#define BALLOON_MAP_WORDS 16	     /* a bit for each of them */

/* What a driver can, or a host offers; agreed upon: both. */
#define BALLOON_CAP_HINT   (1u << 0) /* HINT: pages that are free for now */
#define BALLOON_CAP_POPPED (1u << 1) /* POPPED instead of a RESET after a pop */
#define BALLOON_CAP_VIEW   (1u << 2) /* VIEW: what the host knows of this guest */
#define BALLOON_CAP_ALL	   7u

enum balloon_msg_type {
	/* from the driver */
	BALLOON_MSG_HELLO = 1,
	BALLOON_MSG_INFLATE = 2, /* pages: these the guest gives */
	BALLOON_MSG_DEFLATE = 3, /* pages: these it wants back; free them after the ACK */
	BALLOON_MSG_HINT = 4,	 /* pages: free for now; the guest may use them after the ACK */
	BALLOON_MSG_STATS = 5,
	BALLOON_MSG_BYE = 6, /* the driver leaves: every page is the guest's again */
	/* from the host */
	BALLOON_MSG_WELCOME = 16,
	BALLOON_MSG_TARGET = 17,
	BALLOON_MSG_ACK = 18,	 /* one for each INFLATE, DEFLATE and HINT, in their order */
	BALLOON_MSG_RESET = 19,	 /* free everything, begin with a HELLO */
	BALLOON_MSG_POPPED = 20, /* pages: touched while in the balloon, so no longer in it */
	BALLOON_MSG_VIEW = 21,
};

/* Why a page, a message or a driver is refused; 0 is none. In ACK, WELCOME and RESET. */
enum balloon_reason {
	BALLOON_OK = 0,
	BALLOON_BAD_PPN = 1,	 /* beyond the guest's memory */
	BALLOON_TWICE = 2,	 /* in the balloon already */
	BALLOON_NOT_IN = 3,	 /* to be taken out, and not in it */
	BALLOON_BUSY = 4,	 /* the host needs the page where it is: try another */
	BALLOON_CAP = 5,	 /* the balloon is as large as this guest's may be */
	BALLOON_BAD_MSG = 6,	 /* size, type or a field that no version has */
	BALLOON_BAD_VERSION = 7, /* no version in common */
	BALLOON_BAD_SIZE = 8,	 /* page size, or memory that is not the guest's */
	BALLOON_TOUCHED = 9,	 /* the guest touched pages of the balloon */
	BALLOON_DISTRUST = 10,	 /* too much was refused: come back later */
	BALLOON_HOST_RESTART = 11,
	BALLOON_OFF = 12, /* this guest has no balloon, by its host's will */
};

struct balloon_msg {
	__le16 type;
	__le16 size; /* bytes, with this header */
	__le32 seq;  /* of this sender: 0, 1, ...; HELLO starts again from 0 both ways */
};

struct balloon_hello { /* 48 bytes */
	struct balloon_msg msg;
	__le32 magic;
	__le16 version_min, version_max; /* that the driver knows */
	__le32 caps;
	__le32 page_shift;   /* 12 */
	__le64 memory_pages; /* the highest PPN that the guest has, + 1 */
	char driver[16];     /* a name for the log: printable ASCII, zero-padded */
};

struct balloon_welcome { /* 32 bytes */
	struct balloon_msg msg;
	__le16 version; /* the one spoken from here on; 0: refused */
	__le16 reason;
	__le32 caps;	  /* in common */
	__le32 cap_pages; /* the balloon is never asked to be larger */
	__le32 poll_ms;	  /* how often to look for a target where nothing interrupts */
	__le16 version_min, version_max; /* that the host knows */
	__le32 reserved;		 /* 0 */
};

/* INFLATE, DEFLATE, HINT, POPPED: size = 16 + 4 * count, rounded up to 8 with a zero. */
struct balloon_pages {
	struct balloon_msg msg;
	__le32 count; /* 1 to BALLOON_BATCH_MAX */
	__le32 reserved;
	__le32 ppn[];
};

struct balloon_stats { /* 112 bytes; pages unless stated, counters since boot */
	struct balloon_msg msg;
	__le64 total;	  /* that the guest's kernel manages */
	__le64 free;	  /* of nobody */
	__le64 cached;	  /* file pages */
	__le64 available; /* what programs could get without hardship */
	__le64 active;	  /* on its active lists */
	__le64 swapped;	  /* in its own swap */
	__le64 faults;	  /* counter: that had to wait for a disk */
	__le64 swap_ins;  /* counter: of them, from its own swap */
	__le64 swap_outs; /* counter */
	__le64 refusals;  /* counter: allocations that the driver was refused */
	__le64 balloon;	  /* that the driver believes to hold */
	__le32 pressure;  /* share of its time that programs waited for memory, in 1/1000 */
	__le32 reserved;
	__le64 reserved2;
};

struct balloon_target { /* 24 bytes */
	struct balloon_msg msg;
	__le32 pages;	 /* the balloon's size, wanted */
	__le32 rate;	 /* pages a second to inflate by, at most; deflating knows no bound */
	__le32 reason;	 /* why it is 0, where the driver is distrusted or switched off */
	__le32 reserved; /* 0 */
};

/*
 * size = 32 + 8 * (refused && count > 1 ? words for count bits : 0), count
 * being that of the message answered: bit i of the map: page i was refused.
 */
struct balloon_ack {
	struct balloon_msg msg;
	__le32 of;	 /* seq of the message answered */
	__le16 type;	 /* and its type */
	__le16 reason;	 /* of the first page refused */
	__le32 accepted; /* accepted + refused == count */
	__le32 refused;
	__le32 balloon; /* the balloon's size by the host's count, pages */
	__le32 reserved;
	__le64 map[];
};

struct balloon_reset { /* 16 bytes; BYE is a bare header of 8 */
	struct balloon_msg msg;
	__le32 reason;
	__le32 reserved;
};

struct balloon_view { /* 80 bytes: the host's view of this guest; pages unless stated */
	struct balloon_msg msg;
	__le64 granted; /* that have a machine page, its own or shared */
	__le64 target;	/* what the policy gives it; 0: no bound */
	__le64 shared;
	__le64 swapped; /* by the host */
	__le64 ballooned;
	__le64 active;	 /* in use, by the host's estimate; 0: not estimated */
	__le64 steal_ns; /* time that the guest waited for the host's paging */
	__le32 state;	 /* the host's free memory: 0 high, 1 clear, 2 soft, 3 hard, 4 low */
	__le32 reserved;
	__le64 reserved2;
};

/*
 * Rings, for a region of memory that both ends map (ivshmem: BAR 2).
 *
 * The region begins with a struct balloon_region; the two rings lie where it
 * says, each a power of two of bytes, at least BALLOON_RING_MIN, apart from it
 * and from one another, aligned to 4096. An index is a count of bytes that only
 * grows, and wraps at 2^32: byte i lies at ring[i & (size - 1)]; 0 <= head -
 * tail <= size. Only the writer of a stream moves its head, after the bytes
 * (release); only its reader moves its tail, after it has copied them out. Each
 * end keeps its own index for itself and reads the other's once (acquire), into
 * a local, checks the difference, and copies a message out before looking at it:
 * the other end may write anything at any time. Messages begin at multiples of
 * 8, so that no header lies across the end of a ring.
 *
 * Life: the host fills in the region, `magic` last. A driver that starts writes
 * a new number, not 0, to guest_epoch; the host, seeing it, forgets balloon and
 * rings, sets the four indices to 0 and then host_epoch to that number. From
 * then on both rings are valid, until host_epoch differs from what the driver
 * wrote: a host that starts anew writes 0, and the driver begins again.
 *
 * Doorbell (ivshmem-doorbell): who has moved a head or a tail rings if the
 * other end's `waits` is 1, which it sets before it sleeps, looking once more
 * after that. The guest's bell is vector 0 of its own, the host is peer 0
 * (BAR 0 + 12 takes peer << 16 | vector). Without a doorbell (ivshmem-plain)
 * both ends poll: the driver every 100 ms, or poll_ms of WELCOME if that is less,
 * and every 1 to 10 ms while it has something to do.
 */
#define BALLOON_REGION_MAGIC   0x62616c6c61737431ull /* "1tsallab" as bytes */
#define BALLOON_REGION_VERSION 1
#define BALLOON_RING_MIN       16384
#define BALLOON_RING_MAX       (1u << 24)
#define BALLOON_REGION_MIN     (4096 + 2 * BALLOON_RING_MIN)
#define BALLOON_HOST_PEER      0
#define BALLOON_VECTOR	       0

struct balloon_ring {
	__le32 offset, size; /* bytes, from the region's start; set by the host */
	__u8 pad0[56];
	__le32 head; /* by the writer, in a cache line of its own */
	__u8 pad1[60];
	__le32 tail; /* by the reader */
	__u8 pad2[60];
};

struct balloon_region {
	__le64 magic;
	__le32 version;
	__le32 size;	   /* of the region that is used, bytes */
	__le32 host_epoch; /* by the host */
	__le32 host_waits;
	__u8 pad0[40];
	__le32 guest_epoch; /* by the driver */
	__le32 guest_waits;
	__u8 pad1[56];
	struct balloon_ring to_host; /* written by the driver */
	struct balloon_ring to_guest;
};

#endif
