/*
 * The record: what a trace says, one 64-bit word at a time.
 *
 *   63            28 27          4 3    0
 *   +---------------+-------------+------+
 *   | page (36)     | delta (24)  | kind |
 *   +---------------+-------------+------+
 *
 * page is a VPN or PPN, as the trace's header says; delta is the time since
 * the record before, in ticks of the header's tick_ns (0 where the source had
 * no times: the replayer's cost model alone then moves the clock). Kinds from
 * REC_WIDE on are followed by one operand word. READ is 0 and WRITE is 1
 * because the replayer tests pmap bit 0 or 1 by shifting by the kind.
 *
 * A batch is an array of words that never ends between a wide record and its
 * operand. Readers and generators emit batches and know nothing of VMs.
 */
#ifndef BALLAST_TRACES_RECORD_H
#define BALLAST_TRACES_RECORD_H

#include "core/types.h"

typedef uint64_t rec_t;

enum rec_kind {
	REC_READ = 0,
	REC_WRITE = 1,
	REC_SWITCH = 2,	     /* page = address space that this VM's later virtual pages lie in */
	REC_SLEEP = 3,	     /* page = ticks of idleness, on top of delta */
	REC_VM = 4,	     /* page = index of the VM that later records belong to */
	REC_END = 5,	     /* nothing follows */
	REC_FORK = 6,	     /* page = address space that begins as a copy of this one */
	REC_WIDE = 8,	     /* kinds from here on carry an operand word */
	REC_WRITE_ID = 8,    /* operand = content id that the whole page gets; 0 = all zero */
	REC_MAP = 9,	     /* operand = pages, from page on */
	REC_UNMAP = 10,	     /* operand = pages, from page on; contents are lost */
	REC_FILE_READ = 11,  /* page = page of the file, operand = file number */
	REC_FILE_WRITE = 12, /* page = page of the file, operand = file number */
	REC_DMA = 13,	     /* operand = 1 if the device writes memory, 0 if it reads */
	REC_PROTECT = 14,    /* operand = 2 * pages from page on, plus 1 if writes are allowed */
	REC_KINDS = 15,
};

#define REC_PAGE_BITS  36
#define REC_PAGE_MAX   ((UINT64_C(1) << REC_PAGE_BITS) - 1)
#define REC_PAGE_MASK  (REC_PAGE_MAX << (64 - REC_PAGE_BITS))
#define REC_DELTA_BITS 24
#define REC_DELTA_MAX  ((1u << REC_DELTA_BITS) - 1)

static inline rec_t rec_make(enum rec_kind kind, uint64_t page, uint64_t delta)
{
	return page << 28 | delta << 4 | (unsigned)kind;
}

static inline uint64_t rec_page(rec_t r)
{
	return r >> 28;
}

static inline uint32_t rec_delta(rec_t r)
{
	return (uint32_t)(r >> 4) & REC_DELTA_MAX;
}

static inline unsigned rec_kind(rec_t r)
{
	return r & 15;
}

static inline bool rec_is_wide(rec_t r)
{
	return r & REC_WIDE;
}

/* Whether records of this kind name a page of the guest's memory. */
static inline bool rec_has_page(unsigned kind)
{
	return kind <= REC_WRITE || (kind >= REC_WRITE_ID && kind <= REC_UNMAP) || kind == REC_DMA;
}

#endif
