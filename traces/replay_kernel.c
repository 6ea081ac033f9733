#include "traces/kernel_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ------------------------------------------------------------------- */

static int out_of_memory(const struct kernel *k, struct err *err)
{
	const char *name = k->mmu->pmap->vm->name;

	return err_input(err,
			 "its kernel needs more than the VM's %u pages, page tables included: "
			 "raise vm.%s.memory",
			 k->pages, name);
}

static uint32_t take(struct kernel *k)
{
	uint32_t ppn = k->frees ? k->free[--k->frees] : k->fresh < k->pages ? k->fresh++ : 0;

	k->stats.used += ppn != 0;
	return ppn;
}

static void give(struct kernel *k, uint32_t ppn)
{
	k->free[k->frees++] = ppn;
	k->stats.used--;
}

/* 512 pages that were never used, aligned; 0 if there are none. */
static uint32_t take_large(struct kernel *k)
{
	uint64_t base = ((uint64_t)k->fresh + PT_LARGE - 1) & ~(uint64_t)(PT_LARGE - 1);

	if (base + PT_LARGE > k->pages)
		return 0;
	while (k->fresh < base)
		k->free[k->frees++] = k->fresh++;
	k->fresh += PT_LARGE;
	k->stats.used += PT_LARGE;
	return (uint32_t)base;
}

int kernel_page(struct kernel *k, ppn_t *ppn, struct err *err)
{
	uint32_t n = take(k);

	if (!n)
		return out_of_memory(k, err);
	int rc = mmu_set_content(k->mmu, (ppn_t){n}, 0, err);
	if (rc) {
		give(k, n);
		return rc;
	}
	ppn->n = n;
	return 0;
}

void kernel_put_page(struct kernel *k, ppn_t ppn)
{
	give(k, ppn.n);
}

static void drop_ref(struct kernel *k, uint32_t ppn)
{
	if (--k->refs[ppn] == 0)
		give(k, ppn);
}

/* ---- tables -------------------------------------------------------------------- */

/* A call that only a bug makes fail. */
int kernel_checked(int rc, struct err *err)
{
	return rc == -EPERM || rc == -EFAULT
		       ? err_run(err, EIO, "the guest's kernel was refused a change of its tables")
		       : rc;
}

int kernel_set_word(struct kernel *k, uint32_t table, unsigned i, gpte_t word, struct err *err)
{
	bool was = kernel_word(k, table, i) != 0;
	int rc = kernel_checked(mmu_pt_write(k->mmu, (ppn_t){table}, i, word, err), err);

	if (rc == 0)
		k->refs[table] += (uint32_t)(word != 0) - was;
	return rc;
}

/* A zeroed page that stays in its frame, for a table. */
int kernel_new_table(struct kernel *k, uint32_t *table, struct err *err)
{
	ppn_t ppn = {0};
	int rc = kernel_page(k, &ppn, err);

	if (rc)
		return rc;
	k->refs[ppn.n] = 0;
	k->mmu->pmap->pte[ppn.n] |= PTE_PINNED;
	*table = ppn.n;
	return 0;
}

static int free_table(struct kernel *k, uint32_t table, struct err *err)
{
	int rc = kernel_checked(mmu_pt_unpin(k->mmu, (ppn_t){table}, err), err);

	if (rc)
		return rc;
	k->mmu->pmap->pte[table] &= ~PTE_PINNED;
	give(k, table);
	return 0;
}

/* The new table, whatever is in it, becomes the word i of the one above. */
int kernel_link_table(struct kernel *k, uint32_t above, unsigned i, uint32_t table, unsigned level,
		      struct err *err)
{
	int rc = kernel_checked(mmu_pt_pin(k->mmu, (ppn_t){table}, level, err), err);

	return rc ? rc : kernel_set_word(k, above, i, gpte_make(table, FLAGS_TABLE | GPTE_A), err);
}

