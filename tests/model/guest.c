/*
 * Random work on a guest operating system that is short of memory in a host
 * that is short of memory too: files, processes, a balloon. After each step its
 * accounts add up; whatever a process wrote reads back the same, over the
 * guest's swap and the host's; and the host's oracle agrees.
 */
#include "guest.h"

#include "core/rng.h"

#include <errno.h>

#define PROCS	4
#define FILES	12
#define BLOCKS	200
#define VPNS	1200
#define BALLOON 600

struct world {
	struct test_guest t;
	struct rng rng;
	struct gproc *proc[PROCS];
	uint64_t id[PROCS][VPNS]; /* what the page reads as; 0: never written */
	struct gfile *file[FILES];
	ppn_t balloon[BALLOON];
	uint32_t out;
	struct driver_guest driver;
};

static uint32_t below(struct world *w, uint32_t n)
{
	return (uint32_t)rng_below(&w->rng, n);
}

static uint32_t page_of(struct world *w, uint32_t p, uint64_t vpn)
{
	return (uint32_t)(*proc_entry(w->proc[p], vpn) >> GPTE_SHIFT);
}

static void touch(struct world *w)
{
	uint32_t p = below(w, PROCS), first = below(w, VPNS), n = below(w, 150);
	bool write = below(w, 2);

	for (uint64_t v = first; v < VPNS && v < first + n; v++) {
		if (!w->proc[p])
			CU_ASSERT_EQUAL_FATAL(proc_new(w->t.g, &w->proc[p]), 0);
		int rc = proc_touch(w->proc[p], v, write ? ACCESS_WRITE : ACCESS_READ);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		if (write)
			w->id[p][v] = w->t.g->content_of[page_of(w, p, v)];
		else
			CU_ASSERT_TRUE_FATAL(test_reads_as(w->t.vm, page_of(w, p, v), w->id[p][v]));
	}
}

static void unmap(struct world *w)
{
	uint32_t p = below(w, PROCS), first = below(w, VPNS), n = below(w, 150);

	if (!w->proc[p])
		return;
	if (below(w, 20) == 0) {
		proc_exit(w->proc[p]);
		w->proc[p] = NULL;
		first = 0;
		n = VPNS;
	} else {
		proc_unmap(w->proc[p], first, n);
	}
	for (uint32_t v = first; v < VPNS && v < first + n; v++)
		w->id[p][v] = 0;
}

static void use_file(struct world *w)
{
	uint32_t i = below(w, FILES), block = below(w, BLOCKS), n = below(w, 40);
	uint32_t most = BLOCKS - block;
	struct gos *g = w->t.g;
	int rc = 0;

	if (!w->file[i])
		rc = file_new(g, BLOCKS, below(w, BLOCKS), below(w, 2) ? CONTENT_OWN : 1000 * i,
			      &w->file[i]);
	else if (below(w, 3) == 0)
		rc = file_write(g, w->file[i], block, n < most ? n : most);
	else if (below(w, 20) == 0)
		rc = file_sync(g, w->file[i]);
	else
		rc = file_read(g, w->file[i], block, n);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	if (below(w, 60) == 0) {
		file_remove(g, w->file[i]);
		w->file[i] = NULL;
	}
}

static void use_balloon(struct world *w)
{
	uint32_t n = below(w, 60);
	bool in = below(w, 2);

	while (n-- > 0) {
		if (in && w->out < BALLOON) {
			uint64_t clean = w->t.g->stats.cached - w->t.g->stats.dirty,
				 swapped = w->t.g->stats.swap_out;
			int rc = w->driver.alloc_page(w->driver.ctx, &w->balloon[w->out]);
			CU_ASSERT_FATAL(rc == 0 || rc == -ENOMEM);
			if (rc == 0) /* as the host does with what it is given */
				pmap_drop(w->t.vm->pmap, w->balloon[w->out++]);
			/* Swapped: then there was no clean cache left when it began. */
			CU_ASSERT(w->t.g->stats.swap_out == swapped || w->t.g->stats.cached == 0 ||
				  clean < w->t.g->mark_high);
		} else if (!in && below(w, 10) == 0) {
			ppn_t ppn[20];
			uint32_t got = w->driver.take_free(w->driver.ctx, ppn, 20);
			for (uint32_t i = 0; i < got; i++)
				pmap_drop(w->t.vm->pmap, ppn[i]);
			w->driver.free_reported(w->driver.ctx, ppn, got);
		} else if (!in && w->out) {
			w->driver.free_page(w->driver.ctx, w->balloon[--w->out]);
		}
	}
}

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

static void life(unsigned long long seed, const char *os)
{
	struct world *w = calloc(1, sizeof *w);
	struct err err = {0};

	guest_new(&w->t, (struct guest_shape){.pages = 1536,
					      .frames = 1200,
					      .swap_pages = 6000,
					      .os = os,
					      .victim = "random",
					      .backing = "ram",
					      .oracle = true});
	w->driver = gos_driver_guest(w->t.g);
	rng_init(&w->rng, seed, "test", 0);
	for (int i = 0; i < 4000 / TEST_SCALE; i++) {
		static void (*const act[])(struct world *) = {touch,	touch,	  unmap,
							      use_file, use_file, use_balloon};
		act[below(w, ARRAY_LEN(act))](w);
		CU_ASSERT_EQUAL_FATAL(gos_audit(w->t.g, stdout), 0);
		w->t.vm->time_ns += below(w, 20000000);
		if (below(w, 2))
			guest_sleep(w->t.g);
	}
	CU_ASSERT_EQUAL(oracle_check(w->t.oracle, w->t.vm, read_page, stdout, &err), 0);
	CU_ASSERT(w->t.g->stats.reclaimed > 0);
	CU_ASSERT(w->t.g->stats.swap_out > 0);
	guest_free(&w->t);
	free(w);
}

static void lives(void)
{
	unsigned long long seed = test_seed(5);

	life(seed, "linux");
	life(seed + 1, "windows");
}

TESTS("guest model", {"a guest short of memory", lives})
