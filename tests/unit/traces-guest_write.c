#include "guest.h"

#define S UINT64_C(1000000000)

static struct gfile *file(struct test_guest *t, uint32_t blocks)
{
	struct gfile *f;

	CU_ASSERT_EQUAL_FATAL(file_new(t->g, blocks, 0, CONTENT_OWN, &f), 0);
	return f;
}

/* Written when 30 s old, looked for every 5 s; a file removed before is never written. */
static void age(void)
{
	struct load_opts idle = test_load("idle");
	struct load_ref load = {"i", &idle};
	struct test_guest t;

	idle.duration = 100 * S;
	idle.memory = idle.active = 4096;
	guest_new(&t, (struct guest_shape){.loads = &load, .n = 1});
	guest_run(&t, 2 * S);
	struct gfile *kept = file(&t, 10), *gone = file(&t, 10);
	CU_ASSERT_EQUAL(file_write(t.g, kept, 0, 10), 0);
	CU_ASSERT_EQUAL(file_write(t.g, gone, 0, 10), 0);
	CU_ASSERT_EQUAL(t.g->stats.dirty, 20);
	guest_run(&t, 29 * S);
	CU_ASSERT_EQUAL(t.g->stats.disk_write, 0);
	file_remove(t.g, gone);
	CU_ASSERT_EQUAL(t.g->stats.dirty, 10);
	guest_run(&t, 34 * S);
	CU_ASSERT_EQUAL(t.g->stats.disk_write, 0);
	guest_run(&t, 36 * S);
	CU_ASSERT_EQUAL(t.g->stats.disk_write, 10);
	CU_ASSERT_EQUAL(t.g->stats.dirty, 0);
	CU_ASSERT_EQUAL(t.g->stats.seeks, 1);
	CU_ASSERT_EQUAL(kept->cached, 10);
	guest_free(&t);
}

/* Beyond the background part writing begins, without waiting; beyond the most, the writer waits. */
static void too_many(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	t.g->opts.dirty_background = 0.1;
	t.g->opts.dirty_most = 0.2;
	uint32_t could = t.g->boot_pages - t.g->mark_high;
	struct gfile *f[64];
	for (int i = 0; i < 64; i++)
		f[i] = file(&t, 100);
	for (uint32_t i = 0; i < could / 1000; i++)
		CU_ASSERT_EQUAL(file_write(t.g, f[i], 0, 100), 0);
	CU_ASSERT_EQUAL(t.g->stats.disk_write, 0);
	CU_ASSERT_EQUAL(file_write(t.g, f[30], 0, 100), 0);
	CU_ASSERT_EQUAL(file_write(t.g, f[31], 0, 100), 0);
	CU_ASSERT(t.g->stats.disk_write >= 100);
	CU_ASSERT_EQUAL(t.g->wait_ns, 0);
	CU_ASSERT_EQUAL(f[0]->dirty, 0); /* the oldest first */
	CU_ASSERT_EQUAL(f[31]->dirty, 100);
	for (int i = 32; i < 64 && !t.g->wait_ns; i++)
		CU_ASSERT_EQUAL(file_write(t.g, f[i], 0, 100), 0);
	CU_ASSERT(t.g->wait_ns > 0);
	CU_ASSERT(t.g->stats.dirty <= could / 5);
	guest_free(&t);
}

/* The limits count what a balloon holds where they do; one that holds nearly all leaves none. */
static void beside_a_balloon(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gfile *f = file(&t, 100);
	const uint64_t all = t.g->boot_pages - t.g->mark_high, held = t.g->stats.balloon;
	CU_ASSERT_EQUAL(file_write(t.g, f, 0, 100), 0);
	t.g->stats.balloon = all - 300; /* 90 are the background part of 300 */
	flush_if_many(t.g);
	CU_ASSERT_EQUAL(f->dirty, 100);
	t.g->opts.boot_limits = false;
	t.g->stats.balloon = all - 350; /* 105 of 350 */
	flush_if_many(t.g);
	CU_ASSERT_EQUAL(f->dirty, 100);
	t.g->stats.balloon = all + 1;
	flush_if_many(t.g);
	CU_ASSERT_EQUAL(f->dirty, 0);
	t.g->stats.balloon = held;
	guest_free(&t);
}

/* Reclaim writes what lies around the page too: one seek. */
static void around(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gfile *f = file(&t, 100);
	CU_ASSERT_EQUAL(file_write(t.g, f, 0, 60), 0);
	CU_ASSERT_EQUAL(file_write(t.g, f, 70, 3), 0);
	file_write_around(t.g, f->page[30]); /* 15 before, 31 after it */
	CU_ASSERT_EQUAL(t.g->stats.disk_write, 32);
	CU_ASSERT_EQUAL(t.g->stats.seeks, 1);
	CU_ASSERT_FALSE(t.g->page[f->page[15]].flags & GPAGE_DIRTY);
	CU_ASSERT(t.g->page[f->page[14]].flags & GPAGE_DIRTY);
	file_write_around(t.g, f->page[71]);
	CU_ASSERT_EQUAL(t.g->stats.disk_write, 35);
	CU_ASSERT_EQUAL(file_sync(t.g, f), 0);
	CU_ASSERT_EQUAL(t.g->stats.disk_write, 63);
	CU_ASSERT_EQUAL(t.g->stats.dirty, 0);
	CU_ASSERT_EQUAL(t.g->dirty_first, NO_PAGE);
	guest_free(&t);
}

/* A write to a block that is cached is no second change; one beyond the end makes it longer. */
static void again(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gfile *f = file(&t, 10);
	CU_ASSERT_EQUAL(file_write(t.g, f, 0, 4), 0);
	CU_ASSERT_EQUAL(file_write(t.g, f, 2, 4), 0);
	CU_ASSERT_EQUAL(f->blocks, 6);
	CU_ASSERT_EQUAL(f->dirty, 6);
	CU_ASSERT_EQUAL(file_write(t.g, f, 8, 4), 0); /* two of them fit */
	CU_ASSERT_EQUAL(f->blocks, 10);
	CU_ASSERT_EQUAL(f->dirty, 8);
	guest_free(&t);
}

TESTS("traces/guest_write", {"age", age}, {"too many", too_many},
      {"beside a balloon", beside_a_balloon}, {"around a page", around}, {"again", again})
