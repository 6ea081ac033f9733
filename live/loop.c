#include "live/loop.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

int loop_init(struct loop *loop)
{
	*loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	return loop->epoll < 0 ? -errno : 0;
}

void loop_fini(struct loop *loop)
{
	if (loop->epoll >= 0)
		close(loop->epoll);
}

int loop_watch(struct loop *loop, struct watch *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, w->fd, &e) ? -errno : 0;
}

void loop_ignore(struct loop *loop, struct watch *w)
{
	if (w->fd < 0)
		return;
	for (int i = loop->at; i < loop->events; i++) {
		if (loop->event[i].data.ptr == w)
			loop->event[i].data.ptr = NULL;
	}
	/* By hand: a copy of the descriptor elsewhere would keep it in the set. */
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
}

int loop_change(struct loop *loop, struct watch *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, w->fd, &e) ? -errno : 0;
}

void loop_close(struct loop *loop, struct watch *w)
{
	if (w->fd < 0)
		return;
	loop_ignore(loop, w);
	close(w->fd);
	w->fd = -1;
}

int loop_wait(struct loop *loop, uint64_t timeout_ns)
{
	const struct timespec timeout = {(time_t)(timeout_ns / 1000000000u),
					 (long)(timeout_ns % 1000000000u)};
	int n = epoll_pwait2(loop->epoll, loop->event, ARRAY_LEN(loop->event), &timeout, NULL);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->events = n;
	return 0;
}

void loop_serve(struct loop *loop)
{
	for (loop->at = 0; loop->at < loop->events;) {
		const struct epoll_event *e = &loop->event[loop->at++];
		struct watch *w = e->data.ptr;
		if (w)
			w->ready(w, e->events);
	}
	loop->events = 0;
}

int loop_turn(struct loop *loop, uint64_t timeout_ns)
{
	int rc = loop_wait(loop, timeout_ns);

	if (rc == 0)
		loop_serve(loop);
	return rc;
}
