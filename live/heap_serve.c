/*
 * The thread of a process guest's heap: finds pages for a guest that has no
 * more, gives unused ones back, and drives the balloon.
 */
#include "live/heap.h"

#include "balloon/driver.h"
#include "balloon/ring.h"
#include "live/agent.h"

#include <endian.h>
#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 2   /* of a guest's thread that begs */
#define ANSWER_MS  50  /* for the host to answer a message */
#define BEG_LEAST  256 /* pages that a guest gets that begs */

/* Inflates as fast as the host lets it; begs at most once a second. */
static const struct balloon_opts driver_opts = {
	.poll = 1000000000,
	.slice = 10000000,
	.start_rate = 256u << 20,
	.rate = UINT64_C(4) << 30,
	.hint_rate = 64u << 20,
	.backoff = 5000000000,
};

static struct {
	pthread_mutex_t lock; /* of the next five */
	pthread_cond_t answer;
	uint64_t begs, answered; /* begs: so many so far */
	uint32_t want;		 /* pages, of those not answered */
	bool up, gave;		 /* gave: the last answer */
	int wake;		 /* an eventfd */
	int bells[2];		 /* the host's to us, ours to the host; -1: there is no balloon */
	struct clock clock;
	struct ring_end ring;
	size_t region_size; /* what the ring lies in */
	struct driver *driver;
	struct driver_release release;
} serve = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.answer = PTHREAD_COND_INITIALIZER,
	.wake = -1,
	.bells = {-1, -1},
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* jemalloc. */

#define TEXT_OF(x)	  #x
#define IN_ALL(all, what) "arena." TEXT_OF(all) "." what

/* What no arena uses comes back to the hooks. */
static void purge(void)
{
	(void)mallctl(IN_ALL(MALLCTL_ARENAS_ALL, "purge"), NULL, NULL, NULL, 0);
}

/* The guest, as its driver sees it. */

/* The guest refuses for a while after this said no, so that it does not purge all the time. */
static int guest_alloc(void *ctx, ppn_t *ppn)
{
	struct heap_pages *pages = &ballast_heap.pages;

	(void)ctx;
	if (heap_pages_take_one(pages, &ppn->n) == 0)
		return 0;
	purge();
	return heap_pages_take_one(pages, &ppn->n);
}

static void guest_free(void *ctx, ppn_t ppn)
{
	(void)ctx;
	heap_pages_give_back(&ballast_heap.pages, ppn.n); /* it may not have been taken */
}

static void guest_stats(void *ctx, struct guest_memory *m)
{
	const struct heap_count c = heap_pages_count(&ballast_heap.pages);

	(void)ctx;
	*m = (struct guest_memory){.total = c.pages, .free = c.free, .available = c.free};
}

static void guest_listen(void *ctx, const struct driver_release *release)
{
	(void)ctx;
	serve.release = release ? *release : (struct driver_release){NULL, NULL};
}

static uint32_t guest_take_free(void *ctx, ppn_t *ppn, uint32_t n)
{
	uint32_t page[BALLOON_BATCH_MAX];

	(void)ctx;
	n = heap_pages_take_used(&ballast_heap.pages, page, n);
	for (uint32_t i = 0; i < n; i++)
		ppn[i].n = page[i];
	return n;
}

static void guest_free_reported(void *ctx, const ppn_t *ppn, uint32_t n)
{
	(void)ctx;
	for (uint32_t i = 0; i < n; i++)
		heap_pages_give_zero(&ballast_heap.pages, ppn[i].n);
}

static const struct driver_guest guest = {
	.alloc_page = guest_alloc,
	.free_page = guest_free,
	.stats = guest_stats,
	.listen = guest_listen,
	.take_free = guest_take_free,
	.free_reported = guest_free_reported,
	.free_unreported = guest_free,
};

/* The channel. */

static void drain(int fd)
{
	uint64_t n;

	while (fd >= 0 && read(fd, &n, sizeof n) > 0)
		; /* until nobody has rung */
}

/*
 * Rings the host, and waits a moment for it to ring back: the driver asks one
 * thing at a time and then looks for the answer.
 */
static void ring_host(void *ctx)
{
	const uint64_t one = 1;
	struct pollfd p = {serve.bells[0], POLLIN, 0};

	(void)ctx;
	if (write(serve.bells[1], &one, sizeof one) < 0)
		return; /* it has been rung so often that it must know */
	if (poll(&p, 1, ANSWER_MS) == 1)
		drain(serve.bells[0]);
}

/* From the agent, where the host has balloons. */
__attribute__((weak)) int ballast_agent_channel(int fd[3], size_t *size);

