/*
 * The balloon's protocol: whatever a guest says or scribbles, its host counts
 * right, keeps the balloon under its cap and leaves the other VM alone; and
 * whatever a host says, its driver frees only what the guest gave it.
 *
 * The first byte chooses: a stream of bytes to the host, sentences to the host
 * made from the bytes (so that numbers and sizes are right), a region of memory
 * scribbled upon, a stream of bytes to the driver.
 */
#include "balloon/balloon.h"
#include "balloon/driver.h"
#include "balloon/ring.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size, at;
};

static ssize_t input_recv(void *ctx, void *bytes, size_t n)
{
	struct input *in = ctx;

	n = min_u64(n, in->size - in->at);
	if (n == 0)
		return 0;
	memcpy(bytes, in->data + in->at, n);
	in->at += n;
	return (ssize_t)n;
}

static int input_send(void *ctx, const void *bytes, size_t n)
{
	const struct balloon_msg *m = bytes;

	(void)ctx;
	if (le16toh(m->size) != n || !message_fits(m, n))
		abort();
	return 0;
}

static void input_ring(void *ctx)
{
	(void)ctx;
}

static uint32_t byte(struct input *in)
{
	return in->at < in->size ? in->data[in->at++] : 0;
}

struct stage {
	struct host *host;
	struct balloon *balloon;
	struct vm *vm[2];
	struct balloon_opts opts;
};

static void must(int rc)
{
	if (rc)
		abort();
}

static void stage_open(struct stage *s)
{
	struct host_opts opts = {.frames = 2 * PAGES, .backing = &backing_ids.policy};
	const struct cost_opts cost = {0};
	struct pmap_part *pmaps;
	struct err err;

	opts.thresholds = thresholds_list[0];
	must(opt_defaults(&balloon_section, &s->opts));
	s->opts.messages = 100000;
	must(host_new(&opts, &cost, &s->host, &err));
	must(pmap_part_new(s->host, &pmaps));
	must(balloon_open(s->host, pmaps, &s->opts, &s->balloon, &err));
	for (int i = 0; i < 2; i++) {
		must(vm_add(s->host, i ? "b" : "a", PAGES, &s->vm[i], &err));
		for (uint32_t p = 0; p < PAGES; p++)
			must(pmap_touch(s->vm[i]->pmap, (ppn_t){p}, ACCESS_WRITE, &err));
	}
	s->vm[0]->target = PAGES / 2;
}

static void stage_close(struct stage *s)
{
	if (host_audit(s->host, stderr) || vm_held(s->vm[1]) != PAGES ||
	    s->vm[0]->pmap->count[PAGE_BALLOONED] > PAGES * 65 / 100)
		abort();
	host_free(s->host);
}

/* Contacts, time and touches, in between whatever comes. */
static void live_on(struct stage *s, uint32_t what)
{
	struct err err;

	balloon_contact(s->balloon, s->vm[0]);
	if (what & 1)
		clock_run_until(&s->host->clock, s->host->clock.now_ns + UINT64_C(700000000));
	if (what & 2)
		must(pmap_touch(s->vm[0]->pmap, (ppn_t){what % PAGES}, ACCESS_WRITE, &err));
	if (what & 4)
		pmap_drop(s->vm[0]->pmap, (ppn_t){what % PAGES});
}

static void bytes_to_host(struct input *in)
{
	const struct balloon_end end = {in, input_send, input_recv, input_ring};
	struct stage s;

	stage_open(&s);
	balloon_connect(s.balloon, s.vm[0], &end);
	for (uint32_t i = 0; i < 40; i++)
		live_on(&s, i);
	stage_close(&s);
}

