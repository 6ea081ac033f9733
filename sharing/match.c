/*
 * Matching: a page and its hash against the table.
 *
 * At most one table frame of a group has a given hash and is alive: a second
 * page with that hash is either equal, and shares, or a false match, and then
 * not eligible until it changes (Waldspurger 2002, section 4.3). Dead hints may
 * lie beside it: those whose page changed since, or went.
 *
 * Whether a hint is alive is mostly known without hashing its page again: the
 * page is private, CHANGED is clear, and its note, five bits of the hash that
 * it had last, agrees. Dead hints are swept up where the table holds more
 * frames than could be alive, so it never outgrows the machine.
 */
#include "sharing/private.h"

#define SWEEP 4 /* table frames looked at per insert while the table is too full */

static pte_t note_of(uint64_t hash48)
{
	return (hash48 >> (HASH_BITS - 5)) << PTE_NOTE_SHIFT;
}

/* The page is known, as what it is now, until it is written; at no time if writes go unseen. */
static void know(struct pmap *pmap, ppn_t ppn, uint64_t hash48)
{
	pte_t *e = &pmap->pte[ppn.n];

	*e = (*e & ~((PTE_CHANGED & ~pmap->blind) | PTE_NOTE_MASK)) | note_of(hash48);
}

static struct pmap *hint_pmap(const struct sharing *s, const struct hash_frame *e)
{
	return s->vm[entry_owner(e)]->vm->pmap;
}

/* Whether the hint's page is where the hint left it, written since or not. */
static bool hint_possible(const struct sharing *s, const struct hash_frame *e)
{
	pte_t pte = pmap_peek(hint_pmap(s, e), (ppn_t){e->place});

	return pte_state(pte) == PAGE_PRIVATE &&
	       ((pte & PTE_CHANGED) || (pte & PTE_NOTE_MASK) == note_of(entry_hash(e)));
}

static void drop_hint(struct sharing *s, uint32_t index)
{
	const struct hash_frame *e = table_entry(&s->table, index);
	pte_t *pte = &hint_pmap(s, e)->pte[e->place];

	/* Without its hint, a page that did not change would never be looked at again. */
	if (pte_state(*pte) != PAGE_SHARED && (*pte & PTE_NOTE_MASK) == note_of(entry_hash(e)))
		*pte |= PTE_CHANGED;
	table_remove(&s->table, index);
	s->stats.stale++;
}

/* Looks at a few table frames and drops dead hints, while some must be dead. */
static void sweep(struct sharing *s)
{
	const struct machine *m = &s->host->machine;

	for (int i = 0; i < SWEEP && s->table.used > m->private_frames + m->shared; i++) {
		s->sweep = s->sweep + 1 >= s->table.end ? 1 : s->sweep + 1;
		const struct hash_frame *e = table_entry(&s->table, s->sweep);
		if (entry_owner(e) == OWNER_FREE || entry_shared(e))
			continue;
		pte_t pte = pmap_peek(hint_pmap(s, e), (ppn_t){e->place});
		if (!hint_possible(s, e) || (pte & PTE_CHANGED))
			drop_hint(s, s->sweep);
	}
}

static void leave_hint(struct sharing *s, struct pmap *pmap, ppn_t ppn, uint64_t hash48)
{
	uint32_t index;

	sweep(s);
	/* Without memory for a hint the page just stays to be looked at again. */
	if (table_add(&s->table, hash48, false, pmap->vm->id, ppn.n, &index) == 0)
		know(pmap, ppn, hash48);
}

/* Frames found equal stay frozen, for they come to be shared. */
static bool compare(struct sharing *s, mpn_t a, mpn_t b)
{
	struct machine *m = &s->host->machine;

	s->stats.compared++;
	spend(s, &s->stats.compare_ns, s->opts.compare_time);
	machine_freeze(m, a);
	machine_freeze(m, b);
	if (page_equal(s, a, b))
		return true;
	machine_thaw(m, a);
	machine_thaw(m, b);
	return false;
}

static bool zero_still(struct sharing *s, mpn_t mpn)
{
	machine_freeze(&s->host->machine, mpn);
	if (page_is_zero(s, mpn))
		return true;
	machine_thaw(&s->host->machine, mpn);
	return false;
}

/*
 * The frame of a hint's page, MPN_NONE if the hint is dead for sure: its page
 * is elsewhere, or was hashed anew, or must keep its frame.
 */
static mpn_t hint_frame(struct sharing *s, const struct hash_frame *e)
{
	struct pmap *pmap = hint_pmap(s, e);
	ppn_t ppn = {e->place};
	pte_t pte = pmap_peek(pmap, ppn);

	if (!hint_possible(s, e) || (pte & PTE_PINNED) || page_name(s, pmap, ppn))
		return MPN_NONE;
	if (large_spared(pmap, ppn, s->opts.large)) {
		pmap->pte[ppn.n] |= PTE_CHANGED; /* it has its turn when it is spared no more */
		return MPN_NONE;
	}
	return pte_mpn(pte);
}

