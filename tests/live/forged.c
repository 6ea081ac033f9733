/*
 * A guest that forges its balloon channel, against a host that runs: a process
 * under the agent (this program again) writes what it likes into the region,
 * names pages that are not its own, races the host for the indices, floods it
 * with messages and with bells, and tries to cut the region short. All of it is
 * refused and counted; its own page faults and another guest's go on, whose
 * pages are checked, and every frame is accounted for at each look.
 */
#include "live.h"

#include "balloon/ring.h"
#include "core/rng.h"
#include "live/channel.h"

#include <endian.h>
#include <pthread.h>

#define PAGES  2048
#define SECOND UINT64_C(1000000000)

/* The forger. */

int ballast_agent_channel(int fd[3], size_t *size) __attribute__((weak));

struct forger {
	struct rng rng;
	uint8_t *region;
	size_t size;
	int fd[3];
	uint8_t *memory; /* the guest's */
	struct ring_end ring;
	struct stream stream;
	uint8_t layout[4096]; /* the region's head as its host made it */
	volatile bool done;
};

static void bell(void *ctx)
{
	const struct forger *f = ctx;
	const uint64_t once = 1;

	if (write(f->fd[2], &once, sizeof once) < 0)
		return;
}

/* Looks for the answer of a type for up to two seconds. NULL: none, or another beginning. */
static const struct balloon_msg *hear(struct forger *f, uint16_t type)
{
	const struct balloon_msg *m;

	for (uint64_t end = os_mono_ns() + 2 * SECOND; os_mono_ns() < end;) {
		int rc = stream_next(&f->stream, &m);
		if (rc > 0 && le16toh(m->type) == type)
			return m;
		if (rc == 0)
			usleep(500);
	}
	return NULL;
}

/* A driver that begins: true if it is welcome. */
static bool greet(struct forger *f, uint64_t memory_pages)
{
	struct balloon_hello m = {.magic = htole32(BALLOON_MAGIC),
				  .version_min = htole16(1),
				  .version_max = htole16(1),
				  .caps = htole32(BALLOON_CAP_ALL),
				  .page_shift = htole32(12),
				  .memory_pages = htole64(memory_pages),
				  .driver = "forger"};
	struct balloon_region *r = (struct balloon_region *)f->region;
	const struct balloon_region *made = (const struct balloon_region *)f->layout;
	struct balloon_end end;
	uint8_t byte;

	/* What earlier acts have left of it; and a number not used before. */
	memcpy(r, made, offsetof(struct balloon_region, host_epoch));
	memcpy(&r->to_host, &made->to_host, 8);
	memcpy(&r->to_guest, &made->to_guest, 8);
	r->guest_epoch = (uint32_t)rng_below(&f->rng, UINT32_MAX);
	if (ring_guest_init(&f->ring, f->region, f->size))
		return false;
	f->ring.bell = bell;
	f->ring.bell_ctx = f;
	end = ring_as_end(&f->ring);
	stream_init(&f->stream, &end, BALLOON_MSG_WELCOME);
	bell(f);
	for (int i = 0; i < 2000 && f->ring.up == false; i++) {
		if (end.recv(end.ctx, &byte, 0) < 0)
			break;
		usleep(1000);
	}
	if (stream_send(&f->stream, &m.msg, BALLOON_MSG_HELLO, sizeof m))
		return false;
	bell(f);
	const struct balloon_welcome *w = (const void *)hear(f, BALLOON_MSG_WELCOME);
	return w && le16toh(w->version) == 1;
}

/* Names pages; how many were refused, or -1: no answer. */
static int name(struct forger *f, uint16_t type, const uint32_t *ppn, uint32_t n)
{
	uint64_t words[BALLOON_MSG_MAX / 8] = {0};
	struct balloon_pages *m = (struct balloon_pages *)words;

	m->count = htole32(n);
	for (uint32_t i = 0; i < n; i++)
		m->ppn[i] = htole32(ppn[i]);
	if (stream_send(&f->stream, &m->msg, type, pages_size(n)))
		return -1;
	bell(f);
	const struct balloon_ack *ack = (const void *)hear(f, BALLOON_MSG_ACK);
	return ack ? (int)le32toh(ack->refused) : -1;
}

static int foreign(struct forger *f)
{
	const uint32_t given[] = {PAGES, UINT32_MAX, 7, 8, 7, 0x80000000u, PAGES + 1000};
	const uint32_t wanted[] = {PAGES, 9, 7, 7};

	if (!greet(f, PAGES) || name(f, BALLOON_MSG_INFLATE, given, 7) != 5)
		return 1;
	if (name(f, BALLOON_MSG_DEFLATE, wanted, 4) != 3)
		return 2;
	f->memory[8 * 4096] = 1; /* uses what it gave */
	return greet(f, UINT64_MAX) ? 3 : 0;
}

/* What the descriptors allow. The region is whole again for the next act, but for what it held. */
static int cut(struct forger *f)
{
	if (ftruncate(f->fd[0], 0) == 0 || ftruncate(f->fd[0], (off_t)f->size / 2) == 0 ||
	    ftruncate(f->fd[0], (off_t)f->size * 2) == 0)
		return 1;
	if (fallocate(f->fd[0], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)f->size))
		return 2;
	bell(f);
	usleep(20000);
	return 0;
}

