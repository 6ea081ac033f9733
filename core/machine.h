/*
 * Machine memory: frames, their zones, and what they hold.
 *
 * N frames, each free, private to one (VM, PPN), shared by several, or taken
 * as overhead; the four counts always add up to N (machine_audit). A frame is
 * zeroed before it is handed out, so nothing leaks between guests. Only the
 * mechanism (pmap, sharing, swap) takes and puts frames; a policy reads.
 *
 * Frames below the boundary form the low zone, which devices can address; the
 * rest is high, and is handed out first. Free frames of a zone are a stack
 * linked through the frames themselves, above a region never used yet, so that
 * a host of a terabyte starts in no time. A machine with runs (core/runs.h) keeps
 * them by runs of 2 MiB instead.
 *
 * What a frame's page contains is the backing's business: `ids` keeps a 64-bit
 * content id per frame and no bytes, `ram` keeps real bytes. A content id
 * names a whole page: 0 is the zero page, any other stands for
 * content_expand() of it. Where bytes lie by what the frame is (live guests),
 * the backing is told before and after that changes. One host, one thread.
 */
#ifndef BALLAST_CORE_MACHINE_H
#define BALLAST_CORE_MACHINE_H

#include "core/err.h"
#include "core/meter.h"
#include "core/policy.h"

#include <stdio.h>

#define VM_ID_MAX      0xfffd /* ids of VMs are below this */
#define FRAME_OVERHEAD 0xfffe /* frame.vm of a frame that the manager itself uses */
#define FRAME_SHARED   0xffff /* frame.vm of a frame mapped copy-on-write by several PPNs */

struct frame {
	uint32_t ppn;  /* private: the page that maps it; free: next free MPN of the zone;
			  shared: a note of who shares (sharing) */
	uint16_t vm;   /* VM id, FRAME_SHARED or FRAME_OVERHEAD */
	uint16_t refs; /* 0 free, 1 private or overhead, PPNs that map it if shared: FRAME_MANY
			  stands for that many or more, counted by who shares */
};

#define FRAME_MANY UINT16_MAX

/* One page's frame: not free, shared or the manager's own. */
static inline bool frame_is_private(struct frame f)
{
	/* refs == 1 and vm < FRAME_OVERHEAD, in one comparison */
	return ((uint32_t)f.refs << 16 | f.vm) - (1u << 16) < FRAME_OVERHEAD;
}

enum zone_id { ZONE_LOW, ZONE_HIGH, ZONE_COUNT };

struct zone {
	uint32_t first, end; /* MPNs [first, end) */
	uint32_t fresh;	     /* [fresh, end) were never used */
	uint32_t free_head;  /* stack of used and returned frames; UINT32_MAX ends it */
	uint32_t free;	     /* frames on the stack and fresh ones */
};

/* What is kept per frame about its use, for the victim policy: the replayer pays a store. */
enum frame_track { TRACK_NOTHING, TRACK_USED, TRACK_STAMPS };

struct machine;
struct runs;

#define STAMP_FREE  0		     /* of a frame that backs no private page */
#define STAMP_LIMIT (UINT32_MAX / 2) /* past it, renew: now must not come round to STAMP_FREE */

/* Told of every private frame that begins or ceases to back a page. One watcher a machine. */
struct frame_watch {
	void (*mapped)(void *ctx, mpn_t mpn);
	void (*unmapped)(void *ctx, mpn_t mpn);
	void *ctx;
};

struct machine {
	struct frame *frame;  /* [frames] */
	uint8_t *used;	      /* [frames] 1: touched since a victim policy cleared it */
	uint32_t *stamp;      /* [frames] last use, or STAMP_FREE. One of the two, or neither */
	uint32_t *seen;	      /* [frames] or NULL, a policy's own: the stamp that it last saw */
	uint32_t now;	      /* the next stamp: one per reference, from 1 */
	uint32_t stamp_epoch; /* grows when machine_renew_stamps() renumbers */
	uint32_t frames;
	uint64_t free;		 /* frames: free + private_frames + shared + overhead == frames */
	uint64_t private_frames; /* each backs one page */
	uint64_t shared;	 /* each backs several */
	uint64_t overhead;	 /* the manager's own */
	struct zone zone[ZONE_COUNT];
	struct runs *runs; /* or NULL: free frames are the zones' stacks */
	const struct backing *backing;
	uint64_t *ids;	/* ids: content id per frame, NULL until one is not 0 */
	uint8_t *bytes; /* where pages have bytes: their start */
	void *store;	/* the backing's own */
	struct frame_watch watch;
	bool tell_left; /* backing->left is there */
	struct leaving {
		bool gather;
		uint16_t vm;
		uint32_t ppn, n; /* left, and the backing not told yet */
	} leaving;
	struct meter *meter;
};

