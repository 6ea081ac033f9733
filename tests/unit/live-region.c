/* A region that two processes share: what the other side may do to it, and its bells. */
#include "test.h"

#include "live/region.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE 65536

static void as_made(void)
{
	struct region r;

	CU_ASSERT_EQUAL_FATAL(region_make(&r, SIZE, BELLS_SHARED), 0);
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

/* What the other side does to its end of the bells this side does not feel. */
static void bells_apart(void)
{
	const uint64_t full = UINT64_MAX - 1;
	char other[100] = "";
	int fd[REGION_FDS];
	struct region r;

	CU_ASSERT_EQUAL_FATAL(region_make(&r, SIZE, BELLS_APART), 0);
	region_others(&r, fd);
	CU_ASSERT_EQUAL(fd[REGION_MEMORY], r.fd[REGION_MEMORY]);
	const int end = fcntl(fd[REGION_BELL_OUT], F_DUPFD, 0);
	region_handed_over(&r);
	CU_ASSERT_FALSE(region_rung(&r));
	region_ring(&r);
	CU_ASSERT_FALSE(region_rung(&r));
	CU_ASSERT_EQUAL(read(end, other, sizeof other), 8);
	CU_ASSERT_EQUAL(fcntl(end, F_SETFL, 0), 0); /* it waits from now on, this side does not */
	for (int i = 0; i < 2000; i++)
		region_ring(&r);
	CU_ASSERT_EQUAL(read(end, other, sizeof other), 8);
	CU_ASSERT_FALSE(region_rung(&r));
	for (size_t size = 0; size <= sizeof other; size += sizeof other / 2) {
		CU_ASSERT_EQUAL(send(end, other, size, 0), size);
		CU_ASSERT_TRUE(region_rung(&r));
		CU_ASSERT_FALSE(region_rung(&r));
	}
	CU_ASSERT_EQUAL(write(end, &full, sizeof full), sizeof full);
	CU_ASSERT_EQUAL(fcntl(end, F_SETFL, O_NONBLOCK), 0);
	while (write(end, &full, sizeof full) == sizeof full)
		; /* as many as there is room for */
	CU_ASSERT_TRUE(region_rung(&r));
	close(end);
	while (region_rung(&r))
		;
	region_ring(&r);
	struct pollfd p = {r.fd[REGION_BELL_IN], POLLIN, 0};
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 0); /* nothing to hear, for ever */
	region_close(&r);
}

/* Whoever has the descriptors cannot take the memory away. */
static void sealed(void)
{
	struct region r;

	CU_ASSERT_EQUAL_FATAL(region_make(&r, SIZE, BELLS_SHARED), 0);
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

	CU_ASSERT_EQUAL_FATAL(region_make(&r, SIZE, BELLS_SHARED), 0);
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

TESTS("live/region", {"as made", as_made}, {"bells apart", bells_apart}, {"sealed", sealed},
      {"adopted", adopted})