static void fill(struct forger *f, uint8_t *at, size_t n)
{
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t word = rng_below(&f->rng, 4) ? rng_below(&f->rng, 32)
						      : rng_below(&f->rng, UINT64_MAX);
		memcpy(at + i, &word, 8);
	}
}

/* Rubbish in the rings, and where they begin and end. */
static void garbage(struct forger *f, uint64_t ns)
{
	struct balloon_region *r = f->ring.region;

	for (uint64_t end = os_mono_ns() + ns; os_mono_ns() < end;) {
		fill(f, f->region + 4096, f->size - 4096);
		r->to_host.head =
			(uint32_t)rng_below(&f->rng, rng_below(&f->rng, 2) ? 1 << 17 : UINT32_MAX);
		if (rng_below(&f->rng, 4) == 0)
			r->to_guest.tail = (uint32_t)rng_below(&f->rng, UINT32_MAX);
		if (rng_below(&f->rng, 4) == 0)
			r->guest_epoch = (uint32_t)rng_below(&f->rng, 8);
		bell(f);
		usleep((unsigned)rng_below(&f->rng, 1500));
	}
}

static void *scribble(void *arg)
{
	struct forger *f = arg;
	uint64_t x = 88172645463325252u;

	while (!f->done) {
		x ^= x << 13; /* xorshift: the stream is the other thread's */
		x ^= x >> 7;
		x ^= x << 17;
		/* Mostly in the head, but for the layout, which an honest driver needs. */
		size_t at = x % 8 ? 64 + x / 8 % 192 : x / 8 % f->size;
		if (at % 4 == 0 && at + 4 <= f->size && (at >= 4096 || at < 128 || at % 128 >= 8))
			memcpy(f->region + at, &x, 4);
	}
	return NULL;
}

/* Honest messages, while another thread writes over them and over the indices. */
static int race(struct forger *f, uint64_t ns)
{
	uint32_t ppn[64];
	pthread_t thread;

	f->done = false;
	if (pthread_create(&thread, NULL, scribble, f))
		return 1;
	for (uint64_t end = os_mono_ns() + ns; os_mono_ns() < end;) {
		for (uint32_t i = 0; i < 64; i++)
			ppn[i] = (uint32_t)rng_below(&f->rng, PAGES);
		struct balloon_hello m = {.magic = htole32(BALLOON_MAGIC),
					  .version_min = htole16(1),
					  .version_max = htole16(1),
					  .page_shift = htole32(12)};
		uint64_t words[40] = {0};
		struct balloon_pages *p = (struct balloon_pages *)words;
		struct balloon_end e = ring_as_end(&f->ring);
		uint8_t byte;
		if (e.recv(e.ctx, &byte, 1) < 0 || f->stream.lost)
			(void)!stream_send(&f->stream, &m.msg, BALLOON_MSG_HELLO, sizeof m);
		p->count = htole32(64);
		memcpy(p->ppn, ppn, sizeof ppn);
		(void)!stream_send(&f->stream, &p->msg, BALLOON_MSG_INFLATE, pages_size(64));
		bell(f);
		usleep(2000);
		f->memory[4096 * rng_below(&f->rng, PAGES)]++;
	}
	f->done = true;
	pthread_join(thread, NULL);
	return 0;
}

/* More messages than anybody may send, well-formed. */
static int flood(struct forger *f, uint64_t ns)
{
	struct balloon_region *r = f->ring.region;
	unsigned sent = 0;

	if (!greet(f, PAGES))
		return 1;
	for (uint64_t end = os_mono_ns() + ns; os_mono_ns() < end;) {
		struct balloon_stats m = {.free = htole64(sent)};
		if (stream_send(&f->stream, &m.msg, BALLOON_MSG_STATS, sizeof m) == 0)
			sent++;
		else
			usleep(2000);
		if (sent % 256 == 0)
			bell(f);
		r->to_guest.tail = r->to_guest.head; /* as if it read the answers */
	}
	return sent > 2000 ? 0 : 2;
}

static void bells(const struct forger *f, uint64_t ns)
{
	for (uint64_t end = os_mono_ns() + ns; os_mono_ns() < end;)
		bell((void *)f);
}

/* Bells that are full, and that would have the host wait for ever if they were the same as its. */
static void jam(const struct forger *f)
{
	const uint64_t full = UINT64_MAX - 1;

	for (int i = 1; i < 3; i++) {
		(void)!write(f->fd[i], &full, sizeof full);
		fcntl(f->fd[i], F_SETFL, 0);
	}
	usleep(100000);
	for (int i = 1; i < 3; i++)
		fcntl(f->fd[i], F_SETFL, O_NONBLOCK);
}

/* Every page of its own reads and writes as ever. */
static unsigned own_pages(struct forger *f)
{
	unsigned bad = 0;

	for (uint32_t i = 0; i < PAGES; i++)
		memcpy(f->memory + 4096 * (size_t)i, &i, sizeof i);
	for (uint32_t i = 0; i < PAGES; i++)
		bad += memcmp(f->memory + 4096 * (size_t)i, &i, sizeof i) != 0;
	return bad;
}

