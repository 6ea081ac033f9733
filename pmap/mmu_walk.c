/* Walks of the guest's tables, and the walk caches, with what flushes them. */
#include "pmap/mmu_private.h"

#include <string.h>

void guest_walk_slow(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, bool write,
		     struct guest_walk *g)
{
	struct pt_path *path = &g->path;

	pt_walk(&mmu->tables, (uint32_t)mmu->root, vpn, write, mmu->user, path);
	g->why = path->why;
	g->level = path->level;
	g->table = path->table;
	g->rights = path->rights;
	g->ppn = path->ppn;
	if (path->why != PT_MAPPED)
		return;
	for (unsigned level = PT_LEVELS; level > path->level; level--) {
		gpte_t *w = &pt_page(&mmu->tables, path->table[level])->word[pt_index(vpn, level)];
		*w |= GPTE_A;
	}
	struct pt_page *p = pt_page(&mmu->tables, path->table[path->level]);
	g->word = &p->word[pt_index(vpn, path->level)];
	g->page = p;
	if (path->level > 1)
		return;
	unsigned rights = PT_R_ALL;
	for (unsigned level = PT_LEVELS; level > 1; level--)
		rights &= gpte_rights(path->word[level]);
	if (r->pt != p || r->upper_rights != rights ||
	    memcmp(r->table, path->table, sizeof r->table) != 0) {
		tlb_forget(r);
		r->led = false;
	}
	r->memo_gen = mmu->tables.upper_gen;
	r->pt = p;
	memcpy(r->table, path->table, sizeof r->table);
	r->upper_rights = rights;
}

int mmu_guest_fault(struct mmu *mmu, const struct guest_walk *g, uint64_t vpn, bool write,
		    struct mmu_fault *fault)
{
	*fault = (struct mmu_fault){vpn, g->why, g->level, write, mmu->user};
	mmu->stats.guest_faults++;
	mmu->stats.mmio += g->why == PT_OUTSIDE;
	return MMU_FAULT;
}

void cache_flush(struct walk_cache *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		c->key[i] = 0;
	c->changes++;
}

static uint64_t pdpte_key(const struct mmu *mmu, uint64_t vpn)
{
	return mmu->space << 18 | vpn >> 18;
}

static uint64_t pml4e_key(const struct mmu *mmu, uint64_t vpn)
{
	return mmu->space << 9 | vpn >> 27;
}

unsigned walk_from_slow(struct mmu *mmu, struct tlb_region *r, uint64_t vpn)
{
	if (cache_has(&mmu->pdpte, pdpte_key(mmu, vpn))) {
		r->pdpte_seen = mmu->pdpte.changes;
		return 2;
	}
	return cache_has(&mmu->pml4e, pml4e_key(mmu, vpn)) ? 3 : 4;
}

void walk_filled(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, unsigned from, unsigned level)
{
	if (from > 1 && level == 1)
		tlb_pde_fill(&mmu->tlb, r);
	if (from > 2)
		cache_put(&mmu->pdpte, pdpte_key(mmu, vpn));
	if (from > 3)
		cache_put(&mmu->pml4e, pml4e_key(mmu, vpn));
}

void mmu_flush_caches(struct mmu *mmu)
{
	cache_flush(&mmu->pdpte);
	cache_flush(&mmu->pml4e);
}

void mmu_flush_all(struct mmu *mmu)
{
	mmu->stats.tlb_flushes++;
	tlb_flush_all(&mmu->tlb);
	mmu_flush_caches(mmu);
}

bool mmu_zap_all(struct mmu *mmu)
{
	if (!mmu->loaded)
		return false;
	mmu->loaded = false;
	mmu->stats.zap_flushes++;
	mmu_flush_all(mmu);
	return true;
}

void mmu_drop_page(struct mmu *mmu, uint64_t space, uint64_t vpn)
{
	tlb_flush_page(&mmu->tlb, space, vpn);
	mmu_flush_caches(mmu);
}
