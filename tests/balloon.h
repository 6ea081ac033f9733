/*
 * For tests of balloons: a host with one, a wire on which a test plays the
 * driver byte by byte, and a guest with the simplest of allocators.
 */
#ifndef BALLAST_TESTS_BALLOON_H
#define BALLAST_TESTS_BALLOON_H

#include "host.h"

#include "balloon/local.h"
#include "balloon/private.h"
#include "core/balloon_guest.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define WIRE_ROOM (1u << 20)

/* What goes each way, and which number the test's next message has. */
struct wire {
	uint8_t to_host[WIRE_ROOM], to_guest[WIRE_ROOM];
	size_t said, heard, answered, read;
	uint32_t seq;
	size_t room; /* for answers */
	int fault;   /* what recv says instead, once */
};

struct balloon_test {
	struct test_host t;
	struct balloon_opts opts;
	struct balloon *balloon;
	struct wire *wire; /* of the VM that the test talks for */
};

static inline int wire_send(void *ctx, const void *bytes, size_t n)
{
	struct wire *w = ctx;

	if (w->answered + n > w->room)
		return -EAGAIN;
	memcpy(w->to_guest + w->answered, bytes, n);
	w->answered += n;
	return 0;
}

static inline ssize_t wire_recv(void *ctx, void *bytes, size_t n)
{
	struct wire *w = ctx;
	int fault = w->fault;

	w->fault = 0;
	if (fault)
		return fault;
	n = n < w->said - w->heard ? n : w->said - w->heard;
	memcpy(bytes, w->to_host + w->heard, n);
	w->heard += n;
	if (w->heard == w->said)
		w->heard = w->said = 0;
	return (ssize_t)n;
}

static inline void wire_ring(void *ctx)
{
	(void)ctx;
}

static inline struct wire *wire_new(void)
{
	struct wire *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	w->room = WIRE_ROOM;
	return w;
}

static inline void wire_connect(struct wire *w, struct balloon *b, struct vm *vm)
{
	balloon_connect(b, vm, &(struct balloon_end){w, wire_send, wire_recv, wire_ring});
}

/* Any bytes. */
static inline void wire_bytes(struct wire *w, const void *bytes, size_t n)
{
	if (w->said + n > WIRE_ROOM)
		abort();
	memcpy(w->to_host + w->said, bytes, n);
	w->said += n;
}

/* A message with a good header. */
static inline void wire_say(struct wire *w, void *msg, uint16_t type, size_t size)
{
	struct balloon_msg head = {htole16(type), htole16((uint16_t)size), htole32(w->seq++)};

	memcpy(msg, &head, sizeof head);
	wire_bytes(w, msg, size);
}

static inline struct balloon_hello wire_a_hello(uint32_t caps)
{
	return (struct balloon_hello){
		.magic = htole32(BALLOON_MAGIC),
		.version_min = htole16(1),
		.version_max = htole16(1),
		.caps = htole32(caps),
		.page_shift = htole32(12),
		.driver = "test",
	};
}

static inline void wire_hello(struct wire *w, uint32_t caps)
{
	struct balloon_hello m = wire_a_hello(caps);

	w->seq = 0;
	wire_say(w, &m, BALLOON_MSG_HELLO, sizeof m);
}

static inline void wire_pages(struct wire *w, uint16_t type, const uint32_t *ppn, uint32_t n)
{
	uint64_t words[BALLOON_MSG_MAX / 8 + 1] = {0};
	struct balloon_pages *m = (struct balloon_pages *)words;

	m->count = htole32(n);
	for (uint32_t i = 0; i < n; i++)
		m->ppn[i] = htole32(ppn[i]);
	wire_say(w, m, type, pages_size(n));
}

static inline void wire_run(struct wire *w, uint16_t type, uint32_t first, uint32_t n)
{
	uint32_t ppn[BALLOON_BATCH_MAX];

	for (uint32_t i = 0; i < n; i++)
		ppn[i] = first + i;
	wire_pages(w, type, ppn, n);
}

static inline void wire_stats(struct wire *w, uint64_t refusals, uint32_t pressure)
{
	struct balloon_stats m = {
		.free = htole64(17),
		.refusals = htole64(refusals),
		.pressure = htole32(pressure),
	};

	wire_say(w, &m, BALLOON_MSG_STATS, sizeof m);
}

/*
 * The next answer, or NULL: checked for what any reader of it relies on. The
 * answers that were read are forgotten when all were.
 */
