#include "host.h"

#include "core/rng.h"
#include "sharing/private.h"

#include <errno.h>

#define PAGES 200

/* Entries that outlive their host. */
static pte_t store[2][PAGES];

static pte_t *entries(void *ctx, const struct vm *vm)
{
	(void)ctx;
	return store[vm->id];
}

static void open_host(struct test_host *t, const char *scan)
{
	test_host_new(t, (struct test_shape){.frames = 64,
					     .low_frames = 20,
					     .backing = "ram",
					     .victim = "random",
					     .scan = scan,
					     .slots = 400});
	t->pmaps->store = (struct pte_store){entries, NULL};
	test_vm(t, "a", PAGES);
	test_vm(t, "b", PAGES);
}

/* Two VMs of which most pages are swapped out, some are in memory and some were dropped. */
static void live_through(struct test_host *t)
{
	struct rng rng;

	rng_init(&rng, test_seed(3), "a life", 0);
	for (int i = 0; i < 3000; i++) {
		struct pmap *pmap = t->host->vm[rng_below(&rng, 2)]->pmap;
		ppn_t ppn = {(uint32_t)rng_below(&rng, PAGES)};

		if (rng_below(&rng, 10) == 0)
			pmap_drop(pmap, ppn);
		else
			test_fill(pmap->vm, ppn.n, 1 + rng_below(&rng, 60));
		if (rng_below(&rng, 20) == 0)
			pmap_sample(pmap, ppn);
		if (t->sharing)
			sharing_scan(t->sharing, pmap->vm, 4);
	}
}

static void adopts(const char *scan)
{
	uint64_t count[2][PAGE_STATES], slots;
	static uint8_t bytes[64][PAGE_SIZE];
	pte_t before[2][PAGES];
	struct test_host t;
	struct err err;

	memset(store, 0, sizeof store);
	open_host(&t, scan);
	live_through(&t);
	memcpy(bytes, t.m->bytes, sizeof bytes);
	uint64_t saved = t.sharing ? sharing_stats(t.sharing)->saved : 0, shared = t.m->shared;
	for (int v = 0; v < 2; v++)
		memcpy(count[v], t.host->vm[v]->pmap->count, sizeof count[v]);
	slots = count[0][PAGE_SWAPPED] + count[1][PAGE_SWAPPED];
	CU_ASSERT_TRUE(slots > 50);
	memcpy(before, store, sizeof store);
	test_host_free(&t); /* drops every page */
	memcpy(store, before, sizeof store);
	open_host(&t, scan);
	memcpy(t.m->bytes, bytes, sizeof bytes); /* shared frames keep their number */
	CU_ASSERT_EQUAL_FATAL(pmap_adopt(t.host, &err), 0);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	for (int v = 0; v < 2; v++) {
		CU_ASSERT_EQUAL(memcmp(count[v], t.host->vm[v]->pmap->count, sizeof count[v]), 0);
		for (uint32_t i = 0; i < PAGES; i++) {
			CU_ASSERT_EQUAL(pte_state(store[v][i]), pte_state(before[v][i]));
			CU_ASSERT_FALSE(store[v][i] & PTE_SAMPLED);
			if (pte_state(before[v][i]) == PAGE_SHARED)
				CU_ASSERT_EQUAL(pte_value(store[v][i]), pte_value(before[v][i]));
		}
	}
	CU_ASSERT_EQUAL(t.m->shared, shared);
	if (t.sharing)
		CU_ASSERT_EQUAL(sharing_stats(t.sharing)->saved, saved);
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "swap_slots_used"), slots);
	test_host_free(&t);
}

static void private_and_swapped_pages(void)
{
	adopts("none");
}

static void shared_pages(void)
{
	adopts("random");
}

static void refused(pte_t entry, pte_t other, int rc, const char *why)
{
	struct test_host t;
	struct err err = {0};

	memset(store, 0, sizeof store);
	store[0][5] = entry;
	store[1][7] = other;
	open_host(&t, "none");
	CU_ASSERT_EQUAL(pmap_adopt(t.host, &err), rc);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, why));
	memset(store, 0, sizeof store);
	for (int v = 0; v < 2; v++) { /* nothing in them was taken */
		memset(t.host->vm[v]->pmap->count, 0, sizeof t.host->vm[v]->pmap->count);
		t.host->vm[v]->pmap->count[PAGE_UNBACKED] = PAGES;
	}
	test_host_free(&t);
}

static void nonsense_is_refused(void)
{
	refused(pte_make(PAGE_SHARED, 64, PTE_R), 0, -EUCLEAN, "frame 64 of 64");
	refused(pte_make(PAGE_SHARED, 3, PTE_R), 0, -EUCLEAN,
		"cannot be adopted"); /* nobody shares */
	refused(pte_make(PAGE_SWAPPED, 400, 0), 0, -EUCLEAN, "none of the area's");
	refused(pte_make(PAGE_SWAPPED, 9, 0), pte_make(PAGE_SWAPPED, 9, 0), -EUCLEAN,
		"another page's");
	refused(pte_make(PAGE_COMPRESSED, 0, 0), 0, -EUCLEAN, "cannot be adopted");
}

TESTS("pmap/adopt", {"private and swapped pages", private_and_swapped_pages},
      {"shared pages", shared_pages}, {"nonsense", nonsense_is_refused})
