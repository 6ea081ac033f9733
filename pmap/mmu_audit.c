/* What the TLBs say, against guest and host. */
#include "pmap/mmu_private.h"

struct audit {
	const struct mmu *mmu;
	FILE *out;
	size_t bad;
};

/* What a TLB says, against the pmap and, of a guest that flushes, against its tables. */
static void audit_record(void *arg, const struct tlb_region *r, const struct tlb_rec *rec,
			 uint64_t vpn, bool large)
{
	struct audit *a = arg;
	const struct mmu *mmu = a->mmu;
	uint32_t root = (uint32_t)(r->class == TLB_GLOBAL ? mmu->root : r->key >> 27);
	bool writes = rec->allow & (1u << ACCESS_WRITE | 1u << (ACCESS_WRITE | TLB_KERNEL));
	struct pt_path path;

	for (unsigned i = 0; i < (large ? PT_LARGE : 1); i++) {
		pte_t p = mmu->pmap->pte[rec->ppn + i];
		bool host = pte_resident(p) && pte_value(p) == rec->mpn + i && (p & PTE_R) &&
			    (!writes || (p & PTE_W));
		pt_walk(&mmu->tables, root, vpn + i, writes, false, &path);
		bool guest = !mmu->strict || (path.why == PT_MAPPED && path.ppn == rec->ppn + i &&
					      !(rec->rights & ~(path.rights | TLB_HOST_W)));
		if (host && guest)
			continue;
		fprintf(a->out, "mmu: vm %s: a TLB has page %llx at %u in frame %u%s, %s say not\n",
			mmu->pmap->vm->name, (unsigned long long)vpn + i, rec->ppn + i,
			rec->mpn + i, writes ? ", writable" : "",
			host ? "the guest's tables" : "the pmap's entries");
		a->bad++;
	}
}

size_t mmu_audit(struct mmu *mmu, FILE *out)
{
	struct audit a = {mmu, out, 0};

	if (!mmu)
		return 0;
	a.bad = tlb_audit(&mmu->tlb, out);
	tlb_each(&mmu->tlb, audit_record, &a);
	return a.bad + (mmu->mode->audit ? mmu->mode->audit(mmu, out) : 0);
}
