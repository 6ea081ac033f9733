/* The lock, the thread of each guest, and eviction beside them. */
#include "live/private.h"
#include "live/uffd.h"

#include "core/os.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS AWAITED_MOST /* read at once */

/* The bell: wakes the loop. */

static void ring(int bell)
{
	const uint64_t one = 1;

	if (write(bell, &one, sizeof one) < 0)
		return; /* it is ringing already */
}

static void bell_ready(struct watch *w, uint32_t events)
{
	struct live *live = w->owner;
	uint64_t rung;

	(void)events;
	if (read(w->fd, &rung, sizeof rung) == sizeof rung)
		live->rung = false;
}

/* Something has come up that the loop, asleep, would sleep through. */
static void wake_loop(struct live *live)
{
	uint64_t due = live->shortage ? 0 : clock_next(&live->host->clock, UINT64_MAX);

	if (live->rung || due >= live->sleeps_till)
		return;
	live->rung = true;
	ring(live->bell.fd);
}

/*
 * Time passes for who enters, but timers are the loop's: it is never later than
 * just before the next. Returns the monotonic time.
 */
static uint64_t tell_time(struct live_vm *v)
{
	struct clock *clk = &v->live->host->clock;
	const uint64_t now = os_mono_ns(), next = clock_next(clk, UINT64_MAX);

	clock_run_until(clk, min_u64(now - v->live->start_ns, next - (next > 0)));
	v->vm->time_ns = max_u64(v->vm->time_ns, clk->now_ns);
	return now;
}

/* A guest's thread. */

/* Serves those events; where `again` is given, only those that need no disk, and notes the others.
 */
static void handle(struct live_vm *v, const struct uffd_msg *msg, size_t n, bool *again)
{
	struct awaited *awaited = &v->live->host->awaited;
	uint64_t now = tell_time(v);

	awaited->on = again && awaited->fetch;
	awaited->n = 0;
	for (size_t i = 0; i < n && v->state == LIVE_RUNNING; i++) {
		uint32_t before = awaited->n;
		now = fault_event(v, &msg[i], now);
		if (again)
			again[i] = awaited->n > before;
	}
	awaited->on = false;
	wake_loop(v->live);
}

/* What is on a disk is waited for without the lock; then its events are served once more. */
static void serve_events(struct live_vm *v, const struct uffd_msg *msg, size_t n)
{
	struct live *live = v->live;
	bool again[EVENTS] = {false};

	handle(v, msg, n, again);
	const struct awaited awaited = live->host->awaited;
	if (awaited.n == 0)
		return;
	v->stats.fetched += awaited.n;
	pthread_mutex_unlock(&live->lock);
	awaited.fetch(awaited.ctx, awaited.what, awaited.n);
	pthread_mutex_lock(&live->lock);
	for (size_t i = 0; i < n && !v->stopping; i++) {
		if (again[i])
			handle(v, &msg[i], 1, NULL);
	}
}

/*
 * Waits for events; here alone the thread can be cancelled. The guest has this
 * descriptor, too, and can make it block and read it empty: so the read may not
 * come back, and nothing is held meanwhile. 0: none; -errno: it is not as the
 * agent made it.
 */
static int await(const struct live_vm *v, struct uffd_msg msg[EVENTS])
{
	struct pollfd fd = {v->uffd.fd, POLLIN, 0};
	ssize_t n = -1;
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	if (poll(&fd, 1, -1) == 1 && fd.revents == POLLIN)
		n = read(fd.fd, msg, EVENTS * sizeof *msg);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	if (fd.revents & ~POLLIN) /* what a userfaultfd says that blocks */
		return -EPROTO;
	return n < 0 ? 0 : (int)((size_t)n / sizeof *msg);
}

/* Whether there are events that no agent asks the kernel for. */
static bool foreign(const struct uffd_msg *msg, int n)
{
	bool any = false;

	for (int i = 0; i < n; i++) {
		if (msg[i].event == UFFD_EVENT_FORK)
			close((int)msg[i].arg.fork.ufd); /* reading of it has made one here */
		any |= msg[i].event != UFFD_EVENT_PAGEFAULT;
	}
	return any;
}

