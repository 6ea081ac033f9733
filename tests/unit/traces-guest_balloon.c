#include "guest.h"

#include <errno.h>

/* Everything that clean cache and free memory can give, without a page of swap or a wait. */
static void clean_cache_first(void)
{
	struct test_guest t;
	struct gfile *f;
	struct gproc *p;
	ppn_t ppn;
	uint32_t n = 0;

	guest_new(&t, (struct guest_shape){0});
	struct driver_guest d = gos_driver_guest(t.g);
	CU_ASSERT_EQUAL_FATAL(file_new(t.g, 2000, 2000, CONTENT_OWN, &f), 0);
	CU_ASSERT_EQUAL_FATAL(proc_new(t.g, &p), 0);
	CU_ASSERT_EQUAL(file_read(t.g, f, 0, 2000), 0);
	guest_sleep(t.g);
	for (uint64_t i = 0; i < 500; i++)
		CU_ASSERT_EQUAL(proc_touch(p, i, ACCESS_WRITE), 0);
	uint64_t could = pages_free(t.g) + f->cached, now = t.vm->time_ns;
	while (f->cached && d.alloc_page(d.ctx, &ppn) == 0) {
		n++;
		CU_ASSERT(!f->cached || t.g->stats.swap_out == 0);
		CU_ASSERT(!f->cached || t.vm->time_ns == now);
	}
	CU_ASSERT(n >= could - t.g->mark_high - 1);
	CU_ASSERT_EQUAL(t.g->stats.balloon, n);
	/* Beyond that it comes from swap, page by page as the disk goes. */
	for (int i = 0; i < 1000 && d.alloc_page(d.ctx, &ppn) == 0; i++)
		;
	CU_ASSERT_EQUAL(d.alloc_page(d.ctx, &ppn), -ENOMEM);
	CU_ASSERT(t.g->stats.swap_out > 0);
	CU_ASSERT(pages_free(t.g) >= t.g->mark_min);
	guest_free(&t);
}

/* Pages come back once, and only those that were out. */
static void give_back(void)
{
	struct test_guest t;
	ppn_t ppn;

	guest_new(&t, (struct guest_shape){0});
	struct driver_guest d = gos_driver_guest(t.g);
	uint32_t before = pages_free(t.g);
	CU_ASSERT_EQUAL(d.alloc_page(d.ctx, &ppn), 0);
	CU_ASSERT_EQUAL(t.g->page[ppn.n].use, GPAGE_BALLOON);
	CU_ASSERT_EQUAL(pages_free(t.g), before - 1);
	d.free_page(d.ctx, ppn);
	d.free_page(d.ctx, ppn);
	d.free_page(d.ctx, (ppn_t){UINT32_MAX});
	d.free_page(d.ctx, (ppn_t){t.g->zero_page});
	CU_ASSERT_EQUAL(pages_free(t.g), before);
	CU_ASSERT_EQUAL(t.g->stats.balloon, 0);
	guest_free(&t);
}

/* Free pages that were used, each once until it is used again. */
static void hints(void)
{
	struct test_guest t;
	ppn_t ppn[600];
	uint32_t page[500];

	guest_new(&t, (struct guest_shape){.backing = "ram", .oracle = true});
	struct driver_guest d = gos_driver_guest(t.g);
	uint32_t before = pages_free(t.g);
	CU_ASSERT_EQUAL(d.take_free(d.ctx, ppn, 600), 0); /* never used */
	for (int i = 0; i < 500; i++) {
		CU_ASSERT_EQUAL_FATAL(page_alloc(t.g, GPAGE_KERNEL, &page[i]), 0);
		CU_ASSERT_EQUAL_FATAL(gos_touch(t.g, (ppn_t){page[i]}, ACCESS_WRITE), 0);
	}
	for (int i = 0; i < 500; i++)
		page_free(t.g, page[i]);
	CU_ASSERT_EQUAL(d.take_free(d.ctx, ppn, 200), 200);
	CU_ASSERT_EQUAL(d.take_free(d.ctx, ppn + 200, 400), 300);
	CU_ASSERT_EQUAL(pages_free(t.g), before - 500);
	CU_ASSERT_EQUAL(t.g->stats.balloon, 500);
	CU_ASSERT_EQUAL(test_audit(&t.t), 0);
	for (int i = 0; i < 500; i++)
		pmap_drop(t.vm->pmap, ppn[i]); /* as the host does */
	d.free_reported(d.ctx, ppn, 500);
	d.free_reported(d.ctx, ppn, 1); /* was given back: refused */
	CU_ASSERT_EQUAL(pages_free(t.g), before);
	CU_ASSERT_EQUAL(d.take_free(d.ctx, ppn, 600), 0);
	CU_ASSERT_EQUAL(page_alloc(t.g, GPAGE_KERNEL, page), 0);
	CU_ASSERT(!(t.g->page[page[0]].flags & GPAGE_UNUSED));
	page_free(t.g, page[0]);
	CU_ASSERT_EQUAL(d.take_free(d.ctx, ppn, 600), 1);
	CU_ASSERT_EQUAL(ppn[0].n, page[0]);
	d.free_page(d.ctx, ppn[0]);
	guest_free(&t);
}

/* Short of memory it reports nothing: all that is free will soon be used. */
static void no_hints(void)
{
	struct test_guest t;
	ppn_t ppn[10];
	uint32_t page;

	guest_new(&t, (struct guest_shape){0});
	struct driver_guest d = gos_driver_guest(t.g);
	CU_ASSERT_EQUAL(page_alloc(t.g, GPAGE_KERNEL, &page), 0);
	guest_fill(t.g, 2 * t.g->mark_high - 1);
	page_free(t.g, page);
	CU_ASSERT_EQUAL(d.take_free(d.ctx, ppn, 10), 0);
	guest_free(&t);
}

static void statistics(void)
{
	struct test_guest t;
	struct guest_memory m;
	struct gfile *f;
	struct gproc *p;

	guest_new(&t, (struct guest_shape){0});
	struct driver_guest d = gos_driver_guest(t.g);
	CU_ASSERT_EQUAL_FATAL(file_new(t.g, 100, 100, CONTENT_OWN, &f), 0);
	CU_ASSERT_EQUAL_FATAL(proc_new(t.g, &p), 0);
	CU_ASSERT_EQUAL(file_write(t.g, f, 0, 30), 0);
	for (uint64_t i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(proc_touch(p, i, ACCESS_WRITE), 0);
	d.stats(d.ctx, &m);
	CU_ASSERT_EQUAL(m.total, 8192);
	CU_ASSERT_EQUAL(m.free, 8192 - 1 - 30 - 50 - 4);
	CU_ASSERT_EQUAL(m.cached, 30);
	CU_ASSERT_EQUAL(m.available, m.free);
	CU_ASSERT_EQUAL(m.swapped, 0);
	guest_free(&t);
}

TESTS("traces/guest_balloon", {"clean cache first", clean_cache_first}, {"give back", give_back},
      {"hints", hints}, {"no hints", no_hints}, {"statistics", statistics})
