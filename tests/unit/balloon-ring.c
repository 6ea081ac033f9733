/* Rings in memory that the other side may scribble on. */
#include "balloon.h"

#include "balloon/ring.h"
#include "core/rng.h"

#define SIZE BALLOON_REGION_MIN

struct pair {
	void *region;
	struct ring_end host, guest;
	struct balloon_end h, g;
	int bells;
};

static void bell(void *ctx)
{
	struct pair *p = ctx;

	p->bells++;
}

static void pair_open(struct pair *p)
{
	*p = (struct pair){.region = aligned_alloc(4096, SIZE)};
	CU_ASSERT_EQUAL_FATAL(ring_host_init(&p->host, p->region, SIZE), 0);
	CU_ASSERT_EQUAL_FATAL(ring_guest_init(&p->guest, p->region, SIZE), 0);
	p->guest.bell = bell;
	p->guest.bell_ctx = p;
	p->h = ring_as_end(&p->host);
	p->g = ring_as_end(&p->guest);
}

/* Both have seen that the rings are empty. */
static void pair_begin(struct pair *p)
{
	uint64_t word;

	CU_ASSERT_EQUAL_FATAL(p->h.recv(p->h.ctx, &word, 8), -ECONNRESET);
	CU_ASSERT_EQUAL_FATAL(p->h.recv(p->h.ctx, &word, 8), 0);
	CU_ASSERT_EQUAL_FATAL(p->g.recv(p->g.ctx, &word, 8), 0);
}

static void nothing_before_the_host_looked(void)
{
	struct pair p;
	uint64_t word = 1;

	pair_open(&p);
	CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), -EAGAIN);
	CU_ASSERT_EQUAL(p.h.send(p.h.ctx, &word, 8), -EAGAIN);
	CU_ASSERT_EQUAL(p.g.recv(p.g.ctx, &word, 8), 0);
	pair_begin(&p);
	CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), 0);
	CU_ASSERT_EQUAL(p.h.send(p.h.ctx, &word, 8), 0);
	p.g.ring(p.g.ctx);
	CU_ASSERT_EQUAL(p.bells, 1);
	p.h.ring(p.h.ctx); /* nobody listens */
	free(p.region);
}

/* A twin keeps what is on its way; both rings wrap many times. */
static void as_a_queue(void)
{
	static uint8_t twin[2][BALLOON_RING_MIN];
	size_t have[2] = {0, 0};
	uint8_t buf[5000], next = 0;
	struct pair p;
	struct rng rng;

	rng_init(&rng, test_seed(3), "ring", 0);
	pair_open(&p);
	pair_begin(&p);
	p.host.head = p.guest.tail = UINT32_MAX - 3000; /* the number of a byte wraps too */
	p.host.out->head = p.host.out->tail = htole32(UINT32_MAX - 3000);
	for (int i = 0; i < 20000 / TEST_SCALE; i++) {
		unsigned way = (unsigned)rng_below(&rng, 2);
		struct balloon_end *from = way ? &p.h : &p.g, *to = way ? &p.g : &p.h;
		size_t n = 8 * (1 + rng_below(&rng, 512));
		if (rng_below(&rng, 2)) {
			for (size_t k = 0; k < n; k++)
				buf[k] = next++;
			int rc = from->send(from->ctx, buf, n);
			CU_ASSERT_EQUAL_FATAL(rc, have[way] + n > BALLOON_RING_MIN ? -EAGAIN : 0);
			if (rc == 0) {
				memcpy(twin[way] + have[way], buf, n);
				have[way] += n;
			}
		} else {
			ssize_t got = to->recv(to->ctx, buf, n);
			CU_ASSERT_EQUAL_FATAL(got, n < have[way] ? n : have[way]);
			CU_ASSERT_EQUAL_FATAL(memcmp(buf, twin[way], (size_t)got), 0);
			have[way] -= (size_t)got;
			memmove(twin[way], twin[way] + got, have[way]);
		}
	}
	free(p.region);
}

/* Indices that cannot be: said once, and the guest has to begin anew. */
static void false_indices(void)
{
	struct pair p;
	uint64_t word = 1;

	for (int which = 0; which < 2; which++) {
		pair_open(&p);
		pair_begin(&p);
		CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), 0);
		if (which)
			p.host.in->head = htole32(8 + BALLOON_RING_MIN); /* more than fits */
		else
			p.host.out->tail = htole32(64); /* it read what was not sent */
		CU_ASSERT_EQUAL(p.h.recv(p.h.ctx, &word, 8), -EPROTO);
		CU_ASSERT_EQUAL(p.h.recv(p.h.ctx, &word, 8), 0);
		CU_ASSERT_EQUAL(p.h.send(p.h.ctx, &word, 8), -EAGAIN);
		CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), -EAGAIN);
		CU_ASSERT_EQUAL(p.g.recv(p.g.ctx, &word, 8), -ECONNRESET);
		pair_begin(&p);
		CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), 0);
		CU_ASSERT_EQUAL(p.h.recv(p.h.ctx, &word, 8), 8);
		free(p.region);
	}
}

