/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The balloon driver of a Linux guest under Ballast.
 *
 * A thread takes pages from the guest's own allocator and names them to the
 * host over two rings in an ivshmem device (protocol.h). It takes them gently:
 * one pass of reclaim, no emergency reserves, not below a reserve, at a rate
 * that grows while the guest gives and shrinks when it does not. Pages stay
 * movable, so that compaction works around them. Before the kernel kills for
 * want of memory, and on unload, pages go back.
 *
 * One mutex, bb.lock, covers the channel, the window and the list. Nothing is
 * allocated under it: the OOM notifier takes it, too. The host is not a threat
 * to a guest whose memory it holds, but may be buggy: what it sends is checked.
 */
#ifndef BALLAST_BALLOON_LINUX_BB_H
#define BALLAST_BALLOON_LINUX_BB_H

#include <linux/balloon_compaction.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/page_reporting.h>
#include <linux/pci.h>
#include <linux/wait.h>

#include "protocol.h"

#define BB_NAME	  "ballast_balloon"
#define BB_WINDOW 8 /* messages that wait for their answers at once */

/* channel.c: the guest's end of the rings. */
struct bb_channel {
	struct balloon_region *region;
	size_t size;
	void __iomem *regs; /* BAR 0: the doorbell, or NULL */
	u8 *out_bytes, *in_bytes;
	struct balloon_ring *out, *in;
	u32 out_size, in_size;
	u32 head, tail; /* ours: of out, of in */
	u32 epoch;
	bool up;       /* the host has answered our number */
	bool welcomed; /* until then all else is passed over */
	u32 seq_out, seq_in;
	u8 buf[BALLOON_MSG_MAX] __aligned(8);
};

int bb_channel_init(struct bb_channel *ch, void *region, size_t size, void __iomem *regs);
void bb_channel_begin(struct bb_channel *ch);
/* 0 or -EAGAIN: no room, or the host has not looked yet. */
int bb_channel_send(struct bb_channel *ch, void *msg, u16 type, size_t size);
bool bb_channel_room(const struct bb_channel *ch, size_t size); /* for a message */
/* 1 and a message; 0: none; -ECONNRESET: the host began anew, -EPROTO: it makes no sense. */
int bb_channel_recv(struct bb_channel *ch, const struct balloon_msg **msg);
/* Whether there is something to receive, if only another beginning. */
bool bb_channel_ready(const struct bb_channel *ch);
void bb_channel_ring(const struct bb_channel *ch);
/* Before and after sleep: whether the host is to ring. */
void bb_channel_waits(struct bb_channel *ch, bool waits);

/* A message with pages that has not been answered. type 0: the slot is free. */
struct bb_batch {
	u16 type;
	u16 n;
	u32 seq;
	bool mine;     /* its pages are seen to by who sent it */
	bool accepted; /* the answer: all of them */
	struct page *page[BALLOON_BATCH_MAX];
};

enum bb_talk { BB_SILENT, BB_HELLO, BB_TALKING };

struct bb_counters {
	u64 refusals;	    /* allocations that the guest refused */
	u64 resets;	    /* times that the balloon was void */
	u64 host_refused;   /* pages that the host did not accept */
	u64 oom_deflations; /* pages given back before a kill */
	u64 migrations;
	u64 hinted; /* pages reported as free */
};

struct bb {
	struct pci_dev *pdev;
	struct mutex lock;
	struct bb_channel ch;
	struct task_struct *thread;
	wait_queue_head_t wait;
	bool kicked;
	bool doorbell;
	bool away;    /* the device may not be touched: it sleeps, or is being reset */
	bool imaging; /* memory is being written out, or read in: nothing may be missing */

	enum bb_talk talk;
	u32 caps, cap, poll_ms;
	u32 target, host_rate, reason;
	unsigned int pause_ms; /* the next, while the host lets us wait */
	ktime_t hello_at, poll_at;
	ktime_t begun_at; /* the number that the host is to answer was written */

	struct balloon_dev_info list; /* the pages in the balloon */
	u32 size, giving;	      /* pages in it; pages of inflations not answered */
	struct bb_batch *window[BB_WINDOW];
	unsigned int oldest, pending; /* slots in use: oldest, oldest + 1, ... */

	u64 rate;	 /* pages a second */
	ktime_t paid_at; /* the rate is used up to then */
	ktime_t hold_until;
	unsigned int backoff_ms;
	struct page *fresh[BALLOON_BATCH_MAX];	  /* the thread's own */
	struct page *reported[BALLOON_BATCH_MAX]; /* the reporter's, under the lock */

	struct balloon_view view;
	struct bb_counters count;
	struct notifier_block oom, pm;
	struct page_reporting_dev_info reporting;
	bool oom_registered, reporting_registered;
};

/* main.c */
extern unsigned int bb_rate_start, bb_order, bb_reserve_mb, bb_oom_pages, bb_backoff_ms;
extern bool bb_deflate_on_oom, bb_report_free;
void bb_kick(struct bb *b);

/* talk.c: everything that is said. All under the lock. */
bool bb_listen(struct bb *b); /* whether anything was heard */
void bb_hello(struct bb *b);
void bb_report(struct bb *b);
void bb_bye(struct bb *b);
void bb_begin_anew(struct bb *b);
/* A free slot of the window, or NULL. */
struct bb_batch *bb_slot(struct bb *b);
/* Sends the slot's n pages. -EAGAIN: it stays free, the pages are the caller's. */
int bb_send(struct bb *b, struct bb_batch *batch, u16 type, unsigned int n);
/* Waits so long for the answer to a batch. */
bool bb_await(struct bb *b, const struct bb_batch *batch, unsigned int ms);
/* A message of so many pages, answered: 0, or -EAGAIN with the pages as they were. */
int bb_transact(struct bb *b, u16 type, struct page **pages, unsigned int n);

/* pages.c: in and out. */
void bb_pages_init(struct bb *b);
unsigned int bb_inflate(struct bb *b, unsigned int want); /* without the lock */
unsigned int bb_deflate(struct bb *b, unsigned int want); /* under it */
u32 bb_release(struct bb *b, u32 want);
u32 bb_allowance(struct bb *b);
void bb_free_all(struct bb *b);

/* pressure.c: who asks for pages back, and who offers some. */
int bb_pressure_init(struct bb *b);
void bb_pressure_exit(struct bb *b);
void bb_memory(struct balloon_stats *stats);

/* sleep.c: when the device may not be touched, and when the balloon must be empty. */
int bb_sleep_init(struct bb *b);
void bb_sleep_exit(struct bb *b);
void bb_give_back(struct bb *b); /* everything; waits for pages that are being moved */
void bb_shutdown(struct pci_dev *pdev);
extern const struct dev_pm_ops bb_pm_ops;
extern const struct pci_error_handlers bb_error_handlers;

/* sysfs.c */
extern const struct attribute_group *bb_groups[];

#endif
