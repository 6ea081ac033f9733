/* The balloon as a part and a reclaimer of its host. */
#include "balloon.h"

#define SECOND UINT64_C(1000000000)
#define PAGES  2000

/* Tells of targets: asked or not, as balloon.interrupt says. */
static void retarget(void)
{
	for (int interrupt = 0; interrupt < 2; interrupt++) {
		struct balloon_test bt;
		struct vm *vm;

		balloon_test_open(&bt, (struct test_shape){.frames = PAGES, .no_swap = true});
		bt.opts.interrupt = interrupt;
		balloon_test_start(&bt);
		const struct reclaimer *rec = bt.t.host->reclaimer[0].reclaimer;
		CU_ASSERT_EQUAL(rec->from, HOST_SOFT);
		CU_ASSERT_PTR_NULL(rec->reclaim); /* it takes nothing: it asks */
		vm = test_vm(&bt.t, "a", PAGES);
		wire_connect(bt.wire, bt.balloon, vm);
		wire_hello(bt.wire, 0);
		balloon_contact(bt.balloon, vm);
		for (uint32_t i = 0; i < PAGES; i++)
			test_hit(vm, i, ACCESS_READ);
		CU_ASSERT_EQUAL(wire_count(bt.wire, BALLOON_MSG_TARGET), 1);
		vm->target = PAGES - 700;
		rec->retarget(bt.t.host->reclaimer[0].ctx, vm);
		CU_ASSERT_EQUAL(balloon_target(bt.balloon, vm), 700);
		CU_ASSERT_EQUAL(wire_count(bt.wire, BALLOON_MSG_TARGET), (uint32_t)interrupt);
		rec->retarget(bt.t.host->reclaimer[0].ctx, vm); /* nothing new to tell */
		CU_ASSERT_EQUAL(wire_count(bt.wire, BALLOON_MSG_TARGET), 0);
		balloon_test_close(&bt);
	}
}

/* By hand: what is asked for counts, up to the cap, and the loop does not count on it. */
static void by_hand(void)
{
	struct balloon_test bt;
	struct vm *vm;

	balloon_test_open(&bt, (struct test_shape){.frames = PAGES, .no_swap = true});
	bt.opts.interrupt = true;
	balloon_test_start(&bt);
	vm = test_vm(&bt.t, "a", PAGES);
	balloon_ask(bt.balloon, vm, 300); /* before anybody is there */
	CU_ASSERT_STRING_EQUAL(balloon_driver(bt.balloon, vm), "none");
	wire_connect(bt.wire, bt.balloon, vm);
	wire_hello(bt.wire, 0);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_STRING_EQUAL(balloon_driver(bt.balloon, vm), "on");
	CU_ASSERT_EQUAL(balloon_target(bt.balloon, vm), 300);
	CU_ASSERT_FALSE(balloon_serves(bt.balloon, vm));
	CU_ASSERT_EQUAL(wire_count(bt.wire, BALLOON_MSG_TARGET), 1);
	balloon_ask(bt.balloon, vm, PAGES);
	CU_ASSERT_EQUAL(balloon_target(bt.balloon, vm), PAGES * 65 / 100);
	CU_ASSERT_EQUAL(wire_count(bt.wire, BALLOON_MSG_TARGET), 1);
	balloon_ask(bt.balloon, vm, BALLOON_BY_POLICY);
	CU_ASSERT_EQUAL(balloon_target(bt.balloon, vm), 0);
	CU_ASSERT_TRUE(balloon_serves(bt.balloon, vm));
	balloon_test_close(&bt);
}

/* When the loop may count on it. */
static void serves(void)
{
	struct balloon_test bt;
	struct vm *vm, *other;

	balloon_test_open(&bt, (struct test_shape){.frames = PAGES, .no_swap = true});
	balloon_test_start(&bt);
	const struct reclaimer *rec = bt.t.host->reclaimer[0].reclaimer;
	void *ctx = bt.t.host->reclaimer[0].ctx;
	vm = test_vm(&bt.t, "a", PAGES);
	other = test_vm(&bt.t, "b", 10);
	CU_ASSERT_FALSE(rec->serves(ctx, vm)); /* nobody there */
	wire_connect(bt.wire, bt.balloon, vm);
	CU_ASSERT_FALSE(rec->serves(ctx, vm));
	wire_hello(bt.wire, 0);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_TRUE(rec->serves(ctx, vm));
	CU_ASSERT_FALSE(rec->serves(ctx, other));
	balloon_contact(bt.balloon, other); /* nothing to hear */
	for (uint32_t i = 0; i < PAGES; i++)
		test_hit(vm, i, ACCESS_READ);
	for (uint32_t i = 0; i < 1300; i += 100)
		wire_run(bt.wire, BALLOON_MSG_INFLATE, i, 100);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_EQUAL(ballooned(vm), 1300);
	vm->target = 700;
	CU_ASSERT_TRUE(rec->serves(ctx, vm)); /* full, and no more is wanted */
	vm->target = 600;
	CU_ASSERT_FALSE(rec->serves(ctx, vm));
	vm->target = 700;
	balloon_test_wait(&bt, 6 * SECOND); /* not heard of for too long */
	CU_ASSERT_FALSE(rec->serves(ctx, vm));
	wire_stats(bt.wire, 0, 0);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_TRUE(rec->serves(ctx, vm));
	balloon_disconnect(bt.balloon, vm);
	CU_ASSERT_FALSE(rec->serves(ctx, vm));
	CU_ASSERT_EQUAL(ballooned(vm), 1300); /* not touched, not back */
	balloon_test_close(&bt);
}

