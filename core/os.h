/*
 * Every call to the operating system that the library makes lies behind here.
 *
 * Memory by mapping, positioned file input and output, and the two clocks that
 * the drivers may read. Nothing below the drivers calls a clock.
 */
#ifndef BALLAST_CORE_OS_H
#define BALLAST_CORE_OS_H

#include "core/types.h"

#include <sys/types.h>

/* Zeroed memory that costs only what is touched; NULL without room. Rounded up to pages. */
void *os_map(size_t bytes);
void os_unmap(void *p, size_t bytes);

/* Maps a whole file for reading; *bytes its size (0: *p is NULL). 0 or -errno. */
MUST_CHECK int os_map_file(const char *path, void **p, size_t *bytes);

/* The two calls under a transfer, so that a test can make a disk fail. */
struct os_io {
	ssize_t (*pread)(int fd, void *buf, size_t n, off_t offset);
	ssize_t (*pwrite)(int fd, const void *buf, size_t n, off_t offset);
};

extern const struct os_io os_io; /* the real ones */

/* Whole transfers: loops over short ones; -EIO where the file ends early. 0 or -errno. */
MUST_CHECK int os_read_at(const struct os_io *io, int fd, void *buf, size_t n, uint64_t offset);
MUST_CHECK int os_write_at(const struct os_io *io, int fd, const void *buf, size_t n,
			   uint64_t offset);

/*
 * Whether the byte there can be read without waiting for a disk, where the
 * system can tell (yes where it cannot); and has it and n - 1 more brought
 * into memory, without waiting for them.
 */
bool os_is_near(int fd, uint64_t offset);
void os_read_ahead(int fd, uint64_t offset, size_t n);

/* A nameless temporary file in dir, gone when closed; fd or -errno. */
MUST_CHECK int os_temp_file(const char *dir);
void os_close(int fd);

/* For drivers only, in ns: CPU time of the process, and monotonic time. */
uint64_t os_cpu_ns(void);
uint64_t os_mono_ns(void);

#endif
