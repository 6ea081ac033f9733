/*
 * One truth: whatever guests and host do, every mode gives each reference what a
 * walk from scratch gives, and all modes do the same to guest and host.
 *
 * Two VMs run processes that fork, unmap, protect and switch, on a host with too
 * few frames, whose pages are swapped, shared, sampled and harvested meanwhile.
 */
#include "mmu.h"

#include "core/rng.h"
#include "traces/replay_kernel.h"

#define PAGES  3000
#define FRAMES 420

#define OPS (60000 / TEST_SCALE)

struct box {
	struct vm *vm;
	struct mmu *mmu;
	struct kernel *kernel;
	uint64_t content;
};

struct world {
	struct test_host t;
	struct box guest[2];
};

struct variant {
	const char *mode;
	bool large, split, unsync;
	int64_t asids, shadow_pages, nested_tlb;
};

static const struct variant variants[] = {
	{"flat", false, false, false, 0, 0, 0},	  {"ept", false, false, false, 6, 0, 0},
	{"ept", true, false, false, 0, 0, 24},	  {"nested", true, false, false, 2, 0, 8},
	{"shadow", false, true, false, 6, 0, 0},  {"shadow", false, false, false, 0, 0, 0},
	{"shadow", false, true, true, 3, 0, 0},	  {"shadow", false, true, false, 2, 40, 0},
	{"shadow", false, false, true, 1, 25, 0}, {"direct", false, false, false, 6, 0, 0},
	{"direct", false, false, false, 0, 0, 0},
};

