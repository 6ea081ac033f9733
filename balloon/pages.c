/* Each page that a driver names: may it, and what becomes of it. */
#include "balloon/private.h"

/* Neither pinned nor on its way somewhere. */
static bool movable(pte_t e)
{
	return !(e & PTE_PINNED) && pte_state(e) != PAGE_TRANSIT;
}

enum balloon_reason page_inflate(struct balloon_vm *v, uint32_t ppn)
{
	struct pmap *pmap = v->vm->pmap;

	if (ppn >= pmap->pages)
		return BALLOON_BAD_PPN;
	pte_t e = pmap_peek(pmap, (ppn_t){ppn});
	if (pte_state(e) == PAGE_BALLOONED)
		return BALLOON_TWICE;
	if (!movable(e))
		return BALLOON_BUSY;
	if (balloon_pages(v) >= v->cap)
		return BALLOON_CAP;
	pmap_give_up(pmap, (ppn_t){ppn});
	v->stats.inflated++;
	return BALLOON_OK;
}

/* The balloon's own doing: no pop. */
static void take_out(struct balloon_vm *v, uint32_t ppn)
{
	v->ours = true;
	pmap_drop(v->vm->pmap, (ppn_t){ppn});
	v->ours = false;
}

enum balloon_reason page_deflate(struct balloon_vm *v, uint32_t ppn)
{
	struct pmap *pmap = v->vm->pmap;

	if (ppn >= pmap->pages)
		return BALLOON_BAD_PPN;
	if (pte_state(pmap_peek(pmap, (ppn_t){ppn})) != PAGE_BALLOONED)
		return BALLOON_NOT_IN;
	take_out(v, ppn);
	v->stats.deflated++;
	return BALLOON_OK;
}

enum balloon_reason page_hint(struct balloon_vm *v, uint32_t ppn)
{
	struct pmap *pmap = v->vm->pmap;

	if (ppn >= pmap->pages)
		return BALLOON_BAD_PPN;
	pte_t e = pmap_peek(pmap, (ppn_t){ppn});
	if (pte_state(e) == PAGE_BALLOONED)
		return BALLOON_TWICE;
	if (!movable(e))
		return BALLOON_BUSY;
	v->stats.hint_frames += pte_resident(e);
	v->stats.hinted++;
	if (pte_state(e) != PAGE_UNBACKED)
		pmap_drop(pmap, (ppn_t){ppn});
	return BALLOON_OK;
}

void balloon_forget(struct balloon_vm *v)
{
	struct pmap *pmap = v->vm->pmap;

	v->popped_n = 0;
	v->void_balloon = false;
	v->excused = 0;
	for (uint32_t i = 0; balloon_pages(v) && i < pmap->pages; i++) {
		if (pte_state(pmap_peek(pmap, (ppn_t){i})) == PAGE_BALLOONED) {
			take_out(v, i);
			v->stats.voided++;
		}
	}
}

/* The guest used a page that its driver had given. */
static void popped(struct balloon_vm *v, ppn_t ppn)
{
	v->stats.popped++;
	v->excused++;
	if ((v->caps & BALLOON_CAP_POPPED) && v->popped && v->popped_n < POPPED_MOST)
		v->popped[v->popped_n++] = ppn.n;
	else
		v->void_balloon = true;
}

static int fault(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access, struct err *err)
{
	(void)access;
	int rc = pmap_zero_fill(pmap, ppn, err);
	if (rc == 0)
		popped(balloon_of(ctx, pmap->vm), ppn);
	return rc;
}

/* The guest forgets a page of the balloon by itself: a trace's unmap. */
static void drop(void *ctx, struct pmap *pmap, ppn_t ppn)
{
	struct balloon_vm *v = balloon_of(ctx, pmap->vm);

	if (!v->ours)
		popped(v, ppn);
}

/* A page that was given to a host that has died. */
static int adopt(void *ctx, struct pmap *pmap, ppn_t ppn, struct err *err)
{
	struct balloon_vm *v = balloon_of(ctx, pmap->vm);

	(void)ppn;
	(void)err;
	v->stats.inflated++;
	v->most = (uint32_t)max_u64(v->most, balloon_pages(v));
	return 0;
}

const struct page_handler balloon_handler = {.fault = fault, .drop = drop, .adopt = adopt};
