/* A region that two processes share: what the other side may do to it, and its bells. */
#include "test.h"

#include "live/region.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 65536

static void as_made(void)
{
	struct region r;

	CU_ASSERT_EQUAL_FATAL(region_make(&r, SIZE), 0);
	CU_ASSERT_EQUAL(r.size, SIZE);
	CU_ASSERT_EQUAL(((const uint8_t *)r.at)[SIZE - 1], 0);
	CU_ASSERT_FALSE(region_rung(&r));
	region_ring(&r);
	CU_ASSERT_FALSE(region_rung(&r)); /* that was the other side's */
	uint64_t times = 0;
	CU_ASSERT_EQUAL(read(r.fd[REGION_BELL_OUT], &times, sizeof times), sizeof times);
	CU_ASSERT_EQUAL(times, 1);
	times = 3;
	CU_ASSERT_EQUAL(write(r.fd[REGION_BELL_IN], &times, sizeof times), sizeof times);
	CU_ASSERT_TRUE(region_rung(&r));
	CU_ASSERT_FALSE(region_rung(&r));
	times = UINT64_MAX - 1; /* a bell that is full is no reason to wait */
	CU_ASSERT_EQUAL(write(r.fd[REGION_BELL_OUT], &times, sizeof times), sizeof times);
	region_ring(&r);
	region_close(&r);
	CU_ASSERT_EQUAL(r.fd[REGION_MEMORY], -1);
	region_close(&r);
}

/* Whoever has the descriptors cannot take the memory away. */
static void sealed(void)
{
	struct region r;

	CU_ASSERT_EQUAL_FATAL(region_make(&r, SIZE), 0);
	CU_ASSERT_EQUAL(ftruncate(r.fd[REGION_MEMORY], 0), -1);
	CU_ASSERT_EQUAL(ftruncate(r.fd[REGION_MEMORY], SIZE - 4096), -1);
	CU_ASSERT_EQUAL(ftruncate(r.fd[REGION_MEMORY], 2 * SIZE), -1);
	CU_ASSERT_EQUAL(fcntl(r.fd[REGION_MEMORY], F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	memset(r.at, 1, SIZE);
	CU_ASSERT_EQUAL(
		fallocate(r.fd[REGION_MEMORY], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE),
		0);
	CU_ASSERT_EQUAL(((const uint8_t *)r.at)[SIZE - 1], 0);
	region_close(&r);
}

static void adopted(void)
{
	struct region r, heir;
	int fd[REGION_FDS], none[REGION_FDS] = {-1, -1, -1};

	CU_ASSERT_EQUAL_FATAL(region_make(&r, SIZE), 0);
	for (unsigned i = 0; i < REGION_FDS; i++)
		fd[i] = dup(r.fd[i]);
	CU_ASSERT_EQUAL_FATAL(region_adopt(&heir, fd, SIZE), 0);
	((uint8_t *)r.at)[77] = 5;
	CU_ASSERT_EQUAL(((const uint8_t *)heir.at)[77], 5);
	region_close(&heir);
	for (unsigned i = 0; i < REGION_FDS; i++)
		fd[i] = dup(r.fd[i]);
	CU_ASSERT_EQUAL(region_adopt(&heir, fd, 2 * SIZE), -EUCLEAN);
	CU_ASSERT_EQUAL(fcntl(fd[0], F_GETFD), -1); /* closed */
	CU_ASSERT_EQUAL(region_adopt(&heir, none, SIZE), -EBADF);
	region_close(&r);
}

TESTS("live/region", {"as made", as_made}, {"sealed", sealed}, {"adopted", adopted})
