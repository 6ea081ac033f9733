/*
 * The driver: how many pages are looked at and when, and how a batch of them
 * goes through hash and table.
 *
 * A timer fires every opts.period of the host's clock; each VM is owed rate_vm
 * pages a second and all together rate_total, carried over exactly, a second's
 * worth at most. Bursts begin with another VM each time, so that none starves
 * where the total binds. What a scan costs is charged to the VM scanned, in
 * the part that opts.charge says: ESX scans in idle cycles if there are any,
 * and then it is nobody's.
 */
#include "sharing/private.h"

#include <errno.h>

#define SECOND UINT64_C(1000000000)

/* A page that passed the first look, and what its hash is. */
struct candidate {
	ppn_t ppn;
	mpn_t mpn;
	uint64_t hash;
};

/* What was done on the VM's behalf takes of its time, up to what is left of *room. */
static void charge(struct sharing *s, struct vm *vm, uint64_t *room)
{
	uint64_t ns = min_u64((uint64_t)((double)s->due_ns * s->opts.charge), *room);

	if (vm->state == VM_RUNNING) {
		vm->time_ns += ns;
		*room -= ns;
	}
	s->due_ns = 0;
}

/* A shared frame with one page left is a private one with a hint. */
static void tidy(struct sharing *s, struct pmap *pmap, ppn_t ppn)
{
	if (scan_alone(&s->host->machine, pmap_peek(pmap, ppn)))
		match_release(s, pmap, ppn);
}

static uint32_t gather(struct sharing *s, struct pmap *pmap, const ppn_t *pages, uint32_t n,
		       struct candidate *c)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < n; i++) {
		pte_t e = pmap_peek(pmap, pages[i]);
		if (pte_state(e) == PAGE_SHARED)
			tidy(s, pmap, pages[i]);
		else if (scan_worth_hashing(e) && !large_spared(pmap, pages[i], s->opts.large) &&
			 page_name(s, pmap, pages[i]) == 0)
			c[found++] = (struct candidate){pages[i], pte_mpn(e), 0};
	}
	return found;
}

/* Memory is what hashing waits for, so the bytes are asked for two pages ahead. */
static void hash_all(struct sharing *s, const struct group *g, struct candidate *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (i + 2 < n)
			page_fetch(s, c[i + 2].mpn);
		c[i].hash = page_hash(s, g, c[i].mpn);
		__builtin_prefetch(table_head(&s->table, table_hash(c[i].hash)), 0, 2);
	}
	s->stats.hashed += n;
	spend(s, &s->stats.hash_ns, n * s->opts.hash_time);
}

/*
 * Walks all the chains of a batch at once, so that what matching will look at
 * is in the cache: one frame of each chain a round, the next one asked for.
 */
static void fetch_chains(const struct table *t, const struct candidate *c, uint32_t n)
{
	uint32_t at[BATCH], left = n;

	for (uint32_t i = 0; i < n; i++) {
		at[i] = *table_head(t, table_hash(c[i].hash));
		__builtin_prefetch(table_entry(t, at[i]));
	}
	while (left) {
		left = 0;
		for (uint32_t i = 0; i < n; i++) {
			const struct hash_frame *e = table_entry(t, at[i]);
			if (at[i] == 0)
				continue;
			at[i] = entry_hash(e) == table_hash(c[i].hash) ? 0 : entry_next(e);
			__builtin_prefetch(table_entry(t, at[i]));
			left++;
		}
	}
}

static void scan_batch(struct sharing *s, struct share_vm *v, const ppn_t *pages, uint32_t n)
{
	struct pmap *pmap = v->vm->pmap;
	struct candidate c[BATCH];
	uint32_t found = gather(s, pmap, pages, n, c);

	hash_all(s, &s->group[v->group], c, found);
	fetch_chains(&s->table, c, found);
	for (uint32_t i = 0; i < found; i++) {
		/* One earlier in the batch may have been its equal. */
		if (scan_worth_hashing(pmap_peek(pmap, c[i].ppn)))
			match(s, pmap, c[i].ppn, c[i].hash, true);
	}
}

/* For policies with an index of their own. */
static void look_at_all(struct sharing *s, struct share_vm *v, const ppn_t *pages, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		pte_t e = pmap_peek(v->vm->pmap, pages[i]);
		if (pte_state(e) == PAGE_PRIVATE && !(e & PTE_PINNED) &&
		    !large_spared(v->vm->pmap, pages[i], s->opts.large) &&
		    page_name(s, v->vm->pmap, pages[i]) == 0)
			s->scan->look(s->scan_state, v, pages[i]);
	}
}

