#include "core/os.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A disk of one array whose calls do a few bytes, are interrupted, or fail. */
static struct {
	uint8_t bytes[1000];
	size_t at_most; /* bytes a call */
	int calls, interrupt_every, fail_at, error;
	size_t end; /* reads end here, writes put nothing from here on */
} disk;

static void disk_new(void)
{
	memset(&disk, 0, sizeof disk);
	disk.end = disk.at_most = sizeof disk.bytes;
}

static int disk_error(void)
{
	disk.calls++;
	if (disk.interrupt_every && disk.calls % disk.interrupt_every == 0)
		return EINTR;
	return disk.calls == disk.fail_at ? disk.error : 0;
}

static size_t disk_transfer(size_t n, off_t offset)
{
	if ((size_t)offset >= disk.end)
		return 0;
	n = min_u64(n, disk.at_most);
	return min_u64(n, disk.end - (size_t)offset);
}

static ssize_t disk_pread(int fd, void *buf, size_t n, off_t offset)
{
	CU_ASSERT_EQUAL(fd, 42);
	errno = disk_error();
	if (errno)
		return -1;
	n = disk_transfer(n, offset);
	memcpy(buf, disk.bytes + offset, n);
	return (ssize_t)n;
}

static ssize_t disk_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	CU_ASSERT_EQUAL(fd, 42);
	errno = disk_error();
	if (errno)
		return -1;
	n = disk_transfer(n, offset);
	memcpy(disk.bytes + offset, buf, n);
	return (ssize_t)n;
}

static const struct os_io disk_io = {disk_pread, disk_pwrite};

static void fill(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
}

static void transfers_are_whole(void)
{
	uint8_t out[500], in[500];

	fill(out, sizeof out);
	for (size_t at_most = 1; at_most < 502; at_most += 50) {
		disk_new();
		disk.at_most = at_most;
		disk.interrupt_every = 3;
		memset(in, 0, sizeof in);
		CU_ASSERT_EQUAL(os_write_at(&disk_io, 42, out, sizeof out, 123), 0);
		CU_ASSERT_EQUAL(os_read_at(&disk_io, 42, in, sizeof in, 123), 0);
		CU_ASSERT_EQUAL(memcmp(in, out, sizeof in), 0);
		CU_ASSERT_EQUAL(disk.bytes[122], 0);
		CU_ASSERT_EQUAL(disk.bytes[623], 0);
	}
	disk_new();
	CU_ASSERT_EQUAL(os_write_at(&disk_io, 42, out, 0, 5), 0);
	CU_ASSERT_EQUAL(os_read_at(&disk_io, 42, in, 0, 5), 0);
	CU_ASSERT_EQUAL(disk.calls, 0);
}

static void an_error_in_the_middle_is_told(void)
{
	uint8_t buf[100] = {0};

	disk_new();
	disk.at_most = 10;
	disk.fail_at = 4;
	disk.error = ENOSPC;
	CU_ASSERT_EQUAL(os_write_at(&disk_io, 42, buf, sizeof buf, 0), -ENOSPC);
	CU_ASSERT_EQUAL(disk.calls, 4);
	disk_new();
	disk.at_most = 10;
	disk.fail_at = 10;
	disk.error = EIO;
	CU_ASSERT_EQUAL(os_read_at(&disk_io, 42, buf, sizeof buf, 0), -EIO);
}

static void an_end_before_the_data_is_an_error(void)
{
	uint8_t buf[100] = {0};

	disk_new();
	disk.end = 150;
	CU_ASSERT_EQUAL(os_read_at(&disk_io, 42, buf, sizeof buf, 50), 0);
	CU_ASSERT_EQUAL(os_read_at(&disk_io, 42, buf, sizeof buf, 51), -EIO);
	CU_ASSERT_EQUAL(os_write_at(&disk_io, 42, buf, sizeof buf, 51), -ENOSPC);
}

