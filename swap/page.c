/* A page's way out, to a slot of the area, and back in. */
#include "swap/private.h"

#include <errno.h>
#include <string.h>

/* Copies: slots that frames keep from when their page was read back. */

void swap_copy_drop(struct swap *s, mpn_t mpn)
{
	if (s->copy[mpn.n]) {
		area_put(&s->area, s->copy[mpn.n] - 1);
		s->copy[mpn.n] = 0;
	}
}

/* Frees a cluster's worth of copies, to make room in a full area. */
static void copies_shrink(struct swap *s)
{
	uint32_t frames = s->host->machine.frames;

	for (uint32_t i = 0, freed = 0; i < frames && freed < 64; i++) {
		freed += s->copy[s->copy_hand] != 0;
		swap_copy_drop(s, (mpn_t){s->copy_hand});
		s->copy_hand = s->copy_hand + 1 == frames ? 0 : s->copy_hand + 1;
	}
}

/* Swapping out. */

/* A slot for one more page, from those that frames keep copies in if need be. */
uint32_t swap_take_slot(struct swap *s)
{
	uint32_t slot = area_take(&s->area);

	if (likely(slot != SLOT_NONE))
		return slot;
	copies_shrink(s);
	return area_take(&s->area);
}

int swap_area_full(const struct swap *s, struct err *err)
{
	if (s->retired)
		return err_run(
			err, ENOSPC,
			"the swap area's %u slots are full, %llu of them given up after failed "
			"writes: look at its disk, or set swap.dir",
			s->area.slots, (unsigned long long)s->retired);
	return err_run(err, ENOSPC, "the swap area's %u slots are full: raise swap.size",
		       s->area.slots);
}

/* Writes the frame's page, whose entry is e, to some slot; on failure the page is as it was. */
int swap_store(struct swap *s, mpn_t mpn, pte_t e, uint32_t *slot, struct err *err)
{
	int rc = -EIO;

	for (int tries = 0; tries < STORE_TRIES; tries++) {
		*slot = swap_take_slot(s);
		if (*slot == SLOT_NONE)
			return swap_area_full(s, err);
		if (contents_void(s, e))
			return 0;
		rc = area_store(&s->area, *slot, &s->host->machine, mpn, err);
		if (rc == 0)
			return 0;
		s->retired++; /* the slot stays taken */
		host_event(s->host, NULL, "slot retired", "%s", err ? err->msg : strerror(-rc));
	}
	*slot = SLOT_NONE;
	return rc;
}

/* Finds the page a place of its own: it has none, or better ones are free. */
static __attribute__((noinline)) int store_anew(struct swap *s, mpn_t mpn, pte_t e, uint32_t *slot,
						struct err *err)
{
	swap_copy_drop(s, mpn);
	return swap_store(s, mpn, e, slot, err);
}

/*
 * Writes a changed page over its old copy. That one is of no use any more, so
 * nothing is lost if this fails and the page goes elsewhere.
 */
static int store_over(struct swap *s, mpn_t mpn, pte_t e, uint32_t *slot, struct err *err)
{
	if (area_store(&s->area, *slot, &s->host->machine, mpn, err) == 0)
		return 0;
	return store_anew(s, mpn, e, slot, err);
}

/*
 * The page goes to its slot: unwritten if the copy there is good, over the copy
 * if it is not and no cluster is free to write in sequence.
 */
static inline __attribute__((always_inline)) int evict(struct swap *s, mpn_t mpn, struct err *err)
{
	const struct frame f = s->host->machine.frame[mpn.n];
	struct pmap *pmap = s->host->vm[f.vm]->pmap;
	struct swap_vm *stats = s->vm[f.vm];
	uint32_t slot = s->copy[mpn.n] - 1; /* SLOT_NONE without a copy */
	/* Bits and not branches: whether a page is dirty is as good as random. */
	pte_t e = pmap_peek(pmap, (ppn_t){f.ppn});
	bool none = slot == SLOT_NONE, dirty = e & PTE_DIRTY;
	bool write = none | dirty;
	int rc = 0;

	machine_freeze(&s->host->machine, mpn);
	if (unlikely(none | (dirty & (s->area.empty != 0))))
		rc = store_anew(s, mpn, e, &slot, err);
	else if (write & !contents_void(s, e))
		rc = store_over(s, mpn, e, &slot, err);
	if (unlikely(rc))
		return rc;
	if (s->victim->unmapped)
		s->victim->unmapped(s->victim_state, mpn);
	s->copy[mpn.n] = 0; /* the slot is the page's now */
	stats->writes += write;
	stats->outs++;
	pmap_unmap_private(pmap, (ppn_t){f.ppn}, PAGE_SWAPPED, slot);
	return 0;
}

