#include "live/region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEARD_MOST 64 /* at once */

static int map(struct region *r)
{
	r->at = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd[REGION_MEMORY], 0);
	if (r->at != MAP_FAILED)
		return 0;
	r->at = NULL;
	return -errno;
}

static int shared_bells(struct region *r)
{
	for (unsigned i = REGION_BELL_OUT; i < REGION_FDS; i++) {
		r->fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (r->fd[i] < 0)
			return -errno;
	}
	return 0;
}

/* A pair of sockets, both ways. Datagrams: an end that is closed makes no noise at the other. */
static int bells_apart(struct region *r)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	r->other = pair[1];
	r->fd[REGION_BELL_OUT] = pair[0];
	r->fd[REGION_BELL_IN] = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	return r->fd[REGION_BELL_IN] < 0 ? -errno : 0;
}

int region_make(struct region *r, size_t size, enum region_bells bells)
{
	int rc = 0;

	*r = REGION_NONE;
	r->size = size;
	r->fd[REGION_MEMORY] = memfd_create("ballast-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd[REGION_MEMORY] < 0 || ftruncate(r->fd[REGION_MEMORY], (off_t)size) ||
	    fcntl(r->fd[REGION_MEMORY], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		rc = -errno;
	rc = rc ? rc : bells == BELLS_APART ? bells_apart(r) : shared_bells(r);
	rc = rc ? rc : map(r);
	if (rc)
		region_close(r);
	return rc;
}

int region_adopt(struct region *r, const int fd[REGION_FDS], size_t size)
{
	struct stat st;

	*r = (struct region){{fd[0], fd[1], fd[2]}, size, NULL, -1};
	int rc = fstat(fd[REGION_MEMORY], &st) ? -errno
		 : (size_t)st.st_size != size  ? -EUCLEAN
					       : map(r);
	if (rc)
		region_close(r);
	return rc;
}

void region_others(const struct region *r, int fd[REGION_FDS])
{
	fd[REGION_MEMORY] = r->fd[REGION_MEMORY];
	fd[REGION_BELL_OUT] = r->other >= 0 ? r->other : r->fd[REGION_BELL_OUT];
	fd[REGION_BELL_IN] = r->other >= 0 ? r->other : r->fd[REGION_BELL_IN];
}

void region_handed_over(struct region *r)
{
	if (r->other >= 0)
		close(r->other);
	r->other = -1;
}

void region_close(struct region *r)
{
	if (r->at)
		munmap(r->at, r->size);
	for (unsigned i = 0; i < REGION_FDS; i++) {
		if (r->fd[i] >= 0)
			close(r->fd[i]);
	}
	region_handed_over(r);
	*r = REGION_NONE;
}

bool region_rung(const struct region *r)
{
	uint64_t times;
	int heard = 0;

	/* A socket has each time by itself, and maybe more of them than anybody would want to hear.
	 */
	while (heard < HEARD_MOST && read(r->fd[REGION_BELL_IN], &times, sizeof times) >= 0)
		heard++;
	return heard > 0;
}

void region_ring(const struct region *r)
{
	const uint64_t once = 1;

	/* A bell that rings so loud that it is full has been heard. */
	if (write(r->fd[REGION_BELL_OUT], &once, sizeof once) < 0)
		return;
}
