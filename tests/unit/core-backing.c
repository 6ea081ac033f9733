#include "host.h"

static void an_id_is_a_page(void)
{
	uint64_t a[PAGE_SIZE / 8], b[PAGE_SIZE / 8];
	static const uint64_t ids[] = {1, 2, 3, 1000, UINT64_MAX};

	content_expand(0, (uint8_t *)a);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		CU_ASSERT_EQUAL(a[i], 0);
	for (size_t k = 0; k < ARRAY_LEN(ids); k++) {
		content_expand(ids[k], (uint8_t *)a);
		content_expand(ids[k], (uint8_t *)b);
		CU_ASSERT_EQUAL(memcmp(a, b, PAGE_SIZE), 0);
		for (unsigned bit = 0; bit < 64; bit++) { /* any bit changes the whole page */
			size_t same = 0;
			content_expand(ids[k] ^ UINT64_C(1) << bit, (uint8_t *)b);
			for (size_t i = 0; i < ARRAY_LEN(a); i++)
				same += a[i] == b[i];
			CU_ASSERT_TRUE(same <= 1);
		}
	}
}

static void open_machine(struct machine *m, struct meter *meter, const struct backing *backing)
{
	meter->bytes = 0;
	CU_ASSERT_EQUAL_FATAL(machine_init(m, meter, backing, 8, 0), 0);
}

/* What both must do; that a frame's neighbours stay as they are, too. */
static void contents(const struct backing *backing)
{
	const mpn_t a = {2}, b = {3}, c = {4};
	struct meter meter;
	struct machine m;

	open_machine(&m, &meter, backing);
	CU_ASSERT_TRUE(backing->holds(&m, a, 0));
	CU_ASSERT_FALSE(backing->holds(&m, a, 5));
	CU_ASSERT_EQUAL(backing->set(&m, a, 0), 0);
	CU_ASSERT_TRUE(backing->holds(&m, a, 0));
	CU_ASSERT_EQUAL(backing->set(&m, b, 5), 0);
	CU_ASSERT_TRUE(backing->holds(&m, b, 5));
	CU_ASSERT_FALSE(backing->holds(&m, b, 6));
	CU_ASSERT_FALSE(backing->holds(&m, b, 0));
	backing->copy(&m, c, b);
	CU_ASSERT_TRUE(backing->holds(&m, c, 5));
	backing->zero(&m, b);
	CU_ASSERT_TRUE(backing->holds(&m, b, 0));
	CU_ASSERT_TRUE(backing->holds(&m, c, 5));
	CU_ASSERT_TRUE(backing->holds(&m, a, 0));
	CU_ASSERT_EQUAL(backing->set(&m, c, UINT64_MAX), 0);
	CU_ASSERT_TRUE(backing->holds(&m, c, UINT64_MAX));
	machine_fini(&m);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

static void ids_hold_contents(void)
{
	contents(&backing_ids);
}

static void ram_holds_contents(void)
{
	contents(&backing_ram);
}

/* A run that knows no contents pays nothing for them. */
static void ids_cost_nothing_until_used(void)
{
	struct meter meter;
	struct machine m;

	open_machine(&m, &meter, &backing_ids);
	uint64_t bare = meter.bytes;
	CU_ASSERT_EQUAL(backing_ids.set(&m, (mpn_t){0}, 0), 0);
	backing_ids.zero(&m, (mpn_t){1});
	backing_ids.copy(&m, (mpn_t){2}, (mpn_t){1});
	CU_ASSERT_EQUAL(meter.bytes, bare);
	CU_ASSERT_EQUAL(backing_ids.set(&m, (mpn_t){0}, 1), 0);
	CU_ASSERT_EQUAL(meter.bytes, bare + 8 * sizeof(uint64_t));
	CU_ASSERT_PTR_NULL(backing_ids.bytes(&m, (mpn_t){0}));
	machine_fini(&m);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

/* Guests' memory is not the manager's. */
static void ram_is_bytes_and_not_metadata(void)
{
	uint8_t page[PAGE_SIZE];
	struct meter meter;
	struct machine m;

	open_machine(&m, &meter, &backing_ram);
	CU_ASSERT_TRUE(meter.bytes < PAGE_SIZE);
	CU_ASSERT_EQUAL(backing_ram.set(&m, (mpn_t){7}, 99), 0);
	content_expand(99, page);
	CU_ASSERT_EQUAL(memcmp(backing_ram.bytes(&m, (mpn_t){7}), page, PAGE_SIZE), 0);
	backing_ram.bytes(&m, (mpn_t){7})[PAGE_SIZE - 1] ^= 1;
	CU_ASSERT_FALSE(backing_ram.holds(&m, (mpn_t){7}, 99));
	machine_fini(&m);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

TESTS("core/backing", {"an id is a page", an_id_is_a_page}, {"ids", ids_hold_contents},
      {"ram", ram_holds_contents}, {"ids cost nothing", ids_cost_nothing_until_used},
      {"ram is bytes", ram_is_bytes_and_not_metadata})
