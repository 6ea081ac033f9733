#include "core/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HUGE_SIZE ((size_t)2 << 20)

static size_t whole_pages(size_t bytes)
{
	return (bytes + PAGE_SIZE - 1) & ~(size_t)(PAGE_SIZE - 1);
}

static void *map_anonymous(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* Large tables are looked up at random: huge pages spare them the TLB misses. */
static void *map_huge(size_t bytes)
{
	uint8_t *p = map_anonymous(bytes + HUGE_SIZE);

	if (!p)
		return NULL;
	uint8_t *start = (uint8_t *)(((uintptr_t)p + HUGE_SIZE - 1) & ~(uintptr_t)(HUGE_SIZE - 1));
	if (start > p)
		munmap(p, (size_t)(start - p));
	munmap(start + bytes, (size_t)(p + HUGE_SIZE - start));
	madvise(start, bytes, MADV_HUGEPAGE);
	return start;
}

void *os_map(size_t bytes)
{
	if (bytes > SIZE_MAX / 2)
		return NULL;
	bytes = whole_pages(bytes ? bytes : 1);
	return bytes < HUGE_SIZE / 4 ? map_anonymous(bytes) : map_huge(bytes);
}

void os_unmap(void *p, size_t bytes)
{
	if (p)
		munmap(p, whole_pages(bytes ? bytes : 1));
}

int os_map_file(const char *path, void **p, size_t *bytes)
{
	struct stat st;
	int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC);

	*p = NULL;
	*bytes = 0;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0) {
		rc = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		rc = S_ISDIR(st.st_mode) ? -EISDIR : -ENODEV;
	} else if (st.st_size > 0) {
		void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED) {
			rc = -errno;
		} else {
			madvise(map, (size_t)st.st_size, MADV_SEQUENTIAL);
			*p = map;
			*bytes = (size_t)st.st_size;
		}
	}
	close(fd);
	return rc;
}

const struct os_io os_io = {pread, pwrite};

int os_read_at(const struct os_io *io, int fd, void *buf, size_t n, uint64_t offset)
{
	char *at = buf;

	while (n > 0) {
		ssize_t got = io->pread(fd, at, n, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO; /* the file ends before the data does */
		at += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int os_write_at(const struct os_io *io, int fd, const void *buf, size_t n, uint64_t offset)
{
	const char *at = buf;

	while (n > 0) {
		ssize_t put = io->pwrite(fd, at, n, (off_t)offset);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		if (put == 0)
			return -ENOSPC;
		at += put;
		offset += (uint64_t)put;
		n -= (size_t)put;
	}
	return 0;
}

bool os_is_near(int fd, uint64_t offset)
{
	char byte;
	struct iovec to = {&byte, 1};

	return preadv2(fd, &to, 1, (off_t)offset, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

void os_read_ahead(int fd, uint64_t offset, size_t n)
{
	/* Advice: where it is not taken, whoever reads waits a little longer. */
	if (readahead(fd, (off64_t)offset, n))
		return;
}

int os_temp_file(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

void os_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t os_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t os_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}
