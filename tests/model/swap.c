/*
 * Nothing lost: VMs of several sizes overcommit a small machine; random reads,
 * writes, drops, pins and failures; every page is compared with what was last
 * written to it, every count recounted on the way. The model is an array of
 * content ids and one of flags, and shares no code with the manager.
 */
#include "host.h"
#include "sampled.h"

#include "core/oracle.h"
#include "core/rng.h"

#include <errno.h>

#define VMS_MOST   6
#define PAGES_MOST 400
#define FRAMES	   150
#define STEPS	   (300000 / TEST_SCALE) /* a policy and thresholds */
#define PINS_MOST  12
#define SLOTS	   620 /* for 750 pages, of which 141 have frames: copies must make room */

struct model {
	struct test_host t;
	struct sampled sampled;
	struct oracle *oracle;
	struct rng rng;
	struct vm *vm[VMS_MOST];
	size_t vms, pins;
	uint64_t id[VMS_MOST][PAGES_MOST];
	bool logged[VMS_MOST][PAGES_MOST]; /* written since the dirty log was last read */
	uint64_t steps, failures;
};

static void add_vm(struct model *md, uint32_t pages)
{
	char name[8];
	size_t v = md->vms++;

	snprintf(name, sizeof name, "vm%zu", v);
	md->vm[v] = test_vm(&md->t, name, pages);
	memset(md->id[v], 0, sizeof md->id[v]);
	memset(md->logged[v], 0, sizeof md->logged[v]);
}

static void wrote(struct model *md, size_t v, uint32_t page, uint64_t id)
{
	md->id[v][page] = id;
	md->logged[v][page] = true;
	CU_ASSERT_EQUAL_FATAL(oracle_write(md->oracle, md->vm[v], (ppn_t){page}, id), 0);
}

static size_t running_vm(struct model *md)
{
	size_t v;

	do
		v = rng_below(&md->rng, md->vms);
	while (md->vm[v]->state != VM_RUNNING);
	return v;
}

/* Mostly near a place that moves on, so that some pages are hot. */
static uint32_t random_page(struct model *md, size_t v)
{
	uint32_t pages = md->vm[v]->pages;

	if (rng_below(&md->rng, 4) == 0)
		return (uint32_t)rng_below(&md->rng, pages);
	return (uint32_t)((md->steps / 1000 + rng_below(&md->rng, pages / 6 + 1)) % pages);
}

static void pin_or_unpin(struct model *md, size_t v, uint32_t page)
{
	pte_t *e = &md->vm[v]->pmap->pte[page];

	if (*e & PTE_PINNED) {
		*e &= ~PTE_PINNED;
		md->pins--;
	} else if (pte_resident(*e) && md->pins < PINS_MOST) {
		*e |= PTE_PINNED;
		md->pins++;
	}
}

static void drop(struct model *md, size_t v, uint32_t page)
{
	md->pins -= (test_entry(md->vm[v], page) & PTE_PINNED) != 0;
	pmap_drop(md->vm[v]->pmap, (ppn_t){page});
	wrote(md, v, page, 0);
}

static void fail_vm(struct model *md, size_t v)
{
	struct err why = {0};
	struct pmap *pmap = md->vm[v]->pmap;

	for (uint32_t i = 0; i < pmap->pages; i++)
		md->pins -= (pmap->pte[i] & PTE_PINNED) != 0;
	err_run(&why, EIO, "the test stops it");
	vm_fail(md->vm[v], &why);
	CU_ASSERT_EQUAL(pmap->count[PAGE_UNBACKED], pmap->pages);
	md->failures++;
}

static void step(struct model *md)
{
	size_t v = running_vm(md);
	uint32_t page = random_page(md, v);
	unsigned what = (unsigned)rng_below(&md->rng, 1000);

	sampled_step(&md->sampled, md->vm[v]);
	if (what < 550) {
		CU_ASSERT_FATAL(test_reads_as(md->vm[v], page, md->id[v][page]));
	} else if (what < 600) { /* a write that changes no byte still is one */
		test_hit(md->vm[v], page, ACCESS_WRITE);
		wrote(md, v, page, md->id[v][page]);
	} else if (what < 940) {
		uint64_t id = what < 620 ? 0 : oracle_fresh_id(md->oracle);
		test_fill(md->vm[v], page, id);
		wrote(md, v, page, id);
	} else if (what < 980) {
		drop(md, v, page);
	} else {
		pin_or_unpin(md, v, page);
	}
	md->steps++;
}

static void note_logged(void *arg, ppn_t ppn)
{
	bool *logged = arg;

	CU_ASSERT_FATAL(logged[ppn.n]);
	logged[ppn.n] = false;
}

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

