#include "traces/replay_guest.h"

#include <errno.h>
#include <stdlib.h>

struct replay_guest {
	struct vm *vm;
	struct oracle *oracle;
	uint64_t read_ns;
	uint32_t hand;		      /* page that the clock looks at next */
	uint64_t out;		      /* pages given */
	uint64_t reads;		      /* pages fetched again */
	uint64_t reads_told, told_ns; /* when its stats were last asked for */
};

/* Has contents that the guest could do without, and a frame or slot to gain. */
static bool may_give(pte_t e)
{
	const enum page_state state = pte_state(e);

	return !(e & PTE_PINNED) && (state == PAGE_PRIVATE || state == PAGE_SHARED ||
				     state == PAGE_SWAPPED || state == PAGE_COMPRESSED);
}

/* Two turns: the first may find every page touched. */
static int alloc_page(void *ctx, ppn_t *ppn)
{
	struct replay_guest *g = ctx;
	pte_t *pte = g->vm->pmap->pte;

	for (uint64_t i = 0; i < 2 * (uint64_t)g->vm->pages; i++) {
		const uint32_t at = g->hand;
		g->hand = at + 1 == g->vm->pages ? 0 : at + 1;
		if (!may_give(pte[at]))
			continue;
		if (pte[at] & PTE_ACCESSED) {
			pte[at] &= ~PTE_ACCESSED;
			continue;
		}
		ppn->n = at;
		if (g->oracle && oracle_write(g->oracle, g->vm, *ppn, 0))
			return -ENOMEM;
		pmap_drop(g->vm->pmap, *ppn);
		g->out++;
		return 0;
	}
	return -ENOMEM;
}

static void free_page(void *ctx, ppn_t ppn)
{
	struct replay_guest *g = ctx;

	(void)ppn;
	g->out--;
}

static void popped(void *ctx, ppn_t ppn)
{
	struct replay_guest *g = ctx;

	(void)ppn;
	g->out--;
	g->reads++;
	if (g->vm->state == VM_RUNNING)
		g->vm->time_ns += g->read_ns;
}

/* The share of its time that went into fetching pages, in 1/1000. */
static uint32_t pressure(struct replay_guest *g)
{
	const uint64_t ns = g->vm->time_ns - g->told_ns;
	const uint64_t waited = (g->reads - g->reads_told) * g->read_ns;

	g->told_ns = g->vm->time_ns;
	g->reads_told = g->reads;
	return ns ? (uint32_t)min_u64(1000, (unsigned __int128)1000 * waited / ns) : 0;
}

static void stats(void *ctx, struct guest_memory *m)
{
	struct replay_guest *g = ctx;

	*m = (struct guest_memory){
		.total = g->vm->pages,
		.free = g->vm->pmap->count[PAGE_UNBACKED],
		.swapped = g->out,
		.faults = g->reads,
		.swap_ins = g->reads,
		.pressure = pressure(g),
	};
}

int replay_guest_new(struct vm *vm, struct oracle *oracle, uint64_t read_ns,
		     struct replay_guest **out, struct err *err)
{
	struct replay_guest *g = calloc(1, sizeof *g);

	if (!g)
		return err_run(err, ENOMEM, "vm %s: no memory for a guest", vm->name);
	*g = (struct replay_guest){.vm = vm, .oracle = oracle, .read_ns = read_ns};
	*out = g;
	return 0;
}

void replay_guest_free(struct replay_guest *guest)
{
	free(guest);
}

struct driver_guest replay_guest_table(struct replay_guest *guest)
{
	return (struct driver_guest){
		.ctx = guest,
		.alloc_page = alloc_page,
		.free_page = free_page,
		.stats = stats,
		.popped = popped,
	};
}
