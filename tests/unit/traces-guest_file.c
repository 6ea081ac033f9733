#include "guest.h"

static struct gfile *file(struct test_guest *t, uint32_t blocks)
{
	struct gfile *f;

	CU_ASSERT_EQUAL_FATAL(file_new(t->g, blocks, blocks, CONTENT_OWN, &f), 0);
	return f;
}

/* One request of 16 blocks is one of the disk's, and the reader waits for it. */
static void one_request(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gfile *f = file(&t, 100);
	uint64_t now = t.vm->time_ns;
	CU_ASSERT_EQUAL(file_read(t.g, f, 0, 16), 0);
	CU_ASSERT_EQUAL(t.g->stats.misses, 16);
	CU_ASSERT_EQUAL(t.g->stats.hits, 0);
	CU_ASSERT_EQUAL(t.g->stats.disk_read, 16);
	CU_ASSERT_EQUAL(t.g->stats.seeks, 1);
	CU_ASSERT_EQUAL(t.g->wait_ns, now + 8000000 + 16 * 200000);
	guest_sleep(t.g);
	CU_ASSERT_EQUAL(file_read(t.g, f, 4, 4), 0);
	CU_ASSERT_EQUAL(t.g->stats.hits, 4);
	CU_ASSERT_EQUAL(t.g->wait_ns, 0);
	guest_free(&t);
}

/* Sequential: windows of 4, 8, 16, 31; a reader at random places gets what it asks for. */
static void readahead(void)
{
	static const uint32_t cached[] = {1, 5, 13, 29, 60, 91};
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gfile *f = file(&t, 100);
	for (uint32_t b = 0, step = 0; b < 90; b++) {
		CU_ASSERT_EQUAL(file_read(t.g, f, b, 1), 0);
		if (b + 1 < 90 && f->page[b + 1] == NO_PAGE) {
			CU_ASSERT_EQUAL(f->cached, cached[step]);
			step++;
		}
	}
	CU_ASSERT_EQUAL(f->cached, 91);
	CU_ASSERT_EQUAL(t.g->stats.misses, 6);
	CU_ASSERT_EQUAL(t.g->stats.seeks, 1);
	struct gfile *r = file(&t, 100);
	for (uint32_t b = 90; b > 0; b -= 10)
		CU_ASSERT_EQUAL(file_read(t.g, r, b, 1), 0);
	CU_ASSERT_EQUAL(r->cached, 9);
	guest_free(&t);
}

/* A read of blocks that another reader has asked the disk for waits as long. */
static void on_its_way(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gfile *f = file(&t, 10);
	CU_ASSERT_EQUAL(file_read(t.g, f, 0, 2), 0);
	uint64_t until = t.g->wait_ns;
	t.g->wait_ns = 0;
	CU_ASSERT_EQUAL(file_read(t.g, f, 1, 1), 0);
	CU_ASSERT_EQUAL(t.g->wait_ns, until);
	guest_free(&t);
}

/* The end of a file, holes between cached blocks, and removal. */
static void edges(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	struct gfile *f = file(&t, 10);
	uint32_t before = pages_free(t.g);
	CU_ASSERT_EQUAL(file_read(t.g, f, 8, 16), 0);
	CU_ASSERT_EQUAL(f->cached, 2);
	CU_ASSERT_EQUAL(file_read(t.g, f, 4, 1), 0);
	CU_ASSERT_EQUAL(file_read(t.g, f, 2, 8), 0);
	CU_ASSERT_EQUAL(f->cached, 8);
	CU_ASSERT_EQUAL(t.g->stats.misses, 2 + 1 + 2 + 3);
	CU_ASSERT_EQUAL(t.g->stats.hits, 1 + 2);
	uint32_t id = f->id;
	file_remove(t.g, f);
	CU_ASSERT_EQUAL(pages_free(t.g), before);
	CU_ASSERT_EQUAL(file(&t, 1)->id, id);
	guest_free(&t);
}

/* Two guests of one image read the same contents: block by block, for sharing to find. */
static void contents(void)
{
	struct test_guest t;
	struct gfile *f;

	guest_new(&t, (struct guest_shape){.backing = "ram", .oracle = true});
	CU_ASSERT_EQUAL_FATAL(file_new(t.g, 4, 4, 1000, &f), 0);
	CU_ASSERT_EQUAL(file_read(t.g, f, 0, 4), 0);
	for (uint32_t b = 0; b < 4; b++)
		CU_ASSERT(test_reads_as(t.vm, f->page[b], 1000 + b));
	CU_ASSERT_EQUAL(file_write(t.g, f, 0, 1), 0);
	CU_ASSERT_EQUAL(f->content, CONTENT_OWN);
	CU_ASSERT_FALSE(test_reads_as(t.vm, f->page[0], 1000));
	CU_ASSERT(test_reads_as(t.vm, f->page[1], 1001));
	guest_free(&t);
}

TESTS("traces/guest_file", {"one request", one_request}, {"read-ahead", readahead},
      {"on its way", on_its_way}, {"edges", edges}, {"contents", contents})
