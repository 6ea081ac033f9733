/*
 * Content-based page sharing (Waldspurger 2002, section 4).
 *
 * Pages with equal contents come to map one read-only frame; a write breaks
 * the page out again. A scanner looks at pages in the order that a policy
 * picks, hashes them and looks the hash up in one global table. A page that is
 * alone stays writable and leaves a hint there. The one hard argument: a hint
 * is only a guess. Whatever became of the page since, a match by hash leads to
 * a comparison of all bytes before anything is shared, so a stale hint or two
 * contents with one hash cost time and never a wrong byte.
 *
 * Hashes are salted per group of VMs and pages shared inside a group only:
 * across groups no guest can learn from the time of a write what another one
 * holds. Owned here: shared frames, their counts, table, zero frames; a frame's
 * life as a private one is the pmap's. One host, one thread.
 *
 * Rates default to those of ESX 2 (50 pages/s a VM, 200 in all), at which
 * 256 MB take 22 minutes. The fast setting, for short runs, is
 * rate_vm = 25k, rate_total = 100k, period = 10ms; KSM's default is 5k in all.
 */
#ifndef BALLAST_SHARING_SHARING_H
#define BALLAST_SHARING_SHARING_H

#include "pmap/pmap.h"

/* share { } of a job file. */
struct share_opts {
	const struct policy *scan;  /* of scans[] */
	int64_t rate_vm;	    /* pages/s of each VM */
	int64_t rate_total;	    /* pages/s of all; 0: no bound but rate_vm */
	uint64_t period;	    /* ns between bursts of scanning */
	const struct policy *large; /* of large_cares[] */
	bool before_swap;	    /* try to share a page before it is swapped out */
	double charge;		    /* part of the scanning time that the scanned VM loses */
	uint64_t hash_time, probe_time, compare_time, merge_time; /* ns a page */
	uint64_t break_time;					  /* ns to copy a shared page */
};

extern const struct opt_section share_section;
extern const struct policy *const scans[];

struct sharing;

/*
 * Makes sharing a part of the host, before its first VM, with timers on the
 * host's clock. With the policy none there is no part: *sharing is NULL, and
 * sharing costs nothing.
 */
MUST_CHECK int sharing_open(struct host *host, struct pmap_part *pmaps,
			    const struct share_opts *opts, struct sharing **sharing,
			    struct err *err);

/*
 * Puts a VM that has not run yet into the group of that name; NULL is the
 * default group, where every VM begins. sharing may be NULL.
 */
MUST_CHECK int sharing_group(struct sharing *sharing, struct vm *vm, const char *group,
			     struct err *err);

/* Has the policy pick up to n pages of the VM now, beside the timer. Returns how many it picked. */
uint64_t sharing_scan(struct sharing *sharing, struct vm *vm, uint64_t n);

struct share_stats {
	uint64_t saved;	   /* frames: sum(refs - 1) over shared frames */
	uint64_t scanned;  /* pages picked by the policy */
	uint64_t hashed;   /* of them, changed since they were last looked at; and rehashed hints */
	uint64_t compared; /* pairs of pages, byte by byte */
	uint64_t merged;   /* pages that gave up their frame for a shared one */
	uint64_t broken;   /* pages written while shared */
	uint64_t
		copied; /* of them, those that needed a frame: merged - copied - dropped == saved */
	uint64_t dropped;   /* pages that left a frame to others without a write */
	uint64_t settled;   /* pages shared at the moment of being swapped out */
	uint64_t false_hit; /* equal hashes of different contents */
	uint64_t stale;	    /* hints dropped because their page had changed or gone */
	uint64_t table_bytes;
	uint64_t hints; /* table frames that are hints */
	uint64_t hash_ns, probe_ns, compare_ns, merge_ns, break_ns;
};

const struct share_stats *sharing_stats(const struct sharing *sharing);

#endif