/* The next page, round all VMs or of one, that shares its frame; NULL if none does. */
static struct pmap *next_shared(struct swap *s, const struct vm *only, ppn_t *ppn)
{
	for (size_t i = 0; s->host->machine.shared && i <= s->vms; i++) {
		struct pmap *pmap = s->host->vm[s->shared_vm]->pmap;
		bool some = pmap->count[PAGE_SHARED] && (!only || pmap->vm == only);
		for (; some && s->shared_page < pmap->pages; s->shared_page++) {
			ppn->n = s->shared_page;
			if (pte_state(pmap_peek(pmap, *ppn)) == PAGE_SHARED)
				return pmap;
		}
		s->shared_page = 0;
		s->shared_vm = s->shared_vm + 1 == s->vms ? 0 : s->shared_vm + 1;
	}
	return NULL;
}

/* One page of a shared frame goes to a slot; the frame is free with the last of them. */
static int evict_shared(struct swap *s, const struct vm *only, struct err *err)
{
	ppn_t ppn;
	struct pmap *pmap = next_shared(s, only, &ppn);
	uint32_t slot;

	if (!pmap || s->victim == &victim_none)
		return -ENOENT;
	pte_t e = pmap_peek(pmap, ppn);
	int rc = swap_store(s, pte_mpn(e), e, &slot, err);
	if (rc)
		return rc;
	s->vm[pmap->vm->id]->writes++;
	s->vm[pmap->vm->id]->outs++;
	pmap_unmap_shared(pmap, ppn, PAGE_SWAPPED, slot);
	return 0;
}

/*
 * Evicts where frames may be shared: the screen may settle the victim, which
 * need not free a frame at once. Shared frames have no owner for a policy to
 * choose; where nothing else is left, their pages go one by one.
 */
static __attribute__((noinline)) mpn_t evict_beside_shared(struct swap *s, mpn_t mpn,
							   const struct vm *only,
							   const struct vm *needy, struct err *err)
{
	struct machine *m = &s->host->machine;
	const uint64_t before = m->free;

	while (mpn_valid(mpn) && swap_settled(s, mpn)) {
		if (m->free > before)
			return machine_take(m);
		mpn = s->victim->pick(s->victim_state);
	}
	if (mpn_valid(mpn))
		return evict(s, mpn, err) ? MPN_NONE : mpn;
	while (m->free == before) {
		if (only && vm_held(only) <= vm_floor(only, needy))
			return MPN_NONE;
		if (evict_shared(s, only, err))
			return MPN_NONE;
	}
	return machine_take(m);
}

/*
 * Swaps out the page that the policy picks, which is aimed at `only`; its frame
 * comes back taken, or MPN_NONE.
 */
static inline __attribute__((always_inline)) mpn_t swap_one(struct swap *s, const struct vm *only,
							    struct vm *needy, struct err *err)
{
	if (only && vm_held(only) <= vm_floor(only, needy))
		return MPN_NONE;
	mpn_t mpn = s->victim->pick(s->victim_state);

	if (unlikely(s->host->machine.shared || s->host->screen.settle))
		mpn = evict_beside_shared(s, mpn, only, needy, err);
	else if (unlikely(mpn_valid(mpn) && evict(s, mpn, err)))
		mpn = MPN_NONE;
	if (unlikely(!mpn_valid(mpn)))
		return MPN_NONE;
	if (needy)
		needy->time_ns += s->opts.write_time;
	return mpn;
}

static mpn_t swap_replace(void *ctx, struct vm *needy, struct err *err)
{
	return swap_one(ctx, NULL, needy, err);
}

static uint32_t swap_reclaim(void *ctx, uint32_t want, struct vm *only, struct vm *needy,
			     struct err *err)
{
	struct swap *s = ctx;
	uint32_t freed = 0;

