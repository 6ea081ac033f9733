/*
 * direct: the guest knows of its VMM, and its own tables are those that the
 * processor walks (Barham et al., "Xen and the art of virtualization", SOSP 2003,
 * section 3.3.3). They are read-only to the guest; it changes them by requests, in
 * batches, and the VMM checks each.
 *
 * What keeps the guest in its bounds is a type for each of its pages: a table of a
 * level, or none. A page that is a table is mapped writable nowhere, and one that
 * is mapped writable becomes no table; a word of a table of level n points to
 * tables of level n - 1; a page mapped is the guest's own. Counts hold a page to
 * its type while words need it.
 *
 * Words that the guest reads back have its own page numbers, as with Xen's
 * translated guests; the MPNs are in what is derived from them (pmap/derived.h).
 * Where the host takes a page away its MPNs are taken out, and the next touch is a
 * hidden fault.
 */
#include "pmap/derived.h"

#include <errno.h>
#include <stdlib.h>

static int direct_open(struct mmu *mmu)
{
	struct derived *d = calloc(1, sizeof *d);

	if (!d || derived_init(d, mmu, true)) {
		free(d);
		return -ENOMEM;
	}
	mmu->state = d;
	return 0;
}

static void direct_close(struct mmu *mmu)
{
	derived_fini(mmu->state, mmu);
	free(mmu->state);
}

static int direct_walk(struct mmu *mmu, struct tlb_region *r, uint64_t vpn, enum access access,
		       struct mmu_walk *walk, struct mmu_fault *fault, struct err *err)
{
	struct derived *d = mmu->state;

	if (d->type[mmu->root] != PT_LEVELS) { /* before the first CR3 load that was allowed */
		struct guest_walk none = {.why = PT_ABSENT, .level = PT_LEVELS};
		return mmu_guest_fault(mmu, &none, vpn, access == ACCESS_WRITE, fault);
	}
	int rc = derived_walk(mmu, d, r, vpn, access, walk, fault, err);

	if (rc == 0) {
		/* The processor sets the bits in the guest's own word. */
		struct guest_walk g;
		guest_walk(mmu, r, vpn, false, &g);
		if (g.why != PT_MAPPED) /* it was, a moment ago */
			return err_run(err, EIO, "a table changed while it was walked");
		walk->dirty &= guest_mark(mmu, &g, access == ACCESS_WRITE);
		walk->rights |= g.rights & PT_R_G;
	}
	return rc;
}

static void direct_changed(struct mmu *mmu, ppn_t ppn)
{
	derived_zap(mmu->state, mmu, ppn.n, false, large_cause_of(mmu, ppn.n));
}

static void direct_cleaned(struct mmu *mmu, ppn_t ppn, bool dirty)
{
	(void)dirty;
	derived_zap(mmu->state, mmu, ppn.n, false, CAUSE_HARVESTED);
}

static void direct_gathered(struct mmu *mmu, ppn_t ppn)
{
	derived_gathered(mmu->state, mmu, ppn.n);
}

/* ---- types and counts --------------------------------------------------------- */

static int refuse(struct mmu *mmu)
{
	mmu->stats.refused++;
	return -EPERM;
}

/* Pages [first, first + n) may be mapped by a leaf with that word. */
static bool leaf_allowed(const struct derived *d, const struct mmu *mmu, gpte_t w, uint64_t first,
			 unsigned n)
{
	for (uint64_t p = first; p < first + n; p++) {
		if (!pt_memory(&mmu->tables, p) || ((w & GPTE_W) && d->type[p]))
			return false;
	}
	return true;
}

/* Counts what a word of a table of that level needs, or takes it back. False: refused. */
static bool count_word(struct derived *d, const struct mmu *mmu, gpte_t w, unsigned level, bool add)
{
	uint64_t ppn = gpte_ppn(w);
	unsigned n = level == 2 ? PT_LARGE : 1;

	if (!(w & GPTE_P))
		return true;
	if (gpte_leaf(w, level)) {
		if (level == 2)
			ppn &= ~(uint64_t)(PT_LARGE - 1);
		if (add && (gpte_reserved(w, level) || !leaf_allowed(d, mmu, w, ppn, n)))
			return false;
		for (uint64_t p = ppn; (w & GPTE_W) && p < ppn + n; p++)
			d->writable[p] += add ? 1 : -1u;
		return true;
	}
	if (add &&
	    (gpte_reserved(w, level) || !pt_memory(&mmu->tables, ppn) || d->type[ppn] != level - 1))
		return false;
	d->refs[ppn] += add ? 1 : -1u;
	return true;
}