static _Noreturn void forge(const char *file)
{
	static struct forger f;
	int fd = open(file, O_RDWR), rc;

	rng_init(&f.rng, test_seed(11), "forger", 0);
	f.memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (f.memory == MAP_FAILED || !ballast_agent_channel ||
	    ballast_agent_channel(f.fd, &f.size))
		_exit(10);
	f.region = mmap(NULL, f.size, PROT_READ | PROT_WRITE, MAP_SHARED, f.fd[0], 0);
	if (f.region == MAP_FAILED)
		_exit(11);
	memcpy(f.layout, f.region, sizeof f.layout);
	rc = foreign(&f);
	if (rc)
		_exit(20 + rc);
	rc = cut(&f);
	if (rc)
		_exit(30 + rc);
	garbage(&f, SECOND / 2);
	rc = race(&f, SECOND / 2);
	if (rc)
		_exit(40 + rc);
	rc = getenv("QUIET") ? 0 : flood(&f, SECOND / 2);
	if (rc)
		_exit(50 + rc);
	jam(&f);
	bells(&f, SECOND);
	dprintf(1, "ops 1 bad %u\n", own_pages(&f));
	_exit(0);
}

__attribute__((constructor)) static void as_forger(void)
{
	const char *role = getenv("ROLE");
	char line[200];

	if (!role || strcmp(role, "forger") != 0)
		return;
	/* argv is not there yet for a constructor of every libc. */
	snprintf(line, sizeof line, "%s", getenv("BALLAST_RAM"));
	forge(line);
}

/* The host. */

static uint64_t count(const struct live_vm *v, const char *row)
{
	json_t *stats = stat_json(&v->vm->stats);
	uint64_t n = (uint64_t)json_integer_value(json_object_get(stats, row));

	json_decref(stats);
	return n;
}

static void against(int64_t distrust)
{
	const char *argv[] = {"forged", NULL, NULL};
	unsigned long long ops = 0, bad = 1;
	struct balloon_opts opts;
	struct live_test t;
	struct live_vm *v;
	struct err err;

	live_need(opt_defaults(&balloon_section, &opts), &err);
	opts.distrust = distrust;
	opts.interrupt = true;
	/* The forger's and half of the other's. */
	live_test_open(&t, (struct live_shape){.frames = PAGES + PAGES / 2, .balloon = &opts});
	live_need(live_add(t.live, "forger", NULL, PAGES, &v, &err), &err);
	live_need(channel_open(v, CHANNEL_PROCESS, &err), &err);
	if (distrust < 1000)
		setenv("QUIET", "1", 1); /* nobody would hear it */
	live_spawn(&t, v, "/proc/self/exe", argv, "forger");
	unsetenv("QUIET");
	live_verifier(&t, "other", PAGES, PAGES, 4, 1, 3);
	for (int i = 0; i < 400 && live_find(t.live, "forger"); i++) {
		live_run_for(&t, SECOND / 10);
		CU_ASSERT_EQUAL_FATAL(live_audit(&t), 0);
	}
	printf("  refused %llu, bad %llu, resets %llu, popped %llu, throttled %llu, distrusts "
	       "%llu, bells %llu, deaf %llu\n",
	       (unsigned long long)count(v, "balloon_refused"),
	       (unsigned long long)count(v, "balloon_bad"),
	       (unsigned long long)count(v, "balloon_resets"),
	       (unsigned long long)count(v, "balloon_popped"),
	       (unsigned long long)count(v, "balloon_throttled"),
	       (unsigned long long)count(v, "balloon_distrusts"),
	       (unsigned long long)v->stats.bells, (unsigned long long)v->stats.deaf);
	CU_ASSERT_TRUE(count(v, "balloon_refused") >= 8);
	CU_ASSERT_TRUE(count(v, "balloon_bad") > 1);
	CU_ASSERT_TRUE(count(v, "balloon_popped") > 0);
	CU_ASSERT_TRUE(v->stats.deaf > 0);
	/* Sent away once, and not told again, whatever it does. */
	CU_ASSERT_EQUAL(count(v, "balloon_distrusts"), distrust < 1000);
	CU_ASSERT_EQUAL(count(v, "balloon_throttled") > 0, distrust >= 1000);
	CU_ASSERT_TRUE(live_told(&t, 0, &ops, &bad));
	CU_ASSERT_EQUAL(bad, 0);
	live_run_for(&t, 60 * SECOND);
	CU_ASSERT_TRUE(live_told(&t, 1, &ops, &bad));
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_TRUE(ops > 1000);
	CU_ASSERT_EQUAL(t.host->machine.free, t.host->machine.frames);
	CU_ASSERT_EQUAL(live_audit(&t), 0);
	live_test_close(&t);
}

static void heard_to_the_end(void)
{
	against(1000000000);
}

static void sent_away(void)
{
	against(16);
}

TESTS("live/forged", {"heard to the end", heard_to_the_end}, {"sent away", sent_away})
