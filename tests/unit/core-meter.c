#include "core/meter.h"
#include "test.h"

static void it_counts_what_is_asked_for(void)
{
	struct meter meter = {0};
	uint8_t *a = meter_alloc(&meter, 10), *b = meter_alloc(&meter, 3000001);

	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_EQUAL(meter.bytes, 3000011);
	for (size_t i = 0; i < 3000001; i += 1000)
		CU_ASSERT_EQUAL(b[i], 0);
	a[9] = b[3000000] = 1; /* there */
	meter_free(&meter, a, 10);
	CU_ASSERT_EQUAL(meter.bytes, 3000001);
	meter_free(&meter, NULL, 55);
	CU_ASSERT_EQUAL(meter.bytes, 3000001);
	meter_free(&meter, b, 3000001);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

static void nothing_is_a_size_too(void)
{
	struct meter meter = {0};
	void *p = meter_alloc(&meter, 0);

	CU_ASSERT_PTR_NOT_NULL(p);
	meter_free(&meter, p, 0);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

static void what_cannot_be_had_is_not_counted(void)
{
	struct meter meter = {0};

	CU_ASSERT_PTR_NULL(meter_alloc(&meter, SIZE_MAX));
	CU_ASSERT_PTR_NULL(meter_alloc(&meter, SIZE_MAX / 2));
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

TESTS("core/meter", {"counts what is asked for", it_counts_what_is_asked_for},
      {"nothing", nothing_is_a_size_too}, {"too much", what_cannot_be_had_is_not_counted})
