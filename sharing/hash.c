/*
 * What pages contain, as sharing sees it: bytes, or the content id that stands
 * for them. Two pages are equal iff their bytes, or their ids, are.
 */
#include "sharing/private.h"

#include <string.h>
#include <xxh_x86dispatch.h>

/* Names that we give to unknown contents: no trace's ids are likely to lie up there. */
#define NAMES_FROM (UINT64_MAX << 48)

static uint64_t id_of(const struct machine *m, mpn_t mpn)
{
	return m->ids ? m->ids[mpn.n] : 0;
}

static const uint8_t *bytes_of(const struct machine *m, mpn_t mpn)
{
	return m->backing->bytes(m, mpn);
}

uint64_t page_hash(const struct sharing *s, const struct group *g, mpn_t mpn)
{
	const struct machine *m = &s->host->machine;

	if (m->bytes)
		return XXH3_64bits_withSeed(bytes_of(m, mpn), PAGE_SIZE, g->salt) & s->hash_mask;
	uint64_t id = id_of(m, mpn);
	return XXH3_64bits_withSeed(&id, sizeof id, g->salt) & s->hash_mask;
}

uint64_t page_zero_hash(const struct sharing *s, const struct group *g)
{
	static const uint8_t zero[PAGE_SIZE];
	size_t size = s->host->machine.bytes ? PAGE_SIZE : sizeof(uint64_t);

	return XXH3_64bits_withSeed(zero, size, g->salt) & s->hash_mask;
}

int page_order(const struct sharing *s, mpn_t a, mpn_t b)
{
	const struct machine *m = &s->host->machine;

	if (m->bytes)
		return memcmp(bytes_of(m, a), bytes_of(m, b), PAGE_SIZE);
	return (id_of(m, a) > id_of(m, b)) - (id_of(m, a) < id_of(m, b));
}

bool page_equal(const struct sharing *s, mpn_t a, mpn_t b)
{
	return page_order(s, a, b) == 0;
}

bool page_is_zero(const struct sharing *s, mpn_t mpn)
{
	const struct machine *m = &s->host->machine;

	if (!m->bytes)
		return id_of(m, mpn) == 0;
	const uint8_t *p = bytes_of(m, mpn);
	return p[0] == 0 && memcmp(p, p + 1, PAGE_SIZE - 1) == 0;
}

void page_fetch(const struct sharing *s, mpn_t mpn)
{
	const struct machine *m = &s->host->machine;

	if (!m->bytes) {
		if (m->ids)
			__builtin_prefetch(&m->ids[mpn.n]);
		return;
	}
	for (const uint8_t *p = bytes_of(m, mpn), *end = p + PAGE_SIZE; p < end; p += 64)
		__builtin_prefetch(p, 0, 2);
}

int page_name(struct sharing *s, struct pmap *pmap, ppn_t ppn)
{
	struct machine *m = &s->host->machine;
	pte_t *e = &pmap->pte[ppn.n];

	if (m->bytes || !(*e & PTE_UNNAMED))
		return 0;
	int rc = m->backing->set(m, pte_mpn(*e), NAMES_FROM + s->names);
	if (rc)
		return rc;
	s->names++;
	/* DIRTY: a copy in the swap area still goes by the old name. */
	*e = (*e & ~PTE_UNNAMED) | PTE_DIRTY;
	return 0;
}
