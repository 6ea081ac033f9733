/* Whether tables made from a guest's say no more than guest and pmap do, word by word. */
#include "pmap/derived.h"

static size_t say(const struct mmu *mmu, const struct dtable *t, uint32_t ppn, unsigned i,
		  const char *who, FILE *out)
{
	fprintf(out, "%s: vm %s: a table made from page %u has page %u at word %u, %s says not\n",
		mmu->mode->policy.name, mmu->pmap->vm->name, t->page, ppn, i, who);
	return 1;
}

static size_t audit_leaf(const struct derived *d, const struct mmu *mmu, const struct dtable *t,
			 unsigned i, FILE *out)
{
	uint64_t w = t->word[i];
	uint32_t ppn = t->ppn[i];
	pte_t p = mmu->pmap->pte[ppn];
	gpte_t g = t->splinter ? 0 : pt_read(&mmu->tables, (ppn_t){t->page}, i);
	bool host = (p & PTE_R) && pte_resident(p) && pte_value(p) == (uint32_t)(w >> PAGE_SHIFT) &&
		    (!(w & DW_W) || ((p & PTE_W) && !derived_protected(d, ppn)));
	bool guest = t->splinter ? ppn == t->page + i
				 : t->unsync || ((g & GPTE_P) && gpte_ppn(g) == ppn &&
						 (!(w & DW_W) || (g & GPTE_W)));

	return host && guest ? 0 : say(mmu, t, ppn, i, host ? "the guest's" : "the pmap", out);
}

/* 512 pages in a row, which no table is among where they may be written. */
static size_t audit_large(const struct derived *d, const struct mmu *mmu, const struct dtable *t,
			  unsigned i, FILE *out)
{
	const uint64_t w = t->word[i];
	const uint32_t base = t->ppn[i], first = (uint32_t)(w >> PAGE_SHIFT);
	gpte_t g = pt_read(&mmu->tables, (ppn_t){t->page}, i);
	bool host = base % PT_LARGE == 0 && first % PT_LARGE == 0 &&
		    mmu->pmap->pages - base >= PT_LARGE;

	for (uint32_t j = 0; host && j < PT_LARGE; j++) {
		pte_t p = mmu->pmap->pte[base + j];
		host = pte_state(p) == PAGE_PRIVATE && (p & PTE_R) && (p & PTE_W) &&
		       pte_value(p) == first + j && (!(w & DW_W) || !d->made[base + j]);
	}
	bool guest = t->level == 2 && (g & GPTE_P) && (g & GPTE_PS) &&
		     (gpte_ppn(g) & ~(uint64_t)(PT_LARGE - 1)) == base &&
		     (!(w & DW_W) || (g & GPTE_W));
	return host && guest ? 0 : say(mmu, t, base, i, host ? "the guest's" : "the pmap", out);
}

struct found {
	uint64_t leaves, large;
	size_t bad;
};

static void audit_word(const struct derived *d, const struct mmu *mmu, const struct dtable *t,
		       unsigned i, struct found *f, FILE *out)
{
	if (!(t->word[i] & DW_P))
		return;
	if (derived_is_leaf(t)) {
		f->leaves++;
		f->bad += audit_leaf(d, mmu, t, i, out);
	} else if (t->word[i] & DW_PS) {
		f->large++;
		f->bad += audit_large(d, mmu, t, i, out);
	} else {
		const struct dtable *child = d->table[derived_child(t->word[i])];
		for (unsigned j = 0; child->splinter && j < PT_WORDS; j++)
			audit_word(d, mmu, child, j, f, out);
	}
}

/* The words that a list names have the page; returns how many there are. */
static uint64_t audit_list(const struct derived *d, const struct mmu *mmu, uint32_t n,
			   uint32_t page, struct found *f, FILE *out)
{
	uint64_t nodes = 0;

	for (; n; n = d->node[n].next, nodes++) {
		uint32_t where = d->node[n].where;
		const struct dtable *t = d->table[where >> 9];
		if ((t->word[where & 511] & DW_P) && t->ppn[where & 511] == page)
			continue;
		fprintf(out, "%s: vm %s: page %u is listed at a word that has it not\n",
			mmu->mode->policy.name, mmu->pmap->vm->name, page);
		f->bad++;
	}
	return nodes;
}

size_t derived_audit(const struct derived *d, struct mmu *mmu, FILE *out)
{
	uint64_t nodes = 0, large = 0;
	struct found f = {0};

	for (uint32_t page = 0; page < mmu->pmap->pages; page++) {
		nodes += audit_list(d, mmu, d->leaves[page], page, &f, out);
		if (page % PT_LARGE == 0)
			large += audit_list(d, mmu, d->large[page / PT_LARGE], page, &f, out);
		for (uint32_t t = d->made[page]; t; t = d->table[t]->next) {
			for (unsigned i = 0; i < PT_WORDS; i++)
				audit_word(d, mmu, d->table[t], i, &f, out);
		}
	}
	if (f.leaves != nodes || f.large != large || f.large != d->larges) {
		fprintf(out,
			"%s: vm %s: %llu leaves and %llu large ones, %llu and %llu listed by "
			"their pages\n",
			mmu->mode->policy.name, mmu->pmap->vm->name, (unsigned long long)f.leaves,
			(unsigned long long)f.large, (unsigned long long)nodes,
			(unsigned long long)large);
		f.bad++;
	}
	return f.bad + large_audit(mmu, f.large, out);
}
