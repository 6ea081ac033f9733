/*
 * Free frames kept by runs of 2 MiB, so that a stretch of 512 pages can have 512
 * frames in a row.
 *
 * A run is reserved for a stretch of a VM's pages when the first of them needs a
 * frame; each of the others then takes the frame at its own place (Navarro et
 * al., "Practical, transparent operating system support for superpages", OSDI
 * 2002, section 4). Reserved frames that nobody uses yet are free like any other:
 * they are counted so, and are handed out, oldest reservation first, when no
 * others are left. So reserving costs no memory, and free + private + shared +
 * overhead == frames needs no new term.
 *
 * Single frames come from runs that are broken already, then from whole ones,
 * then from reserved ones. All is O(1): a bitmap a run, and lists of runs. Only
 * machine.h enters here, where a machine has runs. One host, one thread.
 */
#ifndef BALLAST_CORE_RUNS_H
#define BALLAST_CORE_RUNS_H

#include "core/machine.h"

#define RUN_FRAMES 512u
#define RUN_NONE   UINT32_MAX

enum run_list { RUN_FULL, RUN_BROKEN, RUN_WHOLE, RUN_RESERVED, RUN_LISTS };

struct run {
	uint64_t map[RUN_FRAMES / 64]; /* free frames */
	uint32_t next, prev;	       /* of its list; RUN_NONE ends it */
	uint32_t stretch;	       /* reserved for these pages (PPN / 512) ... */
	uint16_t vm;		       /* ... of this VM, or FRAME_OVERHEAD: for none */
	uint16_t free;		       /* frames */
	uint8_t list;		       /* enum run_list: RUN_FULL is on none */
};

struct runs_stats {
	uint64_t reserved; /* runs that became so */
	uint64_t lost;	   /* of them, those that a single frame was taken from since */
};

struct runs {
	struct run *run; /* [n] */
	uint32_t n;
	uint32_t head[ZONE_COUNT][RUN_LISTS], tail[ZONE_COUNT][RUN_LISTS];
	struct runs_stats stats;
};

/*
 * From now on the machine keeps runs; before any frame is in use. -EINVAL where the zones
 * part a run; -ENOMEM.
 */
MUST_CHECK int runs_new(struct machine *m);
void runs_free(struct machine *m);

/* A whole run for a stretch of a VM's pages, of the high zone rather. RUN_NONE: there is none. */
uint32_t runs_reserve(struct machine *m, uint16_t vm, uint32_t stretch);

/* Whether the run is reserved for that stretch. */
static inline bool runs_is_for(const struct machine *m, uint32_t run, uint16_t vm, uint32_t stretch)
{
	const struct run *r = &m->runs->run[run];

	return r->vm == vm && r->stretch == stretch;
}

/* It is reserved no more; its free frames are for anyone. */
void runs_release(struct machine *m, uint32_t run);

/* Takes the i-th frame of a run if it is free; MPN_NONE if not. */
mpn_t runs_take_at(struct machine *m, uint32_t run, unsigned i);

/* Whole runs of both zones. */
uint32_t runs_whole(const struct machine *m);

/* Recounts; the number of violations. */
size_t runs_audit(const struct machine *m, FILE *out);

#endif