/* The kernel's half is the same in all spaces: a new word of a root goes into each. */
static int link_root(struct kernel *k, unsigned i, uint32_t table, struct err *err)
{
	int rc = kernel_checked(mmu_pt_pin(k->mmu, (ppn_t){table}, PT_LEVELS - 1, err), err);

	for (size_t s = 0; rc == 0 && s < k->spaces; s++) {
		if (k->space[s].root)
			rc = kernel_set_word(k, k->space[s].root, i,
					     gpte_make(table, FLAGS_TABLE | GPTE_A), err);
	}
	return rc;
}

/*
 * The table of that level on the way to a page of the current space. Makes what is
 * missing if asked, else *table is 0 where one is.
 */
static int table_of(struct kernel *k, uint64_t vpn, unsigned to, bool make, uint32_t *table,
		    struct err *err)
{
	uint32_t at = kernel_root(k);

	for (unsigned level = PT_LEVELS; level > to; level--) {
		unsigned i = pt_index(vpn, level);
		gpte_t w = kernel_word(k, at, i);
		uint32_t next = (uint32_t)gpte_ppn(w);
		if (!(w & GPTE_P) || gpte_leaf(w, level)) {
			int rc = make ? kernel_new_table(k, &next, err) : 0;
			*table = 0;
			if (rc || !make)
				return rc;
			rc = level == PT_LEVELS && vpn >= PT_KERNEL
				     ? link_root(k, i, next, err)
				     : kernel_link_table(k, at, i, next, level - 1, err);
			if (rc)
				return rc;
		}
		at = next;
	}
	*table = at;
	return 0;
}

/* ---- faults -------------------------------------------------------------------- */

static gpte_t leaf_flags(uint64_t vpn, bool write)
{
	gpte_t flags = GPTE_P | GPTE_W | GPTE_NX | GPTE_A | (write ? GPTE_D : 0);

	return vpn >= PT_KERNEL ? flags | GPTE_G : flags | GPTE_U;
}

/* Maps 2 MiB if nothing is there yet. True if it did. */
static int map_large(struct kernel *k, uint64_t vpn, bool write, bool *done, struct err *err)
{
	uint32_t dir, base;
	int rc = table_of(k, vpn, 2, true, &dir, err);

	*done = false;
	if (rc || kernel_word(k, dir, pt_index(vpn, 2)) || !(base = take_large(k)))
		return rc;
	for (uint32_t i = 0; rc == 0 && i < PT_LARGE; i++) {
		k->refs[base + i] = 1;
		rc = mmu_set_content(k->mmu, (ppn_t){base + i}, 0, err);
	}
	if (rc == 0)
		rc = kernel_set_word(k, dir, pt_index(vpn, 2),
				     gpte_make(base, leaf_flags(vpn, write) | GPTE_PS), err);
	k->stats.large_maps++;
	k->stats.first_maps += PT_LARGE;
	*done = true;
	return rc;
}

static int map_page(struct kernel *k, uint64_t vpn, bool write, struct err *err)
{
	uint32_t table;
	ppn_t ppn;
	bool done = false;
	int rc = k->large ? map_large(k, vpn, write, &done, err) : 0;

	if (rc || done)
		return rc;
	rc = table_of(k, vpn, 1, true, &table, err);
	if (rc == 0)
		rc = kernel_page(k, &ppn, err);
	if (rc)
		return rc;
	k->refs[ppn.n] = 1;
	k->stats.first_maps++;
	return kernel_set_word(k, table, pt_index(vpn, 1), gpte_make(ppn.n, leaf_flags(vpn, write)),
			       err);
}

