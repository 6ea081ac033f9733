/*
 * Isolation and nothing lost: VMs that come and go on a small machine, with
 * minimums, shares and sizes that change, and active pages that lie. Every page
 * reads as what was last written to it, every count is recounted, and whatever
 * one VM does, no other is taken below its min.
 */
#include "host.h"

#include "core/oracle.h"
#include "core/rng.h"
#include "tax/admit.h"
#include "tax/alloc.h"
#include "tax/tax.h"

#include <errno.h>

#define VMS_MOST   60
#define ALIVE_MOST 5
#define PAGES_MOST 500
#define FRAMES	   500
#define SLOTS	   4000
#define STEPS	   (120000 / TEST_SCALE)

struct model {
	struct test_host t;
	struct tax *tax;
	struct overhead *overhead;
	struct ledger ledger;
	struct oracle *oracle;
	struct rng rng;
	size_t vms, alive;
	size_t acting; /* VM that this step is of, or VMS_MOST */
	struct promise promise[VMS_MOST];
	uint64_t id[VMS_MOST][PAGES_MOST];
	uint64_t held[VMS_MOST]; /* before the step */
	bool gradual;		 /* an allocator that need not heed shares */
	uint64_t refused;
};

static struct vm *vm_of(const struct model *md, size_t v)
{
	return md->t.host->vm[v];
}

static void come(struct model *md)
{
	size_t v = md->vms;
	uint32_t pages = 50 + (uint32_t)rng_below(&md->rng, PAGES_MOST - 50);
	struct promise p = {.min = rng_below(&md->rng, pages + 1),
			    .max = pages,
			    .overhead = rng_below(&md->rng, 20)};
	char name[8];
	struct err err;

	snprintf(name, sizeof name, "vm%zu", v);
	if (admit(&md->ledger, name, &p, &err)) {
		md->refused++;
		return;
	}
	struct vm *vm = test_vm(&md->t, name, pages);
	vm->min = p.min;
	vm->overhead = p.overhead;
	vm->shares = 1 + (uint32_t)rng_below(&md->rng, 2000);
	vm->time_ns = host_now(md->t.host);
	md->promise[v] = p;
	memset(md->id[v], 0, sizeof md->id[v]);
	md->vms++;
	md->alive++;
	CU_ASSERT_EQUAL_FATAL(overhead_take(md->overhead, vm, &err), 0);
	host_plan(md->t.host, "it came");
}

static size_t any_alive(struct model *md)
{
	size_t v;

	do
		v = rng_below(&md->rng, md->vms);
	while (vm_gone(vm_of(md, v)));
	return v;
}

static void go(struct model *md)
{
	size_t v = any_alive(md);
	struct err why;

	if (md->alive == 1)
		return;
	admit_strike(&md->ledger, &md->promise[v]);
	md->alive--;
	err_run(&why, EIO, "the test stops it");
	if (rng_below(&md->rng, 2))
		vm_fail(vm_of(md, v), &why);
	else
		vm_retire(vm_of(md, v), "the test says so");
	CU_ASSERT_EQUAL(vm_held(vm_of(md, v)), 0);
}

/* New terms, if they can be promised. */
static void change_terms(struct model *md)
{
	size_t v = any_alive(md);
	struct vm *vm = vm_of(md, v);
	struct promise p = md->promise[v];
	struct err err;

	p.max = 1 + rng_below(&md->rng, vm->pages);
	p.min = rng_below(&md->rng, p.max + 1);
	admit_strike(&md->ledger, &md->promise[v]);
	if (admit(&md->ledger, vm->name, &p, &err) == 0) {
		md->promise[v] = p;
		vm->min = p.min;
		vm->max = p.max;
		vm->shares = rng_below(&md->rng, 8) ? 1 + (uint32_t)rng_below(&md->rng, 5000) : 0;
	} else {
		md->refused++;
		CU_ASSERT_EQUAL_FATAL(admit(&md->ledger, vm->name, &md->promise[v], &err), 0);
	}
	host_plan(md->t.host, "terms");
}

/* Claims of working sets that are anything but true. */
static void lie(struct model *md)
{
	struct vm *vm = vm_of(md, any_alive(md));
	const uint64_t lies[] = {0, vm->pages, rng_below(&md->rng, vm->pages)};

	vm->sampled = true;
	vm->active = lies[rng_below(&md->rng, ARRAY_LEN(lies))];
}

static void reference(struct model *md)
{
	size_t v = md->acting = any_alive(md);
	struct vm *vm = vm_of(md, v);
	uint32_t page = (uint32_t)rng_below(&md->rng, vm->pages);
	uint64_t id =
		rng_below(&md->rng, 3) == 0 ? rng_below(&md->rng, 40) : oracle_fresh_id(md->oracle);

	if (rng_below(&md->rng, 2)) {
		CU_ASSERT_FATAL(test_reads_as(vm, page, md->id[v][page]));
		return;
	}
	test_fill(vm, page, id);
	md->id[v][page] = id;
	CU_ASSERT_EQUAL_FATAL(oracle_write(md->oracle, vm, (ppn_t){page}, id), 0);
}

/* Nobody lost pages that it had been promised, but by its own references. */
static void check_minimums(const struct model *md)
{
	for (size_t v = 0; v < md->vms; v++) {
		const struct vm *vm = vm_of(md, v);
		CU_ASSERT_TRUE_FATAL(v == md->acting || vm_gone(vm) || vm_held(vm) >= md->held[v] ||
				     vm_held(vm) >= vm->min);
	}
}

