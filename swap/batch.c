#include "swap/private.h"

#include "core/ring.h"

#include <errno.h>
#include <stdlib.h>

#define CLUSTER_LIVE 16 /* pages: where most of what a call costs is shared out */

/* A page on its way out. */
struct moving {
	struct pmap *pmap;
	ppn_t ppn;
	mpn_t mpn;
	uint32_t slot;
	bool write;	/* its slot is to be written, and not the copy that it has */
	bool written;	/* and was */
	uint64_t place; /* the backing's */
};

struct batch {
	bool busy;
	const struct vm *only, *needy; /* as batch_reclaim() was told */
	uint64_t free;		       /* frames, when it was begun */
	uint32_t n;
	struct moving page[SWAP_BATCH];
	uint8_t *bytes;	   /* SWAP_BATCH pages, where the backing has runs */
	struct ring *ring; /* NULL: pages are written one run after another */
};

bool batch_open(struct swap *s)
{
	const bool runs = s->host->machine.backing->runs != NULL;

	s->cluster = s->opts.cluster ? (uint32_t)s->opts.cluster : runs ? CLUSTER_LIVE : 1;
	if (s->cluster == 1 && !runs)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(s->batch); i++) {
		s->batch[i] = calloc(1, sizeof *s->batch[i]);
		if (!s->batch[i])
			return false;
		s->batch[i]->bytes = runs ? os_map((size_t)SWAP_BATCH * PAGE_SIZE) : NULL;
		if (runs && !s->batch[i]->bytes)
			return false;
	}
	return true;
}

void batch_close(struct swap *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->batch); i++) {
		if (s->batch[i] && s->batch[i]->bytes)
			os_unmap(s->batch[i]->bytes, (size_t)SWAP_BATCH * PAGE_SIZE);
		if (s->batch[i])
			ring_close(s->batch[i]->ring);
		free(s->batch[i]);
	}
}

int batch_async(struct swap *s)
{
	int rc = s->area.fd < 0 || s->area.io != &os_io ? -EOPNOTSUPP : 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(s->batch); i++)
		rc = s->batch[i] && s->batch[i]->bytes ? ring_open(&s->batch[i]->ring)
						       : -EOPNOTSUPP;
	return rc;
}

/* Who goes. */

/* The page is on its way, as far as others are concerned. */
static void depart(struct swap *s, struct batch *b, struct pmap *pmap, ppn_t ppn)
{
	const pte_t e = pmap_peek(pmap, ppn);
	const mpn_t mpn = pte_mpn(e);
	struct moving *p = &b->page[b->n++];

	*p = (struct moving){
		.pmap = pmap, .ppn = ppn, .mpn = mpn, .slot = SLOT_NONE, .write = true};
	if (s->copy[mpn.n] && !(e & PTE_DIRTY)) {
		p->slot = s->copy[mpn.n] - 1;
		p->write = false;
		s->copy[mpn.n] = 0;
	}
	swap_copy_drop(s, mpn);
	if (s->victim->unmapped)
		s->victim->unmapped(s->victim_state, mpn);
	pmap_begin_transit(pmap, ppn);
}

/* It stays, for whatever reason. */
static void come_back(struct swap *s, struct pmap *pmap, ppn_t ppn)
{
	mpn_t mpn = pte_mpn(pmap_peek(pmap, ppn));

	pmap_end_transit(pmap, ppn);
	if (s->victim->mapped)
		s->victim->mapped(s->victim_state, mpn);
}

int batch_fault(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access, struct err *err)
{
	(void)access;
	(void)err;
	come_back(ctx, pmap, ppn);
	return 0;
}

void batch_drop(void *ctx, struct pmap *pmap, ppn_t ppn)
{
	come_back(ctx, pmap, ppn);
	machine_put(&pmap->vm->host->machine, pte_mpn(pmap_peek(pmap, ppn)));
}

static bool may_leave(pte_t e)
{
	return pte_state(e) == PAGE_PRIVATE && !(e & PTE_PINNED);
}

/* How many more may go, of `want` in all. */
static uint32_t room(const struct swap *s, const struct batch *b, uint32_t want)
{
	const uint64_t done = b->n + (s->host->machine.free - b->free);
	uint64_t most = min_u64(want - min_u64(done, want), SWAP_BATCH - b->n);

	if (b->only) {
		const uint64_t held = vm_held(b->only), leaving = *b->only->held[2];
		const uint64_t stay = vm_floor(b->only, b->needy) + leaving;
		most = min_u64(most, held - min_u64(held, stay));
	}
	return (uint32_t)most;
}