/* A leaf of 2 MiB becomes a table of small ones. */
static int split(struct kernel *k, uint32_t dir, uint64_t vpn, struct err *err)
{
	gpte_t w = kernel_word(k, dir, pt_index(vpn, 2));
	uint32_t table;
	int rc = kernel_new_table(k, &table, err);

	for (unsigned i = 0; rc == 0 && i < PT_WORDS; i++)
		rc = kernel_set_word(k, table, i, (w & ~GPTE_PS) + ((uint64_t)i << PAGE_SHIFT),
				     err);
	if (rc == 0)
		rc = kernel_link_table(k, dir, pt_index(vpn, 2), table, 1, err);
	k->stats.large_splits++;
	return rc ? rc : mmu_flush_page(k->mmu, vpn, err);
}

/* The last-level table of a page that is mapped; a large one is split. 0: not mapped. */
static int small_table(struct kernel *k, uint64_t vpn, uint32_t *table, struct err *err)
{
	uint32_t dir;
	int rc = table_of(k, vpn, 2, false, &dir, err);

	if (rc == 0 && dir && (kernel_word(k, dir, pt_index(vpn, 2)) & GPTE_PS))
		rc = split(k, dir, vpn, err);
	return rc ? rc : table_of(k, vpn, 1, false, table, err);
}

/* A write where it is not allowed: the page is copied if others map it, and opened if not. */
static int open_page(struct kernel *k, uint64_t vpn, struct err *err)
{
	uint32_t table;
	ppn_t ppn;
	int rc = small_table(k, vpn, &table, err);

	if (rc)
		return rc;
	gpte_t w = table ? kernel_word(k, table, pt_index(vpn, 1)) : 0;
	if (!(w & (COW | PROT)))
		return err_run(err, EIO, "the guest's kernel finds no reason for a fault");
	uint32_t old = (uint32_t)gpte_ppn(w);
	if ((w & COW) && k->refs[old] > 1) {
		rc = kernel_page(k, &ppn, err);
		if (rc == 0)
			rc = mmu_copy(k->mmu, ppn, (ppn_t){old}, err);
		if (rc)
			return rc;
		k->refs[ppn.n] = 1;
		k->refs[old]--;
		k->stats.cow_copies++;
		w = (w & ~PT_ADDR) | gpte_make(ppn.n, 0);
	} else {
		k->stats.cow_reuses += (w & COW) != 0;
	}
	w = (w & ~(COW | PROT)) | GPTE_W | GPTE_A | GPTE_D;
	rc = kernel_set_word(k, table, pt_index(vpn, 1), w, err);
	return rc ? rc : mmu_flush_page(k->mmu, vpn, err);
}

int kernel_fault(struct kernel *k, const struct mmu_fault *f, struct err *err)
{
	switch (f->why) {
	case PT_ABSENT:
		return map_page(k, f->vpn, f->write, err);
	case PT_DENIED:
		if (f->write)
			return open_page(k, f->vpn, err);
		break;
	case PT_MAPPED:
	case PT_RESERVED:
	case PT_OUTSIDE:
		break;
	}
	return err_run(err, EIO, "the guest's kernel finds no reason for a fault at page %llx",
		       (unsigned long long)f->vpn);
}

/* ---- ranges --------------------------------------------------------------------- */

/* Pages [first, last] of the current space. What each leaf of the range meets. */
struct range {
	uint64_t first, last;
	bool unmap, writes;
	uint64_t changed; /* pages */
};

/* Pages below a word of that level. */
static int range_leaf(struct kernel *k, struct range *r, uint32_t table, unsigned i, unsigned level,
		      uint64_t vpn, struct err *err)
{
	gpte_t w = kernel_word(k, table, i), now = 0;
	bool many = r->last - r->first >= FLUSH_MOST;

	if (!r->unmap) {
		now = r->writes ? (w & PROT && !(w & COW) ? (w & ~PROT) | GPTE_W : w & ~PROT)
				: (w & ~GPTE_W) | (w & (GPTE_W | COW) ? PROT : 0);
		if (now == w)
			return 0;
	}
	int rc = kernel_set_word(k, table, i, now, err);
	/* The flush comes before the pages are used again. */
	if (rc == 0 && (!many || (w & GPTE_G)))
		rc = mmu_flush_page(k->mmu, vpn, err);
	r->changed++;
	for (uint32_t p = 0; r->unmap && rc == 0 && p < kernel_span(level); p++)
		drop_ref(k, (uint32_t)gpte_ppn(w) + p);
	return rc;
}

