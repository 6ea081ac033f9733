/*
 * Large pages on the host's side: 512 pages of a VM in 512 frames in a row.
 *
 * A stretch is 512 pages from a multiple of 512 on. With large.frames a stretch
 * has a run of frames reserved (core/runs.h) when its first page gets a frame,
 * and each page then comes to its own place; with `fill` all the other pages come
 * with the first. A stretch that is whole - each page PRIVATE, with all rights,
 * in its place - may be mapped by one entry of 2 MiB, which is the business of
 * translation modes (mmu.large); whatever they do, frames are the same, so that
 * all modes still see the same memory.
 *
 * Whoever takes a page out of its place, or a right from it, ends that: the mode
 * breaks its mapping, by cause (mmu.h). It is whole again when the page is back in
 * its place; else the collapser, as Linux' khugepaged, moves pages together, some
 * stretches a period, each page at the VM's expense. A stretch whose dirty or
 * accessed bits were harvested is left to small mappings until the collapser, or
 * nobody, has come by since: a log of 2 MiB would be of no use.
 */
#ifndef BALLAST_PMAP_LARGE_H
#define BALLAST_PMAP_LARGE_H

#include "core/opt.h"
#include "pmap/pmap.h"

#define STRETCH 512u /* pages */

/* Where the frames of a stretch come from. */
struct large_frames {
	struct policy policy;
	bool fill; /* all pages with the first */
};

extern const struct policy *const large_frames_list[]; /* none, reserve, fill */

/* Whether those who would break a large page do, or leave it alone. */
struct large_care {
	struct policy policy;
	bool (*spares)(const struct host *host); /* NULL: never */
};

extern const struct policy *const large_cares[]; /* break, skip, short */

/* large { } of a job file. */
struct large_opts {
	const struct policy *frames; /* of large_frames_list[] */
	uint64_t collapse_period;    /* ns; 0: no collapser */
	int64_t collapse_stretches;  /* that it looks at each time */
	uint64_t copy_time;	     /* ns for a page that it moves */
};

extern const struct opt_section large_section;

/* After pmap_part_new(), before the first VM. Does nothing with frames = none. */
MUST_CHECK int large_open(struct host *host, const struct large_opts *opts, struct err *err);

/* The page, of a stretch that nothing was in, is there now: others may come with it. */
void large_first(struct pmap *pmap, ppn_t ppn);

/* Whether the stretch of a page is whole. Amortised: a few steps. False without rows. */
bool large_whole(struct pmap *pmap, ppn_t ppn);

/* The entry of a page has lost its place or a right; its bits were harvested. With rows only. */
void large_changed(struct pmap *pmap, ppn_t ppn);
void large_harvested(struct pmap *pmap, ppn_t ppn);

/* Whether a policy leaves the page alone since its stretch is whole. */
static inline bool large_spared(struct pmap *pmap, ppn_t ppn, const struct policy *care)
{
	const struct large_care *c = (const struct large_care *)care;

	return unlikely(pmap->home != NULL) && c->spares && c->spares(pmap->vm->host) &&
	       large_whole(pmap, ppn);
}

#endif
