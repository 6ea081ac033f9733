/* The mechanism: pages come to share a frame and leave it; the counts. */
#include "sharing/private.h"

static bool is_zero_frame(const struct sharing *s, const struct pmap *pmap, mpn_t mpn)
{
	return mpn_eq(share_group_of(s, pmap)->zero, mpn);
}

/* The page maps a shared frame now: it is known as it is, until it is written. */
static void settle(struct sharing *s, struct pmap *pmap, ppn_t ppn)
{
	pmap->pte[ppn.n] &= ~(PTE_CHANGED | PTE_NOTE_MASK);
	share_vm_of(s, pmap)->stats.zero += is_zero_frame(s, pmap, pte_mpn(pmap->pte[ppn.n]));
}

void share_make(struct sharing *s, struct pmap *pmap, ppn_t ppn, uint32_t note)
{
	mpn_t mpn = pte_mpn(pmap_peek(pmap, ppn));

	pmap_map_shared(pmap, ppn, mpn);
	s->host->machine.frame[mpn.n].ppn = note;
	settle(s, pmap, ppn);
}

int share_join(struct sharing *s, struct pmap *pmap, ppn_t ppn, mpn_t mpn)
{
	int rc = refs_add(s, mpn);

	if (rc)
		return rc;
	pmap_map_shared(pmap, ppn, mpn);
	settle(s, pmap, ppn);
	spend(s, &s->stats.merge_ns, s->opts.merge_time);
	share_vm_of(s, pmap)->stats.merged++;
	s->stats.merged++;
	s->stats.saved++;
	return 0;
}

/* The frame, with one reference left, is about to be no shared one any more. */
static void unlist(struct sharing *s, const struct pmap *pmap, mpn_t mpn)
{
	uint32_t note = s->host->machine.frame[mpn.n].ppn;

	if (is_zero_frame(s, pmap, mpn))
		share_group_of(s, pmap)->zero = MPN_NONE;
	else if (note)
		table_remove(&s->table, note);
	else
		s->scan->gone(s->scan_state, share_vm_of(s, pmap)->group, mpn);
}

/* The page leaves a frame to others. */
static void leave(struct sharing *s, mpn_t mpn)
{
	refs_sub(s, mpn);
	s->stats.saved--;
}

/* A written page, in a frame of its own. */
static void broken(struct sharing *s, struct pmap *pmap, ppn_t ppn, mpn_t mpn, bool was_zero)
{
	struct share_vm *v = share_vm_of(s, pmap);

	v->stats.zero -= was_zero;
	v->stats.breaks++;
	s->stats.broken++;
	pmap_break_shared(pmap, ppn, mpn);
}

/* The last sharer gets the frame as it is. */
static int break_last(struct sharing *s, struct pmap *pmap, ppn_t ppn, mpn_t mpn)
{
	bool was_zero = is_zero_frame(s, pmap, mpn);

	unlist(s, pmap, mpn);
	broken(s, pmap, ppn, mpn, was_zero);
	return 0;
}

static void fill(struct sharing *s, struct pmap *pmap, mpn_t to, mpn_t from, bool zero)
{
	struct machine *m = &s->host->machine;
	uint64_t ns = zero ? s->host->cost.zero : s->opts.break_time;

	if (zero)
		m->backing->zero(m, to);
	else
		m->backing->copy(m, to, from);
	pmap->vm->time_ns += ns;
	s->stats.break_ns += ns;
	s->stats.copied++;
}

int share_fault(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access, struct err *err)
{
	struct sharing *s = ctx;
	struct machine *m = &s->host->machine;
	mpn_t shared = pte_mpn(pmap_peek(pmap, ppn)), own;

	if (refs_get(s, shared) == 1)
		return break_last(s, pmap, ppn, shared);
	int rc = pmap_take_frame(pmap, ppn, &own, err);
	if (rc)
		return rc;
	/* Reclaiming may have evicted other sharers, or this page itself. */
	pte_t e = pmap_peek(pmap, ppn);
	if (pte_state(e) != PAGE_SHARED || refs_get(s, shared) == 1) {
		machine_untake(m, own);
		return pmap_fault(pmap, ppn, access, err);
	}
	bool zero = is_zero_frame(s, pmap, shared);
	machine_aim(m, own, pmap->vm->id, ppn);
	fill(s, pmap, own, shared, zero);
	leave(s, shared);
	broken(s, pmap, ppn, own, zero);
	return 0;
}

void share_left(void *ctx, struct pmap *pmap, pte_t was)
{
	struct sharing *s = ctx;
	mpn_t mpn = pte_mpn(was);

	share_vm_of(s, pmap)->stats.zero -= is_zero_frame(s, pmap, mpn);
	if (refs_get(s, mpn) == 1) {
		unlist(s, pmap, mpn);
		machine_put_shared(&s->host->machine, mpn);
		return;
	}
	leave(s, mpn);
	s->stats.dropped++;
}

void share_drop(void *ctx, struct pmap *pmap, ppn_t ppn)
{
	share_left(ctx, pmap, pmap_peek(pmap, ppn));
}

/* A shared frame that nobody here knows yet: as the zero frame of its group, or in the table. */
static int list_anew(struct sharing *s, struct pmap *pmap, mpn_t mpn)
{
	struct group *g = share_group_of(s, pmap);
	struct machine *m = &s->host->machine;
	uint32_t group = share_vm_of(s, pmap)->group, index = 0;
	int rc = 0;

	machine_own_shared(m, mpn);
	if (page_is_zero(s, mpn) && !mpn_valid(g->zero))
		g->zero = mpn;
	else
		rc = table_add(&s->table, table_hash(page_hash(s, g, mpn)), true, (uint16_t)group,
			       mpn.n, &index);
	m->frame[mpn.n].ppn = index;
	return rc;
}

int share_adopt(void *ctx, struct pmap *pmap, ppn_t ppn, struct err *err)
{
	struct sharing *s = ctx;
	mpn_t mpn = pte_mpn(pmap_peek(pmap, ppn));
	bool known = s->host->machine.frame[mpn.n].refs != 0;
	int rc = known ? refs_add(s, mpn) : list_anew(s, pmap, mpn);

	if (rc)
		return err_run(err, -rc, "no memory to adopt shared frames");
	s->stats.merged += known;
	s->stats.saved += known;
	share_vm_of(s, pmap)->stats.merged += known;
	share_vm_of(s, pmap)->stats.zero += is_zero_frame(s, pmap, mpn);
	return 0;
}