static int direct_pt_write(struct mmu *mmu, ppn_t page, unsigned i, gpte_t word, struct err *err)
{
	struct derived *d = mmu->state;
	unsigned level = d->type[page.n];

	(void)err;
	if (!level) /* the guest's own page, as yet */
		return 0;
	mmu->stats.updates++;
	if (++d->pending >= (uint64_t)mmu->opts.batch) {
		mmu->stats.hypercalls++;
		mmu->stats.exits++;
		d->pending = 0;
	}
	if (!count_word(d, mmu, word, level, true))
		return refuse(mmu);
	count_word(d, mmu, pt_read(&mmu->tables, page, i), level, false);
	return 0;
}

static void direct_pt_written(struct mmu *mmu, ppn_t page, unsigned i)
{
	derived_follow(mmu->state, mmu, page.n, i);
}

static void hypercall(struct mmu *mmu)
{
	mmu->stats.hypercalls++;
	mmu->stats.exits++;
}

/* Checks every word, then counts the page as a table. */
static int direct_pin(struct mmu *mmu, ppn_t page, unsigned level, struct err *err)
{
	struct derived *d = mmu->state;
	unsigned i = 0;

	hypercall(mmu);
	if (d->type[page.n] || d->writable[page.n])
		return refuse(mmu);
	/* While it is looked at it is a table, so that it cannot allow itself to be written. */
	d->type[page.n] = (uint8_t)level;
	while (i < PT_WORDS && count_word(d, mmu, pt_read(&mmu->tables, page, i), level, true))
		mmu->stats.updates += pt_read(&mmu->tables, page, i++) != 0;
	if (i < PT_WORDS) {
		while (i-- > 0)
			count_word(d, mmu, pt_read(&mmu->tables, page, i), level, false);
		d->type[page.n] = 0;
		return refuse(mmu);
	}
	if (!derived_make(d, mmu, page.n, level, 0))
		return err_run(err, ENOMEM, "no memory for a table");
	for (i = 0; i < PT_WORDS; i++)
		derived_follow(d, mmu, page.n, i);
	return 0;
}

static int direct_unpin(struct mmu *mmu, ppn_t page, struct err *err)
{
	struct derived *d = mmu->state;
	unsigned level = d->type[page.n];

	(void)err;
	hypercall(mmu);
	if (!level || d->refs[page.n] || page.n == mmu->root)
		return refuse(mmu);
	for (unsigned i = 0; i < PT_WORDS; i++)
		count_word(d, mmu, pt_read(&mmu->tables, page, i), level, false);
	derived_drop_page(d, mmu, page.n);
	d->type[page.n] = 0;
	return 0;
}

static int direct_data_write(struct mmu *mmu, ppn_t page)
{
	const struct derived *d = mmu->state;

	return d->type[page.n] ? refuse(mmu) : 0;
}

/* ---- the rest -------------------------------------------------------------------- */

static void direct_commit(struct mmu *mmu)
{
	struct derived *d = mmu->state;

	if (!d->pending)
		return;
	hypercall(mmu);
	d->pending = 0;
}

static int direct_load_root(struct mmu *mmu, struct err *err)
{
	const struct derived *d = mmu->state;

	(void)err;
	direct_commit(mmu);
	hypercall(mmu);
	mmu->stats.root_exits++;
	return d->type[mmu->root] == PT_LEVELS ? 0 : refuse(mmu);
}

/* A flush goes with the updates before it, if there are any. */
static int direct_flush_page(struct mmu *mmu, uint64_t vpn, struct err *err)
{
	const struct derived *d = mmu->state;

	(void)vpn;
	(void)err;
	mmu->stats.flush_exits++;
	if (d->pending)
		direct_commit(mmu);
	else
		hypercall(mmu);
	return 0;
}