static void open_balloon(void)
{
	const struct driver_place place = {"process", ballast_heap.pages.pages, &serve.clock, NULL};
	size_t size = 0;
	int fd[3];

	clock_init(&serve.clock);
	clock_run_until(&serve.clock, now_ns());
	if (!ballast_agent_channel || ballast_agent_channel(fd, &size))
		return;
	void *region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd[0], 0);
	if (region == MAP_FAILED || ring_guest_init(&serve.ring, region, size))
		agent_give_up("the host's balloon channel is of another version", "");
	serve.bells[0] = fd[1];
	serve.bells[1] = fd[2];
	serve.ring.region->guest_waits = htole32(1); /* it always sleeps, or looks again */
	serve.region_size = size;
	serve.ring.bell = ring_host;
	const struct balloon_end end = ring_as_end(&serve.ring);
	if (driver_new_at(&place, &guest, &driver_opts, &end, serve.clock.now_ns, &serve.driver))
		agent_give_up("no memory for a balloon driver", "");
}

/* The thread. */

/* Whether there are more free pages than before, or were for a moment. */
static bool relieve(uint32_t want)
{
	const uint32_t before = heap_pages_count(&ballast_heap.pages).free;
	uint32_t n = 0, free = 0;

	for (int ms = 0;; ms += ANSWER_MS) {
		purge();
		free = heap_pages_count(&ballast_heap.pages).free;
		if (serve.release.release && free < before + want)
			n = serve.release.release(serve.release.ctx,
						  want < BEG_LEAST ? BEG_LEAST : want);
		if (n > 0 || heap_pages_count(&ballast_heap.pages).free > before)
			return true;
		if (!serve.driver || !driver_waits(serve.driver) || ms >= PATIENCE_S * 1000)
			return false;
		ring_host(NULL); /* some pages are on their way to the host, or back */
		clock_run_until(&serve.clock, now_ns());
	}
}

static void answer_begs(void)
{
	pthread_mutex_lock(&serve.lock);
	const uint64_t begs = serve.begs;
	const uint32_t want = serve.want;
	const bool any = begs != serve.answered;
	serve.want = 0;
	pthread_mutex_unlock(&serve.lock);
	if (!any)
		return;
	const bool gave = relieve(want);
	pthread_mutex_lock(&serve.lock);
	serve.answered = begs;
	serve.gave = gave;
	pthread_cond_broadcast(&serve.answer);
	pthread_mutex_unlock(&serve.lock);
}

bool heap_serve_beg(uint32_t pages)
{
	struct timespec until;
	const uint64_t one = 1;
	bool gave = false;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&serve.lock);
	if (serve.up) {
		const uint64_t mine = ++serve.begs;
		if (pages > serve.want)
			serve.want = pages;
		int rc = write(serve.wake, &one, sizeof one) < 0 ? errno : 0;
		while (rc == 0 && serve.answered < mine)
			rc = pthread_cond_clockwait(&serve.answer, &serve.lock, CLOCK_MONOTONIC,
						    &until);
		gave = serve.answered >= mine && serve.gave;
	}
	pthread_mutex_unlock(&serve.lock);
	return gave;
}

/* Until the next timer; -1: there is none. */
static int timeout_ms(void)
{
	const uint64_t next = clock_next(&serve.clock, UINT64_MAX), now = now_ns();

	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)((next - now + 999999) / 1000000);
}

static _Noreturn void run(void)
{
	struct pollfd p[2] = {{serve.wake, POLLIN, 0}, {serve.bells[0], POLLIN, 0}};

	for (;;) {
		poll(p, 2, timeout_ms());
		if (p[0].revents)
			drain(serve.wake);
		answer_begs();
		if (p[1].revents) {
			drain(serve.bells[0]);
			driver_interrupt(serve.driver);
		}
		clock_run_until(&serve.clock, now_ns());
	}
}

/* Its own arena keeps jemalloc's default hooks: kernel memory. */
static void leave_guest_memory(void)
{
	unsigned arena = 0;
	size_t size = sizeof arena;
	bool off = false;

	if (mallctl("arenas.create", &arena, &size, NULL, 0) ||
	    mallctl("thread.arena", NULL, NULL, &arena, sizeof arena) ||
	    mallctl("thread.tcache.enabled", NULL, NULL, &off, sizeof off))
		agent_give_up("this jemalloc gives a thread no arena of its own", "");
}

static void *thread(void *arg)
{
	(void)arg;
	leave_guest_memory();
	open_balloon();
	pthread_mutex_lock(&serve.lock);
	serve.up = true;
	pthread_cond_broadcast(&serve.answer);
	pthread_mutex_unlock(&serve.lock);
	run();
}

void heap_serve_start(void)
{
	sigset_t all, old;
	pthread_t id;

	serve.wake = agent_own(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (serve.wake < 0)
		agent_give_up("no descriptor for the heap's thread: ", strerror(errno));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&id, NULL, thread, NULL))
		agent_give_up("no thread for the heap", "");
	pthread_setname_np(id, "ballast-agent"); /* it is no part of the guest: live/steal.h */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_mutex_lock(&serve.lock);
	while (!serve.up)
		pthread_cond_wait(&serve.answer, &serve.lock);
	pthread_mutex_unlock(&serve.lock);
}

void heap_serve_leave(void)
{
	serve.up = false;
	pthread_mutex_init(&serve.lock, NULL);
	pthread_cond_init(&serve.answer, NULL);
	if (serve.ring.region)
		munmap(serve.ring.region, serve.region_size);
}
