/* Pages whose bytes are being moved while guests run. */
#include "pmap/pmap.h"

#include <assert.h>

static void set(struct pmap *pmap, ppn_t ppn, pte_t entry)
{
	pmap->count[pte_state(pmap->pte[ppn.n])]--;
	pmap->count[pte_state(entry)]++;
	pmap->pte[ppn.n] = entry;
	pmap_changed(pmap, ppn);
}

void pmap_begin_transit(struct pmap *pmap, ppn_t ppn)
{
	pte_t e = pmap->pte[ppn.n];

	assert(pte_state(e) == PAGE_PRIVATE && !(e & PTE_PINNED));
	set(pmap, ppn,
	    pte_make(PAGE_TRANSIT, pte_value(e), (e & (PTE_LASTING | PTE_DIRTY)) | PTE_PINNED));
}

void pmap_end_transit(struct pmap *pmap, ppn_t ppn)
{
	pte_t e = pmap->pte[ppn.n];

	assert(pte_state(e) == PAGE_TRANSIT);
	set(pmap, ppn,
	    pte_make(PAGE_PRIVATE, pte_value(e),
		     pte_allow(e & (PTE_LASTING | PTE_DIRTY), PTE_R | PTE_W)));
}

mpn_t pmap_leave(struct pmap *pmap, ppn_t ppn, enum page_state state, uint32_t value)
{
	pte_t e = pmap->pte[ppn.n];

	assert(pte_state(e) == PAGE_TRANSIT);
	set(pmap, ppn, pte_make(state, value, e & PTE_LASTING));
	machine_disown_quietly(&pmap->vm->host->machine, pte_mpn(e));
	return pte_mpn(e);
}
