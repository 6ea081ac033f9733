/*
 * Exactness: after convergence exactly the duplicates are reclaimed. Random
 * mixtures of contents over several VMs and groups are written, scanned until
 * nothing changes any more, some pages rewritten, scanned again. Distinct
 * contents are counted another way: by sorting all pages' bytes.
 */
#include "host.h"

#include "core/rng.h"

#define VMS   4
#define PAGES (1200u / (TEST_SCALE > 1 ? 2 : 1))

struct page {
	uint8_t group;
	uint8_t bytes[PAGE_SIZE];
};

struct mix {
	struct test_host t;
	struct vm *vm[VMS];
	struct page *page; /* [VMS * PAGES] as read back */
	struct rng rng;
	unsigned groups;
};

static int by_bytes(const void *a, const void *b)
{
	const struct page *x = *(const struct page *const *)a, *y = *(const struct page *const *)b;

	return x->group != y->group ? x->group - y->group : memcmp(x->bytes, y->bytes, PAGE_SIZE);
}

static void read_all(struct mix *m)
{
	for (uint32_t v = 0; v < VMS; v++) {
		for (uint32_t i = 0; i < PAGES; i++) {
			struct page *p = &m->page[v * PAGES + i];
			p->group = (uint8_t)(v % m->groups);
			memcpy(p->bytes,
			       m->t.m->backing->bytes(m->t.m, pte_mpn(test_entry(m->vm[v], i))),
			       PAGE_SIZE);
		}
	}
}

static uint64_t count_distinct(struct mix *m)
{
	const struct page **sorted = calloc(VMS * PAGES, sizeof(*sorted));
	uint64_t distinct = 1;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sorted);
	for (uint32_t i = 0; i < VMS * PAGES; i++)
		sorted[i] = &m->page[i];
	qsort(sorted, VMS * PAGES, sizeof(*sorted), by_bytes);
	for (uint32_t i = 1; i < VMS * PAGES; i++)
		distinct += by_bytes(&sorted[i - 1], &sorted[i]) != 0;
	free(sorted);
	return distinct;
}

/* Contents of very different popularity; some pages differ in their last byte only. */
static void write_page(struct mix *m, uint32_t v, uint32_t page)
{
	uint64_t pool = UINT64_C(1) << rng_below(&m->rng, 14);
	uint64_t id = rng_below(&m->rng, pool);

	test_fill(m->vm[v], page, id);
	if (rng_below(&m->rng, 4) == 0)
		m->t.m->backing->bytes(m->t.m, pte_mpn(test_entry(m->vm[v], page)))[PAGE_SIZE - 1] =
			(uint8_t)rng_below(&m->rng, 3);
}

/* Until the policy has nothing left to do; a policy that draws gets many draws. */
static void converge(struct mix *m, bool draws)
{
	for (int round = 0; round < 5; round++) {
		for (uint32_t v = 0; v < VMS; v++)
			sharing_scan(m->t.sharing, m->vm[v], (draws ? 5 : 1) * PAGES);
	}
}

static void check(struct mix *m)
{
	read_all(m);
	uint64_t distinct = count_distinct(m);

	CU_ASSERT_EQUAL(sharing_stats(m->t.sharing)->saved, VMS * PAGES - distinct);
	CU_ASSERT_EQUAL(m->t.m->frames - m->t.m->free, distinct);
	CU_ASSERT_EQUAL(test_audit(&m->t), 0);
}

static void run(const char *scan, unsigned groups)
{
	struct mix m = {.groups = groups};
	struct err err;

	rng_init(&m.rng, test_seed(7), scan, groups);
	test_host_new(&m.t, (struct test_shape){.frames = VMS * PAGES,
						.backing = "ram",
						.scan = scan,
						.no_swap = true});
	m.page = calloc(VMS * PAGES, sizeof *m.page);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m.page);
	for (uint32_t v = 0; v < VMS; v++) {
		m.vm[v] = test_vm(&m.t, (const char[]){(char)('a' + v), 0}, PAGES);
		CU_ASSERT_EQUAL(
			sharing_group(m.t.sharing, m.vm[v], v % groups ? "other" : NULL, &err), 0);
		for (uint32_t i = 0; i < PAGES; i++)
			write_page(&m, v, i);
	}
	converge(&m, strcmp(scan, "random") == 0);
	check(&m);
	for (int i = 0; i < 600; i++)
		write_page(&m, (uint32_t)rng_below(&m.rng, VMS),
			   (uint32_t)rng_below(&m.rng, PAGES));
	converge(&m, strcmp(scan, "random") == 0);
	check(&m);
	test_host_free(&m.t);
	free(m.page);
}

static void sequential(void)
{
	run("sequential", 1);
	run("sequential", 2);
}

static void idle_first(void)
{
	run("idle-first", 1);
}

static void ksm(void)
{
	run("ksm", 1);
	run("ksm", 2);
}

static void drawn(void)
{
	run("random", 1);
}

TESTS("sharing exactness", {"sequential", sequential}, {"idle-first", idle_first}, {"ksm", ksm},
      {"random", drawn})
