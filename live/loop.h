/*
 * The event loop of a live host: descriptors, and the host's timers in real
 * time. One thread; whatever is called from here may use the host.
 */
#ifndef BALLAST_LIVE_LOOP_H
#define BALLAST_LIVE_LOOP_H

#include "core/types.h"

#include <sys/epoll.h>

/* A descriptor that is waited for; lies in its owner's struct. */
struct watch {
	int fd; /* -1 while there is none */
	void (*ready)(struct watch *w, uint32_t events);
	void *owner;
};

struct loop {
	int epoll;
	struct epoll_event event[32]; /* of the turn at hand */
	int events, at;
};

MUST_CHECK int loop_init(struct loop *loop); /* 0 or -errno */
void loop_fini(struct loop *loop);

/* Waits for `events` (EPOLLIN ...) of w->fd from now on. 0 or -errno. */
MUST_CHECK int loop_watch(struct loop *loop, struct watch *w, uint32_t events);

/* Stops waiting; what is left of this turn passes it over. fd -1 is fine. */
void loop_ignore(struct loop *loop, struct watch *w);

/* Stops waiting and closes the descriptor; what is left of this turn passes it over. */
void loop_close(struct loop *loop, struct watch *w);

/* Waits for other events of w->fd. 0 or -errno. */
MUST_CHECK int loop_change(struct loop *loop, struct watch *w, uint32_t events);

/*
 * Waits up to timeout_ns for what is ready, and then calls it. Meanwhile others
 * may watch descriptors, but not close any. 0 or -errno.
 */
MUST_CHECK int loop_wait(struct loop *loop, uint64_t timeout_ns);
void loop_serve(struct loop *loop);

/* Both. 0 or -errno. */
MUST_CHECK int loop_turn(struct loop *loop, uint64_t timeout_ns);

#endif
