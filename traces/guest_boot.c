/*
 * Booting: what a kernel takes for itself, and what it touches.
 *
 * Linux 2.4 sizes at boot by the memory that it finds: mem_map has a struct
 * page for each page, 68 bytes on a processor of 32 bits; the hash tables of
 * the page cache (4 bytes a page), dentries (4), inodes (2), buffers and TCP
 * (about 1) make 11 more. All that is nearly 2 % of memory, and it stays when a
 * balloon takes the memory that it was made for (Waldspurger 2002, section
 * 3.2). Windows clears every page at boot (section 6.3);
 * with guest.memory_test a BIOS that tests memory does so for any system.
 */
#include "traces/guest_private.h"

#define BATCH 256 /* pages that booting touches at once */

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Contents of kernel text: the same in each guest of that name. */
static uint64_t text_content(const struct gos *g, uint32_t i)
{
	struct rng rng;

	rng_init(&rng, 0, g->os->policy.name, i);
	return rng_u64(&rng) >> 1 | 1;
}

static int take_kernel_page(struct gos *g, uint32_t i)
{
	uint32_t page = i < g->text_pages ? i : NO_PAGE;

	if (page != NO_PAGE && g->page[page].list != LIST_NONE) { /* from the bottom, as loaded */
		list_remove(g, page);
		g->page[page].use = GPAGE_KERNEL;
	} else {
		int rc = page_alloc(g, GPAGE_KERNEL, &page);
		if (rc)
			return rc;
	}
	g->stats.kernel++;
	return 0;
}

static int touch_page(struct gos *g, uint32_t page)
{
	gos_charge(g, g->opts.zero_time);
	if (page < g->text_pages)
		return gos_store(g, (ppn_t){page}, text_content(g, page));
	if (page == g->zero_page)
		return gos_store(g, (ppn_t){page}, 0);
	if (g->page[page].use == GPAGE_KERNEL)
		return gos_touch(g, (ppn_t){page}, ACCESS_WRITE);
	if (g->page[page].use == GPAGE_FREE && (g->os->zeroes || g->opts.memory_test)) {
		g->stats.zeroed++;
		return gos_store(g, (ppn_t){page}, 0);
	}
	return 0;
}

/* Goes through memory, so that it is done when boot_time is over. */
static int boot_task(struct gos *g, struct gtask *task)
{
	uint32_t end = g->boot_next + BATCH;

	if (end > g->boot_pages)
		end = g->boot_pages;
	for (; g->boot_next < end; g->boot_next++) {
		int rc = touch_page(g, g->boot_next);
		if (rc)
			return rc;
	}
	task->wake_ns =
		g->born_ns + (uint64_t)((double)g->opts.boot_time * g->boot_next / g->boot_pages);
	if (end < g->boot_pages)
		return TASK_AGAIN;
	g->stats.booted = 1;
	return TASK_DONE;
}

/* Once a second: a kernel that lives uses its text. */
static int tick(struct gos *g, struct gtask *task)
{
	for (uint32_t i = 0; i < g->text_pages; i += 2) {
		int rc = gos_touch(g, (ppn_t){i}, ACCESS_READ);
		if (rc)
			return rc;
	}
	task->wake_ns = gos_now(g) + 1000000000;
	return TASK_AGAIN;
}

int boot(struct gos *g)
{
	const struct guest_opts *o = &g->opts;
	uint64_t text = pages_of(o->kernel), pages = text;
	int rc = 0;

	if (o->boot_structures)
		pages += pages_of((uint64_t)g->boot_pages *
				  (uint64_t)(o->page_struct + o->hash_bytes));
	if (pages + 8 * g->mark_high >= g->boot_pages)
		return err_input(
			&g->err,
			"vm %s: %u pages are too few for a guest OS whose kernel takes %llu: "
			"raise vm.%s.memory, or lower guest.kernel",
			g->vm->name, g->boot_pages, (unsigned long long)pages, g->vm->name);
	g->text_pages = (uint32_t)text;
	for (uint32_t i = 0; rc == 0 && i < pages; i++)
		rc = take_kernel_page(g, i);
	if (rc == 0)
		rc = page_alloc(g, GPAGE_KERNEL, &g->zero_page);
	if (rc)
		return rc;
	g->stats.kernel++;
	g->booter = (struct gtask){.run = boot_task};
	g->ticker = (struct gtask){.run = tick, .daemon = true};
	rc = task_add(g, &g->booter, g->born_ns);
	return rc ? rc : task_add(g, &g->ticker, g->born_ns + o->boot_time + 1000000000);
}
