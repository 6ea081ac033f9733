#include "core/runs.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_FRAME UINT32_MAX

static void zone_init(struct zone *z, uint32_t first, uint32_t end)
{
	*z = (struct zone){first, end, first, NO_FRAME, end - first};
}

int machine_init(struct machine *m, struct meter *meter, const struct backing *backing,
		 uint32_t frames, uint32_t low_frames)
{
	memset(m, 0, sizeof *m);
	m->meter = meter;
	m->backing = backing;
	m->tell_left = backing->left != NULL;
	m->frames = m->free = frames;
	if (low_frames > frames)
		low_frames = frames;
	zone_init(&m->zone[ZONE_LOW], 0, low_frames);
	zone_init(&m->zone[ZONE_HIGH], low_frames, frames);
	m->frame = meter_alloc(meter, frames * sizeof *m->frame);
	if (!m->frame)
		return -ENOMEM;
	int rc = backing->open(m);
	if (rc)
		meter_free(meter, m->frame, frames * sizeof *m->frame);
	return rc;
}

void machine_fini(struct machine *m)
{
	m->backing->close(m);
	runs_free(m);
	meter_free(m->meter, m->used, m->frames * sizeof *m->used);
	meter_free(m->meter, m->stamp, m->frames * sizeof *m->stamp);
	meter_free(m->meter, m->frame, m->frames * sizeof *m->frame);
}

int machine_track(struct machine *m, enum frame_track track)
{
	m->now = 1;
	if (track == TRACK_USED)
		m->used = meter_alloc(m->meter, m->frames * sizeof *m->used);
	if (track == TRACK_STAMPS)
		m->stamp = meter_alloc(m->meter, m->frames * sizeof *m->stamp);
	return track == TRACK_NOTHING || m->used || m->stamp ? 0 : -ENOMEM;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int machine_renew_stamps(struct machine *m)
{
	uint64_t *key = calloc(m->frames, sizeof *key);
	uint32_t n = 0;

	if (!key)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->frames; i++) {
		if (m->stamp[i] != STAMP_FREE)
			key[n++] = (uint64_t)m->stamp[i] << 32 | i;
	}
	qsort(key, n, sizeof *key, by_value);
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t mpn = (uint32_t)key[i], was = m->stamp[mpn];
		m->stamp[mpn] = i + 1;
		if (m->seen)
			m->seen[mpn] = m->seen[mpn] == was ? i + 1 : STAMP_FREE;
	}
	m->now = n + 1;
	m->stamp_epoch++;
	free(key);
	return 0;
}

void machine_own_overhead(struct machine *m, mpn_t mpn)
{
	assert(m->frame[mpn.n].refs == 0);
	m->frame[mpn.n] = (struct frame){0, FRAME_OVERHEAD, 1};
	m->overhead++;
}

void machine_put_overhead(struct machine *m, mpn_t mpn)
{
	assert(m->frame[mpn.n].vm == FRAME_OVERHEAD);
	m->overhead--;
	machine_untake(m, mpn);
}

void machine_share(struct machine *m, mpn_t mpn)
{
	assert(frame_is_private(m->frame[mpn.n]));
	if (m->watch.unmapped)
		m->watch.unmapped(m->watch.ctx, mpn);
	machine_disown(m, mpn);
	m->frame[mpn.n] = (struct frame){0, FRAME_SHARED, 1};
	m->shared++;
}

void machine_own_shared(struct machine *m, mpn_t mpn)
{
	assert(m->frame[mpn.n].refs == 0);
	m->frame[mpn.n] = (struct frame){0, FRAME_SHARED, 1};
	m->shared++;
}

/* The frame is taken, and nobody's. Reads by its pages stamped it. */
static void end_shared(struct machine *m, mpn_t mpn)
{
	assert(m->frame[mpn.n].vm == FRAME_SHARED && m->frame[mpn.n].refs == 1);
	m->shared--;
	if (m->stamp)
		m->stamp[mpn.n] = STAMP_FREE;
	if (m->tell_left)
		m->backing->left(m, mpn, m->frame[mpn.n]);
}

void machine_unshare(struct machine *m, mpn_t mpn, uint16_t vm, ppn_t ppn)
{
	end_shared(m, mpn);
	machine_own(m, mpn, vm, ppn);
}

void machine_put_shared(struct machine *m, mpn_t mpn)
{
	end_shared(m, mpn);
	machine_untake(m, mpn);
}

static size_t zone_audit(const struct machine *m, const struct zone *z, FILE *out)
{
	size_t bad = 0;
	uint32_t listed = 0;

	for (uint32_t mpn = z->free_head; mpn != NO_FRAME && listed <= z->free; listed++) {
		if (mpn < z->first || mpn >= z->fresh || m->frame[mpn].refs) {
			fprintf(out,
				"machine: free list of zone [%u, %u) holds frame %u, refs %u\n",
				z->first, z->end, mpn,
				mpn < m->frames ? (unsigned)m->frame[mpn].refs : 0u);
			return bad + 1;
		}
		mpn = m->frame[mpn].ppn;
	}
	if (listed + (z->end - z->fresh) != z->free) {
		fprintf(out, "machine: zone [%u, %u) says %u free, has %u listed and %u fresh\n",
			z->first, z->end, z->free, listed, z->end - z->fresh);
		bad++;
	}
	return bad;
}

static size_t expect(FILE *out, const char *what, uint64_t said, uint64_t counted)
{
	if (said == counted)
		return 0;
	fprintf(out, "machine: says %llu %s frames, %llu counted\n", (unsigned long long)said, what,
		(unsigned long long)counted);
	return 1;
}

size_t machine_audit(const struct machine *m, FILE *out)
{
	uint64_t free_frames = 0, private_frames = 0, shared = 0, overhead = 0;
	size_t bad = 0;

	for (uint32_t i = 0; i < m->frames; i++) {
		const struct frame *f = &m->frame[i];
		if (f->refs == 0)
			free_frames++;
		else if (f->vm == FRAME_SHARED)
			shared++;
		else if (f->vm == FRAME_OVERHEAD)
			overhead++;
		else
			private_frames++;
		if (f->refs > 1 && f->vm != FRAME_SHARED) {
			fprintf(out, "machine: frame %u of VM %u has %u references\n", i, f->vm,
				f->refs);
			bad++;
		}
	}
	bad += expect(out, "free", m->free, free_frames);
	bad += expect(out, "private", m->private_frames, private_frames);
	bad += expect(out, "shared", m->shared, shared);
	bad += expect(out, "overhead", m->overhead, overhead);
	if (m->runs)
		return bad + runs_audit(m, out);
	for (int z = 0; z < ZONE_COUNT; z++)
		bad += zone_audit(m, &m->zone[z], out);
	return bad;
}

static void tell_run(struct machine *m)
{
	struct leaving *l = &m->leaving;

	if (l->n)
		m->backing->runs->left(m, l->vm, (ppn_t){l->ppn}, l->n);
	l->n = 0;
}

void machine_tell_left(struct machine *m, mpn_t mpn)
{
	const struct frame was = m->frame[mpn.n];
	struct leaving *l = &m->leaving;

	if (!l->gather) {
		m->backing->left(m, mpn, was);
		return;
	}
	if (l->n && (was.vm != l->vm || was.ppn != l->ppn + l->n))
		tell_run(m);
	if (l->n++ == 0) {
		l->vm = was.vm;
		l->ppn = was.ppn;
	}
}

void machine_gathered(struct machine *m)
{
	tell_run(m);
	m->leaving.gather = false;
}
