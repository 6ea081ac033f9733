#include "guest.h"

#include <errno.h>

/* 1/128 of a zone, 20 to 255; low and high are twice and three times that. */
static void marks(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.pages = 65536});
	CU_ASSERT_EQUAL(t.g->zone[0].pages, 4096);
	CU_ASSERT_EQUAL(t.g->zone[0].min, 32);
	CU_ASSERT_EQUAL(t.g->zone[1].pages, 61440);
	CU_ASSERT_EQUAL(t.g->zone[1].min, 255); /* 480, but for the limit */
	CU_ASSERT_EQUAL(t.g->zone[2].pages, 0);
	CU_ASSERT_EQUAL(t.g->mark_min, 287);
	CU_ASSERT_EQUAL(t.g->mark_low, 574);
	CU_ASSERT_EQUAL(t.g->mark_high, 861);
	guest_free(&t);
}

/* From the normal zone while it lasts; DMA last. The page freed last comes first. */
static void order(void)
{
	struct test_guest t;
	uint32_t a, b, c;

	guest_new(&t, (struct guest_shape){.pages = 8192});
	CU_ASSERT_EQUAL(page_alloc(t.g, GPAGE_KERNEL, &a), 0);
	CU_ASSERT_EQUAL(page_alloc(t.g, GPAGE_KERNEL, &b), 0);
	CU_ASSERT_EQUAL(a, 4097); /* 4096 is the zero page */
	CU_ASSERT_EQUAL(b, 4098);
	page_free(t.g, a);
	CU_ASSERT_EQUAL(page_alloc(t.g, GPAGE_KERNEL, &c), 0);
	CU_ASSERT_EQUAL(c, a);
	t.g->stats.kernel += 2;
	for (c = a; c >= 4096;) {
		CU_ASSERT_EQUAL_FATAL(page_alloc(t.g, GPAGE_KERNEL, &c), 0);
		t.g->stats.kernel++;
	}
	CU_ASSERT_EQUAL(t.g->list[LIST_FREE_NORMAL].n, t.g->zone[1].min);
	CU_ASSERT_EQUAL(c, 0);
	guest_free(&t);
}

/* At the low mark clean cache goes, up to the high one. */
static void low_mark(void)
{
	struct test_guest t;
	struct gfile *f;
	uint32_t page;

	guest_new(&t, (struct guest_shape){0});
	CU_ASSERT_EQUAL_FATAL(file_new(t.g, 1000, 1000, CONTENT_OWN, &f), 0);
	CU_ASSERT_EQUAL(file_read(t.g, f, 0, 1000), 0);
	guest_sleep(t.g);
	guest_fill(t.g, t.g->mark_low + 1);
	CU_ASSERT_EQUAL(f->cached, 1000);
	CU_ASSERT_EQUAL(page_alloc(t.g, GPAGE_KERNEL, &page), 0); /* leaves low */
	CU_ASSERT_EQUAL(f->cached, 1000);
	CU_ASSERT_EQUAL(page_alloc(t.g, GPAGE_KERNEL, &page), 0);
	t.g->stats.kernel += 2;
	CU_ASSERT_EQUAL(pages_free(t.g), t.g->mark_high - 1);
	CU_ASSERT_EQUAL(f->cached, 1000 - (t.g->mark_high - t.g->mark_low));
	guest_free(&t);
}

static uint32_t give_one(void *ctx, uint32_t want)
{
	struct gos *g = ctx;

	(void)want;
	if (g->stats.kernel < 100)
		return 0;
	for (uint32_t i = g->boot_pages; i-- > 0;) {
		if (g->page[i].use == GPAGE_BALLOON) {
			g->stats.balloon--;
			page_free(g, i);
			return 1;
		}
	}
	return 0;
}

/* With nothing to reclaim the reserve goes, then the balloon's pages, then there is an error. */
static void out_of_memory(void)
{
	struct test_guest t;
	uint32_t page = 0, n = 0;
	struct driver_guest d;

	guest_new(&t, (struct guest_shape){.pages = 4096});
	d = gos_driver_guest(t.g);
	d.listen(d.ctx, &(struct driver_release){give_one, t.g});
	for (int i = 0; i < 3; i++) {
		ppn_t ppn;
		CU_ASSERT_EQUAL(d.alloc_page(d.ctx, &ppn), 0);
	}
	guest_fill(t.g, t.g->mark_min);
	CU_ASSERT_EQUAL(page_alloc_easily(t.g, GPAGE_BALLOON, &page), -ENOMEM);
	while (page_alloc(t.g, GPAGE_KERNEL, &page) == 0)
		n++;
	t.g->stats.kernel += n;
	CU_ASSERT_EQUAL(n, t.g->mark_min + 3);
	CU_ASSERT_EQUAL(t.g->stats.balloon, 0);
	CU_ASSERT(test_one_line(&t.g->err));
	guest_free(&t);
}

/* Windows: a freed page is zeroed by whoever is idle, and is free all the while. */
static void zeroing(void)
{
	struct test_guest t;
	uint32_t page;

	guest_new(&t, (struct guest_shape){.os = "windows"});
	uint32_t before = pages_free(t.g);
	CU_ASSERT_EQUAL(page_alloc(t.g, GPAGE_KERNEL, &page), 0);
	CU_ASSERT_EQUAL(gos_touch(t.g, (ppn_t){page}, ACCESS_WRITE), 0);
	page_free(t.g, page);
	CU_ASSERT_EQUAL(pages_free(t.g), before);
	CU_ASSERT_EQUAL(t.g->list[LIST_DIRTY_FREE].n, 1);
	CU_ASSERT(test_entry(t.vm, page) & PTE_UNNAMED);
	CU_ASSERT_EQUAL(zero_freed_page(t.g), 1);
	CU_ASSERT(test_reads_as(t.vm, page, 0));
	CU_ASSERT_FALSE(test_entry(t.vm, page) & PTE_UNNAMED);
	CU_ASSERT_EQUAL(zero_freed_page(t.g), 0);
	CU_ASSERT_EQUAL(pages_free(t.g), before);
	guest_free(&t);
}

TESTS("traces/guest_pages", {"marks of the zones", marks}, {"order of pages", order},
      {"the low mark", low_mark}, {"out of memory", out_of_memory}, {"zeroing", zeroing})
