#include "host.h"

#include "core/rng.h"

#include <errno.h>
#include <unistd.h>

#define CLUSTER	   64
#define SLOTS_MOST 700

static struct meter meter;

static void open_area(struct area *area, uint32_t slots)
{
	struct err err;

	meter.bytes = 0;
	CU_ASSERT_EQUAL_FATAL(area_init(area, &meter, slots, NULL, &os_io, &err), 0);
}

static void close_area(struct area *area)
{
	area_fini(area);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

/* The twin's table of slots, and whether the cluster around one has none taken. */
static bool taken[SLOTS_MOST];

static bool cluster_is_free(uint32_t slots, uint32_t slot)
{
	uint32_t first = slot / CLUSTER * CLUSTER;

	for (uint32_t i = first; i < first + CLUSTER; i++) {
		if (i >= slots || taken[i]) /* a cluster cut short is not a whole one */
			return false;
	}
	return true;
}

static uint32_t free_clusters(uint32_t slots)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < slots; i += CLUSTER)
		n += cluster_is_free(slots, i);
	return n;
}

/*
 * Random takes and puts in waves, so that the area fills and empties. No slot
 * is handed out twice, none is missed, and a new cluster is begun only in a
 * wholly free one where there is such.
 */
static void slots_equal_their_twin(uint32_t slots, uint64_t seed)
{
	uint32_t n = 0, last = 0;
	struct area area;
	struct rng rng;

	rng_init(&rng, seed, "slots", slots);
	memset(taken, 0, sizeof taken);
	open_area(&area, slots);
	for (int i = 0; i < 40000; i++) {
		bool fill = rng_below(&rng, 8) < (i / 3000 % 2 ? 2 : 6);
		if (fill) {
			bool free_cluster = free_clusters(slots) > 0;
			uint32_t slot = area_take(&area);
			if (n == slots) {
				CU_ASSERT_EQUAL_FATAL(slot, SLOT_NONE);
				continue;
			}
			CU_ASSERT_TRUE_FATAL(slot < slots && !taken[slot]);
			if (slot / CLUSTER != last / CLUSTER && free_cluster)
				CU_ASSERT_TRUE(cluster_is_free(slots, slot));
			for (uint32_t s = last / CLUSTER * CLUSTER;
			     slot / CLUSTER != last / CLUSTER; s++) {
				if (s == slots || s / CLUSTER != last / CLUSTER)
					break;
				CU_ASSERT_TRUE(taken[s]); /* the one before is left full */
			}
			taken[slot] = true;
			last = slot;
			n++;
		} else if (n) {
			uint32_t slot = (uint32_t)rng_below(&rng, slots);
			while (!taken[slot])
				slot = slot + 1 == slots ? 0 : slot + 1;
			area_put(&area, slot);
			taken[slot] = false;
			n--;
		}
		CU_ASSERT_EQUAL_FATAL(area.taken, n);
		CU_ASSERT_EQUAL_FATAL(area.empty, free_clusters(slots));
	}
	for (uint32_t i = 0; i < slots; i++)
		CU_ASSERT_EQUAL(area_taken(&area, i), taken[i]);
	close_area(&area);
}

static void take_and_put(void)
{
	static const uint32_t slots[] = {1, 2, 63, 64, 65, 127, 128, 130, 320, SLOTS_MOST};
	uint64_t seed = test_seed(64);

	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		slots_equal_their_twin(slots[i], seed);
}

/* Pages evicted together lie together: an empty area is filled from front to back. */
static void clusters_are_filled_in_sequence(void)
{
	struct area area;

	open_area(&area, 5 * CLUSTER + 3);
	for (uint32_t i = 0; i < 5 * CLUSTER + 3; i++)
		CU_ASSERT_EQUAL(area_take(&area), i);
	CU_ASSERT_EQUAL(area_take(&area), SLOT_NONE);
	for (uint32_t i = CLUSTER; i < 3 * CLUSTER; i++) /* two whole clusters and a hole */
		area_put(&area, i);
	area_put(&area, 4 * CLUSTER + 7);
	for (uint32_t i = CLUSTER; i < 3 * CLUSTER; i++)
		CU_ASSERT_EQUAL(area_take(&area), i);
	CU_ASSERT_EQUAL(area_take(&area), 4 * CLUSTER + 7);
	CU_ASSERT_EQUAL(area_take(&area), SLOT_NONE);
	close_area(&area);
}

static void content_ids_travel(void)
{
	struct area area;
	struct test_host t;
	struct err err;

	test_host_new(&t, (struct test_shape){.no_swap = true});
	open_area(&area, 10);
	CU_ASSERT_EQUAL(area_store(&area, 3, t.m, (mpn_t){0}, &err), 0); /* zero before any id */
	CU_ASSERT_EQUAL(backing_ids.set(t.m, (mpn_t){1}, 77), 0);
	CU_ASSERT_EQUAL(area_store(&area, 4, t.m, (mpn_t){1}, &err), 0);
	CU_ASSERT_EQUAL(area_load(&area, 4, t.m, (mpn_t){2}, &err), 0);
	CU_ASSERT_TRUE(backing_ids.holds(t.m, (mpn_t){2}, 77));
	CU_ASSERT_EQUAL(area_load(&area, 3, t.m, (mpn_t){2}, &err), 0);
	CU_ASSERT_TRUE(backing_ids.holds(t.m, (mpn_t){2}, 0));
	CU_ASSERT_EQUAL(backing_ids.set(t.m, (mpn_t){1}, 0), 0);
	CU_ASSERT_EQUAL(area_store(&area, 4, t.m, (mpn_t){1}, &err), 0); /* zero over an id */
	CU_ASSERT_EQUAL(area_load(&area, 4, t.m, (mpn_t){2}, &err), 0);
	CU_ASSERT_TRUE(backing_ids.holds(t.m, (mpn_t){2}, 0));
	CU_ASSERT_EQUAL(area.fd, -1);
	close_area(&area);
	test_host_free(&t);
}

