#include "core/runs.h"

#include <errno.h>
#include <stdlib.h>

static enum zone_id zone_of(const struct machine *m, uint32_t run)
{
	return run * RUN_FRAMES >= m->zone[ZONE_HIGH].first ? ZONE_HIGH : ZONE_LOW;
}

static void list_remove(struct machine *m, uint32_t n)
{
	struct runs *rs = m->runs;
	struct run *r = &rs->run[n];
	enum zone_id z = zone_of(m, n);

	*(r->prev == RUN_NONE ? &rs->head[z][r->list] : &rs->run[r->prev].next) = r->next;
	*(r->next == RUN_NONE ? &rs->tail[z][r->list] : &rs->run[r->next].prev) = r->prev;
}

static void list_append(struct machine *m, uint32_t n, enum run_list list)
{
	struct runs *rs = m->runs;
	struct run *r = &rs->run[n];
	enum zone_id z = zone_of(m, n);

	r->prev = rs->tail[z][list];
	r->next = RUN_NONE;
	*(r->prev == RUN_NONE ? &rs->head[z][list] : &rs->run[r->prev].next) = n;
	rs->tail[z][list] = n;
	r->list = (uint8_t)list;
}

/* Where a run belongs by its counts. */
static enum run_list list_of(const struct run *r)
{
	if (!r->free)
		return RUN_FULL;
	if (r->vm != FRAME_OVERHEAD)
		return RUN_RESERVED;
	return r->free == RUN_FRAMES ? RUN_WHOLE : RUN_BROKEN;
}

static void relist(struct machine *m, uint32_t n)
{
	struct run *r = &m->runs->run[n];
	enum run_list list = list_of(r);

	if (list == r->list)
		return;
	list_remove(m, n);
	list_append(m, n, list);
}

int runs_new(struct machine *m)
{
	uint32_t low = m->zone[ZONE_LOW].end;

	if (low % RUN_FRAMES && low != m->frames)
		return -EINVAL;
	struct runs *rs = calloc(1, sizeof *rs);
	if (!rs)
		return -ENOMEM;
	rs->n = (uint32_t)(((uint64_t)m->frames + RUN_FRAMES - 1) / RUN_FRAMES);
	rs->run = meter_alloc(m->meter, rs->n * sizeof *rs->run);
	if (!rs->run) {
		free(rs);
		return -ENOMEM;
	}
	for (int z = 0; z < ZONE_COUNT; z++) {
		for (int l = 0; l < RUN_LISTS; l++)
			rs->head[z][l] = rs->tail[z][l] = RUN_NONE;
	}
	m->runs = rs;
	for (uint32_t n = 0; n < rs->n; n++) {
		struct run *r = &rs->run[n];
		r->vm = FRAME_OVERHEAD;
		r->free = (uint16_t)min_u64(RUN_FRAMES, m->frames - (uint64_t)n * RUN_FRAMES);
		for (unsigned i = 0; i < r->free; i++)
			r->map[i / 64] |= UINT64_C(1) << i % 64;
		list_append(m, n, list_of(r));
	}
	return 0;
}

void runs_free(struct machine *m)
{
	if (!m->runs)
		return;
	meter_free(m->meter, m->runs->run, m->runs->n * sizeof *m->runs->run);
	free(m->runs);
	m->runs = NULL;
}

static mpn_t take_bit(struct machine *m, uint32_t n, unsigned i)
{
	struct run *r = &m->runs->run[n];
	mpn_t mpn = {n * RUN_FRAMES + i};

	r->map[i / 64] &= ~(UINT64_C(1) << i % 64);
	r->free--;
	relist(m, n);
	machine_zone(m, mpn)->free--;
	m->free--;
	return mpn;
}

mpn_t runs_take(struct machine *m, enum zone_id zone)
{
	static const enum run_list order[] = {RUN_BROKEN, RUN_WHOLE, RUN_RESERVED};
	struct runs *rs = m->runs;

	for (size_t o = 0; o < ARRAY_LEN(order); o++) {
		uint32_t n = rs->head[zone][order[o]];
		if (n == RUN_NONE)
			continue;
		struct run *r = &rs->run[n];
		if (order[o] == RUN_RESERVED) {
			rs->stats.lost++;
			runs_release(m, n);
		}
		unsigned word = 0;
		while (!r->map[word])
			word++;
		return take_bit(m, n, word * 64 + (unsigned)__builtin_ctzll(r->map[word]));
	}
	return MPN_NONE;
}