static void must(int rc, const struct err *err)
{
	if (rc)
		printf("  %d: %s\n", rc, err->msg);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static void world_open(struct world *w, const struct variant *v, bool large)
{
	struct mmu_opts opts = test_mmu_opts();
	struct err err;

	*w = (struct world){0};
	test_host_new(&w->t,
		      (struct test_shape){.frames = FRAMES, .slots = 3 * PAGES, .scan = "random"});
	opts.large = v->large;
	opts.split = v->split;
	opts.unsync = v->unsync;
	opts.asids = v->asids;
	opts.shadow_pages = v->shadow_pages;
	opts.nested_tlb = v->nested_tlb;
	opts.l2_entries = 64; /* small, so that much is evicted */
	opts.l2_ways = 4;
	for (size_t i = 0; i < 2; i++) {
		struct box *g = &w->guest[i];
		g->vm = test_vm(&w->t, i ? "b" : "a", PAGES);
		must(mmu_new(g->vm->pmap, test_policy(translations, v->mode, NULL), &opts, &g->mmu,
			     &err),
		     &err);
		must(kernel_new(g->mmu, large, &g->kernel, &err), &err);
	}
}

static void world_close(struct world *w)
{
	host_free(w->t.host);
	kernel_free(w->guest[0].kernel);
	kernel_free(w->guest[1].kernel);
}

/* Of a few stretches of addresses, one of them the kernel's. */
static uint64_t some_page(struct rng *rng)
{
	static const uint64_t base[] = {0, 0x12340, 0x7fffff000, PT_KERNEL + 0x777000};

	return base[rng_below(rng, 4)] + rng_below(rng, 8) * 61 + rng_below(rng, 3) * 512;
}

/* The digest that this reference must leave, by a walk from scratch. */
static uint64_t expected(const struct box *g, uint64_t before, uint64_t vpn, enum access access,
			 ppn_t ppn)
{
	static struct mmu scratch;
	struct pt_path path;
	pte_t p = pmap_peek(g->vm->pmap, ppn);

	pt_walk(&g->mmu->tables, (uint32_t)g->mmu->root, vpn, access == ACCESS_WRITE, g->mmu->user,
		&path);
	if (path.why != PT_MAPPED)
		printf("  %s: page %llx: why %d, level %u\n", g->mmu->mode->policy.name,
		       (unsigned long long)vpn, path.why, path.level);
	CU_ASSERT_EQUAL_FATAL(path.why, PT_MAPPED);
	CU_ASSERT_EQUAL_FATAL(path.ppn, ppn.n);
	CU_ASSERT_FATAL(pte_resident(p) && (p >> access & 1));
	scratch.digest = before;
	mmu_seen(&scratch, path.ppn, pte_value(p), path.rights | (p & PTE_W ? TLB_HOST_W : 0));
	return scratch.digest;
}

static void reference(struct box *g, struct rng *rng)
{
	uint64_t vpn = some_page(rng);
	enum access access = (enum access)(rng_below(rng, 3) == 0);
	struct mmu_fault fault;
	struct err err;
	ppn_t ppn;
	int rc;

	for (;;) {
		mmu_set_user(g->mmu, vpn < PT_KERNEL);
		uint64_t before = g->mmu->digest;
		rc = mmu_ref(g->mmu, vpn, access, &ppn, &fault, &err);
		if (rc == 0) {
			CU_ASSERT_EQUAL_FATAL(g->mmu->digest,
					      expected(g, before, vpn, access, ppn));
			break;
		}
		CU_ASSERT_EQUAL_FATAL(rc, MMU_FAULT);
		mmu_set_user(g->mmu, false);
		must(kernel_fault(g->kernel, &fault, &err), &err);
	}
	/* Contents that others have too, so that there is what to share. */
	if (access == ACCESS_WRITE && rng_below(rng, 2))
		must(pmap_set_content(g->vm->pmap, ppn, 1 + rng_below(rng, 20), &err), &err);
}

/* A kernel's pages are not unmapped while it runs: only user pages here. */
static void process_event(struct box *g, struct rng *rng)
{
	uint64_t page = some_page(rng), pages = 1 + rng_below(rng, 60);
	struct err err;

	if (page >= PT_KERNEL)
		page = 0;
	mmu_set_user(g->mmu, false);
	switch (rng_below(rng, 6)) {
	case 0:
	case 1:
		must(kernel_switch(g->kernel, rng_below(rng, 5), &err), &err);
		break;
	case 2:
		must(kernel_fork(g->kernel, rng_below(rng, 5), &err), &err);
		break;
	case 3:
		must(kernel_unmap(g->kernel, page, rng_below(rng, 20) ? pages : PT_KERNEL, &err),
		     &err);
		break;
	default:
		must(kernel_protect(g->kernel, page, pages, rng_below(rng, 3) == 0, &err), &err);
	}
}

static void event_of_host(struct world *w, struct box *g, struct rng *rng)
{
	ppn_t ppn = {(uint32_t)rng_below(rng, PAGES)};

	switch (rng_below(rng, 5)) {
	case 0:
		pmap_sample(g->vm->pmap, ppn);
		break;
	case 1:
		pmap_unsample(g->vm->pmap, ppn);
		break;
	case 2:
		pmap_harvest_dirty(g->vm->pmap, ppn, 50, NULL, NULL);
		break;
	case 3:
		pmap_harvest_accessed(g->vm->pmap, ppn, 50, NULL, NULL);
		break;
	default:
		sharing_scan(w->t.sharing, g->vm, 1 + rng_below(rng, 40));
	}
}

struct outcome {
	uint64_t digest[2], tables[2], shared, swapped, forks, copies;
};

static void run(const struct variant *v, bool large, uint64_t seed, struct outcome *out)
{
	static struct world w;
	struct rng rng;

	rng_init(&rng, seed, "mmu model", 0);
	world_open(&w, v, large);
	for (unsigned i = 0; i < OPS; i++) {
		struct box *g = &w.guest[rng_below(&rng, 2)];
		uint64_t what = rng_below(&rng, 1000);
		if (what < 940)
			reference(g, &rng);
		else if (what < 955)
			process_event(g, &rng);
		else
			event_of_host(&w, g, &rng);
		if (i % (OPS / 40) == 0)
			CU_ASSERT_EQUAL_FATAL(test_audit(&w.t), 0);
	}
	CU_ASSERT_EQUAL(test_audit(&w.t), 0);
	*out = (struct outcome){0};
	for (size_t i = 0; i < 2; i++) {
		const struct box *g = &w.guest[i];
		out->digest[i] = g->mmu->digest;
		out->tables[i] = pt_store_digest(&g->mmu->tables);
		out->forks += kernel_stats(g->kernel)->forks;
		out->copies += kernel_stats(g->kernel)->cow_copies;
		out->swapped += test_stat(&g->vm->stats, "swap_outs");
		out->shared += test_stat(&g->vm->stats, "share_merged");
		CU_ASSERT_EQUAL(g->mmu->stats.refused, 0);
	}
	world_close(&w);
}

static void compare(bool large, uint64_t seed)
{
	struct outcome first, o;

	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		run(&variants[i], large, seed, i ? &o : &first);
		if (!i)
			continue;
		if (memcmp(&o, &first, sizeof o) != 0)
			printf("  %s, variant %zu, differs from flat\n", variants[i].mode, i);
		CU_ASSERT(memcmp(&o, &first, sizeof o) == 0);
	}
	printf("  %llu forks, %llu copies, %llu swapped, %llu shared\n",
	       (unsigned long long)first.forks, (unsigned long long)first.copies,
	       (unsigned long long)first.swapped, (unsigned long long)first.shared);
	CU_ASSERT(first.forks && first.copies && first.swapped && first.shared);
}

static void small_pages(void)
{
	compare(false, test_seed(2006));
}

static void large_pages(void)
{
	compare(true, test_seed(2010));
}

TESTS("mmu model", {"small pages", small_pages}, {"large pages", large_pages})
