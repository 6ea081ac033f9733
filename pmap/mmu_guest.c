/* What the guest does beside referring to memory: tables, CR3, flushes, its kernel's own touches.
 */
#include "pmap/mmu_private.h"

#include <errno.h>
#include <string.h>

int mmu_hole(struct mmu *mmu, uint32_t first, uint32_t pages)
{
	struct pt_store *s = &mmu->tables;

	if (s->holes == PT_HOLES_MAX || first >= s->pages || pages > s->pages - first)
		return -EINVAL;
	s->hole[s->holes++] = (struct pt_hole){first, pages};
	return 0;
}

int mmu_pt_write(struct mmu *mmu, ppn_t table, unsigned i, gpte_t word, struct err *err)
{
	if (i >= PT_WORDS || !pt_memory(&mmu->tables, table.n))
		return -EFAULT;
	int rc = pmap_touch(mmu->pmap, table, ACCESS_WRITE, err);
	if (rc == 0 && mmu->mode->pt_write)
		rc = mmu->mode->pt_write(mmu, table, i, word, err);
	if (rc)
		return rc;
	if (pt_write(&mmu->tables, table, i, word))
		return err_run(err, ENOMEM, "no memory for a guest's page tables");
	if (mmu->mode->pt_written)
		mmu->mode->pt_written(mmu, table, i);
	return 0;
}

int mmu_pt_pin(struct mmu *mmu, ppn_t ppn, unsigned level, struct err *err)
{
	if (level < 1 || level > PT_LEVELS || !pt_memory(&mmu->tables, ppn.n))
		return -EFAULT;
	return mmu->mode->pin ? mmu->mode->pin(mmu, ppn, level, err) : 0;
}

int mmu_pt_unpin(struct mmu *mmu, ppn_t ppn, struct err *err)
{
	if (!pt_memory(&mmu->tables, ppn.n))
		return -EFAULT;
	int rc = 0;
	if (mmu->mode->unpin)
		rc = mmu->mode->unpin(mmu, ppn, err);
	else if (mmu->mode->data_write) /* what a VMM sees of it: the page is data from now on */
		rc = mmu->mode->data_write(mmu, ppn);
	if (rc == 0)
		pt_forget(&mmu->tables, ppn);
	return rc;
}

int mmu_touch(struct mmu *mmu, ppn_t ppn, enum access access, struct err *err)
{
	if (!pt_memory(&mmu->tables, ppn.n))
		return -EFAULT;
	int rc = access == ACCESS_WRITE && mmu->mode->data_write ? mmu->mode->data_write(mmu, ppn)
								 : 0;
	return rc ? rc : pmap_touch(mmu->pmap, ppn, access, err);
}

int mmu_set_content(struct mmu *mmu, ppn_t ppn, uint64_t id, struct err *err)
{
	int rc = mmu_touch(mmu, ppn, ACCESS_WRITE, err);

	if (rc == 0)
		rc = pmap_set_content(mmu->pmap, ppn, id, err);
	if (rc == 0 && mmu->oracle && oracle_write(mmu->oracle, mmu->pmap->vm, ppn, id))
		rc = err_run(err, ENOMEM, "no memory for the content oracle");
	return rc;
}

int mmu_copy(struct mmu *mmu, ppn_t to, ppn_t from, struct err *err)
{
	struct pmap *pmap = mmu->pmap;
	struct machine *m = &pmap->vm->host->machine;

	/* Each may cost the other its frame: where there are two, this ends soon. */
	for (int tries = 0; tries < 64; tries++) {
		int rc = mmu_touch(mmu, from, ACCESS_READ, err);
		if (rc == 0)
			rc = mmu_touch(mmu, to, ACCESS_WRITE, err);
		if (rc)
			return rc;
		pte_t f = pmap->pte[from.n];
		if (!pte_resident(f))
			continue;
		m->backing->copy(m, pte_mpn(pmap->pte[to.n]), pte_mpn(f));
		if (!(f & PTE_UNNAMED))
			pmap->pte[to.n] &= ~PTE_UNNAMED;
		if (mmu->oracle && oracle_copy(mmu->oracle, pmap->vm, to, from))
			return err_run(err, ENOMEM, "no memory for the content oracle");
		return 0;
	}
	return err_run(err, ENOMEM, "a guest's page cannot be copied: the host needs more frames");
}

/* The TLB's tag of what comes now. Without one to spare, the longest unused gives its own up. */
static void take_asid(struct mmu *mmu)
{
	uint64_t n = (uint64_t)mmu->opts.asids, i = 0;

	if (n == 0) {
		mmu->stats.tlb_flushes++;
		tlb_flush_local(&mmu->tlb);
		mmu_flush_caches(mmu);
		return;
	}
	while (i < n && mmu->asid[i] != mmu->space)
		i++;
	if (i == n && mmu->asid[--i] != TLB_GLOBAL_ROOT) {
		mmu->stats.tlb_flushes++;
		tlb_flush_root(&mmu->tlb, mmu->asid[i]);
		mmu_flush_caches(mmu);
	}
	memmove(mmu->asid + 1, mmu->asid, i * sizeof *mmu->asid);
	mmu->asid[0] = mmu->space;
}

void mmu_set_space(struct mmu *mmu, unsigned view)
{
	uint64_t space = mmu->root | (uint64_t)view << 32;

	if (space == mmu->space && mmu->opts.asids)
		return;
	mmu->space = space;
	take_asid(mmu);
}

int mmu_load_root(struct mmu *mmu, uint64_t root, struct err *err)
{
	uint64_t before = mmu->root;

	if (!pt_memory(&mmu->tables, root))
		return -EFAULT;
	mmu->root = root;
	int rc = mmu->mode->load_root ? mmu->mode->load_root(mmu, err) : 0;
	if (rc) {
		mmu->root = before;
		return rc;
	}
	mmu_set_space(mmu, (unsigned)(mmu->space >> 32));
	return 0;
}

int mmu_flush_page(struct mmu *mmu, uint64_t vpn, struct err *err)
{
	int rc = mmu->mode->flush_page ? mmu->mode->flush_page(mmu, vpn, err) : 0;

	for (uint64_t view = 0; rc == 0 && view < MMU_VIEWS; view++)
		tlb_flush_page(&mmu->tlb, mmu->root | view << 32, vpn);
	mmu_flush_caches(mmu);
	return rc;
}

int mmu_flush_space(struct mmu *mmu, uint64_t root, struct err *err)
{
	int rc = mmu->mode->flush_space ? mmu->mode->flush_space(mmu, root, err) : 0;

	if (rc)
		return rc;
	mmu->stats.tlb_flushes++;
	for (uint64_t view = 0; view < MMU_VIEWS; view++) {
		tlb_flush_root(&mmu->tlb, root | view << 32);
		for (int64_t i = 0; i < mmu->opts.asids; i++) {
			if (mmu->asid[i] == (root | view << 32) && mmu->asid[i] != mmu->space)
				mmu->asid[i] = TLB_GLOBAL_ROOT;
		}
	}
	mmu_flush_caches(mmu);
	return 0;
}

void mmu_set_user(struct mmu *mmu, bool user)
{
	if (mmu->user == user)
		return;
	mmu->user = user;
	if (mmu->mode->set_mode)
		mmu->mode->set_mode(mmu);
}