/* A VM that fails gives its balloon back with the rest, and is not talked to. */
static void vm_fails(void)
{
	struct balloon_test bt;
	struct err err = {0};
	struct vm *vm;

	balloon_test_open(&bt, (struct test_shape){.frames = PAGES, .no_swap = true});
	balloon_test_start(&bt);
	vm = test_vm(&bt.t, "a", PAGES);
	wire_connect(bt.wire, bt.balloon, vm);
	wire_hello(bt.wire, 0);
	wire_run(bt.wire, BALLOON_MSG_INFLATE, 0, 500);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_EQUAL(ballooned(vm), 500);
	err_run(&err, EIO, "the test stops it");
	vm_fail(vm, &err);
	CU_ASSERT_EQUAL(ballooned(vm), 0);
	CU_ASSERT_EQUAL(test_audit(&bt.t), 0);
	wire_run(bt.wire, BALLOON_MSG_INFLATE, 0, 500);
	balloon_contact(bt.balloon, vm);
	balloon_test_wait(&bt, 10 * SECOND);
	CU_ASSERT_EQUAL(ballooned(vm), 0);
	CU_ASSERT_FALSE(balloon_serves(bt.balloon, vm));
	balloon_test_close(&bt);
}

static void caps(void)
{
	struct balloon_test bt;
	struct vm *vm;

	balloon_test_open(&bt, (struct test_shape){.frames = PAGES, .no_swap = true});
	balloon_test_start(&bt);
	vm = test_vm(&bt.t, "a", PAGES);
	wire_connect(bt.wire, bt.balloon, vm);
	balloon_cap(bt.balloon, vm, 0);
	wire_hello(bt.wire, 0);
	balloon_contact(bt.balloon, vm);
	const struct balloon_welcome *m = wire_answer_of(bt.wire, BALLOON_MSG_WELCOME);
	CU_ASSERT_FATAL(m && le16toh(m->reason) == BALLOON_OFF);
	balloon_cap(bt.balloon, vm, 0.25);
	wire_hello(bt.wire, 0);
	wire_run(bt.wire, BALLOON_MSG_INFLATE, 0, 600);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_EQUAL(ballooned(vm), 500);
	balloon_cap(bt.balloon, vm, 0.1); /* what is in it may stay; nothing is added */
	vm->target = 0;
	wire_stats(bt.wire, 0, 0);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_EQUAL(balloon_target(bt.balloon, vm), 200);
	CU_ASSERT_EQUAL(test_audit(&bt.t), 0);
	balloon_test_close(&bt);
}

/* Planted damage is found. */
static void audit(void)
{
	struct balloon_test bt;
	struct vm *vm;

	balloon_test_open(&bt, (struct test_shape){.frames = PAGES, .no_swap = true});
	balloon_test_start(&bt);
	vm = test_vm(&bt.t, "a", PAGES);
	struct balloon_vm *v = balloon_of(bt.balloon, vm);
	CU_ASSERT_EQUAL(page_inflate(v, 3), BALLOON_OK);
	CU_ASSERT_EQUAL(test_audit(&bt.t), 0);
	v->stats.inflated++;
	CU_ASSERT_EQUAL(test_audit_quietly(&bt.t), 1);
	v->stats.inflated--;
	v->most = 0;
	CU_ASSERT_EQUAL(test_audit_quietly(&bt.t), 1);
	v->most = v->cap;
	balloon_test_close(&bt);
}

/* What a driver makes its host do, its VM pays for. */
static void costs(void)
{
	struct balloon_test bt;
	struct vm *vm;

	balloon_test_open(&bt, (struct test_shape){.frames = PAGES, .no_swap = true});
	bt.opts.message_time = 5000;
	bt.opts.page_time = 70;
	balloon_test_start(&bt);
	vm = test_vm(&bt.t, "a", PAGES);
	wire_connect(bt.wire, bt.balloon, vm);
	wire_hello(bt.wire, 0);
	wire_run(bt.wire, BALLOON_MSG_INFLATE, 0, 600);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_EQUAL(vm->time_ns, 2 * 5000 + 600 * 70);
	balloon_test_close(&bt);
}

TESTS("balloon/balloon", {"retarget", retarget}, {"by hand", by_hand}, {"serves", serves},
      {"a VM fails", vm_fails}, {"caps", caps}, {"audit", audit}, {"costs", costs})
