/*
 * A backing whose bytes lie by what their frame is, as those of live guests do:
 * a page's own with the page, shared ones with the frame. What was left is
 * spoilt at once, and nothing may be shared or evicted that was not frozen
 * first. So whoever tells the backing too late, too early or not at all is
 * found by the content oracle.
 */
#ifndef BALLAST_TESTS_APART_H
#define BALLAST_TESTS_APART_H

#include "test.h"

#include "core/machine.h"

#include <errno.h>
#include <string.h>

#define APART_VMS   8
#define APART_PAGES 300 /* of each VM, at most */

struct apart {
	uint8_t home[APART_VMS][APART_PAGES][PAGE_SIZE];
	bool frozen[APART_VMS][APART_PAGES];
	uint8_t slot[][PAGE_SIZE]; /* [frames] */
};

static inline bool apart_home(struct frame f)
{
	return f.vm < FRAME_OVERHEAD;
}

static inline uint8_t *apart_place_of(const struct machine *m, mpn_t mpn, struct frame f)
{
	struct apart *a = m->store;

	if (!apart_home(f))
		return a->slot[mpn.n];
	if (f.vm >= APART_VMS || f.ppn >= APART_PAGES)
		abort();
	return a->home[f.vm][f.ppn];
}

static inline uint8_t *apart_bytes(const struct machine *m, mpn_t mpn)
{
	return apart_place_of(m, mpn, m->frame[mpn.n]);
}

static inline int apart_open(struct machine *m)
{
	size_t size = sizeof(struct apart) + (size_t)m->frames * PAGE_SIZE;

	m->store = malloc(size);
	if (!m->store)
		return -ENOMEM;
	memset(m->store, 0xa5, size);
	m->bytes = m->store;
	memset(((struct apart *)m->store)->frozen, 0, sizeof(((struct apart *)m->store)->frozen));
	return 0;
}

static inline void apart_close(struct machine *m)
{
	free(m->store);
}

static inline void apart_zero(struct machine *m, mpn_t mpn)
{
	memset(apart_bytes(m, mpn), 0, PAGE_SIZE);
}

static inline void apart_copy(struct machine *m, mpn_t to, mpn_t from)
{
	memcpy(apart_bytes(m, to), apart_bytes(m, from), PAGE_SIZE);
}

static inline int apart_set(struct machine *m, mpn_t mpn, uint64_t id)
{
	content_expand(id, apart_bytes(m, mpn));
	return 0;
}

static inline bool apart_holds(const struct machine *m, mpn_t mpn, uint64_t id)
{
	uint8_t want[PAGE_SIZE];

	content_expand(id, want);
	return memcmp(apart_bytes(m, mpn), want, PAGE_SIZE) == 0;
}

static inline bool *apart_frozen(const struct machine *m, struct frame f)
{
	struct apart *a = m->store;

	return &a->frozen[f.vm][f.ppn];
}

static inline void apart_move(struct machine *m, mpn_t mpn, struct frame next)
{
	struct frame f = m->frame[mpn.n];

	CU_ASSERT_FATAL(apart_home(f) != apart_home(next));
	CU_ASSERT_FATAL(!apart_home(f) || *apart_frozen(m, f));
	memcpy(apart_place_of(m, mpn, next), apart_bytes(m, mpn), PAGE_SIZE);
}

static inline void apart_left(struct machine *m, mpn_t mpn, struct frame was)
{
	memset(apart_place_of(m, mpn, was), 0xa5, PAGE_SIZE);
	if (apart_home(was))
		*apart_frozen(m, was) = false;
}

static inline void apart_freeze(struct machine *m, mpn_t mpn)
{
	if (apart_home(m->frame[mpn.n]))
		*apart_frozen(m, m->frame[mpn.n]) = true;
}

static inline void apart_thaw(struct machine *m, mpn_t mpn)
{
	if (apart_home(m->frame[mpn.n]))
		*apart_frozen(m, m->frame[mpn.n]) = false;
}

static const struct backing backing_apart = {
	.policy = {"apart", "bytes lie with the page, or with the shared frame"},
	.open = apart_open,
	.close = apart_close,
	.zero = apart_zero,
	.copy = apart_copy,
	.set = apart_set,
	.holds = apart_holds,
	.bytes = apart_bytes,
	.place = apart_move,
	.left = apart_left,
	.freeze = apart_freeze,
	.thaw = apart_thaw,
};

#endif
