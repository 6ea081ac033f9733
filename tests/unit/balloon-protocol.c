/* The wire's layout, which ends built by other compilers and years rely on. By hand. */
#include "test.h"

#include "balloon/protocol.h"

#include <stddef.h>
#include <string.h>

static void sizes(void)
{
	CU_ASSERT_EQUAL(sizeof(struct balloon_msg), 8);
	CU_ASSERT_EQUAL(sizeof(struct balloon_hello), 48);
	CU_ASSERT_EQUAL(sizeof(struct balloon_welcome), 32);
	CU_ASSERT_EQUAL(sizeof(struct balloon_pages), 16);
	CU_ASSERT_EQUAL(sizeof(struct balloon_stats), 112);
	CU_ASSERT_EQUAL(sizeof(struct balloon_target), 24);
	CU_ASSERT_EQUAL(sizeof(struct balloon_ack), 32);
	CU_ASSERT_EQUAL(sizeof(struct balloon_reset), 16);
	CU_ASSERT_EQUAL(sizeof(struct balloon_view), 80);
	CU_ASSERT_EQUAL(16 + 4 * BALLOON_BATCH_MAX, BALLOON_MSG_MAX);
	CU_ASSERT_EQUAL(64 * BALLOON_MAP_WORDS, 1024);
}

static void places(void)
{
	CU_ASSERT_EQUAL(offsetof(struct balloon_hello, version_max), 14);
	CU_ASSERT_EQUAL(offsetof(struct balloon_hello, memory_pages), 24);
	CU_ASSERT_EQUAL(offsetof(struct balloon_hello, driver), 32);
	CU_ASSERT_EQUAL(offsetof(struct balloon_welcome, cap_pages), 16);
	CU_ASSERT_EQUAL(offsetof(struct balloon_pages, ppn), 16);
	CU_ASSERT_EQUAL(offsetof(struct balloon_stats, refusals), 80);
	CU_ASSERT_EQUAL(offsetof(struct balloon_stats, pressure), 96);
	CU_ASSERT_EQUAL(offsetof(struct balloon_ack, type), 12);
	CU_ASSERT_EQUAL(offsetof(struct balloon_ack, map), 32);
	CU_ASSERT_EQUAL(offsetof(struct balloon_view, steal_ns), 56);
	CU_ASSERT_EQUAL(offsetof(struct balloon_view, state), 64);
}

/* Indices of different writers lie in different cache lines. */
static void region(void)
{
	CU_ASSERT_EQUAL(offsetof(struct balloon_region, host_epoch), 16);
	CU_ASSERT_EQUAL(offsetof(struct balloon_region, guest_epoch), 64);
	CU_ASSERT_EQUAL(offsetof(struct balloon_region, to_host), 128);
	CU_ASSERT_EQUAL(offsetof(struct balloon_region, to_host.head), 192);
	CU_ASSERT_EQUAL(offsetof(struct balloon_region, to_host.tail), 256);
	CU_ASSERT_EQUAL(offsetof(struct balloon_region, to_guest), 320);
	CU_ASSERT_EQUAL(sizeof(struct balloon_region), 512);
	CU_ASSERT_TRUE(sizeof(struct balloon_region) <= 4096);
}

static void magic_bytes(void)
{
	const __le64 region = BALLOON_REGION_MAGIC; /* this machine is little-endian */
	const __le32 hello = BALLOON_MAGIC;

	CU_ASSERT_EQUAL(memcmp(&region, "1tsallab", 8), 0);
	CU_ASSERT_EQUAL(memcmp(&hello, "bloo", 4), 0);
}

TESTS("balloon/protocol.h", {"sizes", sizes}, {"places", places}, {"region", region},
      {"magic numbers as bytes", magic_bytes})