static void note_held(struct model *md)
{
	for (size_t v = 0; v < md->vms; v++)
		md->held[v] = vm_held(vm_of(md, v));
}

static void pass_time(struct model *md)
{
	struct clock *clk = &md->t.host->clock;

	clock_run_until(clk, clk->now_ns + rng_below(&md->rng, 400000));
	for (size_t v = 0; v < md->vms; v++)
		vm_of(md, v)->time_ns = max_u64(vm_of(md, v)->time_ns, clk->now_ns);
}

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

static void check_all(struct model *md)
{
	uint64_t targets = 0, most = 0, promised = 0;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(test_audit(&md->t), 0);
	for (size_t v = 0; v < md->vms; v++) {
		const struct vm *vm = vm_of(md, v);
		targets += vm->target;
		most += vm_gone(vm) ? 0 : vm->shares ? vm->max : vm->min;
		promised += vm_gone(vm) ? 0 : vm->min;
		CU_ASSERT_TRUE(vm_gone(vm) ? vm->target == 0
					   : vm->target >= vm->min && vm->target <= vm->max);
	}
	CU_ASSERT_TRUE(promised + md->t.m->overhead <= FRAMES);
	CU_ASSERT_TRUE(md->gradual || targets <= most);
	for (size_t v = 0; v < md->vms; v++) {
		if (!vm_gone(vm_of(md, v)))
			CU_ASSERT_EQUAL_FATAL(
				oracle_check(md->oracle, vm_of(md, v), read_page, stdout, &err), 0);
	}
	CU_ASSERT_EQUAL_FATAL(test_audit(&md->t), 0);
}

static void one_step(struct model *md)
{
	unsigned what = (unsigned)rng_below(&md->rng, 2000);

	note_held(md);
	md->acting = VMS_MOST;
	if (what < 2 && md->vms < VMS_MOST && md->alive < ALIVE_MOST)
		come(md);
	else if (what == 2 && md->vms > 3)
		go(md);
	else if (what < 6)
		change_terms(md);
	else if (what < 30)
		lie(md);
	else if (what < 200)
		pass_time(md);
	else
		reference(md);
}

static void run(const char *alloc, const char *victim, const char *scan, const char *backing,
		const char *thresholds)
{
	static struct model md;
	uint64_t seed = test_seed(20021210);
	struct err err;

	printf("  %s, %s, %s, %s, %s\n", alloc, victim, scan, backing, thresholds);
	md = (struct model){.gradual = strcmp(alloc, "mom") == 0,
			    .ledger = {.frames = FRAMES, .slots = SLOTS}};
	rng_init(&md.rng, seed, alloc, (uint8_t)victim[0]);
	test_host_new(&md.t, (struct test_shape){.frames = FRAMES,
						 .slots = SLOTS,
						 .backing = backing,
						 .victim = victim,
						 .scan = scan,
						 .thresholds = thresholds,
						 .seed = seed});
	md.t.share_opts.rate_vm = 25000;
	md.t.share_opts.rate_total = 100000;
	host_changed(md.t.host, &share_section, &md.t.share_opts);
	const struct tax_opts opts = {
		.alloc = policy_find(allocators, alloc), .rate = 0.75, .period = 5000000};
	CU_ASSERT_EQUAL_FATAL(tax_open(md.t.host, &opts, &md.tax, &err), 0);
	CU_ASSERT_EQUAL_FATAL(overhead_open(md.t.host, &md.overhead, &err), 0);
	CU_ASSERT_EQUAL_FATAL(oracle_new(&md.oracle), 0);
	while (md.vms < 3)
		come(&md);
	for (int i = 0; i < STEPS; i++) {
		one_step(&md);
		check_minimums(&md);
		if (i % 4000 == 0)
			CU_ASSERT_EQUAL_FATAL(test_audit(&md.t), 0);
	}
	check_all(&md);
	printf("  %zu VMs, %llu refused, %llu changes of state, %llu paged\n", md.vms,
	       (unsigned long long)md.refused,
	       (unsigned long long)test_stat(&md.t.host->scope, "state_changes"),
	       (unsigned long long)test_stat(&md.t.host->scope, "reclaim_paged"));
	CU_ASSERT_TRUE(md.refused > 0 || TEST_SCALE > 1);
	CU_ASSERT_TRUE(md.vms > 4 || TEST_SCALE > 1);
	CU_ASSERT_TRUE(test_stat(&md.t.host->scope, "state_changes") > 100 / TEST_SCALE);
	test_host_free(&md.t);
	oracle_free(md.oracle);
}

static void tax_and_random(void)
{
	run("esx", "random", "random", "ram", "esx");
}

static void tax_and_clock(void)
{
	run("esx", "clock", "sequential", "ids", "esx-later");
}

static void shares_and_lru(void)
{
	run("shares", "lru", "none", "ram", "esx");
}

static void equal_and_s3fifo(void)
{
	run("equal", "s3fifo", "ksm", "ids", "esx");
}

static void mom_and_fifo(void)
{
	run("mom", "fifo", "random", "ids", "esx");
}

TESTS("model/tax", {"tax, random", tax_and_random}, {"tax, clock", tax_and_clock},
      {"shares, lru", shares_and_lru}, {"equal, s3fifo", equal_and_s3fifo},
      {"mom, fifo", mom_and_fifo})
