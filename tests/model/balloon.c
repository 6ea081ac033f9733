/*
 * Nothing lost and nothing leaked while balloons come and go: an honest driver,
 * one that is slow and refuses, one that dies and comes back, one of a guest
 * that touches what it gave, and one that says whatever comes to its mind,
 * beside swap and sharing, in too little memory. Every page is compared with
 * what was last written to it, every count recounted on the way. What a page
 * must hold is kept in the content oracle, which shares no code with the
 * manager.
 */
#include "balloon.h"

#include "core/oracle.h"
#include "core/rng.h"
#include "traces/replay_guest.h"

#define PAGES  300
#define FRAMES 700
#define SLOTS  2000
#define STEPS  (400000 / TEST_SCALE)
#define MS     UINT64_C(1000000)

enum temper { HONEST, SLOW, DYING, BLIND, LIAR, TEMPERS };

struct actor {
	struct vm *vm;
	enum temper temper;
	struct toy_guest *toy;
	struct replay_guest *blind;
	struct local_driver *local;
	struct driver_guest inner; /* of the toy: wrapped, so that the oracle hears */
	struct model *model;
};

struct model {
	struct balloon_test bt;
	struct oracle *oracle;
	struct rng rng;
	struct actor actor[TEMPERS];
	uint64_t deaths;
};

static void wrote(struct model *md, struct vm *vm, uint32_t page, uint64_t id)
{
	CU_ASSERT_EQUAL_FATAL(oracle_write(md->oracle, vm, (ppn_t){page}, id), 0);
}

/* The toy's pages lose their contents when they are given. */
static int given(void *ctx, ppn_t *ppn)
{
	struct actor *a = ctx;

	if (a->temper == SLOW && rng_below(&a->model->rng, 3) == 0)
		return -ENOMEM;
	int rc = a->inner.alloc_page(a->inner.ctx, ppn);
	if (rc == 0)
		wrote(a->model, a->vm, ppn->n, 0);
	return rc;
}

static void taken_back(void *ctx, ppn_t ppn)
{
	struct actor *a = ctx;

	a->inner.free_page(a->inner.ctx, ppn);
	if (pte_state(test_entry(a->vm, ppn.n)) != PAGE_UNBACKED)
		test_fill(a->vm, ppn.n, 0); /* the guest clears what it gets back */
}

static void stats(void *ctx, struct guest_memory *m)
{
	struct actor *a = ctx;

	a->inner.stats(a->inner.ctx, m);
	m->pressure = (uint32_t)rng_below(&a->model->rng, a->temper == SLOW ? 1000 : 50);
}

static void start_driver(struct model *md, struct actor *a)
{
	struct driver_guest table;
	struct err err;
	uint64_t now = md->bt.t.host->clock.now_ns;

	if (a->temper == BLIND) {
		table = replay_guest_table(a->blind);
	} else {
		a->toy = toy_new(a->vm, 20);
		a->inner = toy_table(a->toy);
		table = (struct driver_guest){a, given, taken_back, stats};
	}
	CU_ASSERT_EQUAL_FATAL(local_driver_new(md->bt.balloon, a->vm, &table, &md->bt.opts,
					       now + 100 * MS, &a->local, &err),
			      0);
}

/* The guest is reset: its driver is gone without a word, all its memory its own again. */
static void die(struct model *md, struct actor *a)
{
	local_driver_free(a->local);
	toy_free_guest(a->toy);
	a->local = NULL;
	a->toy = NULL;
	md->deaths++;
}

static void add(struct model *md, enum temper temper, const char *name)
{
	struct actor *a = &md->actor[temper];
	struct err err;

	a->model = md;
	a->temper = temper;
	a->vm = test_vm(&md->bt.t, name, PAGES);
	a->vm->target = PAGES;
	if (temper == LIAR) {
		wire_connect(md->bt.wire, md->bt.balloon, a->vm);
		return;
	}
	if (temper == BLIND)
		CU_ASSERT_EQUAL_FATAL(replay_guest_new(a->vm, md->oracle, 1000, &a->blind, &err),
				      0);
	start_driver(md, a);
}