/* The victim, which is settled, and those around it that may go too; in their order. */
static void gather_around(struct swap *s, struct batch *b, mpn_t victim, uint32_t want)
{
	const struct frame f = s->host->machine.frame[victim.n];
	struct pmap *pmap = s->host->vm[f.vm]->pmap;
	const uint32_t first = f.ppn - f.ppn % s->cluster;

	for (uint32_t i = first; i - first < s->cluster && i < pmap->pages; i++) {
		const bool still = i < f.ppn; /* the victim is still to come */
		pte_t e = pmap_peek(pmap, (ppn_t){i});
		if (!may_leave(e) || (i != f.ppn && room(s, b, want) <= still))
			continue;
		/* Settled once, the victim may yet have come to be shared with a neighbour. */
		if (i == f.ppn || !swap_settled(s, pte_mpn(e)))
			depart(s, b, pmap, (ppn_t){i});
	}
}

/* Up to `want` pages in all. Returns frames that came free on the way, by sharing. */
static uint32_t gather(struct swap *s, struct batch *b, uint32_t want)
{
	const struct machine *m = &s->host->machine;

	b->n = 0;
	b->free = m->free;
	victim_aim(s->victim_state, b->only);
	while (room(s, b, want)) {
		mpn_t mpn = s->victim->pick(s->victim_state);
		if (!mpn_valid(mpn))
			break;
		if (!swap_settled(s, mpn))
			gather_around(s, b, mpn, want);
	}
	victim_aim(s->victim_state, NULL);
	return (uint32_t)(m->free - b->free);
}

/* Runs. */

/* Pages from the i-th on that lie side by side, and are alike in what `alike` asks. */
static uint32_t run_of(const struct batch *b, uint32_t i,
		       bool (*alike)(const struct moving *a, const struct moving *b))
{
	const struct moving *p = &b->page[i];
	uint32_t n = 1;

	while (i + n < b->n && p[n].pmap == p->pmap && p[n].ppn.n == p->ppn.n + n &&
	       alike(p, &p[n]))
		n++;
	return n;
}

static uint8_t *bytes_of(const struct batch *b, uint32_t i)
{
	return b->bytes + (size_t)i * PAGE_SIZE;
}

static bool any(const struct moving *a, const struct moving *b)
{
	(void)a;
	(void)b;
	return true;
}

static bool both_written(const struct moving *a, const struct moving *b)
{
	return a->write == b->write;
}

static bool both_left(const struct moving *a, const struct moving *b)
{
	return (a->slot == SLOT_NONE) == (b->slot == SLOT_NONE);
}

/* A slot for each, neighbours' side by side where that goes; for the last ones maybe none. */
static void assign(struct swap *s, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->page[i].slot == SLOT_NONE)
			b->page[i].slot = swap_take_slot(s);
	}
}

static void freeze(struct machine *m, struct batch *b)
{
	for (uint32_t i = 0, n; i < b->n; i += n) {
		n = run_of(b, i, any);
		m->backing->runs->freeze(m, b->page[i].pmap->vm->id, b->page[i].ppn, n);
	}
	for (uint32_t i = 0; i < b->n; i++)
		b->page[i].place =
			m->backing->runs->place(m, b->page[i].pmap->vm->id, b->page[i].ppn);
}

/*
 * Reads what is to be written; what cannot be read is tried again by itself, and
 * so is what has no slot.
 */
static void read_bytes(const struct machine *m, struct batch *b)
{
	for (uint32_t i = 0, n; i < b->n; i += n) {
		n = run_of(b, i, both_written);
		struct moving *p = &b->page[i];
		const bool ok =
			p->write && m->backing->runs->read(m, p->place, n, bytes_of(b, i)) == 0;
		for (uint32_t k = 0; k < n; k++)
			p[k].written = ok && p[k].slot != SLOT_NONE;
	}
}

/* Pages from the i-th on that were read and go to slots side by side; 0: this one was not. */
static uint32_t slots_from(const struct batch *b, uint32_t i)
{
	const struct moving *p = &b->page[i];
	uint32_t n = p->written;

	while (n && i + n < b->n && p[n].written && p[n].slot == p->slot + n)
		n++;
	return n;
}

/* Writes them, by the ring if there is one. Those of a write that failed are not written. */
static void write_bytes(const struct area *area, struct batch *b)
{
	struct ring_write write[SWAP_BATCH];
	uint32_t first[SWAP_BATCH], writes = 0;

	for (uint32_t i = 0, n; i < b->n; i += n + !n) {
		n = slots_from(b, i);
		if (n == 0)
			continue;
		first[writes] = i;
		write[writes++] = (struct ring_write){bytes_of(b, i), n * PAGE_SIZE,
						      (uint64_t)b->page[i].slot * PAGE_SIZE, 0};
	}
	const bool away = b->ring && writes && ring_begin(b->ring, area->fd, write, writes) == 0;
	for (uint32_t k = 0; k < writes; k++) {
		const uint32_t i = first[k], n = write[k].n / PAGE_SIZE;
		area_seal(area, b->page[i].slot, n, bytes_of(b, i));
		if (!away)
			write[k].rc = area_write(area, b->page[i].slot, n, bytes_of(b, i));
	}
	if (away)
		ring_wait(b->ring);
	for (uint32_t k = 0; k < writes; k++) {
		for (uint32_t i = first[k]; i < first[k] + write[k].n / PAGE_SIZE; i++)
			b->page[i].written = write[k].rc == 0;
	}
}

