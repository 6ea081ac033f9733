#include "core/ring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

struct ring {
	struct io_uring io;
	unsigned away; /* writes that were begun and not waited for */
	bool broken;   /* the kernel refused: nothing is begun any more */
};

int ring_open(struct ring **ring)
{
	struct ring *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	int rc = io_uring_queue_init(RING_MOST, &r->io, 0);
	if (rc) {
		free(r);
		return rc;
	}
	*ring = r;
	return 0;
}

void ring_close(struct ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->io);
	free(ring);
}

int ring_begin(struct ring *ring, int fd, struct ring_write *write, uint32_t n)
{
	if (ring->broken || n > RING_MOST)
		return -EIO;
	for (uint32_t i = 0; i < n; i++) {
		struct io_uring_sqe *e = io_uring_get_sqe(&ring->io);
		io_uring_prep_write(e, fd, write[i].bytes, write[i].n, write[i].offset);
		io_uring_sqe_set_data(e, &write[i]);
		write[i].rc = -EIO;
	}
	for (ring->away = 0; ring->away < n;) {
		int rc = io_uring_submit(&ring->io);
		if (rc == -EINTR || rc == -EAGAIN)
			continue;
		ring->broken = rc <= 0; /* those that were not taken stay -EIO */
		if (ring->broken)
			break;
		ring->away += (unsigned)rc;
	}
	return 0;
}

void ring_wait(struct ring *ring)
{
	struct io_uring_cqe *done;

	for (; ring->away > 0; ring->away--) {
		int rc;
		do
			rc = io_uring_wait_cqe(&ring->io, &done);
		while (rc == -EINTR);
		ring->broken |= rc != 0;
		if (rc)
			return;
		struct ring_write *w = io_uring_cqe_get_data(done);
		if (done->res < 0)
			w->rc = done->res;
		else
			w->rc = (uint32_t)done->res == w->n ? 0 : -EIO;
		io_uring_cqe_seen(&ring->io, done);
	}
}
