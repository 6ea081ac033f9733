#include "test.h"

#include "core/os.h"
#include "core/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct ring *open_ring(void)
{
	struct ring *ring;
	int rc = ring_open(&ring);

	if (rc)
		SKIP("this kernel has no io_uring for us");
	return ring;
}

/* More than once through the ring, each time as many as go, in no order. */
static void what_is_written_is_there(void)
{
	static char bytes[RING_MOST][512], back[512];
	struct ring *ring = open_ring();
	struct ring_write write[RING_MOST];
	int fd = os_temp_file("/tmp");

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	for (int turn = 0; turn < 5; turn++) {
		for (uint32_t i = 0; i < RING_MOST; i++) {
			memset(bytes[i], (int)(i + 1) * (turn + 3), sizeof bytes[i]);
			write[i] = (struct ring_write){bytes[i], sizeof bytes[i],
						       i * 37 % RING_MOST * sizeof bytes[i], 7};
		}
		CU_ASSERT_EQUAL_FATAL(ring_begin(ring, fd, write, RING_MOST), 0);
		ring_wait(ring);
		for (uint32_t i = 0; i < RING_MOST; i++) {
			CU_ASSERT_EQUAL(write[i].rc, 0);
			CU_ASSERT_EQUAL(os_read_at(&os_io, fd, back, sizeof back, write[i].offset),
					0);
			CU_ASSERT_EQUAL(memcmp(back, bytes[i], sizeof back), 0);
		}
	}
	os_close(fd);
	ring_close(ring);
}

static void a_file_that_cannot_be_written(void)
{
	struct ring *ring = open_ring();
	struct ring_write write[2] = {{"a", 1, 0, 0}, {"b", 1, 9, 0}};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CU_ASSERT_EQUAL(ring_begin(ring, fd, write, 2), 0);
	ring_wait(ring);
	CU_ASSERT_EQUAL(write[0].rc, -EBADF);
	CU_ASSERT_EQUAL(write[1].rc, -EBADF);
	os_close(fd);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(ring_begin(ring, fd, write, 2), 0);
	ring_wait(ring);
	CU_ASSERT_EQUAL(write[0].rc, -ENOSPC);
	os_close(fd);
	ring_close(ring);
}

static void one_too_many(void)
{
	static struct ring_write write[RING_MOST + 1];
	struct ring *ring = open_ring();

	CU_ASSERT_EQUAL(ring_begin(ring, -1, write, RING_MOST + 1), -EIO);
	ring_wait(ring); /* for none */
	ring_close(ring);
	ring_close(NULL);
}

TESTS("core/ring", {"written", what_is_written_is_there},
      {"not written", a_file_that_cannot_be_written}, {"one too many", one_too_many})
