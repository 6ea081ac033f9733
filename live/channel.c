#include "live/channel.h"

#include "balloon/ring.h"
#include "live/ivshmem.h"
#include "live/private.h"
#include "live/region.h"
#include "live/wire_io.h"

#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define SECOND	   UINT64_C(1000000000)
#define SOON	   (SECOND / 50) /* for what a driver has sent beyond its measure */
#define BELLS_MOST 1000		 /* in a second */

struct channel {
	struct live_vm *v;
	struct region region;
	struct ring_end ring;
	struct watch bell;
	int device;	    /* QEMU's end was given the other of this pair; -1 none */
	uint32_t told[2];   /* head and tail when the driver's bell was rung last */
	struct timer look;  /* at the rings, bell or no bell */
	uint32_t bells;	    /* in this second, */
	uint64_t second_ns; /* which began then */
	bool deaf;
};

/* Rings if there is something new and the driver waits for it. */
static void ring_driver(void *ctx)
{
	struct channel *c = ctx;

	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* indices first, then whether it waits */
	if ((c->told[0] == c->ring.head && c->told[1] == c->ring.tail) ||
	    !__atomic_load_n(&c->ring.region->guest_waits, __ATOMIC_ACQUIRE))
		return;
	c->told[0] = c->ring.head;
	c->told[1] = c->ring.tail;
	region_ring(&c->region);
}

static uint64_t now(const struct channel *c)
{
	return c->v->live->host->clock.now_ns;
}

static void look_at(struct channel *c, uint64_t when_ns)
{
	if (timer_add(&c->v->live->host->clock, &c->look, when_ns))
		abort(); /* cannot be: its place in the heap was made when it was opened */
}

static void contact(struct channel *c)
{
	struct live_vm *v = c->v;

	if (v->state == LIVE_RUNNING) {
		balloon_contact(v->live->balloon, v->vm);
		v->record->epoch = c->ring.past;
	}
	look_at(c, now(c) + (ring_waiting(&c->ring) ? SOON : SECOND));
}

/* False: it is not to be heard for the rest of this second. */
static bool may_ring(struct channel *c)
{
	c->v->stats.bells++;
	if (now(c) - c->second_ns >= SECOND) {
		c->second_ns = now(c);
		c->bells = 0;
	}
	return ++c->bells <= BELLS_MOST;
}

static void bell_ready(struct watch *w, uint32_t events)
{
	struct channel *c = w->owner;

	(void)events;
	if (!region_rung(&c->region))
		return;
	if (!may_ring(c)) {
		c->v->stats.deaf++;
		c->deaf = true;
		loop_ignore(&c->v->live->loop, w);
	}
	contact(c);
}

static void look(struct clock *clk, struct timer *timer, void *arg)
{
	struct channel *c = arg;

	(void)timer;
	if (c->deaf && clk->now_ns - c->second_ns >= SECOND)
		c->deaf = loop_watch(&c->v->live->loop, &c->bell, EPOLLIN) != 0;
	contact(c);
}

static int listen_to(struct channel *c)
{
	struct host *host = c->v->live->host;

	c->bell.fd = c->region.fd[REGION_BELL_IN];
	int rc = loop_watch(&c->v->live->loop, &c->bell, EPOLLIN);
	return rc ? rc : timer_add(&host->clock, &c->look, host->clock.now_ns + SECOND);
}

static int make(struct live_vm *v)
{
	struct channel *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->v = v;
	c->region = REGION_NONE;
	c->bell = (struct watch){-1, bell_ready, c};
	c->device = -1;
	timer_init(&c->look, look, c);
	v->channel = c;
	return 0;
}

/* The host's end of the rings, once they are there. */
static int connect_balloon(struct channel *c)
{
	struct live_vm *v = c->v;

	c->ring.region->host_waits = htole32(1);
	c->ring.bell = ring_driver;
	c->ring.bell_ctx = c;
	const struct balloon_end end = ring_as_end(&c->ring);
	balloon_steal(v->live->balloon, v->vm, &v->stats.fault_ns);
	int rc = listen_to(c);
	if (rc == 0)
		balloon_connect(v->live->balloon, v->vm, &end);
	return rc;
}