static bool is_out(const struct actor *a, uint32_t page)
{
	return a->toy && a->toy->out[page];
}

/* A reference by the guest: to what it may use, or to what it likes. */
static void reference(struct model *md, struct actor *a)
{
	uint32_t page = (uint32_t)rng_below(&md->rng, PAGES);
	unsigned what = (unsigned)rng_below(&md->rng, 10);

	if (is_out(a, page))
		return;
	if (what < 5) {
		test_hit(a->vm, page, ACCESS_READ);
	} else if (what < 9) {
		uint64_t id = what < 7 ? oracle_fresh_id(md->oracle) : rng_below(&md->rng, 3);
		test_fill(a->vm, page, id);
		wrote(md, a->vm, page, id);
	} else {
		pmap_drop(a->vm->pmap, (ppn_t){page});
		wrote(md, a->vm, page, 0);
	}
}

/* One random sentence: mostly grammatical, rarely true. */
static void lie(struct model *md)
{
	struct wire *w = md->bt.wire;
	uint64_t words[BALLOON_MSG_MAX / 8];
	uint32_t ppn[BALLOON_BATCH_MAX];
	uint32_t n = 1 + (uint32_t)rng_below(&md->rng, 60);
	unsigned what = (unsigned)rng_below(&md->rng, 100);

	for (uint32_t i = 0; i < n; i++)
		ppn[i] = (uint32_t)rng_below(&md->rng, rng_below(&md->rng, 50) ? PAGES : 1u << 31);
	for (size_t i = 0; i < 20; i++)
		words[i] = rng_u64(&md->rng);
	if (what < 30)
		wire_pages(w, BALLOON_MSG_INFLATE, ppn, n);
	else if (what < 45)
		wire_pages(w, BALLOON_MSG_DEFLATE, ppn, n);
	else if (what < 60)
		wire_pages(w, BALLOON_MSG_HINT, ppn, n);
	else if (what < 80)
		wire_hello(w, (uint32_t)rng_u64(&md->rng));
	else if (what < 90)
		wire_stats(w, rng_u64(&md->rng), (uint32_t)rng_u64(&md->rng));
	else if (what < 92)
		wire_say(w, words, BALLOON_MSG_BYE, 8);
	else if (what < 96)
		wire_say(w, words, (uint16_t)rng_below(&md->rng, 23), 8 * rng_below(&md->rng, 20));
	else if (what < 99)
		wire_bytes(w, words, rng_below(&md->rng, sizeof(uint64_t) * 20));
	else
		w->fault = rng_below(&md->rng, 2) ? -ECONNRESET : -EPROTO;
}

/* Says something, and forgets what its balloon took: those pages read as zero. */
static void lie_and_forget(struct model *md)
{
	struct actor *a = &md->actor[LIAR];

	for (uint64_t n = rng_below(&md->rng, 4); n; n--)
		lie(md);
	balloon_contact(md->bt.balloon, a->vm);
	md->bt.wire->answered = md->bt.wire->read = 0;
	for (uint32_t i = 0; i < PAGES; i++) {
		enum page_state state = pte_state(test_entry(a->vm, i));
		if (state == PAGE_BALLOONED || state == PAGE_UNBACKED)
			wrote(md, a->vm, i, 0);
	}
}

static void retarget(struct model *md, struct actor *a)
{
	const struct host *host = md->bt.t.host;

	a->vm->target = rng_below(&md->rng, PAGES + 1);
	for (size_t i = 0; i < host->reclaimers; i++) {
		if (host->reclaimer[i].reclaimer->retarget)
			host->reclaimer[i].reclaimer->retarget(host->reclaimer[i].ctx, a->vm);
	}
}

static void step(struct model *md)
{
	struct actor *a = &md->actor[rng_below(&md->rng, TEMPERS)];
	unsigned what = (unsigned)rng_below(&md->rng, 10000);

	if (what < 9000)
		reference(md, a);
	else if (what < 9400)
		lie_and_forget(md);
	else if (what < 9440)
		retarget(md, a);
	else if (what < 9990)
		balloon_test_wait(&md->bt, rng_below(&md->rng, 60) * MS);
	else if (md->actor[DYING].local)
		die(md, &md->actor[DYING]);
	else
		start_driver(md, &md->actor[DYING]);
}

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