	if (s->cluster > 1 || s->host->machine.backing->runs) {
		bool failed = false;
		freed = batch_reclaim(s, want, only, needy, &failed, err);
		if (failed)
			return freed;
	}
	victim_aim(s->victim_state, only);
	for (; freed < want; freed++) {
		mpn_t mpn = swap_one(s, only, needy, err);
		if (!mpn_valid(mpn))
			break;
		machine_untake(&s->host->machine, mpn);
	}
	victim_aim(s->victim_state, NULL);
	return freed;
}

/* Swapping in. */

/* Slots are written by the batch, and pages that left together are wanted together. */
#define NEAR_SLOTS 16

/* Has what lies in those slots, and around them, read into the system's memory. */
void swap_fetch(const void *ctx, const uint64_t *slot, uint32_t n)
{
	const struct swap *s = ctx;
	uint8_t page[PAGE_SIZE];

	for (uint32_t i = 0; i < n; i++)
		os_read_ahead(s->area.fd, (slot[i] - slot[i] % NEAR_SLOTS) * PAGE_SIZE,
			      NEAR_SLOTS * PAGE_SIZE);
	for (uint32_t i = 0; i < n; i++) {
		if (os_read_at(&os_io, s->area.fd, page, PAGE_SIZE, slot[i] * PAGE_SIZE))
			continue; /* whoever reads it for its contents will tell */
	}
}

/* The slot is far away, and whoever touches its page would rather come back: noted. */
static bool is_awaited(struct awaited *a, const struct area *area, uint32_t slot)
{
	if (area->fd < 0 || a->n == AWAITED_MOST ||
	    os_is_near(area->fd, (uint64_t)slot * PAGE_SIZE))
		return false;
	a->what[a->n++] = slot;
	return true;
}

/* As pmap_take_frame(): one of its own, where swap is all that there is to ask. */
static inline __attribute__((always_inline)) int take_frame(struct swap *s, struct pmap *pmap,
							    ppn_t ppn, mpn_t *mpn, struct err *err)
{
	struct err why;

	if (unlikely(pmap->home || !host_replaces(s->host, &swap_reclaimer)))
		return pmap_take_frame(pmap, ppn, mpn, err);
	why.exit_code = 0; /* the whole message would cost too much to clear */
	*mpn = swap_one(s, NULL, pmap->vm, &why);
	return host_replaced(s->host, *mpn, &why, err);
}

int swap_fault(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access, struct err *err)
{
	struct swap *s = ctx;
	uint32_t slot = pte_value(pmap_peek(pmap, ppn));
	mpn_t mpn;

	(void)access;
	if (unlikely(s->host->awaited.on) && is_awaited(&s->host->awaited, &s->area, slot))
		return -EAGAIN;
	int rc = take_frame(s, pmap, ppn, &mpn, err);
	if (rc)
		return rc;
	machine_aim(&s->host->machine, mpn, pmap->vm->id, ppn);
	if (!contents_void(s, pmap_peek(pmap, ppn)))
		rc = area_load(&s->area, slot, &s->host->machine, mpn, err);
	if (unlikely(rc)) {
		machine_untake(&s->host->machine, mpn);
		err_prefix(err, "page %u is lost", ppn.n);
		return rc;
	}
	pmap_map_private(pmap, ppn, mpn, PAGE_SWAPPED);
	s->copy[mpn.n] = slot + 1;
	s->vm[pmap->vm->id]->ins++;
	pmap->vm->time_ns += s->opts.read_time;
	return 0;
}

void swap_drop(void *ctx, struct pmap *pmap, ppn_t ppn)
{
	struct swap *s = ctx;

	area_put(&s->area, pte_value(pmap_peek(pmap, ppn)));
}

int swap_adopt(void *ctx, struct pmap *pmap, ppn_t ppn, struct err *err)
{
	struct swap *s = ctx;
	uint32_t slot = pte_value(pmap_peek(pmap, ppn));

	if (area_claim(&s->area, slot))
		return 0;
	return err_run(err, EUCLEAN, "page %u lies in swap slot %u, which is %s", ppn.n, slot,
		       slot < s->area.slots ? "another page's" : "none of the area's");
}

const struct reclaimer swap_reclaimer = {
	.policy = {"swap", "write pages that the victim policy picks to the swap area"},
	.from = HOST_HARD,
	.reclaim = swap_reclaim,
	.replace = swap_replace,
};