void runs_put(struct machine *m, mpn_t mpn)
{
	uint32_t n = mpn.n / RUN_FRAMES;
	struct run *r = &m->runs->run[n];

	r->map[mpn.n % RUN_FRAMES / 64] |= UINT64_C(1) << mpn.n % 64;
	if (++r->free == RUN_FRAMES)
		r->vm = FRAME_OVERHEAD; /* nobody's page is there any more */
	relist(m, n);
}

uint32_t runs_reserve(struct machine *m, uint16_t vm, uint32_t stretch)
{
	struct runs *rs = m->runs;
	uint32_t n = rs->head[ZONE_HIGH][RUN_WHOLE];

	if (n == RUN_NONE)
		n = rs->head[ZONE_LOW][RUN_WHOLE];
	if (n == RUN_NONE)
		return n;
	rs->run[n].vm = vm;
	rs->run[n].stretch = stretch;
	relist(m, n);
	rs->stats.reserved++;
	return n;
}

void runs_release(struct machine *m, uint32_t run)
{
	m->runs->run[run].vm = FRAME_OVERHEAD;
	relist(m, run);
}

mpn_t runs_take_at(struct machine *m, uint32_t run, unsigned i)
{
	if (!(m->runs->run[run].map[i / 64] >> i % 64 & 1))
		return MPN_NONE;
	return take_bit(m, run, i);
}

uint32_t runs_whole(const struct machine *m)
{
	uint32_t whole = 0;

	for (uint32_t n = 0; n < m->runs->n; n++)
		whole += m->runs->run[n].list == RUN_WHOLE;
	return whole;
}

static size_t audit_lists(const struct machine *m, FILE *out)
{
	const struct runs *rs = m->runs;
	uint32_t listed = 0;
	size_t bad = 0;

	for (int z = 0; z < ZONE_COUNT; z++) {
		for (int l = 0; l < RUN_LISTS; l++) {
			uint32_t n = rs->head[z][l], prev = RUN_NONE;
			for (; n != RUN_NONE && listed <= rs->n; n = rs->run[n].next, listed++) {
				const struct run *r = &rs->run[n];
				if (r->list == l && list_of(r) == (enum run_list)l &&
				    r->prev == prev && zone_of(m, n) == (enum zone_id)z) {
					prev = n;
					continue;
				}
				fprintf(out, "machine: run %u is on a wrong list, %d\n", n, l);
				return bad + 1;
			}
		}
	}
	if (listed != rs->n) {
		fprintf(out, "machine: %u runs, %u listed\n", rs->n, listed);
		bad++;
	}
	return bad;
}

size_t runs_audit(const struct machine *m, FILE *out)
{
	const struct runs *rs = m->runs;
	uint64_t free_of[ZONE_COUNT] = {0};
	size_t bad = audit_lists(m, out);

	for (uint32_t mpn = 0; mpn < m->frames; mpn++) {
		const struct run *r = &rs->run[mpn / RUN_FRAMES];
		bool is_free = r->map[mpn % RUN_FRAMES / 64] >> mpn % 64 & 1;
		free_of[zone_of(m, mpn / RUN_FRAMES)] += is_free;
		if (!is_free || !m->frame[mpn].refs)
			continue;
		fprintf(out, "machine: run %u has frame %u free, which has %u references\n",
			mpn / RUN_FRAMES, mpn, m->frame[mpn].refs);
		bad++;
	}
	for (uint32_t n = 0; n < rs->n; n++) {
		unsigned bits = 0;
		for (unsigned i = 0; i < RUN_FRAMES / 64; i++)
			bits += (unsigned)__builtin_popcountll(rs->run[n].map[i]);
		if (bits == rs->run[n].free)
			continue;
		fprintf(out, "machine: run %u says %u free frames, has %u\n", n, rs->run[n].free,
			bits);
		bad++;
	}
	for (int z = 0; z < ZONE_COUNT; z++) {
		if (free_of[z] == m->zone[z].free)
			continue;
		fprintf(out, "machine: zone [%u, %u) says %u free, its runs have %llu\n",
			m->zone[z].first, m->zone[z].end, m->zone[z].free,
			(unsigned long long)free_of[z]);
		bad++;
	}
	return bad;
}
