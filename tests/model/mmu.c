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

/* Where frames lie in runs: enough of them for some, and too few for all. */
#define RUN_PAGES      3100
#define RUN_FRAMES_ALL 5700

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
	bool runs; /* frames lie in runs */
};

struct variant {
	const char *mode;
	bool large, split, unsync; /* large: mmu.large; always where frames lie in runs */
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

/* What a case is of: the guests map 2 MiB; the policy of large.frames, or NULL. */
struct shape {
	bool guest;
	const char *frames;
};

static void world_open(struct world *w, const struct variant *v, struct shape shape)
{
	const uint32_t pages = shape.frames ? RUN_PAGES : PAGES;

	struct mmu_opts opts = test_mmu_opts();
	struct err err;

	*w = (struct world){.runs = shape.frames};
	test_host_new(&w->t, (struct test_shape){.frames = shape.frames ? RUN_FRAMES_ALL : FRAMES,
						 .slots = 3 * pages,
						 .scan = "random",
						 .large = shape.frames,
						 .collapse_ns = 1000});
	opts.large = v->large || shape.frames;
	opts.split = v->split;
	opts.unsync = v->unsync;
	opts.asids = v->asids;
	opts.shadow_pages = v->shadow_pages;
	opts.nested_tlb = v->nested_tlb;
	opts.l2_entries = 64; /* small, so that much is evicted */
	opts.l2_ways = 4;
	for (size_t i = 0; i < 2; i++) {
		struct box *g = &w->guest[i];
		g->vm = test_vm(&w->t, i ? "b" : "a", pages);
		must(mmu_new(g->vm->pmap, test_policy(translations, v->mode, NULL), &opts, &g->mmu,
			     &err),
		     &err);
		must(kernel_new(g->mmu, shape.guest, &g->kernel, &err), &err);
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
	return mmu_mix(before, path.ppn, pte_value(p), path.rights | (p & PTE_W ? TLB_HOST_W : 0));
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
	ppn_t ppn = {(uint32_t)rng_below(rng, g->vm->pages)};
	const struct host *h = w->t.host;
	struct err err;

	switch (rng_below(rng, 8)) {
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
	case 4: /* the collapser's turn */
		clock_run_until(&w->t.host->clock, h->clock.now_ns + 1000);
		break;
	case 5: /* a device wants it elsewhere */
		if (pte_state(pmap_peek(g->vm->pmap, ppn)) == PAGE_PRIVATE &&
		    !(pmap_peek(g->vm->pmap, ppn) & PTE_PINNED) && h->machine.free)
			pmap_move(g->vm->pmap, ppn, machine_take(w->t.m));
		break;
	case 6:
		h->reclaimer[0].reclaimer->reclaim(h->reclaimer[0].ctx, (uint32_t)rng_below(rng, 8),
						   g->vm, g->vm, &err);
		break;
	default: /* seldom where frames lie in runs, of which it leaves few whole */
		if (!w->runs || rng_below(rng, 6) == 0)
			sharing_scan(w->t.sharing, g->vm, 1 + rng_below(rng, 40));
	}
}

/* Four stretches are touched in full, one page of each is moved: the collapser finds them. */
static void settle(struct world *w)
{
	struct box *g = &w->guest[0];
	struct pmap *pmap = g->vm->pmap;
	struct err err;

	mmu_set_user(g->mmu, false);
	for (uint32_t p = STRETCH; p < 5 * STRETCH; p++) {
		if (!(pmap->pte[p] & PTE_PINNED))
			must(mmu_touch(g->mmu, (ppn_t){p}, ACCESS_WRITE, &err), &err);
	}
	for (uint32_t p = STRETCH + 7; p < 5 * STRETCH; p += STRETCH) {
		if (!(pmap->pte[p] & PTE_PINNED) && pte_state(pmap->pte[p]) == PAGE_PRIVATE &&
		    w->t.m->free)
			pmap_move(pmap, (ppn_t){p}, machine_take(w->t.m));
	}
	for (unsigned i = 0; i < 3 * 2 * RUN_PAGES / STRETCH / 4 + 3; i++)
		clock_run_until(&w->t.host->clock, w->t.host->clock.now_ns + 1000);
}

struct outcome {
	uint64_t digest[2], tables[2], shared, swapped, forks, copies, collapsed;
};

/* By variant, which may differ. */
static uint64_t large_maps, large_breaks;

static void run(const struct variant *v, struct shape shape, uint64_t seed, struct outcome *out)
{
	static struct world w;
	struct rng rng;

	rng_init(&rng, seed, "mmu model", 0);
	world_open(&w, v, shape);
	large_maps = large_breaks = 0;
	for (unsigned i = 0; i < OPS; i++) {
		struct box *g = &w.guest[rng_below(&rng, 2)];
		uint64_t what = rng_below(&rng, 1000);
		if (what < 940)
			reference(g, &rng);
		else if (what < 955)
			process_event(g, &rng);
		else
			event_of_host(&w, g, &rng);
		if (shape.frames && i % (OPS / 8) == OPS / 9)
			settle(&w);
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
		large_maps += g->mmu->stats.large_maps;
		large_breaks += g->mmu->stats.large_breaks;
	}
	if (shape.frames)
		out->collapsed = test_stat(&w.t.host->scope, "large_collapsed");
	world_close(&w);
}

static void compare(struct shape shape, uint64_t seed)
{
	struct outcome first, o;

	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		if (shape.frames && variants[i].large)
			continue; /* all are then */
		run(&variants[i], shape, seed, i ? &o : &first);
		if (!i)
			continue;
		if (memcmp(&o, &first, sizeof o) != 0)
			printf("  %s, variant %zu, differs from flat\n", variants[i].mode, i);
		CU_ASSERT(memcmp(&o, &first, sizeof o) == 0);
		/* With the guest's alone there is nothing to map so where its tables are shadowed.
		 */
		if (shape.frames && (shape.guest || strcmp(variants[i].mode, "ept") == 0))
			CU_ASSERT(large_maps && large_breaks);
	}
	printf("  %llu forks, %llu copies, %llu swapped, %llu shared, %llu collapsed\n",
	       (unsigned long long)first.forks, (unsigned long long)first.copies,
	       (unsigned long long)first.swapped, (unsigned long long)first.shared,
	       (unsigned long long)first.collapsed);
	CU_ASSERT(first.forks && first.copies && first.shared);
	CU_ASSERT(shape.frames || first.swapped); /* of runs there is enough */
	/* Where the guest's tables lie among its 2 MiB pages, the collapser may find none to move.
	 */
	CU_ASSERT(!shape.frames || shape.guest || first.collapsed);
}

static void small_pages(void)
{
	compare((struct shape){false, NULL}, test_seed(2006));
}

static void large_pages(void)
{
	compare((struct shape){true, NULL}, test_seed(2010));
}

static void frames_in_runs(void)
{
	compare((struct shape){true, "reserve"}, test_seed(2012));
}

static void frames_in_full_runs(void)
{
	compare((struct shape){false, "fill"}, test_seed(2014));
	compare((struct shape){true, "fill"}, test_seed(2016));
}

TESTS("mmu model", {"small pages", small_pages}, {"large pages", large_pages},
      {"frames in runs", frames_in_runs}, {"frames in full runs", frames_in_full_runs})
