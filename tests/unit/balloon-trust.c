/* What is asked of a driver, how fast, and when it is not counted on. Figures by hand. */
#include "balloon.h"

#define MS    UINT64_C(1000000)
#define PAGES 10000

static struct balloon_vm *start(struct balloon_test *bt, struct vm **vm)
{
	balloon_test_open(bt, (struct test_shape){.frames = PAGES, .no_swap = true});
	bt->opts.rate = 1000 * PAGE_SIZE;
	bt->opts.rate_least = 10 * PAGE_SIZE;
	bt->opts.slow_rate = 100 * PAGE_SIZE;
	bt->opts.slow_time = 2000 * MS;
	balloon_test_start(bt);
	*vm = test_vm(&bt->t, "a", PAGES);
	wire_connect(bt->wire, bt->balloon, *vm);
	return balloon_of(bt->balloon, *vm);
}

static void targets(void)
{
	struct balloon_test bt;
	struct vm *vm;
	struct balloon_vm *v = start(&bt, &vm);

	for (uint32_t i = 0; i < 8000; i++)
		test_hit(vm, i, ACCESS_READ);
	CU_ASSERT_EQUAL(v->cap, 6500);
	vm->target = PAGES;
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 0);
	vm->target = 7000; /* it has 8000 */
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 1000);
	for (uint32_t i = 0; i < 600; i++)
		CU_ASSERT_EQUAL(page_inflate(v, i), BALLOON_OK);
	trust_retarget(v); /* 7400 held and 600 given are 8000 */
	CU_ASSERT_EQUAL(v->stats.target, 1000);
	for (uint32_t i = 9000; i < 9100; i++)
		CU_ASSERT_EQUAL(page_inflate(v, i), BALLOON_OK);
	trust_retarget(v); /* a hundred that it did not hold: as many more are wanted */
	CU_ASSERT_EQUAL(v->stats.target, 1100);
	vm->target = 0;
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 6500);
	vm->target = 100000;
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 0);
	balloon_test_close(&bt);
}

/* While there is memory to spare: what was asked for before is still due, no more is. */
static void spared(void)
{
	struct balloon_test bt;
	struct vm *vm;
	struct balloon_vm *v = start(&bt, &vm);
	struct reclaim *some = (struct reclaim *)&bt; /* only whether there is one matters */

	for (uint32_t i = 0; i < 8000; i++)
		test_hit(vm, i, ACCESS_READ);
	bt.t.host->reclaim = some;
	bt.t.host->state = HOST_HIGH;
	vm->target = 7000; /* it has 8000, and nobody is short */
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 0);
	bt.t.host->state = HOST_SOFT;
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 1000);
	bt.t.host->state = HOST_HIGH;
	for (uint32_t i = 0; i < 400; i++)
		CU_ASSERT_EQUAL(page_inflate(v, i), BALLOON_OK);
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 1000);
	vm->target = 6500;
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 1000);
	vm->target = 7700;
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 300);
	vm->target = 7000;
	trust_retarget(v); /* the 400 that it has, until memory is short again */
	CU_ASSERT_EQUAL(v->stats.target, 400);
	bt.t.host->adjusting = true;
	trust_retarget(v);
	CU_ASSERT_EQUAL(v->stats.target, 1000);
	bt.t.host->reclaim = NULL;
	balloon_test_close(&bt);
}

static void say(struct balloon_vm *v, uint64_t refusals, uint32_t pressure)
{
	trust_stats(v, &(struct balloon_stats){.refusals = htole64(refusals),
					       .pressure = htole32(pressure)});
}

static void rates(void)
{
	struct balloon_test bt;
	struct vm *vm;
	struct balloon_vm *v = start(&bt, &vm);

	wire_hello(bt.wire, 0);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_EQUAL(v->stats.rate, 1000);
	say(v, 5, 0); /* five before it said hello: nothing new */
	CU_ASSERT_EQUAL(v->stats.rate, 1000);
	say(v, 5, 100); /* as much pressure as is tolerated */
	CU_ASSERT_EQUAL(v->stats.rate, 1000);
	say(v, 5, 101);
	CU_ASSERT_EQUAL(v->stats.rate, 500);
	say(v, 6, 0);
	CU_ASSERT_EQUAL(v->stats.rate, 250);
	say(v, 6, 0);
	CU_ASSERT_EQUAL(v->stats.rate, 250 + 125);
	for (int i = 0; i < 20; i++)
		say(v, 6, 1000);
	CU_ASSERT_EQUAL(v->stats.rate, 10);
	for (int i = 0; i < 20; i++)
		say(v, 6, 0);
	CU_ASSERT_EQUAL(v->stats.rate, 1000);
	balloon_test_close(&bt);
}