static uint64_t scan_vm(struct sharing *s, struct share_vm *v, uint64_t n, uint64_t *room)
{
	ppn_t pages[BATCH];
	uint64_t done = 0;

	while (done < n && !vm_gone(v->vm)) {
		uint32_t want = (uint32_t)min_u64(n - done, BATCH);
		uint32_t got = s->scan->pick(s->scan_state, v, want, pages);
		if (s->scan->look)
			look_at_all(s, v, pages, got);
		else
			scan_batch(s, v, pages, got);
		charge(s, v->vm, room);
		done += got;
		if (got < want)
			break;
	}
	s->stats.scanned += done;
	s->stats.table_bytes = s->table.bytes;
	s->stats.hints = s->table.hints;
	return done;
}

uint64_t sharing_scan(struct sharing *s, struct vm *vm, uint64_t n)
{
	uint64_t room = UINT64_MAX;

	return scan_vm(s, s->vm[vm->id], n, &room);
}

/*
 * A page without bytes, written with who knows what, is like no other: the
 * scanner would give it an id of its own. So what looking it up costs is
 * accounted, and nothing looked up.
 */
static bool settle_unique(struct sharing *s)
{
	s->stats.hashed++;
	spend(s, &s->stats.hash_ns, s->opts.hash_time);
	spend(s, &s->stats.probe_ns, s->opts.probe_time);
	return false;
}

bool scan_settle(void *ctx, struct vm *vm, ppn_t ppn)
{
	struct sharing *s = ctx;
	struct share_vm *v = s->vm[vm->id];
	pte_t e = pmap_peek(vm->pmap, ppn);
	uint64_t room = UINT64_MAX;
	bool shared;

	/* A page that did not change has had its chance: an equal one would have met its hint. */
	if (!scan_worth_hashing(e))
		return false;
	if (!s->host->machine.bytes && (e & PTE_UNNAMED)) {
		shared = settle_unique(s);
	} else if (s->scan->look) {
		shared = s->scan->look(s->scan_state, v, ppn);
	} else {
		s->stats.hashed++;
		spend(s, &s->stats.hash_ns, s->opts.hash_time);
		shared = match(s, vm->pmap, ppn, page_hash(s, &s->group[v->group], pte_mpn(e)),
			       false);
	}
	s->stats.settled += shared;
	charge(s, vm, &room);
	return shared;
}

/* Adds a period's worth of pages, in pages * ns; never more than a second's. */
static void owe(uint64_t *owed_ns, int64_t rate, uint64_t period)
{
	*owed_ns = min_u64(*owed_ns + (uint64_t)rate * period,
			   (uint64_t)rate * max_u64(period, SECOND));
}

/*
 * Shares out what is due among the VMs, a batch each in turn. No VM loses more
 * than half a period by it: a guest that scanning kept from running altogether
 * would keep the run from ending.
 */
static void burst(struct sharing *s)
{
	bool any = s->vms > 0;

	while (any) {
		any = false;
		for (size_t i = 0; i < s->vms; i++) {
			struct share_vm *v = s->vm[(s->first_vm + i) % s->vms];
			uint64_t n = min_u64(v->owed_ns / SECOND, BATCH);
			if (s->opts.rate_total)
				n = min_u64(n, s->owed_ns / SECOND);
			if (n == 0)
				continue;
			uint64_t done = scan_vm(s, v, n, &v->room_ns);
			/* A policy that finds no more pages waits for the next period. */
			v->owed_ns = done < n ? 0 : v->owed_ns - n * SECOND;
			if (s->opts.rate_total)
				s->owed_ns -= done * SECOND;
			any |= done == n;
		}
	}
	if (s->vms)
		s->first_vm = (s->first_vm + 1) % s->vms;
}

static void scan_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct sharing *s = arg;

	for (size_t i = 0; i < s->vms; i++) {
		owe(&s->vm[i]->owed_ns, s->opts.rate_vm, s->opts.period);
		s->vm[i]->room_ns = s->opts.period / 2;
	}
	owe(&s->owed_ns, s->opts.rate_total, s->opts.period);
	burst(s);
	if (timer_add(clk, timer, clk->now_ns + s->opts.period))
		host_event(s->host, NULL, "scanning stopped", "no memory for a timer");
}

int scan_start(struct sharing *s)
{
	timer_init(&s->timer, scan_due, s);
	return timer_add(&s->host->clock, &s->timer, s->host->clock.now_ns + s->opts.period);
}