static void real_files(void)
{
	static uint8_t out[10000], in[10000];
	int fd = os_temp_file("/tmp");

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	fill(out, sizeof out);
	CU_ASSERT_EQUAL(os_write_at(&os_io, fd, out, sizeof out, 4097), 0);
	CU_ASSERT_EQUAL(os_read_at(&os_io, fd, in, sizeof in, 4097), 0);
	CU_ASSERT_EQUAL(memcmp(in, out, sizeof in), 0);
	CU_ASSERT_EQUAL(os_read_at(&os_io, fd, in, sizeof in, 4098), -EIO);
	os_close(fd);
	CU_ASSERT_EQUAL(os_read_at(&os_io, fd, in, 1, 0), -EBADF);
	os_close(-1);
	CU_ASSERT_EQUAL(os_temp_file("/nonexistent"), -ENOENT);
}

/* Small and large, on both sides of where huge pages come in. */
static void memory_is_zeroed(void)
{
	static const size_t sizes[] = {0, 1, 4096, 524287, 524288, 3 * 1048576 + 5};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i];
		uint8_t *p = os_map(n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL((uintptr_t)p % PAGE_SIZE, 0);
		for (size_t at = 0; at < n; at += 997) {
			CU_ASSERT_EQUAL(p[at], 0);
			p[at] = 1;
		}
		if (n)
			p[n - 1] = 1;
		os_unmap(p, n);
	}
	os_unmap(NULL, 5);
	CU_ASSERT_PTR_NULL(os_map(SIZE_MAX));
}

static void mapped_files(void)
{
	char path[] = "/tmp/ballast-test-XXXXXX";
	int fd = mkstemp(path);
	size_t n = 77;
	void *p = path;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(os_map_file(path, &p, &n), 0);
	CU_ASSERT_PTR_NULL(p);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(write(fd, "hello", 5), 5);
	CU_ASSERT_EQUAL(os_map_file(path, &p, &n), 0);
	CU_ASSERT_EQUAL_FATAL(n, 5);
	CU_ASSERT_EQUAL(memcmp(p, "hello", 5), 0);
	os_unmap(p, n);
	close(fd);
	unlink(path);
	CU_ASSERT_EQUAL(os_map_file(path, &p, &n), -ENOENT);
	CU_ASSERT_EQUAL(os_map_file("/tmp", &p, &n), -EISDIR);
	CU_ASSERT_EQUAL(os_map_file("/dev/null", &p, &n), -ENODEV);
	CU_ASSERT_PTR_NULL(p);
}

static void clocks_go_forward(void)
{
	uint64_t cpu = os_cpu_ns(), mono = os_mono_ns();

	for (volatile int i = 0; i < 1000000; i++)
		;
	CU_ASSERT_TRUE(os_cpu_ns() > cpu);
	CU_ASSERT_TRUE(os_mono_ns() > mono);
}

/* What was just read is near; where nothing can be told, or read, all is. */
static void what_was_read_is_near(void)
{
	static char page[4096];
	int fd = os_temp_file("/tmp");

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(os_write_at(&os_io, fd, page, sizeof page, 0), 0);
	CU_ASSERT_EQUAL(fdatasync(fd), 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	os_read_ahead(fd, 0, sizeof page);
	os_read_ahead(fd, 1 << 20, sizeof page); /* past the end */
	CU_ASSERT_EQUAL(os_read_at(&os_io, fd, page, sizeof page, 0), 0);
	CU_ASSERT_TRUE(os_is_near(fd, 0));
	os_close(fd);
	CU_ASSERT_TRUE(os_is_near(-1, 0));
	os_read_ahead(-1, 0, 1);
}

TESTS("core/os", {"transfers are whole", transfers_are_whole},
      {"error in the middle", an_error_in_the_middle_is_told},
      {"early end", an_end_before_the_data_is_an_error}, {"real files", real_files},
      {"memory is zeroed", memory_is_zeroed}, {"mapped files", mapped_files},
      {"near and far", what_was_read_is_near}, {"clocks", clocks_go_forward})