/* Every page of every VM that runs, its dirty log, and every count. */
static void check_all(struct model *md)
{
	struct err err;

	CU_ASSERT_EQUAL_FATAL(test_audit(&md->t), 0);
	for (size_t v = 0; v < md->vms; v++) {
		struct vm *vm = md->vm[v];
		if (vm->state != VM_RUNNING)
			continue;
		sampled_check(&md->sampled, vm);
		CU_ASSERT_EQUAL_FATAL(oracle_check(md->oracle, vm, read_page, stdout, &err), 0);
		pmap_harvest_dirty(vm->pmap, (ppn_t){0}, vm->pages, note_logged, md->logged[v]);
		for (uint32_t i = 0; i < vm->pages; i++)
			CU_ASSERT_FALSE_FATAL(md->logged[v][i]);
	}
	CU_ASSERT_EQUAL_FATAL(test_audit(&md->t), 0);
}

static void run(const char *victim, const char *thresholds, const char *backing)
{
	static struct model md;
	uint64_t seed = test_seed(20021209);

	printf("  %s, thresholds %s, backing %s\n", victim, thresholds, backing);
	md = (struct model){0};
	rng_init(&md.rng, seed, victim, thresholds[0]);
	test_host_new(&md.t, (struct test_shape){.frames = FRAMES,
						 .low_frames = 40,
						 .slots = SLOTS,
						 .backing = backing,
						 .victim = victim,
						 .thresholds = thresholds,
						 .tau_ns = 1000,
						 .seed = seed});
	sampled_start(&md.sampled, &md.t, seed);
	CU_ASSERT_EQUAL_FATAL(oracle_new(&md.oracle), 0);
	add_vm(&md, 200);
	add_vm(&md, 61);
	add_vm(&md, PAGES_MOST);
	for (int phase = 0; phase < 4; phase++) {
		for (int i = 0; i < STEPS / 4; i++) {
			step(&md);
			if (i % 2000 == 0)
				CU_ASSERT_EQUAL_FATAL(test_audit(&md.t), 0);
		}
		check_all(&md);
		if (phase == 3)
			break;
		fail_vm(&md, (size_t)phase);
		CU_ASSERT_EQUAL_FATAL(test_audit(&md.t), 0);
		add_vm(&md, 150 + 50 * (uint32_t)phase);
	}
	CU_ASSERT_EQUAL(md.t.host->stats.vm_failed, md.failures);
	CU_ASSERT_TRUE(md.t.host->stats.reclaims > STEPS / 50);
	CU_ASSERT_TRUE(md.sampled.minor > STEPS / 300);
	CU_ASSERT_TRUE(md.sampled.touched > md.sampled.minor + STEPS / 1000);
	test_host_free(&md.t);
	oracle_free(md.oracle);
}

static void run_both(const char *victim)
{
	run(victim, "none", "ram");
	run(victim, "reserve", "ram");
}

static void victim_random_(void)
{
	run_both("random");
}

static void victim_clock_(void)
{
	run_both("clock");
}

static void victim_lru_(void)
{
	run_both("lru");
}

static void victim_fifo_(void)
{
	run_both("fifo");
}

static void victim_wsclock_(void)
{
	run_both("wsclock");
}

static void victim_s3fifo_(void)
{
	run_both("s3fifo");
}

static void content_ids(void)
{
	run("random", "reserve", "ids");
	run("s3fifo", "none", "ids");
}

/* Without a victim a VM that finds no frame fails, and its frames serve the others. */
static void victim_none_(void)
{
	struct test_host t;
	struct vm *vm[3];
	struct err err = {0};

	test_host_new(&t,
		      (struct test_shape){.frames = FRAMES, .backing = "ram", .victim = "none"});
	vm[0] = test_vm(&t, "a", 100);
	vm[1] = test_vm(&t, "b", 100);
	vm[2] = test_vm(&t, "c", 100);
	for (uint32_t i = 0; i < FRAMES; i++)
		test_fill(vm[i % 3], i / 3, 1 + i);
	CU_ASSERT_EQUAL(pmap_touch(vm[1]->pmap, (ppn_t){99}, ACCESS_READ, &err), -ENOMEM);
	CU_ASSERT_TRUE(test_one_line(&err));
	CU_ASSERT_EQUAL(pte_state(test_entry(vm[1], 99)), PAGE_UNBACKED);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	vm_fail(vm[1], &err);
	CU_ASSERT_EQUAL(t.m->free, FRAMES / 3);
	for (uint32_t i = 50; i < 75; i++) {
		test_fill(vm[0], i, 1000 + i);
		test_fill(vm[2], i, 2000 + i);
	}
	for (uint32_t i = 0; i < FRAMES; i++)
		CU_ASSERT_TRUE(i % 3 == 1 || test_reads_as(vm[i % 3], i / 3, 1 + i));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

TESTS("model/swap", {"random", victim_random_}, {"clock", victim_clock_}, {"lru", victim_lru_},
      {"fifo", victim_fifo_}, {"wsclock", victim_wsclock_}, {"s3fifo", victim_s3fifo_},
      {"content ids", content_ids}, {"none", victim_none_})
