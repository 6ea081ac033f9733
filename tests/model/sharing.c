/*
 * Nothing lost and nothing leaked: VMs in two groups overcommit a small machine
 * with few contents among many pages, so that pages share, break, are swapped,
 * dropped and shared again all the time, in every scan policy's order. Every
 * page is compared with what was last written to it, every count recounted. The
 * model is an array of content ids and shares no code with the manager.
 */
#include "apart.h"
#include "host.h"
#include "sampled.h"

#include "core/oracle.h"
#include "core/rng.h"
#include "sharing/private.h"

#include <errno.h>

#define VMS_MOST   7
#define PAGES_MOST 300
#define FRAMES	   120
#define STEPS	   (600000 / TEST_SCALE) /* a policy and backing */
#define POOL	   24			 /* contents that most writes choose from */
#define PINS_MOST  8

struct model {
	struct test_host t;
	struct sampled sampled;
	struct oracle *oracle;
	struct rng rng;
	struct vm *vm[VMS_MOST];
	size_t vms, pins;
	uint64_t id[VMS_MOST][PAGES_MOST];
	bool unknown[VMS_MOST][PAGES_MOST]; /* ids: written with who knows what; like no other */
	uint64_t steps, most_saved;
};

static void add_vm(struct model *md, uint32_t pages)
{
	char name[8];
	struct err err;
	size_t v = md->vms++;

	snprintf(name, sizeof name, "vm%zu", v);
	md->vm[v] = test_vm(&md->t, name, pages);
	memset(md->id[v], 0, sizeof md->id[v]);
	memset(md->unknown[v], 0, sizeof md->unknown[v]);
	CU_ASSERT_EQUAL_FATAL(sharing_group(md->t.sharing, md->vm[v], v % 2 ? "odd" : NULL, &err),
			      0);
}

static size_t running_vm(struct model *md)
{
	size_t v;

	do
		v = rng_below(&md->rng, md->vms);
	while (md->vm[v]->state != VM_RUNNING);
	return v;
}

static void wrote(struct model *md, size_t v, uint32_t page, uint64_t id)
{
	md->id[v][page] = id;
	md->unknown[v][page] = false;
	CU_ASSERT_EQUAL_FATAL(oracle_write(md->oracle, md->vm[v], (ppn_t){page}, id), 0);
}

static void pin_or_unpin(struct model *md, size_t v, uint32_t page)
{
	pte_t *e = &md->vm[v]->pmap->pte[page];

	if (*e & PTE_PINNED) {
		*e &= ~PTE_PINNED;
		md->pins--;
	} else if (pte_state(*e) == PAGE_PRIVATE && md->pins < PINS_MOST) {
		*e |= PTE_PINNED;
		md->pins++;
	}
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
}

/* Mostly one of few contents, often the zero page. */
static uint64_t random_content(struct model *md)
{
	unsigned what = (unsigned)rng_below(&md->rng, 8);

	if (what == 0)
		return 0;
	return what == 1 ? POOL + oracle_fresh_id(md->oracle) : 1 + rng_below(&md->rng, POOL);
}

static void step(struct model *md)
{
	size_t v = running_vm(md);
	uint32_t page = (uint32_t)rng_below(&md->rng, md->vm[v]->pages);
	unsigned what = (unsigned)rng_below(&md->rng, 1000);

	sampled_step(&md->sampled, md->vm[v]);
	if (what < 450) {
		CU_ASSERT_FATAL(md->unknown[v][page] ||
				test_reads_as(md->vm[v], page, md->id[v][page]));
	} else if (what < 500) {
		/* With bytes the write changes none of them. */
		test_hit(md->vm[v], page, ACCESS_WRITE);
		md->unknown[v][page] |= md->t.m->bytes == NULL;
	} else if (what < 800) {
		uint64_t id = random_content(md);
		test_fill(md->vm[v], page, id);
		wrote(md, v, page, id);
	} else if (what < 830) {
		md->pins -= (test_entry(md->vm[v], page) & PTE_PINNED) != 0;
		pmap_drop(md->vm[v]->pmap, (ppn_t){page});
		wrote(md, v, page, 0);
	} else if (what < 840) {
		pin_or_unpin(md, v, page);
	} else {
		sharing_scan(md->t.sharing, md->vm[v], 1 + rng_below(&md->rng, 12));
	}
	md->steps++;
	md->most_saved = max_u64(md->most_saved, sharing_stats(md->t.sharing)->saved);
}

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

/* Whatever two pages map, they hold the same contents and are of one group. */
static void check_sharers(const struct model *md)
{
	struct {
		bool seen;
		size_t group;
		uint64_t id;
	} frame[FRAMES] = {0};

	for (size_t v = 0; v < md->vms; v++) {
		for (uint32_t i = 0; i < md->vm[v]->pages; i++) {
			pte_t e = test_entry(md->vm[v], i);
			if (!pte_resident(e))
				continue;
			CU_ASSERT_FATAL(pte_value(e) < FRAMES);
			if (frame[pte_value(e)].seen) {
				CU_ASSERT_FALSE_FATAL(md->unknown[v][i]);
				CU_ASSERT_EQUAL_FATAL(pte_state(e), PAGE_SHARED);
				CU_ASSERT_EQUAL_FATAL(frame[pte_value(e)].group, v % 2);
				CU_ASSERT_EQUAL_FATAL(frame[pte_value(e)].id, md->id[v][i]);
			}
			frame[pte_value(e)].seen = true;
			frame[pte_value(e)].group = v % 2;
			frame[pte_value(e)].id = md->unknown[v][i] ? UINT64_MAX : md->id[v][i];
		}
	}
}

