#include "live/region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map(struct region *r)
{
	r->at = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd[REGION_MEMORY], 0);
	if (r->at != MAP_FAILED)
		return 0;
	r->at = NULL;
	return -errno;
}

int region_make(struct region *r, size_t size)
{
	int rc = 0;

	*r = REGION_NONE;
	r->size = size;
	r->fd[REGION_MEMORY] = memfd_create("ballast-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd[REGION_MEMORY] < 0 || ftruncate(r->fd[REGION_MEMORY], (off_t)size) ||
	    fcntl(r->fd[REGION_MEMORY], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		rc = -errno;
	for (unsigned i = REGION_BELL_OUT; rc == 0 && i < REGION_FDS; i++) {
		r->fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rc = r->fd[i] < 0 ? -errno : 0;
	}
	rc = rc ? rc : map(r);
	if (rc)
		region_close(r);
	return rc;
}

int region_adopt(struct region *r, const int fd[REGION_FDS], size_t size)
{
	struct stat st;

	*r = (struct region){{fd[0], fd[1], fd[2]}, size, NULL};
	int rc = fstat(fd[REGION_MEMORY], &st) ? -errno
		 : (size_t)st.st_size != size  ? -EUCLEAN
					       : map(r);
	if (rc)
		region_close(r);
	return rc;
}

void region_close(struct region *r)
{
	if (r->at)
		munmap(r->at, r->size);
	for (unsigned i = 0; i < REGION_FDS; i++) {
		if (r->fd[i] >= 0)
			close(r->fd[i]);
	}
	*r = REGION_NONE;
}

bool region_rung(const struct region *r)
{
	uint64_t times;

	return read(r->fd[REGION_BELL_IN], &times, sizeof times) == (ssize_t)sizeof times;
}

void region_ring(const struct region *r)
{
	const uint64_t once = 1;

	/* A bell that rings so loud that it is full has been heard. */
	if (write(r->fd[REGION_BELL_OUT], &once, sizeof once) < 0)
		return;
}
