#include "host.h"

#include "tax/alloc.h"
#include "tax/tax.h"

#include <errno.h>

#define FRAMES 1000 /* 66 of them are kept free: 934 to divide */

static struct tax_opts options(const char *alloc, double rate)
{
	return (struct tax_opts){
		.alloc = policy_find(allocators, alloc), .rate = rate, .period = 15000000000};
}

static void open_tax(struct test_host *t, const char *alloc, double rate)
{
	const struct tax_opts opts = options(alloc, rate);
	struct tax *tax;
	struct err err;

	test_host_new(t, (struct test_shape){.frames = FRAMES, .thresholds = "esx"});
	CU_ASSERT_EQUAL_FATAL(tax_open(t->host, &opts, &tax, &err), 0);
}

static struct vm *claimant(struct test_host *t, const char *name, uint32_t shares, uint64_t min,
			   uint64_t active)
{
	struct vm *vm = test_vm(t, name, 800);

	vm->shares = shares;
	vm->min = min;
	vm->sampled = true;
	vm->active = active;
	return vm;
}

/* By hand: shares 2 : 1 of 934, all active; then with a min of 400 for the second. */
static void shares_divide(void)
{
	struct test_host t;

	open_tax(&t, "esx", 0.75);
	struct vm *a = claimant(&t, "a", 200, 0, 800), *b = claimant(&t, "b", 100, 0, 800);
	host_plan(t.host, "start");
	/* The line's order gives the odd page to the first. */
	CU_ASSERT_TRUE(a->target == 622 || a->target == 623);
	CU_ASSERT_EQUAL(a->target + b->target, 934);
	b->min = 400;
	host_plan(t.host, "min");
	CU_ASSERT_EQUAL(a->target, 534);
	CU_ASSERT_EQUAL(b->target, 400);
	a->shares = 0; /* exactly its min, 0 */
	host_plan(t.host, "no shares");
	CU_ASSERT_EQUAL(a->target, 0);
	CU_ASSERT_EQUAL(b->target, 800);
	test_host_free(&t);
}

/*
 * Equal shares, one idle with 100 pages in use, one all busy. Without tax half
 * each. At k = 4 the prices are equal where 100 + 4 (p - 100) = 934 - p: p = 246.8.
 */
static void idle_memory_is_taxed(void)
{
	struct test_host t;
	struct tax_opts opts;

	open_tax(&t, "esx", 0);
	struct vm *idle = claimant(&t, "idle", 100, 0, 100),
		  *busy = claimant(&t, "busy", 100, 0, 800);
	host_plan(t.host, "start");
	CU_ASSERT_EQUAL(idle->target, 467);
	CU_ASSERT_EQUAL(busy->target, 467);
	opts = options("esx", 0.75);
	host_changed(t.host, &tax_section, &opts);
	host_plan(t.host, "tax.rate");
	CU_ASSERT_TRUE(idle->target == 246 || idle->target == 247);
	CU_ASSERT_EQUAL(idle->target + busy->target, 934);
	opts = options("equal", 0.75);
	host_changed(t.host, &tax_section, &opts);
	host_changed(t.host, &share_section, NULL); /* of another part: not read */
	host_plan(t.host, "tax.alloc");
	CU_ASSERT_EQUAL(busy->target, 467);
	opts = options("none", 0);
	host_changed(t.host, &tax_section, &opts);
	host_plan(t.host, "tax.alloc");
	CU_ASSERT_EQUAL(idle->target + busy->target, 1600);
	test_host_free(&t);
}

/* Unsampled VMs are all active; ended ones not at all; those gone claim nothing. */
static void what_is_known_of_activity(void)
{
	struct test_host t;
	struct err why;

	open_tax(&t, "esx", 0.75);
	struct vm *a = claimant(&t, "a", 100, 0, 0), *b = claimant(&t, "b", 100, 0, 0),
		  *c = claimant(&t, "c", 100, 0, 0);
	a->sampled = b->sampled = c->sampled = false;
	host_plan(t.host, "start");
	CU_ASSERT_TRUE(a->target >= 311 && a->target <= 312);
	c->state = VM_ENDED;
	host_plan(t.host, "c ended");
	/* 4 c = a = b, 2.25 a = 934 */
	CU_ASSERT_TRUE(a->target >= 415 && a->target <= 416);
	CU_ASSERT_TRUE(c->target >= 103 && c->target <= 104);
	err_run(&why, EIO, "the test stops it");
	vm_fail(c, &why);
	CU_ASSERT_EQUAL(c->target, 0);
	CU_ASSERT_EQUAL(a->target, 467);
	vm_retire(b, "the test says so");
	CU_ASSERT_EQUAL(a->target, 800);
	test_host_free(&t);
}

/* Where minimums are all that there is, and the aim has no room, targets are the minimums. */
static void minimums_come_before_the_aim(void)
{
	struct test_host t;

	open_tax(&t, "esx", 0.75);
	struct vm *a = claimant(&t, "a", 100, 500, 0), *b = claimant(&t, "b", 100, 500, 800);
	host_plan(t.host, "start");
	CU_ASSERT_EQUAL(a->target, 500);
	CU_ASSERT_EQUAL(b->target, 500);
	test_host_free(&t);
}

/* A period after the last plan there is another, with what has become known since. */
static void plans_are_periodic(void)
{
	struct test_host t;

	open_tax(&t, "esx", 0.75);
	struct vm *a = claimant(&t, "a", 100, 0, 0), *b = claimant(&t, "b", 100, 0, 0);
	host_plan(t.host, "start");
	CU_ASSERT_EQUAL(a->target, 467);
	b->active = 800;
	clock_run_until(&t.host->clock, 14999999999);
	CU_ASSERT_EQUAL(b->target, 467);
	clock_run_until(&t.host->clock, 15000000000);
	CU_ASSERT_TRUE(b->target > 700);
	test_host_free(&t);
}

static void nobody_heeds_it_without_states(void)
{
	const struct tax_opts opts = options("esx", 0.75);
	struct test_host t;
	struct tax *tax;
	struct err err;

	test_host_new(&t, (struct test_shape){.frames = FRAMES, .thresholds = "reserve"});
	CU_ASSERT_EQUAL(tax_open(t.host, &opts, &tax, &err), 0);
	CU_ASSERT_PTR_NULL(tax);
	CU_ASSERT_PTR_NULL(t.host->planner.plan);
	host_plan(t.host, "nothing comes of it");
	test_host_free(&t);
}

TESTS("tax/tax", {"shares divide", shares_divide}, {"idle memory is taxed", idle_memory_is_taxed},
      {"what is known of activity", what_is_known_of_activity},
      {"minimums come before the aim", minimums_come_before_the_aim},
      {"plans are periodic", plans_are_periodic},
      {"nobody heeds it without states", nobody_heeds_it_without_states})