static inline const struct balloon_msg *wire_answer(struct wire *w)
{
	static uint64_t buf[BALLOON_MSG_MAX / 8];

	if (w->read == w->answered) {
		w->read = w->answered = 0;
		return NULL;
	}
	memcpy(buf, w->to_guest + w->read, sizeof(struct balloon_msg));
	const struct balloon_msg *m = (const struct balloon_msg *)buf;
	size_t size = le16toh(m->size);
	CU_ASSERT_FATAL(size >= 8 && size <= BALLOON_MSG_MAX && w->read + size <= w->answered);
	memcpy(buf, w->to_guest + w->read, size);
	CU_ASSERT_FATAL(message_fits(m, size));
	w->read += size;
	return m;
}

/* The next answer of that type; others are passed over. NULL: none. */
static inline const void *wire_answer_of(struct wire *w, uint16_t type)
{
	const struct balloon_msg *m;

	while ((m = wire_answer(w)) != NULL) {
		if (le16toh(m->type) == type)
			break;
	}
	return m;
}

/* Answers of that type among all that there are; they are gone then. */
static inline uint32_t wire_count(struct wire *w, uint16_t type)
{
	uint32_t n = 0;

	while (wire_answer_of(w, type))
		n++;
	return n;
}

static inline void balloon_test_open(struct balloon_test *bt, struct test_shape shape)
{
	memset(bt, 0, sizeof *bt);
	test_host_new(&bt->t, shape);
	if (opt_defaults(&balloon_section, &bt->opts))
		abort();
	bt->opts.message_time = bt->opts.page_time = 0;
}

/* After the test has changed the options that it wants other. */
static inline void balloon_test_start(struct balloon_test *bt)
{
	struct err err;

	if (balloon_open(bt->t.host, bt->t.pmaps, &bt->opts, &bt->balloon, &err))
		abort();
	bt->wire = wire_new();
}

static inline void balloon_test_close(struct balloon_test *bt)
{
	CU_ASSERT_EQUAL(test_audit(&bt->t), 0);
	test_host_free(&bt->t);
	free(bt->wire);
}

static inline void balloon_test_wait(struct balloon_test *bt, uint64_t ns)
{
	clock_run_until(&bt->t.host->clock, bt->t.host->clock.now_ns + ns);
}

static inline uint64_t ballooned(const struct vm *vm)
{
	return vm->pmap->count[PAGE_BALLOONED];
}

/* A guest that hands out its pages from the highest downwards, but keeps some. */
struct toy_guest {
	struct vm *vm;
	uint8_t *out; /* [pages] */
	uint32_t keep, n;
	uint64_t fresh_hints; /* pages reported so far, from 0 upwards */
	uint32_t pressure;
	struct driver_release release;
	uint32_t popped;
};

static inline int toy_alloc(void *ctx, ppn_t *ppn)
{
	struct toy_guest *g = ctx;

	if (g->n + g->keep >= g->vm->pages)
		return -ENOMEM;
	for (uint32_t i = g->vm->pages; i-- > 0;) {
		if (g->out[i])
			continue;
		g->out[i] = 1;
		g->n++;
		ppn->n = i;
		return 0;
	}
	return -ENOMEM;
}

static inline void toy_free(void *ctx, ppn_t ppn)
{
	struct toy_guest *g = ctx;

	CU_ASSERT_FATAL(ppn.n < g->vm->pages && g->out[ppn.n]);
	g->out[ppn.n] = 0;
	g->n--;
}

static inline void toy_stats(void *ctx, struct guest_memory *m)
{
	const struct toy_guest *g = ctx;

	*m = (struct guest_memory){
		.total = g->vm->pages, .free = g->vm->pages - g->n, .pressure = g->pressure};
}

static inline void toy_listen(void *ctx, const struct driver_release *release)
{
	struct toy_guest *g = ctx;

	g->release = release ? *release : (struct driver_release){0};
}

static inline struct toy_guest *toy_new(struct vm *vm, uint32_t keep)
{
	struct toy_guest *g = calloc(1, sizeof *g);

	if (!g || !(g->out = calloc(vm->pages, 1)))
		abort();
	g->vm = vm;
	g->keep = keep;
	return g;
}

static inline void toy_free_guest(struct toy_guest *g)
{
	free(g->out);
	free(g);
}

static inline struct driver_guest toy_table(struct toy_guest *g)
{
	return (struct driver_guest){.ctx = g,
				     .alloc_page = toy_alloc,
				     .free_page = toy_free,
				     .stats = toy_stats,
				     .listen = toy_listen};
}

#endif