/* The host was restarted, and laid the region out afresh. */
static void host_restarts(void)
{
	struct pair p;
	uint64_t word = 1;

	pair_open(&p);
	pair_begin(&p);
	CU_ASSERT_EQUAL_FATAL(ring_host_init(&p.host, p.region, SIZE), 0);
	CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), -EAGAIN);
	CU_ASSERT_EQUAL(p.g.recv(p.g.ctx, &word, 8), -ECONNRESET);
	pair_begin(&p);
	CU_ASSERT_EQUAL(p.h.send(p.h.ctx, &word, 8), 0);
	CU_ASSERT_EQUAL(p.g.recv(p.g.ctx, &word, 8), 8);
	free(p.region);
}

/* A host that takes over from one that died, at each step of a guest's beginning. */
static void host_is_followed(void)
{
	struct pair p;
	uint64_t word = 1;
	char byte = 7;

	pair_open(&p); /* before the guest was answered: it waits, and is answered now */
	CU_ASSERT_EQUAL(ring_host_adopt(&p.host, p.region, SIZE, 0), 0);
	pair_begin(&p);
	CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), 0);

	/* In the middle of a talk: not before the guest has seen it is anything heard. */
	CU_ASSERT_EQUAL(ring_host_adopt(&p.host, p.region, SIZE, 0), 0);
	CU_ASSERT_EQUAL(p.h.recv(p.h.ctx, &byte, 1), 0);
	CU_ASSERT_FALSE(ring_waiting(&p.host));
	CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), -EAGAIN);
	CU_ASSERT_EQUAL(p.g.recv(p.g.ctx, &word, 8), -ECONNRESET);
	pair_begin(&p);
	CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), 0);
	CU_ASSERT_TRUE(ring_waiting(&p.host));

	/* Void already, by the one that died: what it answered last is no question. */
	const uint32_t past = p.host.past;
	ring_host_void(&p.host);
	CU_ASSERT_EQUAL(ring_host_adopt(&p.host, p.region, SIZE, past), 0);
	CU_ASSERT_EQUAL(p.h.recv(p.h.ctx, &byte, 1), 0);
	CU_ASSERT_EQUAL(p.g.recv(p.g.ctx, &word, 8), -ECONNRESET);
	pair_begin(&p);
	CU_ASSERT_EQUAL(ring_host_adopt(&p.host, p.region, 4096, 0), -EINVAL);
	free(p.region);
}

/* Another driver on the same region: the old bytes are gone. */
static void guest_restarts(void)
{
	struct pair p;
	uint64_t word = 1;

	pair_open(&p);
	pair_begin(&p);
	CU_ASSERT_EQUAL(p.g.send(p.g.ctx, &word, 8), 0);
	CU_ASSERT_EQUAL_FATAL(ring_guest_init(&p.guest, p.region, SIZE), 0);
	pair_begin(&p);
	free(p.region);
}

static void layouts(void)
{
	struct ring_end end;
	struct balloon_region *r = aligned_alloc(4096, 1 << 20);

	CU_ASSERT_EQUAL(ring_host_init(&end, r, SIZE - 4096), -EINVAL);
	CU_ASSERT_EQUAL(ring_host_init(&end, r, SIZE + 1), -EINVAL);
	memset(r, 0, 1 << 20);
	CU_ASSERT_EQUAL(ring_guest_init(&end, r, 1 << 20), -EPROTO); /* nobody laid it out */
	CU_ASSERT_EQUAL_FATAL(ring_host_init(&end, r, 1 << 20), 0);
	CU_ASSERT_EQUAL(end.out_size, 1 << 18); /* the largest two that fit beside a page */
	CU_ASSERT_TRUE(le32toh(r->to_guest.offset) + end.out_size <= 1 << 20);
	CU_ASSERT_EQUAL(ring_guest_init(&end, r, 1 << 20), 0);
	CU_ASSERT_EQUAL(ring_guest_init(&end, r, SIZE), -EPROTO); /* the device is smaller */
	__le32 *const fields[] = {&r->version, &r->to_host.offset, &r->to_host.size,
				  &r->to_guest.offset, &r->to_guest.size};
	const uint32_t values[] = {0, 1, 4095, 12288, 0x7fffffff, UINT32_MAX, 0xfffff000u};
	for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
		for (size_t v = 0; v < ARRAY_LEN(values); v++) {
			const __le32 was = *fields[f];
			*fields[f] = htole32(values[v]);
			const bool may = (f == 0 && values[v] == 1) ||
					 ((f == 1 || f == 3) && values[v] == 12288);
			CU_ASSERT_EQUAL(ring_guest_init(&end, r, 1 << 20), may ? 0 : -EPROTO);
			*fields[f] = was;
		}
	}
	free(r);
}

TESTS("balloon/ring", {"nothing before the host looked", nothing_before_the_host_looked},
      {"as a queue", as_a_queue}, {"false indices", false_indices},
      {"the host restarts", host_restarts}, {"the host is followed", host_is_followed},
      {"the guest restarts", guest_restarts}, {"layouts", layouts})