static int range_walk(struct kernel *k, struct range *r, uint32_t table, unsigned level,
		      uint64_t base, struct err *err)
{
	uint64_t each = kernel_span(level);
	unsigned i = r->first > base ? (unsigned)((r->first - base) / each) : 0;
	int rc = 0;

	for (; rc == 0 && i < PT_WORDS && base + i * each <= r->last; i++) {
		uint64_t vpn = base + i * each;
		gpte_t w = kernel_word(k, table, i);
		if (!(w & GPTE_P))
			continue;
		bool whole = r->first <= vpn && vpn + each - 1 <= r->last;
		if (level == 2 && (w & GPTE_PS) && !whole) {
			rc = split(k, table, vpn, err);
			w = kernel_word(k, table, i);
		}
		if (rc == 0 && gpte_leaf(w, level)) {
			rc = range_leaf(k, r, table, i, level, vpn, err);
			continue;
		}
		uint32_t next = (uint32_t)gpte_ppn(w);
		if (rc == 0)
			rc = range_walk(k, r, next, level - 1, vpn, err);
		/* Tables of the kernel's half stay: other roots know them. */
		if (rc == 0 && k->refs[next] == 0 && vpn < PT_KERNEL) {
			rc = kernel_set_word(k, table, i, 0, err);
			if (rc == 0)
				rc = mmu_flush_page(k->mmu, vpn, err);
			if (rc == 0)
				rc = free_table(k, next, err);
		}
	}
	return rc;
}

static int range_do(struct kernel *k, struct range *r, uint64_t page, uint64_t pages,
		    struct err *err)
{
	const uint64_t all = UINT64_C(1) << PT_VPN_BITS;

	if (!pages || page >= all)
		return 0;
	r->first = page;
	r->last = pages > all - page ? all - 1 : page + pages - 1;
	int rc = range_walk(k, r, kernel_root(k), PT_LEVELS, 0, err);
	if (rc == 0 && r->changed && r->last - r->first >= FLUSH_MOST)
		rc = mmu_flush_space(k->mmu, kernel_root(k), err);
	return rc;
}

int kernel_unmap(struct kernel *k, uint64_t page, uint64_t pages, struct err *err)
{
	struct range r = {.unmap = true};

	return range_do(k, &r, page, pages, err);
}

int kernel_protect(struct kernel *k, uint64_t page, uint64_t pages, bool writes, struct err *err)
{
	struct range r = {.writes = writes};

	return range_do(k, &r, page, pages, err);
}

/* ---- life ------------------------------------------------------------------------- */

int kernel_new(struct mmu *mmu, bool large, struct kernel **out, struct err *err)
{
	struct kernel *k = calloc(1, sizeof *k);

	if (!k)
		return err_run(err, ENOMEM, "no memory for a guest's kernel");
	k->mmu = mmu;
	k->pages = mmu->pmap->pages;
	k->fresh = 1; /* PPN 0 stands for none */
	k->large = large;
	k->current = SIZE_MAX;
	k->refs = calloc(k->pages, sizeof *k->refs);
	k->free = calloc(k->pages, sizeof *k->free);
	mmu->strict = true;
	int rc = k->refs && k->free && idmap_new(&k->ids) == 0
			 ? 0
			 : err_run(err, ENOMEM, "no memory for a guest's kernel");
	if (rc == 0)
		rc = kernel_switch(k, 0, err);
	if (rc) {
		kernel_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

void kernel_free(struct kernel *k)
{
	idmap_free(k->ids);
	free(k->space);
	free(k->refs);
	free(k->free);
	free(k);
}

const struct kernel_stats *kernel_stats(const struct kernel *k)
{
	return &k->stats;
}
