/*
 * What agent and manager tell each other, over a SOCK_SEQPACKET UNIX socket:
 * one struct a message, descriptors beside it.
 *
 *   agent    HELLO    vm, version, base and pages of the guest's memory
 *   manager  WELCOME  offset of the VM's window in the pool; the pool's descriptor
 *   agent    READY    the memory is laid over and registered; the userfaultfd
 *   manager  RUN      the guest may touch its memory; n: messages that follow
 *   manager  CHANNEL  the way to a balloon driver in this process: offset bytes of
 *                     shared memory, the bell that the manager rings, the one that
 *                     it hears (live/region.h)
 *   manager  MOVE     n moves, in their order
 *   agent    DONE     rc of the first that failed, n of those that did not
 *   manager  REFUSED  instead of WELCOME or RUN: text says why
 *
 * Who starts a QEMU with a balloon device hands its end of a pair of sockets to
 * the manager first:
 *
 *   starter  DEVICE   vm; the socket
 *   manager  DONE or REFUSED
 *
 * Both ends are of one build and one machine: sizes and byte order are its own.
 * Neither trusts the other: n, pages and offsets are checked where they arrive.
 */
#ifndef BALLAST_LIVE_WIRE_H
#define BALLAST_LIVE_WIRE_H

#include "core/types.h"

#define WIRE_VERSION 3
#define WIRE_FDS     3
#define WIRE_MOVES   64
#define WIRE_NAME    32 /* a VM's name with its final 0 */

enum wire_op {
	WIRE_HELLO = 1,
	WIRE_WELCOME,
	WIRE_READY,
	WIRE_RUN,
	WIRE_MOVE,
	WIRE_DONE,
	WIRE_REFUSED,
	WIRE_CHANNEL,
	WIRE_DEVICE
};

/* HOME: the window's page again. SLOT: a shared page, copied by the kernel if ever written. */
enum wire_place { WIRE_HOME, WIRE_SLOT, WIRE_UNMAP };

struct wire_move {
	uint32_t page; /* PPN */
	uint32_t n;    /* pages; SLOT: 1 */
	uint32_t place;
	uint32_t slot; /* SLOT: page of the pool */
};

struct wire {
	uint32_t op, version;
	int32_t rc;
	uint32_t n;
	uint64_t base;	 /* address in the guest's process */
	uint64_t offset; /* of its window in the pool, bytes */
	uint32_t tag;	 /* of a MOVE, and of the DONE that answers it */
	uint32_t pages;
	uint32_t orphan_s; /* how long a guest may wait without a manager before it is ended */
	char vm[WIRE_NAME];
	union {
		struct wire_move move[WIRE_MOVES];
		char text[512];
	};
};

#endif