/* Whether the hint's page still has the hash that it had when it left the hint. */
static bool hint_holds(struct sharing *s, const struct hash_frame *e, mpn_t mpn)
{
	s->stats.hashed++;
	spend(s, &s->stats.hash_ns, s->opts.hash_time);
	return table_hash(page_hash(s, share_group_of(s, hint_pmap(s, e)), mpn)) == entry_hash(e);
}

/* Both pages come to share the hint's frame, and the hint's table frame. */
static bool share_with_hint(struct sharing *s, uint32_t index, struct pmap *pmap, ppn_t ppn)
{
	const struct hash_frame *e = table_entry(&s->table, index);
	struct pmap *other = hint_pmap(s, e);
	ppn_t other_ppn = {e->place};
	mpn_t mpn = pte_mpn(pmap_peek(other, other_ppn));

	share_make(s, other, other_ppn, index);
	table_turn(&s->table, index, true, (uint16_t)share_vm_of(s, pmap)->group, mpn.n);
	return share_join(s, pmap, ppn, mpn) == 0; /* a second reference always counts */
}

/* The zero page: one frame a group, no table frame. */
static bool share_zero(struct sharing *s, struct pmap *pmap, ppn_t ppn)
{
	struct group *g = share_group_of(s, pmap);

	if (mpn_valid(g->zero))
		return share_join(s, pmap, ppn, g->zero) == 0;
	g->zero = pte_mpn(pmap_peek(pmap, ppn));
	share_make(s, pmap, ppn, 0);
	return true;
}

/* The next table frame on the chain with that hash and of that group; 0 none. */
static uint32_t find(const struct sharing *s, uint32_t group, uint64_t hash48, uint32_t from)
{
	for (uint32_t at = from; (at = table_find(&s->table, hash48, at)) != 0;) {
		const struct hash_frame *e = table_entry(&s->table, at);
		uint32_t owner = entry_owner(e);
		if ((entry_shared(e) ? owner : s->vm[owner]->group) == group)
			return at;
		at = entry_next(e);
	}
	return 0;
}

/* What a table frame with the page's hash means for the page. */
enum verdict { SHARED_NOW, OWN_HINT, FALSE_MATCH, DEAD_HINT, NO_MEMORY };

static enum verdict match_shared(struct sharing *s, struct pmap *pmap, ppn_t ppn, mpn_t other)
{
	if (!compare(s, pte_mpn(pmap_peek(pmap, ppn)), other))
		return FALSE_MATCH;
	return share_join(s, pmap, ppn, other) ? NO_MEMORY : SHARED_NOW;
}

/*
 * The paper hashes the hint's page again and then compares. Comparing first
 * gives the same verdict, and a hash is needed only to tell a page that changed
 * from a false match.
 */
static enum verdict match_hint(struct sharing *s, struct pmap *pmap, ppn_t ppn, uint32_t index)
{
	const struct hash_frame *e = table_entry(&s->table, index);

	if (entry_owner(e) == pmap->vm->id && e->place == ppn.n)
		return OWN_HINT;
	mpn_t other = hint_frame(s, e);
	if (!mpn_valid(other))
		return DEAD_HINT;
	if (compare(s, pte_mpn(pmap_peek(pmap, ppn)), other))
		return share_with_hint(s, index, pmap, ppn) ? SHARED_NOW : NO_MEMORY;
	return hint_holds(s, e, other) ? FALSE_MATCH : DEAD_HINT;
}

bool match(struct sharing *s, struct pmap *pmap, ppn_t ppn, uint64_t hash, bool hint)
{
	const struct group *g = share_group_of(s, pmap);
	const uint32_t group = share_vm_of(s, pmap)->group;
	const uint64_t hash48 = table_hash(hash);

	spend(s, &s->stats.probe_ns, s->opts.probe_time);
	if (hash == g->zero_hash && zero_still(s, pte_mpn(pmap_peek(pmap, ppn))))
		return share_zero(s, pmap, ppn);
	uint32_t at = find(s, group, hash48, *table_head(&s->table, hash48));
	while (at) {
		const struct hash_frame *e = table_entry(&s->table, at);
		uint32_t next = entry_next(e);
		switch (entry_shared(e) ? match_shared(s, pmap, ppn, (mpn_t){e->place})
					: match_hint(s, pmap, ppn, at)) {
		case SHARED_NOW:
			return true;
		case NO_MEMORY:
			return false;
		case FALSE_MATCH:
			s->stats.false_hit++;
			know(pmap, ppn, hash48); /* not eligible until it is written */
			return false;
		case OWN_HINT:
			know(pmap, ppn, hash48); /* true again */
			return false;
		case DEAD_HINT:
			drop_hint(s, at);
			at = find(s, group, hash48, next);
		}
	}
	if (hint)
		leave_hint(s, pmap, ppn, hash48);
	return false;
}

void match_release(struct sharing *s, struct pmap *pmap, ppn_t ppn)
{
	mpn_t mpn = pte_mpn(pmap_peek(pmap, ppn));
	uint32_t index = s->host->machine.frame[mpn.n].ppn;

	table_turn(&s->table, index, false, pmap->vm->id, ppn.n);
	pmap_break_shared(pmap, ppn, mpn);
	know(pmap, ppn, entry_hash(table_entry(&s->table, index)));
}
