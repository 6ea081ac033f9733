/*
 * nested: the guest is a hypervisor, and its guest is what the trace runs in.
 *
 * Three sets of tables: those of the inner guest (VPN to inner PPN), the inner
 * hypervisor's EPT (inner PPN to PPN), and ours (PPN to MPN). The processor walks
 * two; so we merge the last two into one that it walks below the first (Ben-Yehuda
 * et al., "The Turtles project", OSDI 2010, section 3.3). A page that the merged
 * table lacks is an exit to us. If the inner hypervisor's table has it, we fill it
 * in; if not, the fault is handed to that hypervisor, each of whose privileged steps
 * on the way is an exit of its own (mmu.l1_exits), and then comes again.
 *
 * The inner hypervisor gives its guest memory of the same number, on first touch,
 * so that pages have the same PPN as in the other modes; what it needs for its own
 * table is counted.
 */
#include "pmap/mmu_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct nested {
	struct ept merged;
	uint8_t *inner;	     /* [pages] the inner hypervisor's EPT has the page */
	uint32_t *inner_dir; /* [dirs] how many of each of its last-level tables */
};

static int nested_open(struct mmu *mmu)
{
	struct meter *meter = &mmu->pmap->vm->host->meter;
	struct nested *n = calloc(1, sizeof *n);

	if (!n || ept_init(&n->merged, mmu)) {
		free(n);
		return -ENOMEM;
	}
	n->inner = meter_alloc(meter, mmu->pmap->pages);
	n->inner_dir = meter_alloc(meter, n->merged.dirs * sizeof *n->inner_dir);
	mmu->state = n;
	mmu->by_ppn = n->merged.leaf;
	if (n->inner && n->inner_dir)
		return 0;
	translation_nested.close(mmu);
	return -ENOMEM;
}

static void nested_close(struct mmu *mmu)
{
	struct meter *meter = &mmu->pmap->vm->host->meter;
	struct nested *n = mmu->state;

	meter_free(meter, n->inner, mmu->pmap->pages);
	meter_free(meter, n->inner_dir, n->merged.dirs * sizeof *n->inner_dir);
	ept_fini(&n->merged, mmu);
	free(n);
}

/* The inner hypervisor's fault handler: it gives its guest the page, or 2 MiB at once. */
static void reflect(struct mmu *mmu, struct nested *n, uint32_t ppn)
{
	const uint32_t base = ppn & ~(PT_LARGE - 1);

	if (mmu->opts.large && mmu->pmap->pages - base >= PT_LARGE) {
		memset(n->inner + base, 1, PT_LARGE);
		n->inner_dir[ppn / PT_LARGE] = PT_LARGE;
	} else {
		n->inner[ppn] = 1;
		n->inner_dir[ppn / PT_LARGE]++;
	}
	mmu->stats.exits += (uint64_t)mmu->opts.l1_exits;
	mmu->stats.l1_exits += (uint64_t)mmu->opts.l1_exits;
	mmu->stats.ept_faults++; /* its own work */
}

static int violation(struct mmu *mmu, uint32_t ppn, bool table, enum access access, struct err *err)
{
	struct nested *n = mmu->state;

	mmu->stats.exits++;
	mmu->stats.ept_faults++;
	if (!n->inner[ppn]) {
		reflect(mmu, n, ppn);
		mmu->stats.exits++; /* the access again: now it is our table that lacks the page */
		mmu->stats.ept_faults++;
	}
	int rc = table ? mmu_ensure_table(mmu, ppn, err) : mmu_ensure(mmu, ppn, access, err);
	if (rc == 0)
		ept_map(&n->merged, mmu, ppn);
	return rc;
}

static int nested_walk(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access,
		       struct mmu_walk *walk, struct mmu_fault *fault, struct err *err)
{
	struct nested *n = mmu->state;

	return ept_walk_by(mmu, &n->merged, violation, r, vpn, access, walk, fault, err);
}

static void nested_run(struct mmu *mmu, struct mmu_row *row)
{
	struct nested *n = mmu->state;

	ept_run_by(mmu, &n->merged, row);
}

static void nested_changed(struct mmu *mmu, ppn_t ppn)
{
	struct nested *n = mmu->state;

	if (ept_unmap(&n->merged, mmu, ppn.n))
		ept_zap_all(&n->merged, mmu);
}

static void nested_cleaned(struct mmu *mmu, ppn_t ppn, bool dirty)
{
	struct nested *n = mmu->state;

	(void)dirty;
	if (ept_clean(&n->merged, mmu, ppn.n))
		ept_zap_all(&n->merged, mmu);
}

static void nested_gathered(struct mmu *mmu, ppn_t ppn)
{
	struct nested *n = mmu->state;

	ept_gather(&n->merged, mmu, ppn.n);
}

static size_t nested_audit(struct mmu *mmu, FILE *out)
{
	const struct nested *n = mmu->state;
	size_t bad = ept_audit_table(&n->merged, mmu, out);

	for (uint32_t p = 0; p < mmu->pmap->pages; p++) {
		if (!(n->merged.leaf[p] & EPT_R || n->merged.dir[p / PT_LARGE].word) || n->inner[p])
			continue;
		fprintf(out, "nested: vm %s: page %u is merged, and the guest's table has it not\n",
			mmu->pmap->vm->name, p);
		bad++;
	}
	return bad;
}

static void nested_refresh(struct mmu *mmu)
{
	const struct nested *n = mmu->state;
	uint64_t inner = 3; /* above the last level */

	/* Where it maps 2 MiB, there is no table below. */
	for (uint32_t i = 0; i < n->merged.dirs; i++)
		inner += n->inner_dir[i] && !(mmu->opts.large && n->inner_dir[i] == PT_LARGE);
	mmu->stats.table_pages = ept_tables(&n->merged) + inner;
}

const struct translation translation_nested = {
	.policy = {"nested", "a hypervisor in the guest: its EPT and ours are merged into one"},
	.open = nested_open,
	.close = nested_close,
	.walk = nested_walk,
	.run = nested_run,
	.changed = nested_changed,
	.cleaned = nested_cleaned,
	.gathered = nested_gathered,
	.audit = nested_audit,
	.refresh = nested_refresh,
};