/*
 * Moves what is to be written, while others may be in the host: of that nothing
 * is looked at here. What fails is tried again by itself.
 */
static void move_bytes(const struct swap *s, struct batch *b)
{
	read_bytes(&s->host->machine, b);
	write_bytes(&s->area, b);
}

/* Leaving. */

/* What was not written with the others: by itself, here or elsewhere. */
static int write_alone(struct swap *s, struct moving *p, pte_t e, struct err *err)
{
	if (p->slot == SLOT_NONE)
		return swap_area_full(s, err);
	if (contents_void(s, e) ||
	    area_store(&s->area, p->slot, &s->host->machine, p->mpn, err) == 0)
		return 0;
	s->retired++; /* the slot stays taken */
	host_event(s->host, NULL, "slot retired", "%s", err ? err->msg : "it cannot be written");
	p->slot = SLOT_NONE;
	return swap_store(s, p->mpn, e, &p->slot, err);
}

/* The page is as it was when it set out. */
static bool is_unchanged(const struct moving *p)
{
	pte_t e = pmap_peek(p->pmap, p->ppn);

	return pte_state(e) == PAGE_TRANSIT && mpn_eq(pte_mpn(e), p->mpn);
}

/*
 * A page leaves, or stays: then it has no slot any more. 0, or -errno if it could
 * not be written; hopeless: none could before, and it is not tried by itself.
 */
static int leave(struct swap *s, struct moving *p, bool hopeless, struct err *err)
{
	struct swap_vm *stats = s->vm[p->pmap->vm->id];
	bool unchanged = is_unchanged(p);
	pte_t e = pmap_peek(p->pmap, p->ppn);
	int rc = 0;

	if (unchanged && p->write && !p->written)
		rc = hopeless ? -EIO : write_alone(s, p, e, err);
	if (unchanged && rc == 0) {
		stats->outs++;
		stats->writes += p->write;
		machine_untake(&s->host->machine,
			       pmap_leave(p->pmap, p->ppn, PAGE_SWAPPED, p->slot));
		return 0;
	}
	if (unchanged) {
		come_back(s, p->pmap, p->ppn);
		if (e & PTE_SAMPLED && p->pmap->hide)
			p->pmap->hide(p->pmap->hide_ctx, p->ppn);
	}
	if (p->slot != SLOT_NONE)
		area_put(&s->area, p->slot);
	p->slot = SLOT_NONE;
	return rc;
}

/* Returns how many left; *failed as batch_reclaim(). */
static uint32_t leave_all(struct swap *s, struct batch *b, bool *failed, struct err *err)
{
	struct machine *m = &s->host->machine;
	uint32_t left = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		*failed |= leave(s, &b->page[i], *failed, err) != 0;
		left += b->page[i].slot != SLOT_NONE;
	}
	for (uint32_t i = 0, n; m->backing->runs && i < b->n; i += n) {
		n = run_of(b, i, both_left);
		if (b->page[i].slot != SLOT_NONE)
			m->backing->runs->left(m, b->page[i].pmap->vm->id, b->page[i].ppn, n);
	}
	return left;
}

static void move_out(struct swap *s, struct batch *b)
{
	struct host *host = s->host;
	const struct breather breather = host->breather;

	assign(s, b);
	if (!host->machine.backing->runs)
		return; /* each by itself, as it leaves */
	freeze(&host->machine, b);
	if (breather.release)
		breather.release(breather.ctx);
	move_bytes(s, b);
	if (breather.release)
		breather.retake(breather.ctx);
}

uint32_t batch_reclaim(struct swap *s, uint32_t want, struct vm *only, struct vm *needy,
		       bool *failed, struct err *err)
{
	struct batch *b = s->batch[s->batch[0]->busy];
	uint32_t freed = 0;

	b->busy = true;
	b->only = only;
	b->needy = needy;
	while (freed < want && !*failed) {
		freed += gather(s, b, want - freed);
		if (b->n == 0)
			break;
		move_out(s, b);
		freed += leave_all(s, b, failed, err);
		if (needy)
			needy->time_ns += b->n * s->opts.write_time;
	}
	b->busy = false;
	return freed;
}
