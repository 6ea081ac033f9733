/*
 * Rows of references that need no walk, or one that was made before: the hot path of a
 * replay with an MMU. A mode makes a function of it (struct translation's run).
 *
 * Two in three references miss both TLBs where a guest's memory is large, so that the time
 * of a replay is that of finding this out and of bringing TLBs and walk caches up to date:
 * some 130 instructions a reference. What does not change in a row is read once
 * before it, and what is counted is added up and written back after it. All that is not
 * usual ends the row before anything has happened, so that nothing is called. Whether
 * the second level has a page is as good as random, and its cost would be that of a wrong
 * guess by the processor: there is no branch on it.
 *
 * For modes only. One VM, one thread.
 */
#ifndef BALLAST_PMAP_MMU_RUN_H
#define BALLAST_PMAP_MMU_RUN_H

#include "pmap/mmu_private.h"

/* The walk cache of last-level tables, while a row goes on; and what walks took. */
struct mmu_walks {
	uint64_t pde_next, pde_entries;
	uint64_t refs;
};

/*
 * A walk for a record that knows of one: counts it, if `made`, by the walk caches, or
 * refuses, whether made or not, without a trace.
 */
typedef bool mmu_again_fn(void *mode, struct mmu_walks *walks, struct tlb_region *r,
			  const struct tlb_rec *rec, bool made);

/* Fills the walk cache with the region's table, if that is to be. */
static inline void mmu_pde_fill(struct mmu_walks *w, struct tlb_region *r, uint64_t above)
{
	r->pde_until = tlb_choose(above, w->pde_next + w->pde_entries, r->pde_until);
	w->pde_next += above;
}

/* One array, read once. */
struct mmu_level {
	uint8_t *set;
	uint64_t mask, stride, all, keep;
};

static inline struct mmu_level mmu_level(const struct tlb_array *a)
{
	return (struct mmu_level){a->set, a->sets - 1, a->stride, a->all, a->keep};
}

static inline struct tlb_set *mmu_set_of(const struct mmu_level *l, uint64_t vpn)
{
	return (struct tlb_set *)(l->set + (vpn & l->mask) * l->stride);
}

/* bit-PLRU: what is used after the way of `bit`, which is among used. */
static inline uint64_t mmu_used(const struct mmu_level *l, uint64_t used, uint64_t bit)
{
	return tlb_choose(used == l->all, bit & l->keep, used);
}

/*
 * Notes a record as used in a set: in that way or, if it missed, in the one whose turn it
 * is, where each way holds something. Who is evicted is not told.
 */
static inline uint8_t mmu_put(const struct mmu_level *l, struct tlb_set *s, uint32_t id,
			      bool missed, unsigned way)
{
	const uint64_t turn = 1 + (unsigned)__builtin_ctzll(~s->used); /* some way is not used */
	const uint64_t now = tlb_choose(missed, turn, way), bit = UINT64_C(1) << (now - 1);

	s->at[now] = id;
	s->used = mmu_used(l, s->used | bit, bit);
	return (uint8_t)now;
}

static inline __attribute__((always_inline)) size_t mmu_run_by(struct mmu *mmu, const uint64_t *ref,
							       struct tlb_region *const *ring,
							       size_t at, size_t n, void *mode,
							       mmu_again_fn *again)
{
	struct tlb *const t = &mmu->tlb;
	struct machine *const m = &mmu->pmap->vm->host->machine;
	const struct mmu_level l1 = mmu_level(&t->l1), l2 = mmu_level(&t->l2);
	const uint64_t whose = PT_KERNEL << MMU_REF_SHIFT; /* the bit that tells whose page it is */
	const uint64_t plain = whose | ((UINT64_C(1) << MMU_REF_SHIFT) - 2);
	const uint64_t same = mmu->user ? 0 : whose, space = tlb_key(mmu->space, 0);
	const unsigned allow = mmu->user ? 0 : TLB_KERNEL;
	const uint32_t flushes = (uint32_t)t->flushes;
	const uint16_t gen = t->gen[TLB_LOCAL];
	pte_t *const pte = mmu->pmap->pte;
	uint8_t *const frame_used = m->used;
	uint32_t *const stamp = m->stamp;
	uint64_t digest = mmu->digest, first_hits = 0, second_hits = 0;
	uint32_t now = m->now;
	struct mmu_walks walks = {t->pde_next, t->pde_entries, 0};
	size_t i;

	for (i = 0; i < n; i++) {
		const uint64_t x = ref[i], vpn = x >> MMU_REF_SHIFT;
		const unsigned access = x & 1;
		struct tlb_region *const r = ring[(at + i) % MMU_RING];
		struct tlb_rec *const rec = &r->rec[vpn & (PT_LARGE - 1)];

		if (unlikely((x ^ same) & plain || r->key != (space | vpn >> 9) ||
			     rec->gen != gen || !(rec->allow >> (access | allow) & 1)))
			break;
		struct tlb_set *const s1 = mmu_set_of(&l1, vpn);
		const uint32_t id = r->id | (vpn & (PT_LARGE - 1));
		if (s1->at[rec->way[0]] == id) {
			mmu_put(&l1, s1, id, false, rec->way[0]);
			first_hits++;
		} else {
			struct tlb_set *const s2 = mmu_set_of(&l2, vpn);
			if (unlikely(s1->whole != flushes))
				break;
			const bool missed = s2->at[rec->way[1]] != id;
			if (unlikely(!tlb_knows(r, rec, (enum access)access) ||
				     s2->whole != flushes || r->version != *r->version_at ||
				     !again(mode, &walks, r, rec, missed)) &&
			    missed)
				break;
			rec->way[1] = mmu_put(&l2, s2, id, missed, rec->way[1]);
			second_hits += !missed;
			rec->way[0] = mmu_put(&l1, s1, id, true, 0);
		}
		const uint32_t ppn = rec->ppn, mpn = rec->mpn;
		const pte_t e = pte[ppn], after = pte_referenced(e, (enum access)access);
		if (unlikely(after != e))
			pte[ppn] = after;
		if (frame_used)
			frame_used[mpn] = 1;
		else if (stamp)
			stamp[mpn] = now++;
		digest = mmu_mix(digest, ppn, mpn, rec->rights);
	}
	m->now = now;
	mmu->digest = digest;
	t->pde_next = walks.pde_next;
	mmu->stats.walk_refs += walks.refs;
	mmu->stats.tlb_l2_hits += second_hits;
	mmu->stats.tlb_misses += i - first_hits - second_hits;
	return i;
}

#endif
