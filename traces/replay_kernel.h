/*
 * The smallest kernel of a guest that can run virtual traces: address spaces.
 *
 * It maps pages on first touch, forks address spaces copy-on-write, unmaps,
 * protects, and switches between spaces, all by writing x86-64 page tables through
 * its MMU (pmap/mmu.h), and flushes whatever it changes at once. It decides by
 * the trace alone and never by what the host does: two runs of a trace give each
 * page the same PPN, however addresses are translated below.
 *
 * What it does not have: files, a page cache, reclaim. Memory that is unmapped is
 * used again before memory that never was; when all is in use, the run ends. Its
 * own touches (zeroing, copying, writing tables) reach the host's memory and the
 * MMU's traps, but pass through no TLB. The upper half of each space, from
 * PT_KERNEL on, is its own, the same in all of them, and global.
 */
#ifndef BALLAST_TRACES_REPLAY_KERNEL_H
#define BALLAST_TRACES_REPLAY_KERNEL_H

#include "pmap/mmu.h"

struct kernel;

struct kernel_stats {
	uint64_t spaces;     /* now */
	uint64_t used;	     /* pages, tables too */
	uint64_t first_maps; /* pages mapped on first touch */
	uint64_t forks, cow_copies, cow_reuses;
	uint64_t large_maps, large_splits;
};

/* large: maps 2 MiB on the first touch of an empty stretch, where memory allows it. */
MUST_CHECK int kernel_new(struct mmu *mmu, bool large, struct kernel **kernel, struct err *err);
void kernel_free(struct kernel *k);

const struct kernel_stats *kernel_stats(const struct kernel *k);

/* 0: the reference may be tried again; -errno: the VM stops. */
MUST_CHECK int kernel_fault(struct kernel *k, const struct mmu_fault *fault, struct err *err);

/* The address space with that number, made if there is none. */
MUST_CHECK int kernel_switch(struct kernel *k, uint64_t space, struct err *err);

/* A copy of the current space gets that number; whatever had it is unmapped. */
MUST_CHECK int kernel_fork(struct kernel *k, uint64_t child, struct err *err);

/* Pages of the current space; what lies beyond all addresses, or is not mapped, is ignored. */
MUST_CHECK int kernel_unmap(struct kernel *k, uint64_t page, uint64_t pages, struct err *err);
MUST_CHECK int kernel_protect(struct kernel *k, uint64_t page, uint64_t pages, bool writes,
			      struct err *err);

/* A zeroed page of the guest's memory, and back. -ENOMEM with a message. */
MUST_CHECK int kernel_page(struct kernel *k, ppn_t *ppn, struct err *err);
void kernel_put_page(struct kernel *k, ppn_t ppn);

#endif
