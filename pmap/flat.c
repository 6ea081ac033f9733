/* flat: every reference walks the guest's tables and the pmap, in software. */
#include "pmap/mmu_private.h"

static int flat_walk(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access,
		     struct mmu_walk *walk, struct mmu_fault *fault, struct err *err)
{
	const bool write = access == ACCESS_WRITE;
	struct guest_walk g;

	guest_walk(mmu, r, vpn, write, &g);
	if (unlikely(g.why != PT_MAPPED))
		return mmu_guest_fault(mmu, &g, vpn, write, fault);
	int rc = mmu_ensure(mmu, g.ppn, access, err);
	if (unlikely(rc))
		return rc;
	guest_mark(mmu, &g, write);
	pte_t p = mmu->pmap->pte[g.ppn];
	walk->ppn = g.ppn;
	walk->mpn = pte_value(p);
	walk->rights = (uint8_t)(g.rights | (p & PTE_W ? TLB_HOST_W : 0));
	return 0;
}

const struct translation translation_flat = {
	.policy = {"flat", "no model of how: guest addresses are PPNs, or are walked in software"},
	.no_tlb = true,
	.walk = flat_walk,
};
