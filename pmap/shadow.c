/*
 * shadow: tables of VPN to MPN behind the guest's back, as in VMware's first VMMs
 * (Adams and Agesen, ASPLOS 2006, section 2.4) and Xen's shadow mode.
 *
 * A page of the guest that is walked through as a table is write-protected; a
 * write to it is an exit, and is mirrored. A fault is a hidden one if the guest's
 * tables allow the access, and the guest's own if not. A word is made when the
 * guest's is accessed, and lets the page be written when that is dirty, so that
 * both bits are set as a processor would. Roots stay when the guest leaves an
 * address space; user mode has tables without the kernel's pages (mmu.split).
 *
 * With mmu.unsync a last-level table may be written freely after the first trap,
 * until the guest flushes: what it did not flush, a processor need not see.
 */
#include "pmap/derived.h"

#include <errno.h>
#include <stdlib.h>

static int shadow_open(struct mmu *mmu)
{
	struct derived *d = calloc(1, sizeof *d);

	if (!d || derived_init(d, mmu, false)) {
		free(d);
		return -ENOMEM;
	}
	mmu->state = d;
	return 0;
}

static void shadow_close(struct mmu *mmu)
{
	derived_fini(mmu->state, mmu);
	free(mmu->state);
}

static int shadow_walk(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access,
		       struct mmu_walk *walk, struct mmu_fault *fault, struct err *err)
{
	int rc = derived_walk(mmu, mmu->state, r, vpn, access, walk, fault, err);

	walk->rights &= (uint8_t)~PT_R_G; /* a global one would outlive the change of tables */
	return rc;
}

static void shadow_changed(struct mmu *mmu, ppn_t ppn)
{
	derived_zap(mmu->state, mmu, ppn.n, false, large_cause_of(mmu, ppn.n));
}

static void shadow_cleaned(struct mmu *mmu, ppn_t ppn, bool dirty)
{
	derived_zap(mmu->state, mmu, ppn.n, dirty, CAUSE_HARVESTED);
}

static void shadow_gathered(struct mmu *mmu, ppn_t ppn)
{
	derived_gathered(mmu->state, mmu, ppn.n);
}

static bool may_unsync(const struct derived *d, uint32_t page)
{
	for (uint32_t t = d->made[page]; t; t = d->table[t]->next) {
		if (d->table[t]->level > 1)
			return false;
	}
	return true;
}

static int shadow_pt_write(struct mmu *mmu, ppn_t page, unsigned i, gpte_t word, struct err *err)
{
	struct derived *d = mmu->state;

	(void)i;
	(void)word;
	(void)err;
	if (!d->made[page.n] || d->table[d->made[page.n]]->unsync)
		return 0;
	mmu->stats.exits++;
	mmu->stats.pt_writes++;
	if (mmu->opts.unsync && may_unsync(d, page.n)) {
		for (uint32_t t = d->made[page.n]; t; t = d->table[t]->next) {
			d->table[t]->unsync = true;
			d->unsynced++;
		}
	}
	return 0;
}

static void shadow_pt_written(struct mmu *mmu, ppn_t page, unsigned i)
{
	derived_follow(mmu->state, mmu, page.n, i);
}

/* Data where a table was: no table any more. */
static int shadow_data_write(struct mmu *mmu, ppn_t page)
{
	struct derived *d = mmu->state;

	if (!d->made[page.n])
		return 0;
	mmu->stats.exits++;
	mmu->stats.pt_writes++;
	derived_drop_page(d, mmu, page.n);
	derived_flush(d, mmu);
	return 0;
}

static void resync_all(struct mmu *mmu)
{
	struct derived *d = mmu->state;

	for (uint32_t t = d->oldest; t && d->unsynced; t = d->table[t]->newer) {
		if (d->table[t]->unsync)
			derived_resync(d, mmu, d->table[t]->page);
	}
}

static int shadow_load_root(struct mmu *mmu, struct err *err)
{
	(void)err;
	mmu->stats.exits++;
	mmu->stats.root_exits++;
	resync_all(mmu);
	return 0;
}

static int shadow_flush_page(struct mmu *mmu, uint64_t vpn, struct err *err)
{
	struct derived *d = mmu->state;
	struct pt_path path;

	(void)err;
	mmu->stats.exits++;
	mmu->stats.flush_exits++;
	if (!d->unsynced)
		return 0;
	pt_walk(&mmu->tables, (uint32_t)mmu->root, vpn, false, false, &path);
	if (path.level == 1 && path.why != PT_OUTSIDE)
		derived_resync(d, mmu, path.table[1]);
	return 0;
}

static int shadow_flush_space(struct mmu *mmu, uint64_t root, struct err *err)
{
	(void)root;
	(void)err;
	mmu->stats.exits++;
	mmu->stats.flush_exits++;
	resync_all(mmu);
	return 0;
}

static void shadow_set_mode(struct mmu *mmu)
{
	if (!mmu->opts.split)
		return;
	mmu->stats.mode_switches++;
	mmu_set_space(mmu, mmu->user ? 1 : 0);
}

static size_t shadow_audit(struct mmu *mmu, FILE *out)
{
	return derived_audit(mmu->state, mmu, out);
}

static void shadow_refresh(struct mmu *mmu)
{
	const struct derived *d = mmu->state;

	mmu->stats.table_pages = d->live;
}

const struct translation translation_shadow = {
	.policy = {"shadow", "the VMM keeps tables of VPN to MPN, and traps writes to the guest's"},
	.open = shadow_open,
	.close = shadow_close,
	.walk = shadow_walk,
	.run = derived_run,
	.changed = shadow_changed,
	.cleaned = shadow_cleaned,
	.gathered = shadow_gathered,
	.pt_write = shadow_pt_write,
	.pt_written = shadow_pt_written,
	.data_write = shadow_data_write,
	.load_root = shadow_load_root,
	.flush_page = shadow_flush_page,
	.flush_space = shadow_flush_space,
	.set_mode = shadow_set_mode,
	.audit = shadow_audit,
	.refresh = shadow_refresh,
};