int channel_open(struct live_vm *v, enum channel_kind kind, struct err *err)
{
	const struct kept *kept = v->live->kept;
	const unsigned place = kept_place(v);
	int rc = make(v);

	rc = rc ? rc
		: region_make(&v->channel->region, CHANNEL_SIZE,
			      kind == CHANNEL_PROCESS ? BELLS_APART : BELLS_SHARED);
	rc = rc ? rc : ring_host_init(&v->channel->ring, v->channel->region.at, CHANNEL_SIZE);
	rc = rc ? rc : connect_balloon(v->channel);
	if (rc) {
		channel_close(v);
		return err_run(err, -rc, "vm %s: no way to a balloon: %s", v->vm->name,
			       strerror(-rc));
	}
	for (unsigned i = 0; i < REGION_FDS; i++)
		kept_put(kept, place + KEPT_REGION + i, v->channel->region.fd[i]);
	v->record->channel = kind;
	return 0;
}

/* A descriptor that the keeper has, ours from now on. */
static int take_kept(const struct live_vm *v, unsigned i)
{
	int *fd = &v->live->kept->fd[kept_place(v) + i], taken = *fd;

	*fd = -1;
	return taken;
}

int channel_adopt(struct live_vm *v)
{
	int rc = make(v), fd[REGION_FDS];

	if (rc)
		return rc;
	for (unsigned i = 0; i < REGION_FDS; i++)
		fd[i] = take_kept(v, KEPT_REGION + i);
	v->channel->device = take_kept(v, KEPT_DEVICE);
	rc = region_adopt(&v->channel->region, fd, CHANNEL_SIZE);
	rc = rc ? rc
		: ring_host_adopt(&v->channel->ring, v->channel->region.at, CHANNEL_SIZE,
				  v->record->epoch);
	if (rc)
		return rc;
	balloon_ask(v->live->balloon, v->vm, v->record->asked);
	balloon_hole(v->live->balloon, v->vm, v->record->hole_first, v->record->hole_pages);
	rc = connect_balloon(v->channel);
	region_ring(&v->channel->region); /* it sleeps, and must see that this is another host */
	return rc;
}

int channel_greet(struct channel *c, int qemu)
{
	if (c->device >= 0 || c->v->record->channel != CHANNEL_QEMU) {
		close(qemu);
		return -EBUSY;
	}
	c->device = qemu;
	fcntl(qemu, F_SETFL, O_NONBLOCK);
	if (!ivshmem_greet(qemu, &c->region))
		return -ESRCH;
	kept_put(c->v->live->kept, kept_place(c->v) + KEPT_DEVICE, qemu);
	return 0;
}

bool channel_hand_over(const struct live_vm *v)
{
	const struct wire w = {.op = WIRE_CHANNEL, .version = WIRE_VERSION, .offset = CHANNEL_SIZE};

	int fd[REGION_FDS];

	region_others(&v->channel->region, fd);
	const bool sent = wire_send_fds(v->sock.fd, &w, WIRE_SHORT, fd, REGION_FDS);
	region_handed_over(&v->channel->region);
	return sent;
}

void channel_close(struct live_vm *v)
{
	struct channel *c = v->channel;

	if (!c)
		return;
	v->channel = NULL;
	timer_cancel(&v->live->host->clock, &c->look);
	loop_ignore(&v->live->loop, &c->bell);
	if (c->device >= 0)
		close(c->device);
	region_close(&c->region);
	free(c);
}

void channel_ask(struct live_vm *v, uint32_t pages)
{
	v->record->asked = pages;
	balloon_ask(v->live->balloon, v->vm, pages);
}

void channel_hole(struct live_vm *v, uint32_t first, uint32_t pages)
{
	v->record->hole_first = first;
	v->record->hole_pages = pages;
	balloon_hole(v->live->balloon, v->vm, first, pages);
}