/* Each page of each VM, also those that are out: they read as zero, and pop. */
static void check_all(struct model *md)
{
	struct err err;

	for (size_t i = 0; i < TEMPERS; i++)
		CU_ASSERT_EQUAL_FATAL(
			oracle_check(md->oracle, md->actor[i].vm, read_page, stdout, &err), 0);
	CU_ASSERT_EQUAL_FATAL(test_audit(&md->bt.t), 0);
}

static uint64_t stat(const struct model *md, enum temper temper, const char *name)
{
	return test_stat(&md->actor[temper].vm->stats, name);
}

/* That the test did what it says: each kind of driver gave, took back and erred. */
static void check_busy(const struct model *md)
{
	for (int i = 0; i < TEMPERS; i++)
		CU_ASSERT_TRUE(stat(md, i, "balloon_inflated") > 500 / TEST_SCALE);
	CU_ASSERT_TRUE(stat(md, HONEST, "balloon_deflated") > 100 / TEST_SCALE);
	CU_ASSERT_TRUE(stat(md, SLOW, "told_refusals") > 10);
	CU_ASSERT_TRUE(stat(md, BLIND, "balloon_popped") > 1000 / TEST_SCALE);
	CU_ASSERT_TRUE(stat(md, LIAR, "balloon_refused") > 1000 / TEST_SCALE);
	CU_ASSERT_TRUE(stat(md, LIAR, "balloon_bad") > 50 / TEST_SCALE);
	CU_ASSERT_TRUE(md->deaths > 10 / TEST_SCALE);
	for (int i = 0; i < LIAR; i++) {
		CU_ASSERT_EQUAL(stat(md, i, "balloon_bad"), 0);
		CU_ASSERT_EQUAL(stat(md, i, "balloon_distrusts"), 0);
	}
}

static void play(const char *backing, bool interrupt)
{
	static struct model md;
	uint64_t seed = test_seed(20021210);
	struct test_shape shape = {.frames = FRAMES,
				   .slots = SLOTS,
				   .backing = backing,
				   .thresholds = "reserve",
				   .victim = "random",
				   .scan = "sequential",
				   .seed = seed};

	md = (struct model){0};
	rng_init(&md.rng, seed, backing, interrupt);
	balloon_test_open(&md.bt, shape);
	md.bt.opts.interrupt = interrupt;
	md.bt.opts.hints = true;
	md.bt.opts.distrust = 5000;
	md.bt.opts.forgive = 3000 * MS;
	md.bt.opts.slow_rate = 256 << 10;
	balloon_test_start(&md.bt);
	CU_ASSERT_EQUAL_FATAL(oracle_new(&md.oracle), 0);
	add(&md, HONEST, "honest");
	add(&md, SLOW, "slow");
	add(&md, DYING, "dying");
	add(&md, BLIND, "blind");
	add(&md, LIAR, "liar");
	for (int i = 0; i < STEPS; i++) {
		step(&md);
		if (i % 500 == 0)
			CU_ASSERT_EQUAL_FATAL(test_audit(&md.bt.t), 0);
		if (i % (STEPS / 3) == STEPS / 3 - 1)
			check_all(&md);
	}
	check_busy(&md);
	for (size_t i = 0; i < TEMPERS; i++) {
		local_driver_free(md.actor[i].local);
		if (md.actor[i].toy)
			toy_free_guest(md.actor[i].toy);
		replay_guest_free(md.actor[i].blind);
	}
	balloon_test_close(&md.bt);
	oracle_free(md.oracle);
}

static void bytes_polled(void)
{
	play("ram", false);
}

static void bytes_interrupted(void)
{
	play("ram", true);
}

static void ids(void)
{
	play("ids", true);
}

TESTS("model/balloon", {"bytes, polled", bytes_polled}, {"bytes, interrupted", bytes_interrupted},
      {"content ids", ids})
