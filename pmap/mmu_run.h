/*
 * Rows of references that need no walk, or one that was made before: the hot path of a
 * replay with an MMU. A mode makes a function of it (struct translation's run).
 *
 * Two in three references miss both TLBs where a guest's memory is large, so that the time
 * of a replay is that of finding this out and of bringing TLBs and walk caches up to date.
 * What does not change in a row is read once before it, and what is counted is added up
 * and written back after it. All that is not usual ends the row before anything has
 * happened, so that nothing is called. Whether the second level has a page is as good as
 * random, and a processor's wrong guess costs more than what either case would: there is
 * no branch on it.
 *
 * For modes only. One VM, one thread.
 */
#ifndef BALLAST_PMAP_MMU_RUN_H
#define BALLAST_PMAP_MMU_RUN_H

#include "pmap/mmu_private.h"

/*
 * What may be or not is a mask, all ones or zeros: compilers make of it just what is
 * written, neither a branch nor a bool on the way.
 */
static inline uint64_t mmu_mask(bool is)
{
	return -(uint64_t)is;
}

/* A FIFO whose entries know how long they stay, while a row goes on. */
struct mmu_fifo {
	uint64_t next, entries;
};

/* Puts what stays until *until into it, if it may and is not there: whether it was put. */
static inline uint64_t mmu_fifo_fill(struct mmu_fifo *f, uint64_t *until, uint64_t may)
{
	const uint64_t put = may & mmu_mask(*until < f->next);

	*until += (f->next + f->entries - *until) & put;
	f->next -= put;
	return put;
}

/* The walk cache of last-level tables; and what walks took. */
struct mmu_walks {
	struct mmu_fifo pde;
	uint64_t refs;
};

/*
 * A walk for a record that knows of one: counts it, if the mask `made` says so, by the
 * walk caches, or refuses, whether made or not, without a trace.
 */
typedef bool mmu_again_fn(void *mode, struct mmu_walks *walks, struct tlb_region *r,
			  const struct tlb_rec *rec, uint64_t made);

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

/*
 * Notes a record as used in a set, by bit-PLRU: in that way or, by the mask `missed`, in the
 * one whose turn it is, where each way holds something. Who is evicted is not told.
 */
static inline uint8_t mmu_put(const struct mmu_level *l, struct tlb_set *s, uint32_t id,
			      uint64_t missed, uint64_t way)
{
	const uint64_t turn = 1 + (uint64_t)__builtin_ctzll(~s->used); /* some way is not used */
	const uint64_t now = way + ((turn - way) & missed), bit = UINT64_C(1) << (now - 1);
	const uint64_t used = s->used | bit;

	s->at[now] = id;
	s->used = (used & mmu_mask(used < l->all)) | (bit & l->keep);
	return (uint8_t)now;
}

static inline __attribute__((always_inline)) void mmu_run_by(struct mmu *mmu, struct mmu_row *row,
							     void *mode, mmu_again_fn *again)
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
	const bool track = frame_used || stamp;
	uint64_t digest = mmu->digest, first_hits = 0, misses = 0, writes = 0;
	uint32_t now = m->now;
	struct mmu_walks walks = {{t->pde_next, t->pde_entries}, 0};
	const uint64_t *const ref = row->ref;
	const size_t at = row->at, end = row->end, words = row->words;
	size_t i;

	for (i = at; i < end; i++) {
		const uint64_t x = ref[i], vpn = x >> MMU_REF_SHIFT;
		const unsigned access = x & 1;
		struct tlb_region *const r = row->region[i % MMU_RING];
		struct tlb_rec *const rec = &r->rec[vpn & (PT_LARGE - 1)];

		if (unlikely((x ^ same) & plain || r->key != (space | vpn >> 9) ||
			     rec->gen != gen || !(rec->allow >> (access | allow) & 1)))
			break;
		struct tlb_set *const s1 = mmu_set_of(&l1, vpn);
		const uint32_t id = r->id | (vpn & (PT_LARGE - 1));
		if (s1->at[rec->way[0]] == id) {
			mmu_put(&l1, s1, id, 0, rec->way[0]);
			first_hits++;
		} else {
			struct tlb_set *const s2 = mmu_set_of(&l2, vpn);
			if (unlikely(s1->whole != flushes))
				break;
			const uint64_t missed = mmu_mask(s2->at[rec->way[1]] != id);
			if (unlikely(!tlb_knows(r, rec, (enum access)access) ||
				     s2->whole != flushes || r->version != *r->version_at ||
				     !again(mode, &walks, r, rec, missed)) &&
			    missed)
				break;
			rec->way[1] = mmu_put(&l2, s2, id, missed, rec->way[1]);
			misses -= missed;
			rec->way[0] = mmu_put(&l1, s1, id, UINT64_MAX, 0);
		}
		const uint32_t ppn = rec->ppn, mpn = rec->mpn;
		const pte_t e = pte[ppn], after = pte_referenced(e, (enum access)access);
		if (unlikely(after != e))
			pte[ppn] = after;
		if (track && frame_used)
			frame_used[mpn] = 1;
		else if (track)
			stamp[mpn] = now++;
		writes += access;
		digest = mmu_mix(digest, ppn, mpn, rec->rights);
		/* One fetch at each reference, since processors wait where many come together. */
		if (likely(i + MMU_FAR < words)) {
			const uint64_t then = ref[i + MMU_FAR] >> MMU_REF_SHIFT;
			row->region[(i + MMU_FAR) % MMU_RING] = mmu_fetch(t, space, then);
		}
		if (likely(i + MMU_NEAR < words)) {
			const uint64_t then = ref[i + MMU_NEAR] >> MMU_REF_SHIFT;
			mmu_fetch_near(mmu, row->region[(i + MMU_NEAR) % MMU_RING], then, pte, gen);
		}
	}
	row->at = i;
	row->writes += writes;
	row->far = max_u64(row->far, min_u64(i + MMU_FAR, words));
	row->near = max_u64(row->near, min_u64(i + MMU_NEAR, words));
	m->now = now;
	mmu->digest = digest;
	t->pde_next = walks.pde.next;
	mmu->stats.walk_refs += walks.refs;
	mmu->stats.tlb_misses += misses;
	mmu->stats.tlb_l2_hits += i - at - first_hits - misses;
}

#endif
