/*
 * The socket for scan policies: which page is looked at next, and how.
 *
 * The contract. The driver says when and how many pages of a VM are due; pick()
 * names up to n of them. It may name any page; the driver passes over what
 * cannot be shared and what has not changed since it was last looked at. A
 * policy sees pmap entries and changes nothing but the RECENT bit.
 *
 * A policy without look() has pages matched through the global table. One with
 * look() keeps an index of its own: look() may share the page through
 * share_make() and share_join() and says whether it is shared now; gone() then
 * is told of every frame that it made shared, before that ceases to be so.
 *
 * A new policy is one file like scan-sequential.c and one line in scans[].
 */
#ifndef BALLAST_SHARING_SCAN_H
#define BALLAST_SHARING_SCAN_H

#include "core/rng.h"
#include "sharing/sharing.h"

#define BATCH 64 /* pages hashed before the first is looked up: they stay in the L2 cache */

struct share_vm_stats {
	uint64_t breaks; /* pages written while shared */
	uint64_t merged; /* pages that gave up their frame for a shared one */
	uint64_t zero;	 /* pages that map the group's zero frame */
	double saved; /* frames: each shared page counts 1 - 1 / refs; refreshed before reading */
};

/* A VM as sharing sees it. */
struct share_vm {
	struct vm *vm;
	uint32_t group;	  /* index */
	uint32_t hand;	  /* the policy's: its place in the VM */
	struct rng rng;	  /* the policy's draws */
	uint64_t owed_ns; /* the driver's: scanning due, in pages * ns */
	uint64_t room_ns; /* of the VM's time that scanning may still take this period */
	struct share_vm_stats stats;
};

struct scan {
	struct policy policy;
	size_t state_size;			     /* zeroed before open */
	int (*open)(void *state, struct sharing *s); /* optional; 0 or -ENOMEM */
	void (*close)(void *state);		     /* optional */
	int (*vm_added)(void *state, struct vm *vm); /* optional; 0 or -ENOMEM */
	void (*vm_removed)(void *state, struct vm *vm);
	uint32_t (*pick)(void *state, struct share_vm *v, uint32_t n, ppn_t *pages); /* required */
	/* The page is PRIVATE, not pinned, and has a content id where pages have no bytes. */
	bool (*look)(void *state, struct share_vm *v, ppn_t ppn); /* optional */
	void (*gone)(void *state, uint32_t group, mpn_t mpn);	  /* required with look */
};

/* Whether the page is in a frame of its own and was written since it was last looked at. */
static inline bool scan_worth_hashing(pte_t e)
{
	return pte_state(e) == PAGE_PRIVATE && (e & (PTE_PINNED | PTE_CHANGED)) == PTE_CHANGED;
}

/* Whether a SHARED page has its frame for itself by now; the driver makes it PRIVATE again. */
static inline bool scan_alone(const struct machine *m, pte_t e)
{
	return m->frame[pte_value(e)].refs == 1 && m->frame[pte_value(e)].ppn;
}

/* Whether looking at the page may lead to anything. */
static inline bool scan_wants(const struct share_vm *v, pte_t e)
{
	return scan_worth_hashing(e) ||
	       (pte_state(e) == PAGE_SHARED && scan_alone(&v->vm->host->machine, e));
}

/*
 * Names the next up to n pages from v->hand on that are wanted, and moves the
 * hand past them, round the VM. Gives up after so many entries that no burst
 * takes long.
 */
uint32_t scan_walk(struct share_vm *v, uint32_t n, ppn_t *pages,
		   bool (*wanted)(const struct share_vm *v, pte_t *e));

#endif