static int direct_flush_space(struct mmu *mmu, uint64_t root, struct err *err)
{
	return direct_flush_page(mmu, root, err);
}

/* 64-bit guests' kernels run without privilege: each change of mode goes by the VMM. */
static void direct_set_mode(struct mmu *mmu)
{
	mmu->stats.mode_switches++;
}

static size_t audit_types(const struct derived *d, const struct mmu *mmu, FILE *out)
{
	uint32_t pages = mmu->pmap->pages;
	uint32_t *refs = calloc(pages, sizeof *refs), *writable = calloc(pages, sizeof *writable);
	size_t bad = refs && writable ? 0 : 1;

	for (uint32_t page = 0; !bad && page < pages; page++) {
		unsigned level = d->type[page];
		for (unsigned i = 0; level && i < PT_WORDS; i++) {
			gpte_t w = pt_read(&mmu->tables, (ppn_t){page}, i);
			uint64_t ppn = gpte_ppn(w);
			unsigned n = level == 2 && (w & GPTE_PS) ? PT_LARGE : 1;
			if (!(w & GPTE_P))
				continue;
			for (unsigned j = 0; gpte_leaf(w, level) && j < n; j++)
				writable[ppn + j] += (w & GPTE_W) != 0;
			refs[ppn] += !gpte_leaf(w, level);
		}
	}
	for (uint32_t page = 0; refs && writable && page < pages; page++) {
		if (refs[page] == d->refs[page] && writable[page] == d->writable[page] &&
		    !(d->type[page] && writable[page]))
			continue;
		fprintf(out,
			"direct: vm %s: page %u of type %u counts %u references and %u writable "
			"words, %u and %u found\n",
			mmu->pmap->vm->name, page, d->type[page], d->refs[page], d->writable[page],
			refs[page], writable[page]);
		bad++;
	}
	free(refs);
	free(writable);
	return bad;
}

static size_t direct_audit(struct mmu *mmu, FILE *out)
{
	return audit_types(mmu->state, mmu, out) + derived_audit(mmu->state, mmu, out);
}

/* The tables are the guest's: of the VMM's own there are those that stand for large leaves. */
static void direct_refresh(struct mmu *mmu)
{
	const struct derived *d = mmu->state;
	uint32_t pinned = 0;

	for (uint32_t page = 0; page < mmu->pmap->pages; page++)
		pinned += d->type[page] != 0;
	mmu->stats.table_pages = d->live - pinned;
}

int mmu_update(struct mmu *mmu, ppn_t table, unsigned i, gpte_t word, struct err *err)
{
	const struct machine *m = &mmu->pmap->vm->host->machine;
	uint64_t mpn = gpte_ppn(word);

	if (mmu->mode != &translation_direct)
		return -ENOSYS;
	if (!(word & GPTE_P))
		return mmu_pt_write(mmu, table, i, word, err);
	if (mpn >= m->frames || !frame_is_private(m->frame[mpn]) ||
	    m->frame[mpn].vm != mmu->pmap->vm->id)
		return refuse(mmu);
	word = (word & ~PT_ADDR) | gpte_make(m->frame[mpn].ppn, 0);
	return mmu_pt_write(mmu, table, i, word, err);
}

const struct translation translation_direct = {
	.policy = {"direct",
		   "the guest's tables hold MPNs and change by checked requests, as in Xen"},
	.open = direct_open,
	.close = direct_close,
	.walk = direct_walk,
	.changed = direct_changed,
	.cleaned = direct_cleaned,
	.gathered = direct_gathered,
	.pt_write = direct_pt_write,
	.pt_written = direct_pt_written,
	.data_write = direct_data_write,
	.pin = direct_pin,
	.unpin = direct_unpin,
	.load_root = direct_load_root,
	.flush_page = direct_flush_page,
	.flush_space = direct_flush_space,
	.set_mode = direct_set_mode,
	.commit = direct_commit,
	.audit = direct_audit,
	.refresh = direct_refresh,
};