/*
 * A place for page contents. bytes returns NULL without bytes. The last four
 * hooks are optional, for bytes that lie by what their frame is: those of a
 * page of its own with the page (of a taken frame: the page that machine_aim()
 * said), those of a shared frame with the frame.
 */
struct backing {
	struct policy policy;
	int (*open)(struct machine *m); /* 0 or -ENOMEM */
	void (*close)(struct machine *m);
	void (*zero)(struct machine *m, mpn_t mpn);
	void (*copy)(struct machine *m, mpn_t to, mpn_t from);
	int (*set)(struct machine *m, mpn_t mpn, uint64_t id); /* the whole page; 0 or -ENOMEM */
	bool (*holds)(const struct machine *m, mpn_t mpn, uint64_t id);
	uint8_t *(*bytes)(const struct machine *m, mpn_t mpn);
	/* The frame, used, is about to become `next`: its bytes are put there too. */
	void (*place)(struct machine *m, mpn_t mpn, struct frame next);
	/* The frame's bytes are of no use any more where they lay while it was `was`. */
	void (*left)(struct machine *m, mpn_t mpn, struct frame was);
	/* A private frame's guest may not write from now on, until thaw, or a write is let pass. */
	void (*freeze)(struct machine *m, mpn_t mpn);
	void (*thaw)(struct machine *m, mpn_t mpn);
	/* Optional: the backing's pages are moved many at a time. */
	const struct backing_runs *runs;
};

/*
 * n neighbouring pages of a VM at once, each in a frame of its own. left is
 * backing.left of pages that were disowned quietly. read may be called while
 * others use the machine, of a place that was asked for before: 0 or -errno;
 * what it reads is the pages' only if they are found unchanged afterwards.
 */
struct backing_runs {
	void (*freeze)(struct machine *m, uint16_t vm, ppn_t ppn, uint32_t n);
	void (*left)(struct machine *m, uint16_t vm, ppn_t ppn, uint32_t n);
	uint64_t (*place)(const struct machine *m, uint16_t vm, ppn_t ppn);
	int (*read)(const struct machine *m, uint64_t place, uint32_t n, uint8_t *to);
};

extern const struct policy *const backings[]; /* ids, ram */
extern const struct backing backing_ids, backing_ram;

/* low_frames of the frames form the low zone. Fails with -ENOMEM only. */
MUST_CHECK int machine_init(struct machine *m, struct meter *meter, const struct backing *backing,
			    uint32_t frames, uint32_t low_frames);
void machine_fini(struct machine *m);

/* Keeps used or stamp from now on; once, before any frame is in use. */
MUST_CHECK int machine_track(struct machine *m, enum frame_track track);

/* A page in this frame was touched. */
static inline void machine_use(struct machine *m, mpn_t mpn)
{
	if (m->used)
		m->used[mpn.n] = 1;
	else if (m->stamp)
		m->stamp[mpn.n] = m->now++;
}

/*
 * Renumbers the stamps densely in their order, so that 32 bits last for ever. Where
 * seen was a frame's stamp it is so afterwards, and nowhere else.
 * Called when now is past STAMP_LIMIT, between references. -ENOMEM changes nothing.
 */
MUST_CHECK int machine_renew_stamps(struct machine *m);

/* Where a frame is handed out and given back is inline: every fault comes by. */

static inline struct zone *machine_zone(struct machine *m, mpn_t mpn)
{
	return &m->zone[mpn.n >= m->zone[ZONE_HIGH].first];
}

/* A taken frame, not owned yet, is going to be filled for that page. */
static inline void machine_aim(struct machine *m, mpn_t mpn, uint16_t vm, ppn_t ppn)
{
	m->frame[mpn.n] = (struct frame){ppn.n, vm, 0};
}

/* A shared frame is about to become private to (vm, ppn), or a private one shared. */
static inline void machine_place(struct machine *m, mpn_t mpn, uint16_t vm, ppn_t ppn)
{
	if (unlikely(m->backing->place != NULL))
		m->backing->place(m, mpn, (struct frame){ppn.n, vm, 1});
}

/* Around what relies on a page's bytes: a guest that runs meanwhile is kept from writing. */
static inline void machine_freeze(struct machine *m, mpn_t mpn)
{
	if (unlikely(m->backing->freeze != NULL))
		m->backing->freeze(m, mpn);
}

