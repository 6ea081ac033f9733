/* Words of derived tables: how they come and go, and by what lists they are found. */
#include "pmap/derived.h"

#include <stdlib.h>

#define WHERE(table, i) ((table) << 9 | (i))
#define PATHS_MOST	64 /* words to follow up to find where a page is seen; more: all is flushed */

/* ---- lists of words --------------------------------------------------------- */

/* False without memory. */
static bool node_add(struct derived *d, uint32_t *head, uint32_t where)
{
	uint32_t n = d->node_free;

	if (n) {
		d->node_free = d->node[n].next;
	} else {
		if (d->nodes >= d->node_room) {
			uint32_t room = d->node_room ? 2 * d->node_room : 1024;
			struct dnode *list = realloc(d->node, room * sizeof *list);
			if (!list)
				return false;
			d->node = list;
			d->node_room = room;
		}
		n = d->nodes++;
	}
	d->node[n] = (struct dnode){where, *head};
	*head = n;
	return true;
}

void derived_node_remove(struct derived *d, uint32_t *head, uint32_t where)
{
	while (*head && d->node[*head].where != where)
		head = &d->node[*head].next;
	uint32_t n = *head;
	if (!n)
		return;
	*head = d->node[n].next;
	d->node[n].next = d->node_free;
	d->node_free = n;
}

/* ---- words -------------------------------------------------------------------- */

/*
 * Takes what a table translates at vpn, an address below it, out of the TLB, in each
 * space that leads there. False: there are more paths than it pays to follow.
 */
static bool unload_by(const struct derived *d, struct mmu *mmu, uint32_t table, uint64_t vpn,
		      unsigned *left)
{
	const struct dtable *t = d->table[table];

	if (!*left)
		return false;
	--*left;
	if (t->level == PT_LEVELS) {
		mmu_drop_page(mmu, t->page | (uint64_t)t->view << 32, vpn);
		mmu->stats.zap_pages++;
		return true;
	}
	for (uint32_t n = t->parents; n; n = d->node[n].next) {
		uint32_t where = d->node[n].where;
		uint64_t i = where & (PT_WORDS - 1);
		if (!unload_by(d, mmu, where >> 9, vpn | i << 9 * t->level, left))
			return false;
	}
	return true;
}

void derived_flush(struct derived *d, struct mmu *mmu)
{
	mmu_zap_all(mmu);
	d->loose = false;
}

/* What word i of a table translates leaves the TLB. */
void derived_unload(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i)
{
	uint64_t vpn = (uint64_t)i << 9 * (d->table[table]->level - 1);
	unsigned left = PATHS_MOST;

	if (d->loose || !unload_by(d, mmu, table, vpn, &left))
		derived_flush(d, mmu);
}

/* Empties a word, whatever it says. A splinter goes with the word that points to it. */
void derived_clear(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i,
		   enum large_cause cause)
{
	struct dtable *t = d->table[table];
	uint64_t w = t->word[i];

	if (!(w & DW_P))
		return;
	t->word[i] = 0;
	if (derived_is_leaf(t)) {
		*t->version = ++d->versions;
		derived_node_remove(d, &d->leaves[t->ppn[i]], WHERE(table, i));
		derived_unload(d, mmu, table, i); /* while it can be found */
		return;
	}
	d->gen++;
	if (w & DW_PS) {
		derived_node_remove(d, &d->large[t->ppn[i] / PT_LARGE], WHERE(table, i));
		d->broken[t->ppn[i] / PT_LARGE] = true;
		d->larges--;
		large_broken(mmu, cause);
		derived_unload(d, mmu, table, i);
		return;
	}
	d->loose = true;
	struct dtable *child = d->table[derived_child(w)];
	derived_node_remove(d, &child->parents, WHERE(table, i));
	if (child->splinter)
		derived_drop(d, mmu, derived_child(w));
}

/* A TLB may have more rights than the word has left. */
static void put_leaf(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, uint64_t w,
		     uint32_t ppn)
{
	struct dtable *t = d->table[table];
	const bool less = t->word[i] & ~w & DW_W;

	t->word[i] = w;
	t->ppn[i] = ppn;
	if (less)
		derived_unload(d, mmu, table, i);
}

/*
 * A leaf that maps ppn by the guest's word, now. The page is resident. In a shadow
 * a write must come here first while the guest's word is not dirty; in direct the
 * processor sets that bit itself.
 */
bool derived_set_leaf(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		      uint32_t ppn)
{
	struct dtable *t = d->table[table];
	pte_t p = mmu->pmap->pte[ppn];
	uint64_t w = DW_P | (uint64_t)pte_value(p) << PAGE_SHIFT |
		     (uint64_t)gpte_rights(g) << DW_R_AT | (p & PTE_W ? DW_HOSTW : 0);

	if ((g & GPTE_W) && (p & PTE_W) && (d->direct || (g & GPTE_D)) &&
	    !derived_protected(d, ppn))
		w |= DW_W;
	if (t->word[i] & DW_P && t->ppn[i] != ppn)
		derived_clear(d, mmu, table, i, CAUSE_TABLE);
	if (!(t->word[i] & DW_P) && !node_add(d, &d->leaves[ppn], WHERE(table, i)))
		return false;
	if (t->word[i] & DW_P && t->word[i] != w)
		*t->version = ++d->versions;
	put_leaf(d, mmu, table, i, w, ppn);
	return true;
}

/* The same for 2 MiB from page base on, of a stretch that is whole. */
bool derived_set_large(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		       uint32_t base)
{
	struct dtable *t = d->table[table];
	uint64_t w = DW_P | DW_PS | DW_HOSTW |
		     (uint64_t)pte_value(mmu->pmap->pte[base]) << PAGE_SHIFT |
		     (uint64_t)gpte_rights(g) << DW_R_AT;

	if ((g & GPTE_W) && (d->direct || (g & GPTE_D)))
		w |= DW_W;
	if (t->word[i] & DW_P && (!(t->word[i] & DW_PS) || t->ppn[i] != base))
		derived_clear(d, mmu, table, i, CAUSE_TABLE);
	if (!(t->word[i] & DW_P)) {
		if (!node_add(d, &d->large[base / PT_LARGE], WHERE(table, i)))
			return false;
		large_made(mmu, d->broken[base / PT_LARGE]);
		d->larges++;
	}
	put_leaf(d, mmu, table, i, w, base);
	return true;
}

bool derived_set_child(struct derived *d, struct mmu *mmu, uint32_t table, unsigned i, gpte_t g,
		       uint32_t child)
{
	struct dtable *t = d->table[table];
	uint64_t rights = (uint64_t)gpte_rights(g) << DW_R_AT;

	if (t->word[i] & DW_P && (t->word[i] & DW_PS || derived_child(t->word[i]) != child))
		derived_clear(d, mmu, table, i, CAUSE_TABLE);
	if (!(t->word[i] & DW_P) && !node_add(d, &d->table[child]->parents, WHERE(table, i)))
		return false;
	t->word[i] = DW_P | (uint64_t)child << PAGE_SHIFT | rights;
	return true;
}