static void refuse(struct live_vm *v)
{
	struct err err;

	err_run(&err, EPROTO, "its userfaultfd is no more as its agent made it");
	attach_fail(v, &err);
}

static void *serve(void *arg)
{
	struct live_vm *v = arg;
	struct live *live = v->live;
	struct place place = {.cpu = -1};
	struct uffd_msg msg[EVENTS];
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	for (bool end = false; !end;) {
		const int n = await(v, msg);
		const bool bad = n < 0 || foreign(msg, n);
		if (n == 0)
			continue;
		pthread_mutex_lock(&live->lock);
		end = v->stopping || bad;
		if (!end)
			serve_events(v, msg, (size_t)n);
		else if (!v->stopping)
			refuse(v);
		pthread_mutex_unlock(&live->lock);
		if (!end && live->opts.beside)
			place_beside(&place, v->pid, msg[0].arg.pagefault.feat.ptid);
	}
	return NULL;
}

/* All signals are the loop's. */
int thread_start(struct live_vm *v)
{
	sigset_t all, old;

	v->stopping = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&v->thread, NULL, serve, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	v->threaded = rc == 0;
	return -rc;
}

static void stop(struct live_vm *v)
{
	v->stopping = true;
	pthread_cancel(v->thread);
}

/* It may be waiting for the lock, and leaves when it has it, or for events: there it is cancelled.
 */
static void join(struct live_vm *v)
{
	pthread_mutex_unlock(&v->live->lock);
	pthread_join(v->thread, NULL);
	pthread_mutex_lock(&v->live->lock);
	v->threaded = false;
}

void thread_end(struct live_vm *v)
{
	if (!v->threaded)
		return;
	stop(v);
	join(v);
}

void threads_halt(struct live *live)
{
	for (size_t i = 0; i < live->vms; i++) {
		if (live->vm[i] && live->vm[i]->threaded)
			stop(live->vm[i]);
	}
	for (size_t i = 0; i < live->vms; i++) {
		if (live->vm[i])
			thread_end(live->vm[i]);
	}
}

/* Eviction. */

static void shortage(void *ctx)
{
	struct live *live = ctx;

	live->shortage = true;
}

static void release(void *ctx)
{
	struct live *live = ctx;

	live->host->breather = (struct breather){0};
	pthread_mutex_unlock(&live->lock);
}

static void retake(void *ctx)
{
	struct live *live = ctx;

	pthread_mutex_lock(&live->lock);
	live->host->breather = (struct breather){release, retake, live};
}

void thread_evict(struct live *live)
{
	if (!live->shortage)
		return;
	live->shortage = false;
	live->host->breather = (struct breather){release, retake, live};
	host_replenish(live->host);
	live->host->breather = (struct breather){0};
}

/* The loop. */

int threads_open(struct live *live)
{
	pthread_mutex_init(&live->lock, NULL);
	pthread_mutex_lock(&live->lock);
	live->locked = true;
	live->host->evictor.wake = shortage;
	live->host->evictor.ctx = live;
	live->bell = (struct watch){eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), bell_ready, live};
	return live->bell.fd < 0 ? -errno : loop_watch(&live->loop, &live->bell, EPOLLIN);
}

void threads_close(struct live *live)
{
	live->host->evictor = (struct evictor){0};
	loop_close(&live->loop, &live->bell);
	if (!live->locked)
		return;
	pthread_mutex_unlock(&live->lock);
	pthread_mutex_destroy(&live->lock);
}

int thread_sleep(struct live *live, uint64_t till, uint64_t ns)
{
	live->sleeps_till = till;
	pthread_mutex_unlock(&live->lock);
	int rc = loop_wait(&live->loop, ns);
	pthread_mutex_lock(&live->lock);
	live->sleeps_till = 0;
	return rc;
}