static inline void machine_thaw(struct machine *m, mpn_t mpn)
{
	if (unlikely(m->backing->thaw != NULL))
		m->backing->thaw(m, mpn);
}

/* The same where there are runs (core/runs.h); the zone has a free frame, or had it before. */
mpn_t runs_take(struct machine *m, enum zone_id zone);
void runs_put(struct machine *m, mpn_t mpn);

/* Takes a free frame of that zone, unowned and not zeroed; MPN_NONE if none is free. */
static inline mpn_t machine_take_from(struct machine *m, enum zone_id zone)
{
	struct zone *z = &m->zone[zone];
	mpn_t mpn = {z->free_head};

	if (unlikely(z->free == 0))
		return MPN_NONE;
	if (unlikely(m->runs != NULL))
		return runs_take(m, zone);
	if (mpn_valid(mpn))
		z->free_head = m->frame[mpn.n].ppn;
	else
		mpn.n = z->fresh++;
	z->free--;
	m->free--;
	return mpn;
}

/* The same of the high zone, and of the low one when that has none. */
static inline mpn_t machine_take(struct machine *m)
{
	return machine_take_from(m, m->zone[ZONE_HIGH].free ? ZONE_HIGH : ZONE_LOW);
}

/* Gives back a taken frame that nobody came to own. */
static inline void machine_untake(struct machine *m, mpn_t mpn)
{
	struct zone *z = machine_zone(m, mpn);

	m->frame[mpn.n] = (struct frame){z->free_head, 0, 0};
	if (unlikely(m->runs != NULL))
		runs_put(m, mpn);
	else
		z->free_head = mpn.n;
	z->free++;
	m->free++;
}

/* Makes a taken frame private to (vm, ppn); counts it. */
static inline void machine_own(struct machine *m, mpn_t mpn, uint16_t vm, ppn_t ppn)
{
	m->frame[mpn.n] = (struct frame){ppn.n, vm, 1};
	m->private_frames++;
	if (m->used)
		m->used[mpn.n] = 0;
	else if (m->stamp)
		m->stamp[mpn.n] = m->now;
	if (m->watch.mapped)
		m->watch.mapped(m->watch.ctx, mpn);
}

/* The same as the next; the backing is to be told by who asks, of many pages at once. */
static inline void machine_disown_quietly(struct machine *m, mpn_t mpn)
{
	m->private_frames--;
	if (m->stamp)
		m->stamp[mpn.n] = STAMP_FREE;
}

/*
 * From machine_gather() to machine_gathered() a backing with runs is told of
 * private frames that leave their pages in runs of neighbours, the last of them
 * at the end. Nothing may take a frame for one of these pages in between.
 */
static inline void machine_gather(struct machine *m)
{
	m->leaving.gather = m->backing->runs != NULL;
}

void machine_gathered(struct machine *m);

/* Tells the backing, or gathers. */
void machine_tell_left(struct machine *m, mpn_t mpn);

/* A private frame ceases to back its page: it is taken, and nobody's. The watcher knows. */
static inline void machine_disown(struct machine *m, mpn_t mpn)
{
	machine_disown_quietly(m, mpn);
	if (unlikely(m->tell_left))
		machine_tell_left(m, mpn);
}

/* Frees a private frame. */
static inline void machine_put(struct machine *m, mpn_t mpn)
{
	if (m->watch.unmapped)
		m->watch.unmapped(m->watch.ctx, mpn);
	machine_disown(m, mpn);
	machine_untake(m, mpn);
}

/* A private frame becomes a shared one, mapped by its one page so far. */
void machine_share(struct machine *m, mpn_t mpn);

/* A taken frame turns out to be a shared one, mapped by one page so far (pmap_adopt()). */
void machine_own_shared(struct machine *m, mpn_t mpn);

/* A shared frame with one reference becomes private to (vm, ppn), or is freed. */
void machine_unshare(struct machine *m, mpn_t mpn, uint16_t vm, ppn_t ppn);
void machine_put_shared(struct machine *m, mpn_t mpn);

/* Makes a taken frame the manager's own, and gives one back. */
void machine_own_overhead(struct machine *m, mpn_t mpn);
void machine_put_overhead(struct machine *m, mpn_t mpn);

/* Fills a page of 4096 bytes with the contents that an id stands for: 0 is all zero. */
void content_expand(uint64_t id, uint8_t *page);

/* Recounts everything from scratch; writes each violation as a line, returns how many. */
size_t machine_audit(const struct machine *m, FILE *out);

#endif