/* Pages given, then time that passed: whether the driver is slow. */
static void progress(void)
{
	struct balloon_test bt;
	struct vm *vm;
	struct balloon_vm *v = start(&bt, &vm);
	uint32_t next = 0;
	const struct {
		uint32_t pages, ms;
		bool slow;
	} steps[] = {
		{0, 1999, false},		     /* it still has time */
		{199, 1, true},			     /* 199 in 2 s: under 100 a second */
		{300, 1000, true},		     /* judged every two seconds */
		{0, 1000, false},		     /* 300 in 2 s */
		{150, 2000, true}, {3000, 1, false}, /* the target is reached */
	};

	wire_hello(bt.wire, 0);
	balloon_contact(bt.balloon, vm);
	for (uint32_t i = 0; i < 5000; i++)
		test_hit(vm, i, ACCESS_READ);
	vm->target = 5000 - 3600;
	trust_retarget(v);
	trust_progress(v); /* falls short from now on */
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		for (uint32_t n = 0; n < steps[i].pages; n++)
			CU_ASSERT_EQUAL(page_inflate(v, next++), BALLOON_OK);
		bt.t.host->clock.now_ns += steps[i].ms * MS;
		trust_progress(v);
		CU_ASSERT_EQUAL(v->slow, steps[i].slow);
	}
	CU_ASSERT_EQUAL(v->stats.slow, 2);
	balloon_test_close(&bt);
}

static bool take(struct balloon_vm *v, uint32_t cost)
{
	bool may = trust_may_read(v);

	if (may)
		trust_spend(v, cost);
	return may;
}

static void floods(void)
{
	struct balloon_test bt;
	struct vm *vm;
	struct balloon_vm *v = start(&bt, &vm);
	int read = 0;

	while (take(v, 1))
		read++;
	CU_ASSERT_EQUAL(read, 2000);
	bt.t.host->clock.now_ns += 10 * MS;
	for (read = 0; take(v, 1);)
		read++;
	CU_ASSERT_EQUAL(read, 20);
	CU_ASSERT_EQUAL(v->stats.throttled, 1);
	bt.t.host->clock.now_ns += 5000 * MS; /* what was not used is not saved up */
	for (read = 0; take(v, 100);)
		read++;
	CU_ASSERT_EQUAL(read, 20);
	CU_ASSERT_EQUAL(v->stats.throttled, 2);
	bt.t.host->clock.now_ns += 1000 * MS;
	trust_spend(v, 5000);
	CU_ASSERT_TRUE(take(v, 5000)); /* refilled after that */
	CU_ASSERT_FALSE(take(v, 1));
	balloon_test_close(&bt);
}

/* Offences are forgotten with time; too many at once are not. */
static void offences(void)
{
	struct balloon_test bt;
	struct vm *vm;
	struct balloon_vm *v = start(&bt, &vm);

	wire_hello(bt.wire, 0);
	balloon_contact(bt.balloon, vm);
	for (int i = 0; i < 5; i++) {
		trust_offended(v, 60);
		CU_ASSERT_EQUAL(v->state, DRIVER_ON);
		bt.t.host->clock.now_ns += 60000 * MS;
	}
	trust_offended(v, 64);
	CU_ASSERT_EQUAL(v->state, DRIVER_ON);
	trust_offended(v, 1);
	CU_ASSERT_EQUAL(v->state, DRIVER_DISTRUSTED);
	CU_ASSERT_FALSE(trust_hears(v));
	bt.t.host->clock.now_ns += 59999 * MS;
	CU_ASSERT_FALSE(trust_hears(v));
	bt.t.host->clock.now_ns += 1 * MS;
	CU_ASSERT_TRUE(trust_hears(v));
	CU_ASSERT_EQUAL(v->stats.distrusts, 1);
	balloon_test_close(&bt);
}

TESTS("balloon/trust", {"targets", targets}, {"spared", spared}, {"rates", rates},
      {"progress", progress}, {"floods", floods}, {"offences", offences})
