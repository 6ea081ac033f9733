/* sequential: round the VM, passing over what is known already. */
#include "sharing/private.h"

#define WALK 32768u /* pmap entries passed in one go: tens of microseconds */

uint32_t scan_walk(struct share_vm *v, uint32_t n, ppn_t *pages,
		   bool (*wanted)(const struct share_vm *v, pte_t *e))
{
	const struct pmap *pmap = v->vm->pmap;
	uint32_t found = 0, hand = v->hand, limit = pmap->pages < WALK ? pmap->pages : WALK;

	for (uint32_t i = 0; i < limit && found < n; i++) {
		if (wanted(v, &pmap->pte[hand]))
			pages[found++].n = hand;
		hand = hand + 1 == pmap->pages ? 0 : hand + 1;
	}
	v->hand = hand;
	return found;
}

static bool wanted(const struct share_vm *v, pte_t *e)
{
	return scan_wants(v, *e);
}

static uint32_t sequential_pick(void *state, struct share_vm *v, uint32_t n, ppn_t *pages)
{
	(void)state;
	return scan_walk(v, n, pages, wanted);
}

const struct scan scan_sequential = {
	.policy = {"sequential", "changed pages in order, round the VM"},
	.pick = sequential_pick,
};