/* A sentence from a few bytes of the input, into buf; its size. */
static size_t sentence(struct input *in, uint64_t *buf, uint32_t *seq)
{
	static const uint16_t types[] = {1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 16, 18, 20, 22, 0};
	struct balloon_msg *m = (struct balloon_msg *)buf;
	struct balloon_pages *p = (struct balloon_pages *)buf;
	struct balloon_hello *h = (struct balloon_hello *)buf;
	const uint16_t type = types[byte(in) % ARRAY_LEN(types)];
	const uint32_t twist = byte(in), n = 1 + byte(in);
	size_t size = pages_size(n);

	memset(buf, 0, BALLOON_MSG_MAX);
	if (type == BALLOON_MSG_HELLO) {
		*seq = 0;
		*h = (struct balloon_hello){.magic = htole32(BALLOON_MAGIC),
					    .version_min = htole16(twist == 1 ? 2 : 1),
					    .version_max = htole16(2),
					    .caps = htole32(n),
					    .page_shift = htole32(12),
					    .memory_pages = htole64(twist == 2 ? PAGES + 1 : 5)};
		size = sizeof *h;
	} else if (type == BALLOON_MSG_STATS) {
		size = sizeof(struct balloon_stats);
	} else if (type == BALLOON_MSG_BYE) {
		size = 8;
	} else {
		p->count = htole32(twist == 3 ? n + 1 : n);
		for (uint32_t i = 0; i < n; i++)
			p->ppn[i] = htole32(twist == 4 ? byte(in) << 24 : (byte(in) + i) % PAGES);
	}
	*m = (struct balloon_msg){htole16(type), htole16((uint16_t)(twist == 5 ? size + 8 : size)),
				  htole32(twist == 6 ? 77 : *seq)};
	(*seq)++;
	return size;
}

static void sentences_to_host(struct input *in)
{
	uint64_t buf[BALLOON_MSG_MAX / 8];
	struct input said = {(const uint8_t *)buf, 0, 0};
	const struct balloon_end end = {&said, input_send, input_recv, input_ring};
	uint32_t seq = 0;
	struct stage s;

	stage_open(&s);
	balloon_connect(s.balloon, s.vm[0], &end);
	while (in->at < in->size) {
		uint32_t what = byte(in);
		said.size = sentence(in, buf, &seq);
		said.at = 0;
		live_on(&s, what);
	}
	stage_close(&s);
}

/* Words of the region change between the host's looks at it. */
static void scribbles(struct input *in)
{
	static _Alignas(4096) uint8_t region[BALLOON_REGION_MIN];
	struct ring_end ring;
	struct stage s;

	stage_open(&s);
	must(ring_host_init(&ring, region, sizeof region));
	const struct balloon_end end = ring_as_end(&ring);
	balloon_connect(s.balloon, s.vm[0], &end);
	((struct balloon_region *)region)->guest_epoch = htole32(1);
	balloon_contact(s.balloon, s.vm[0]);
	while (in->at < in->size) {
		const uint32_t what = byte(in), n = byte(in);
		/* mostly the indices and the beginning of the guest's ring */
		const uint32_t at = what & 128 ? byte(in) * 2 : 4096 + byte(in) * 8;
		for (uint32_t i = 0; i < n && at + i < sizeof region; i++)
			region[at + i] = (uint8_t)byte(in);
		live_on(&s, what);
	}
	stage_close(&s);
}

struct giver {
	uint8_t out[PAGES];
};

static int give(void *ctx, ppn_t *ppn)
{
	struct giver *g = ctx;

	for (uint32_t i = 0; i < PAGES; i++) {
		if (g->out[i])
			continue;
		g->out[i] = 1;
		ppn->n = i;
		return 0;
	}
	return -ENOMEM;
}

static void take_back(void *ctx, ppn_t ppn)
{
	struct giver *g = ctx;

	if (ppn.n >= PAGES || !g->out[ppn.n])
		abort();
	g->out[ppn.n] = 0;
}

static void no_stats(void *ctx, struct guest_memory *m)
{
	(void)ctx;
	*m = (struct guest_memory){0};
}

static void bytes_to_driver(struct input *in)
{
	const struct balloon_end end = {in, input_send, input_recv, input_ring};
	struct giver giver = {{0}};
	const struct driver_guest guest = {
		.ctx = &giver, .alloc_page = give, .free_page = take_back, .stats = no_stats};
	struct driver *driver;
	uint32_t out = 0;
	struct err err;
	struct stage s;

	stage_open(&s);
	must(driver_new(s.vm[0], &guest, &s.opts, &end, 0, &driver, &err));
	clock_run_until(&s.host->clock, UINT64_C(20000000000));
	driver_stop(driver);
	for (uint32_t i = 0; i < PAGES; i++)
		out += giver.out[i];
	if (out || driver_holds(driver))
		abort();
	driver_free(driver);
	stage_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const ways[])(struct input *) = {bytes_to_host, sentences_to_host, scribbles,
						       bytes_to_driver};

	if (size) {
		struct input in = {data + 1, size - 1, 0};
		ways[data[0] % ARRAY_LEN(ways)](&in);
	}
	return 0;
}