/* A disk with one failure to come. */
static int fail_pread, fail_pwrite;

static ssize_t failing_pread(int fd, void *buf, size_t n, off_t offset)
{
	errno = fail_pread;
	return errno ? -1 : pread(fd, buf, n, offset);
}

static ssize_t failing_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	errno = fail_pwrite;
	return errno ? -1 : pwrite(fd, buf, n, offset);
}

static const struct os_io failing_io = {failing_pread, failing_pwrite};

static void expect_message(const struct err *err, const char *text)
{
	CU_ASSERT_TRUE(test_one_line(err));
	CU_ASSERT_EQUAL(err->exit_code, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err->msg, text));
}

static void bytes_travel_or_the_error_names_the_slot(void)
{
	struct test_host t;
	struct area area;
	struct err err = {0};
	uint8_t byte = 0;

	meter.bytes = 0;
	fail_pread = fail_pwrite = 0;
	test_host_new(&t, (struct test_shape){.no_swap = true, .backing = "ram"});
	CU_ASSERT_EQUAL_FATAL(area_init(&area, &meter, 100, "/tmp", &failing_io, &err), 0);
	for (uint32_t i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(backing_ram.set(t.m, (mpn_t){0}, i), 0);
		CU_ASSERT_EQUAL(area_store(&area, 99 - i, t.m, (mpn_t){0}, &err), 0);
	}
	for (uint32_t i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(area_load(&area, 99 - i, t.m, (mpn_t){1}, &err), 0);
		CU_ASSERT_TRUE(backing_ram.holds(t.m, (mpn_t){1}, i));
	}
	fail_pwrite = ENOSPC;
	CU_ASSERT_EQUAL(area_store(&area, 42, t.m, (mpn_t){0}, &err), -ENOSPC);
	expect_message(&err, "swap slot 42 cannot be written: No space left on device");
	fail_pread = EIO;
	CU_ASSERT_EQUAL(area_load(&area, 93, t.m, (mpn_t){0}, &err), -EIO);
	expect_message(&err, "swap slot 93 cannot be read: Input/output error");
	fail_pread = fail_pwrite = 0;
	CU_ASSERT_EQUAL(pread(area.fd, &byte, 1, 95 * PAGE_SIZE + 100), 1);
	byte ^= 4;
	CU_ASSERT_EQUAL(pwrite(area.fd, &byte, 1, 95 * PAGE_SIZE + 100), 1);
	CU_ASSERT_EQUAL(area_load(&area, 95, t.m, (mpn_t){0}, &err), -EIO);
	expect_message(&err, "swap slot 95 is damaged");
	CU_ASSERT_EQUAL(ftruncate(area.fd, 99 * PAGE_SIZE + 1), 0);
	CU_ASSERT_EQUAL(area_load(&area, 99, t.m, (mpn_t){0}, &err), -EIO);
	expect_message(&err, "swap slot 99 cannot be read");
	CU_ASSERT_EQUAL(area_load(&area, 98, t.m, (mpn_t){0}, &err), 0);
	close_area(&area);
	test_host_free(&t);
}

static void no_file_no_area(void)
{
	struct area area;
	struct err err = {0};

	meter.bytes = 0;
	CU_ASSERT_EQUAL(area_init(&area, &meter, 9, "/nonexistent", &os_io, &err), -ENOENT);
	expect_message(&err, "/nonexistent: no swap file there: No such file or directory; "
			     "set swap.dir");
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

/* Claimed one by one, every second slot and then the rest, the area ends full. */
static void slots_are_claimed(void)
{
	struct area area;

	open_area(&area, 200);
	CU_ASSERT_FALSE(area_claim(&area, 200));
	for (uint32_t half = 0; half < 2; half++) {
		for (uint32_t i = half; i < 200; i += 2) {
			CU_ASSERT_TRUE(area_claim(&area, i));
			CU_ASSERT_FALSE(area_claim(&area, i));
			CU_ASSERT_TRUE(area_taken(&area, i));
		}
		CU_ASSERT_EQUAL(area.empty, 0);
		CU_ASSERT_EQUAL(area.taken, 100 * (half + 1));
	}
	CU_ASSERT_EQUAL(area_take(&area), SLOT_NONE);
	area_put(&area, 77);
	CU_ASSERT_EQUAL(area_take(&area), 77);
	close_area(&area);
}

TESTS("swap/area", {"take and put", take_and_put}, {"claim", slots_are_claimed},
      {"clusters in sequence", clusters_are_filled_in_sequence},
      {"content ids", content_ids_travel}, {"bytes", bytes_travel_or_the_error_names_the_slot},
      {"no file", no_file_no_area})