static void check_all(struct model *md)
{
	struct err err;

	CU_ASSERT_EQUAL_FATAL(test_audit(&md->t), 0);
	check_sharers(md);
	for (size_t v = 0; v < md->vms; v++) {
		if (md->vm[v]->state != VM_RUNNING)
			continue;
		sampled_check(&md->sampled, md->vm[v]);
		for (uint32_t i = 0; i < md->vm[v]->pages; i++) {
			if (!md->unknown[v][i])
				continue;
			test_fill(md->vm[v], i, 1);
			wrote(md, v, i, 1);
		}
		CU_ASSERT_EQUAL_FATAL(oracle_check(md->oracle, md->vm[v], read_page, stdout, &err),
				      0);
	}
	CU_ASSERT_EQUAL_FATAL(test_audit(&md->t), 0);
}

static void run(const char *scan, const char *backing, const char *victim, uint64_t hash_mask)
{
	static struct model md;
	uint64_t seed = test_seed(20021209);
	bool apart = strcmp(backing, "apart") == 0;

	printf("  %s, %s, %s, hash mask %llx\n", scan, backing, victim,
	       (unsigned long long)hash_mask);
	md = (struct model){0};
	rng_init(&md.rng, seed, scan, hash_mask);
	test_host_new(&md.t, (struct test_shape){.frames = FRAMES,
						 .low_frames = 40,
						 .slots = 1200,
						 .backing = apart ? NULL : backing,
						 .store = apart ? &backing_apart : NULL,
						 .victim = victim,
						 .scan = scan,
						 .seed = seed});
	md.t.sharing->hash_mask = hash_mask;
	sampled_start(&md.sampled, &md.t, seed);
	CU_ASSERT_EQUAL_FATAL(oracle_new(&md.oracle), 0);
	add_vm(&md, 100);
	add_vm(&md, 61);
	add_vm(&md, PAGES_MOST);
	add_vm(&md, 80);
	for (int phase = 0; phase < 4; phase++) {
		for (int i = 0; i < STEPS / 4; i++) {
			step(&md);
			if (i % 1000 == 0)
				CU_ASSERT_EQUAL_FATAL(test_audit(&md.t), 0);
			if (i % 1000 == 500)
				check_sharers(&md);
		}
		check_all(&md);
		if (phase == 3)
			break;
		fail_vm(&md, (size_t)phase);
		CU_ASSERT_EQUAL_FATAL(test_audit(&md.t), 0);
		add_vm(&md, 120 + 50 * (uint32_t)phase);
	}
	const struct share_stats *st = sharing_stats(md.t.sharing);
	printf("  merged %llu, copied %llu, dropped %llu, settled %llu, stale %llu, false %llu\n",
	       (unsigned long long)st->merged, (unsigned long long)st->copied,
	       (unsigned long long)st->dropped, (unsigned long long)st->settled,
	       (unsigned long long)st->stale, (unsigned long long)st->false_hit);
	CU_ASSERT_TRUE(md.t.sharing->table.end <= 2 * FRAMES); /* dead hints do not pile up */
	CU_ASSERT_TRUE(md.most_saved > FRAMES);
	CU_ASSERT_TRUE(st->merged > STEPS / 20);
	CU_ASSERT_TRUE(st->copied > STEPS / 100);
	CU_ASSERT_TRUE(st->dropped > STEPS / 1000);
	CU_ASSERT_TRUE(st->settled > 0);
	CU_ASSERT_TRUE(md.sampled.minor > STEPS / 300);
	CU_ASSERT_TRUE(md.sampled.touched > md.sampled.minor + STEPS / 1000);
	test_host_free(&md.t);
	oracle_free(md.oracle);
}

#define WHOLE UINT64_MAX
#define FEW   (UINT64_C(7) << 16) /* eight hashes for all contents */

static void random_ids(void)
{
	run("random", "ids", "random", WHOLE);
}

static void random_ram(void)
{
	run("random", "ram", "clock", WHOLE);
}

static void sequential_ids(void)
{
	run("sequential", "ids", "lru", WHOLE);
}

static void idle_first_ids(void)
{
	run("idle-first", "ids", "s3fifo", WHOLE);
}

static void ksm_ram(void)
{
	run("ksm", "ram", "random", WHOLE);
}

static void ksm_ids(void)
{
	run("ksm", "ids", "clock", WHOLE);
}

static void collisions_ram(void)
{
	run("sequential", "ram", "random", FEW);
}

static void random_apart(void)
{
	run("random", "apart", "random", WHOLE);
}

static void collisions_apart(void)
{
	run("sequential", "apart", "clock", FEW);
}

TESTS("sharing model", {"random, ids", random_ids}, {"random, ram", random_ram},
      {"sequential, ids", sequential_ids}, {"idle-first, ids", idle_first_ids},
      {"ksm, ram", ksm_ram}, {"ksm, ids", ksm_ids}, {"forced collisions, ram", collisions_ram},
      {"random, bytes apart", random_apart}, {"forced collisions, bytes apart", collisions_apart})
