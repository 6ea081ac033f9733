#include "guest.h"

static struct gfile *cached(struct test_guest *t, uint32_t blocks, bool dirty)
{
	struct gfile *f;

	CU_ASSERT_EQUAL_FATAL(file_new(t->g, blocks, blocks, CONTENT_OWN, &f), 0);
	CU_ASSERT_EQUAL(dirty ? file_write(t->g, f, 0, blocks) : file_read(t->g, f, 0, blocks), 0);
	guest_sleep(t->g);
	return f;
}

static struct gproc *proc(struct test_guest *t, uint64_t pages)
{
	struct gproc *p;

	CU_ASSERT_EQUAL_FATAL(proc_new(t->g, &p), 0);
	for (uint64_t i = 0; i < pages; i++)
		CU_ASSERT_EQUAL_FATAL(proc_touch(p, i, ACCESS_WRITE), 0);
	return p;
}

/* While there is clean cache to drop nothing is swapped, used or not. */
static void cache_first(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gproc *p = proc(&t, 100);
	struct gfile *f = cached(&t, 100, false);
	CU_ASSERT_EQUAL(file_read(t.g, f, 0, 100), 0);
	CU_ASSERT_EQUAL(file_read(t.g, f, 0, 100), 0);
	CU_ASSERT_EQUAL(reclaim(t.g, 60), 60);
	CU_ASSERT_EQUAL(reclaim(t.g, 40), 40);
	CU_ASSERT_EQUAL(f->cached, 0);
	CU_ASSERT_EQUAL(t.g->stats.swap_out, 0);
	CU_ASSERT_EQUAL(p->resident, 100);
	CU_ASSERT_EQUAL(t.g->stats.disk_write, 0);
	guest_free(&t);
}

/* A changed page is free when the disk has it, and no sooner. */
static void changed_cache(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gfile *f = cached(&t, 16, true);
	uint32_t before = pages_free(t.g);
	CU_ASSERT_EQUAL(reclaim(t.g, 4), 0);
	CU_ASSERT_EQUAL(t.g->list[LIST_WRITEBACK].n, 16);
	CU_ASSERT_EQUAL(pages_free(t.g), before);
	CU_ASSERT_EQUAL(t.g->wait_ns, 0);
	CU_ASSERT_EQUAL(file_read(t.g, f, 3, 1), 0); /* used meanwhile: it stays */
	t.vm->time_ns += 8000000 + 16 * 200000;
	reclaim_reap(t.g);
	CU_ASSERT_EQUAL(pages_free(t.g), before + 15);
	CU_ASSERT_EQUAL(f->cached, 1);
	CU_ASSERT_EQUAL(t.g->list[LIST_CACHE_INACTIVE].n, 1);
	guest_free(&t);
}

/* Who cannot do without waits for the first page that the disk is done with. */
static void waiting(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	cached(&t, 16, true);
	reclaim(t.g, 4);
	uint64_t now = t.vm->time_ns;
	CU_ASSERT(reclaim_wait(t.g));
	CU_ASSERT_EQUAL(t.g->wait_ns, now + 8000000 + 16 * 200000);
	CU_ASSERT_EQUAL(t.g->stats.stall_ns, 8000000 + 16 * 200000);
	CU_ASSERT_EQUAL(t.g->list[LIST_WRITEBACK].n, 15);
	guest_free(&t);
}

/* Swapped out, it is the process's still: fetched back from memory, then from the disk. */
static void swapping(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gproc *p = proc(&t, 10);
	CU_ASSERT_EQUAL(reclaim(t.g, 10), 0);
	CU_ASSERT_EQUAL(t.g->stats.swap_out, 10);
	CU_ASSERT_EQUAL(t.g->stats.seeks, 1); /* slots lie together */
	CU_ASSERT_EQUAL(p->resident, 0);
	CU_ASSERT_EQUAL(p->swapped, 10);
	CU_ASSERT_EQUAL(proc_touch(p, 4, ACCESS_READ), 0);
	CU_ASSERT_EQUAL(t.g->stats.major_faults, 0);
	CU_ASSERT_EQUAL(p->resident, 1);
	t.vm->time_ns += 100000000;
	reclaim_reap(t.g);
	CU_ASSERT_EQUAL(t.g->list[LIST_WRITEBACK].n, 0);
	CU_ASSERT_EQUAL(proc_touch(p, 5, ACCESS_READ), 0);
	CU_ASSERT_EQUAL(t.g->stats.major_faults, 1);
	CU_ASSERT_EQUAL(t.g->stats.swap_in, 1);
	CU_ASSERT(t.g->wait_ns > t.vm->time_ns);
	CU_ASSERT_EQUAL(p->swapped, 8);
	/* Neither was written to since: they leave again without a write. */
	guest_sleep(t.g);
	CU_ASSERT_EQUAL(reclaim(t.g, 2), 2);
	CU_ASSERT_EQUAL(t.g->stats.swap_out, 10);
	CU_ASSERT_EQUAL(p->swapped, 10);
	guest_free(&t);
}

/* A full swap area: reclaim gives nothing and breaks nothing. */
static void swap_full(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.swap_pages = 4});
	struct gproc *p = proc(&t, 10);
	CU_ASSERT_EQUAL(reclaim(t.g, 10), 0);
	CU_ASSERT_EQUAL(p->swapped, 4);
	t.vm->time_ns += 100000000;
	reclaim_reap(t.g);
	CU_ASSERT_EQUAL(reclaim(t.g, 10), 0);
	CU_ASSERT_EQUAL(p->resident, 6);
	guest_free(&t);
}

/* Pages that the host has swapped out, read back only to go to the guest's own swap. */
static void double_paging(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.pages = 4096, .frames = 1000});
	struct gproc *p = proc(&t, 2000);
	CU_ASSERT_EQUAL(t.g->stats.double_paged, 0);
	reclaim(t.g, 100); /* the oldest of the process, which the host has swapped out */
	CU_ASSERT_EQUAL(t.g->stats.swap_out, 100);
	CU_ASSERT_EQUAL(t.g->stats.double_paged, 100);
	CU_ASSERT_EQUAL(p->swapped, 100);
	guest_free(&t);
}

TESTS("traces/guest_reclaim", {"cache first", cache_first}, {"changed cache", changed_cache},
      {"waiting", waiting}, {"swapping", swapping}, {"swap full", swap_full},
      {"double paging", double_paging})
