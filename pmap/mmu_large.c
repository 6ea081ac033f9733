/* What all modes count of their 2 MiB mappings. */
#include "pmap/large.h"
#include "pmap/mmu_private.h"

/* Why a page has lost its place: its entry says what has become of it. */
enum large_cause large_cause_of(const struct mmu *mmu, uint32_t ppn)
{
	pte_t e = mmu->pmap->pte[ppn];

	switch (pte_state(e)) {
	case PAGE_SHARED:
		return CAUSE_SHARED;
	case PAGE_SWAPPED:
	case PAGE_COMPRESSED:
	case PAGE_TRANSIT:
		return CAUSE_SWAPPED;
	case PAGE_BALLOONED:
		return CAUSE_BALLOONED;
	case PAGE_UNBACKED:
	case PAGE_STATES:
		return CAUSE_DROPPED;
	case PAGE_PRIVATE:
		break;
	}
	return e & PTE_SAMPLED ? CAUSE_SAMPLED : CAUSE_MOVED;
}

void large_made(struct mmu *mmu, bool again)
{
	mmu->stats.large_maps++;
	mmu->stats.large_again += again;
}

void large_broken(struct mmu *mmu, enum large_cause cause)
{
	mmu->stats.large_breaks++;
	mmu->stats.large_broken[cause]++;
}

size_t large_audit(const struct mmu *mmu, uint64_t found, FILE *out)
{
	const struct mmu_stats *s = &mmu->stats;
	uint64_t broken = 0;

	for (int i = 0; i < LARGE_CAUSES; i++)
		broken += s->large_broken[i];
	if (s->large_maps - s->large_breaks == found && broken == s->large_breaks)
		return 0;
	fprintf(out,
		"%s: vm %s: %llu large mappings made, %llu broken, %llu by causes, %llu found\n",
		mmu->mode->policy.name, mmu->pmap->vm->name, (unsigned long long)s->large_maps,
		(unsigned long long)s->large_breaks, (unsigned long long)broken,
		(unsigned long long)found);
	return 1;
}

void mmu_gathered(struct mmu *mmu, ppn_t ppn)
{
	if (mmu && mmu->opts.large && mmu->mode->gathered)
		mmu->mode->gathered(mmu, ppn);
}
