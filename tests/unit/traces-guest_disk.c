#include "guest.h"

#define MS 1000000u

/* A seek where a request does not go on where the last one ended; one after another. */
static void service(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	t.g->opts.disk_seek = 8 * MS;
	t.g->opts.disk_transfer = MS;
	uint64_t now = t.vm->time_ns;
	CU_ASSERT_EQUAL(disk_io(t.g, 100, 4, ACCESS_READ), now + 12 * MS);
	CU_ASSERT_EQUAL(disk_io(t.g, 104, 2, ACCESS_WRITE), now + 14 * MS);
	CU_ASSERT_EQUAL(disk_io(t.g, 104, 1, ACCESS_READ), now + 23 * MS);
	t.vm->time_ns = now + 50 * MS;
	CU_ASSERT_EQUAL(disk_io(t.g, 105, 1, ACCESS_READ), now + 51 * MS);
	CU_ASSERT_EQUAL(t.g->stats.disk_read, 6);
	CU_ASSERT_EQUAL(t.g->stats.disk_write, 2);
	CU_ASSERT_EQUAL(t.g->stats.seeks, 2);
	CU_ASSERT_EQUAL(t.g->stats.disk_busy_ns, 24 * MS);
	guest_free(&t);
}

/* Slots go on from the last one and come round; a full area says so. */
static void slots(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.swap_pages = 4});
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(slot_take(t.g), i);
	slot_free(t.g, 0);
	CU_ASSERT_EQUAL(slot_take(t.g), 3);
	CU_ASSERT_EQUAL(slot_take(t.g), 0);
	CU_ASSERT_EQUAL(slot_take(t.g), NO_PAGE);
	slot_free(t.g, 2);
	CU_ASSERT_EQUAL(slot_take(t.g), 2);
	CU_ASSERT_EQUAL(slot_block(1) - slot_block(0), 1);
	guest_free(&t);
}

static void no_swap(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.swap_pages = 1});
	t.g->swap.slots = 0;
	CU_ASSERT_EQUAL(slot_take(t.g), NO_PAGE);
	guest_free(&t);
}

TESTS("traces/guest_disk", {"service times", service}, {"slots", slots}, {"no swap", no_swap})
