/* For sharing/ and its tests. */
#ifndef BALLAST_SHARING_PRIVATE_H
#define BALLAST_SHARING_PRIVATE_H

#include "pmap/large.h"
#include "sharing/scan.h"
#include "sharing/table.h"

extern const struct scan scan_none, scan_random, scan_sequential, scan_idle_first, scan_ksm;

/* Counts of shared frames that 16 bits do not hold: rows in order of MPN. */
struct overflow {
	struct overflow_row {
		uint32_t mpn;
		uint64_t refs; /* >= FRAME_MANY */
	} * row;
	uint32_t n, room;
};

/* VMs that may share among themselves. */
struct group {
	char *name; /* NULL: the default group */
	uint64_t salt;
	uint64_t zero_hash; /* page_zero_hash() */
	mpn_t zero;	    /* the frame that its zero pages share, or MPN_NONE */
};

struct sharing {
	struct host *host;
	struct share_opts opts;
	const struct scan *scan;
	void *scan_state;
	struct table table;
	struct overflow overflow;
	struct group *group; /* [groups] */
	uint32_t groups;
	struct share_vm **vm; /* [vms] by VM id */
	size_t vms;
	uint32_t sweep;	    /* table frame where the next search for dead hints begins */
	uint64_t names;	    /* content ids given to pages written with who knows what */
	uint64_t hash_mask; /* all ones; a test takes bits away to force collisions */
	uint64_t due_ns;    /* of scanning, not yet charged to the VM at hand */
	struct timer timer;
	size_t first_vm;  /* the VM that the next burst begins with */
	uint64_t owed_ns; /* of scanning in all, in pages * ns */
	struct share_stats stats;
};

/* refs.c: how many PPNs map a shared frame. */
uint64_t refs_get(const struct sharing *s, mpn_t mpn);
MUST_CHECK int refs_add(struct sharing *s, mpn_t mpn); /* -ENOMEM: one more cannot be counted */
void refs_sub(struct sharing *s, mpn_t mpn);	       /* more than one */

/* hash.c: contents, with or without bytes. */
uint64_t page_hash(const struct sharing *s, const struct group *g, mpn_t mpn);
uint64_t page_zero_hash(const struct sharing *s, const struct group *g);
bool page_equal(const struct sharing *s, mpn_t a, mpn_t b);
int page_order(const struct sharing *s, mpn_t a, mpn_t b); /* like memcmp */
bool page_is_zero(const struct sharing *s, mpn_t mpn);
void page_fetch(const struct sharing *s, mpn_t mpn); /* prefetches the bytes */

/* Where pages have no bytes: makes the frame's content id true. 0 or -ENOMEM. */
MUST_CHECK int page_name(struct sharing *s, struct pmap *pmap, ppn_t ppn);

/* share.c: the mechanism. Times are accounted by the caller's phase. */

static inline struct share_vm *share_vm_of(const struct sharing *s, const struct pmap *pmap)
{
	return s->vm[pmap->vm->id];
}

static inline struct group *share_group_of(const struct sharing *s, const struct pmap *pmap)
{
	return &s->group[share_vm_of(s, pmap)->group];
}

/* A PRIVATE page's frame becomes a shared one, with one reference; note is its table frame. */
void share_make(struct sharing *s, struct pmap *pmap, ppn_t ppn, uint32_t note);

/* A PRIVATE page gives its frame up for a shared one of equal contents. -ENOMEM: no change. */
MUST_CHECK int share_join(struct sharing *s, struct pmap *pmap, ppn_t ppn, mpn_t mpn);

/* Handlers of PAGE_SHARED. */
int share_fault(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access, struct err *err);
void share_drop(void *ctx, struct pmap *pmap, ppn_t ppn);
void share_left(void *ctx, struct pmap *pmap, pte_t was);
MUST_CHECK int share_adopt(void *ctx, struct pmap *pmap, ppn_t ppn, struct err *err);

/* match.c: a page and its hash against the table. */

/*
 * Shares the page if an equal one is known, and says so. If not, leaves a hint
 * where `hint` says so. The page is PRIVATE and not pinned.
 */
bool match(struct sharing *s, struct pmap *pmap, ppn_t ppn, uint64_t hash, bool hint);

/* A SHARED page that is alone in its frame becomes PRIVATE again, with a hint. */
void match_release(struct sharing *s, struct pmap *pmap, ppn_t ppn);

/* scan.c */

/* Makes the driver account work: to a phase, and to the VM that is scanned. */
static inline void spend(struct sharing *s, uint64_t *phase_ns, uint64_t ns)
{
	*phase_ns += ns;
	s->due_ns += ns;
}

MUST_CHECK int scan_start(struct sharing *s); /* 0 or -ENOMEM */
bool scan_settle(void *ctx, struct vm *vm, ppn_t ppn);

/* audit.c */
size_t sharing_audit(void *ctx, FILE *out);

#endif
