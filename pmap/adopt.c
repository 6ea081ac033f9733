/*
 * Entries that outlived their manager: what they say is made true again.
 *
 * After a crash the pmaps are the one thing that is known; frames, slots and
 * counts follow from them. Shared frames keep their number, since their bytes
 * lie by it, and so are set aside first; a private page may have any frame.
 */
#include "pmap/pmap.h"

#include <errno.h>
#include <stdlib.h>

static bool bit(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

/* Marks the frames of shared pages; returns how many, or -EUCLEAN. */
static int64_t mark_shared(const struct host *host, uint64_t *map, struct err *err)
{
	int64_t n = 0;

	for (size_t v = 0; v < host->vms; v++) {
		const struct pmap *pmap = host->vm[v]->pmap;
		for (uint32_t i = 0; i < pmap->pages; i++) {
			uint32_t mpn = pte_value(pmap->pte[i]);
			if (pte_state(pmap->pte[i]) != PAGE_SHARED)
				continue;
			if (mpn >= host->machine.frames)
				return err_run(err, EUCLEAN, "vm %s page %u shares frame %u of %u",
					       host->vm[v]->name, i, mpn, host->machine.frames);
			n += !bit(map, mpn);
			map[mpn / 64] |= UINT64_C(1) << (mpn % 64);
		}
	}
	return n;
}

/* Takes the marked frames, which are all still free, and no others. */
static int take_marked(struct machine *m, const uint64_t *map, int64_t n, struct err *err)
{
	uint32_t *others = calloc(m->frames, sizeof *others);
	uint32_t count = 0;

	if (!others)
		return err_run(err, ENOMEM, "no memory to adopt guests");
	while (n > 0) {
		mpn_t mpn = machine_take(m);
		if (!mpn_valid(mpn))
			break;
		if (bit(map, mpn.n))
			n--;
		else
			others[count++] = mpn.n;
	}
	while (count)
		machine_untake(m, (mpn_t){others[--count]});
	free(others);
	return n ? err_run(err, EUCLEAN, "shared frames of guests to adopt are in use") : 0;
}

static int adopt_private(struct pmap *pmap, ppn_t ppn, struct err *err)
{
	struct machine *m = &pmap->vm->host->machine;
	mpn_t mpn = machine_take(m);

	if (!mpn_valid(mpn))
		return err_run(err, ENOMEM, "guests to adopt hold more than the %u frames",
			       m->frames);
	pmap->pte[ppn.n] = pte_make(PAGE_PRIVATE, mpn.n, (uint32_t)pmap->pte[ppn.n]);
	machine_own(m, mpn, pmap->vm->id, ppn);
	return 0;
}

static int adopt_page(struct pmap *pmap, ppn_t ppn, struct err *err)
{
	enum page_state state = pte_state(pmap->pte[ppn.n]);
	const struct page_handler *h = &pmap->part->handler[state];

	if (state == PAGE_UNBACKED)
		return 0;
	if (state == PAGE_TRANSIT) /* it never left */
		pmap_end_transit(pmap, ppn);
	if (state == PAGE_PRIVATE || state == PAGE_TRANSIT)
		return adopt_private(pmap, ppn, err);
	if (!h->adopt)
		return err_run(err, EUCLEAN, "page %u is %s, which cannot be adopted", ppn.n,
			       page_state_names[state]);
	return h->adopt(h->ctx, pmap, ppn, err);
}

static int adopt_vm(struct pmap *pmap, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < pmap->pages; i++) {
		pmap_unsample(pmap, (ppn_t){i}); /* whoever sampled it is no more */
		rc = adopt_page(pmap, (ppn_t){i}, err);
	}
	if (rc)
		err_prefix(err, "vm %s", pmap->vm->name);
	return rc;
}

int pmap_adopt(struct host *host, struct err *err)
{
	uint64_t *map = calloc(host->machine.frames / 64 + 1, sizeof *map);
	int64_t shared = map ? mark_shared(host, map, err)
			     : err_run(err, ENOMEM, "no memory to adopt guests");
	int rc = shared < 0 ? (int)shared : take_marked(&host->machine, map, shared, err);

	for (size_t v = 0; rc == 0 && v < host->vms; v++)
		rc = adopt_vm(host->vm[v]->pmap, err);
	free(map);
	return rc;
}
