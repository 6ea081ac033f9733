/*
 * A guest that does whatever bytes say: tables anywhere, words of any kind, in
 * every mode. For the fuzzer, and for a test that draws the bytes.
 *
 * Nothing is expected of it but that it gets a page, a fault or a refusal, that it
 * never gets a frame of the other VM, and that all counts hold at the end.
 */
#ifndef BALLAST_TESTS_MMU_HOSTILE_H
#define BALLAST_TESTS_MMU_HOSTILE_H

#include "pmap/large.h"
#include "pmap/mmu.h"
#include "swap/swap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOSTILE_PAGES  700
#define HOSTILE_FRAMES 500
#define HOSTILE_HOLE   600  /* ten pages of devices */
#define HOSTILE_RUNS   1500 /* frames instead, where they lie in runs */

struct bytes {
	const uint8_t *p, *end;
};

static inline unsigned take_byte(struct bytes *b)
{
	return b->p < b->end ? *b->p++ : 0;
}

/* Mostly one of a few pages, so that tables meet; else one at an edge, or none of the guest's. */
static inline uint64_t take_ppn(struct bytes *b)
{
	static const uint64_t edges[] = {
		HOSTILE_PAGES - 1,	 HOSTILE_PAGES, HOSTILE_HOLE, HOSTILE_HOLE + 10,
		(UINT64_C(1) << 34) - 1, UINT32_MAX,	512,	      0};
	unsigned x = take_byte(b);

	return x < 224 ? x % 12 : x < 248 ? edges[x % 8] : take_byte(b) * 3;
}

static inline unsigned take_index(struct bytes *b)
{
	unsigned x = take_byte(b);

	return x < 240 ? x % 4 : x % 2 ? 511 : 256;
}

static inline uint64_t take_vpn(struct bytes *b)
{
	uint64_t vpn = 0;

	for (int level = 0; level < 4; level++)
		vpn = vpn << 9 | take_index(b);
	return vpn;
}

static inline gpte_t take_word(struct bytes *b)
{
	gpte_t flags = take_byte(b) | (gpte_t)(take_byte(b) & 1) << 8;
	unsigned odd = take_byte(b);

	if (odd > 250)
		flags |= UINT64_C(1) << (45 + odd % 8);
	else if (odd > 240)
		flags |= GPTE_NX;
	else if (odd > 220)
		return 0;
	else
		flags |= GPTE_P | GPTE_W | GPTE_U;
	return gpte_make(take_ppn(b), flags);
}

static inline void hostile_expect(bool holds)
{
	if (!holds)
		abort();
}

/* A page that the guest was given is its own, and what its tables say. */
static inline void hostile_reference(struct mmu *mmu, struct bytes *b)
{
	enum access access = (enum access)(take_byte(b) & 1);
	const struct machine *m = &mmu->pmap->vm->host->machine;
	uint64_t vpn = take_vpn(b);
	struct mmu_fault fault;
	struct pt_path path;
	struct err err;
	ppn_t ppn;

	int rc = mmu_ref(mmu, vpn, access, &ppn, &fault, &err);
	hostile_expect(rc == 0 || rc == MMU_FAULT || rc == -ENOMEM);
	if (rc)
		return;
	hostile_expect(pt_memory(&mmu->tables, ppn.n));
	pte_t p = pmap_peek(mmu->pmap, ppn);
	hostile_expect(pte_resident(p) && (p >> access & 1));
	struct frame f = m->frame[pte_value(p)];
	hostile_expect(!frame_is_private(f) || (f.vm == mmu->pmap->vm->id && f.ppn == ppn.n));
	if (mmu->mode->no_tlb) {
		pt_walk(&mmu->tables, (uint32_t)mmu->root, vpn, access == ACCESS_WRITE, mmu->user,
			&path);
		hostile_expect(path.why == PT_MAPPED && path.ppn == ppn.n);
	}
}

static inline void hostile_step(struct mmu *mmu, struct bytes *b)
{
	struct pmap *pmap = mmu->pmap;
	ppn_t ppn = {(uint32_t)take_ppn(b)};
	bool inside = ppn.n < pmap->pages;
	struct err err;
	int rc = 0;

	switch (take_byte(b) % 16) {
	case 0:
	case 1:
	case 2:
	case 3:
		rc = mmu_pt_write(mmu, ppn, take_index(b), take_word(b), &err);
		break;
	case 4:
		rc = mmu_update(mmu, ppn, take_index(b), take_word(b), &err);
		hostile_expect(rc <= 0);
		break;
	case 5:
		rc = mmu_load_root(mmu, take_ppn(b), &err);
		break;
	case 6:
		rc = mmu_flush_page(mmu, take_vpn(b), &err);
		break;
	case 7:
		rc = mmu_flush_space(mmu, take_ppn(b), &err);
		break;
	case 8:
		mmu_set_user(mmu, take_byte(b) & 1);
		break;
	case 9:
		rc = mmu_pt_pin(mmu, ppn, take_byte(b) % 6, &err);
		break;
	case 10:
		rc = mmu_pt_unpin(mmu, ppn, &err);
		break;
	case 11:
		rc = mmu_touch(mmu, ppn, (enum access)(take_byte(b) & 1), &err);
		break;
	case 12: /* what the host does: a balloon, a sampler, a log */
		if (inside && take_byte(b) & 1)
			pmap_drop(pmap, ppn);
		else if (inside)
			pmap_sample(pmap, ppn);
		if (take_byte(b) & 1)
			pmap_harvest_dirty(pmap, (ppn_t){0}, take_byte(b), NULL, NULL);
		clock_run_until(&pmap->vm->host->clock, pmap->vm->host->clock.now_ns + 1000);
		break;
	default:
		hostile_reference(mmu, b);
	}
	hostile_expect(rc == 0 || rc == -EPERM || rc == -EFAULT || rc == -ENOSYS || rc == -ENOMEM);
}

/* Returns whether frames lie in runs. */
static inline bool hostile_options(struct mmu_opts *o, struct bytes *b)
{
	unsigned x = take_byte(b);

	if (opt_defaults(&mmu_section, o))
		abort();
	o->preset = mmu_presets[x & 1];
	o->split = x & 2;
	o->unsync = x & 4;
	o->large = x & 8;
	o->shadow_pages = x & 16 ? 9 : 0;
	o->asids = x & 32 ? 2 : 0;
	o->nested_tlb = x & 64 ? 4 : 0;
	return x & 128;
}

/* Both VMs of a small host live by the bytes, in the mode that the first one names. */
static inline void hostile_run(const uint8_t *data, size_t size)
{
	struct host_opts opts = {
		.frames = HOSTILE_FRAMES,
		.backing = policy_find(backings, "ids"),
		.thresholds = policy_find(thresholds_list, "none"),
		.quantum = 1000,
	};
	const struct cost_opts cost = {.ref = 1};
	struct bytes b = {data, data + size};
	struct mmu_opts mmu_opts;
	struct pmap_part *pmaps;
	struct swap_opts swap_opts;
	struct swap *swap;
	struct mmu *mmu[2];
	struct host *host;
	struct err err;
	size_t modes = 0;

	while (translations[modes])
		modes++;
	const struct policy *mode = translations[take_byte(&b) % modes];
	const struct large_opts large = {
		.frames = policy_find(large_frames_list,
				      hostile_options(&mmu_opts, &b) ? "fill" : "none"),
		.collapse_period = 1000,
		.collapse_stretches = 1,
	};
	if (strcmp(large.frames->name, "fill") == 0)
		opts.frames = HOSTILE_RUNS;
	if (opt_defaults(&swap_section, &swap_opts) || host_new(&opts, &cost, &host, &err) ||
	    pmap_part_new(host, &pmaps) || large_open(host, &large, &err) ||
	    swap_open(host, pmaps, &swap_opts, 4096, &os_io, &swap, &err))
		abort();
	for (size_t i = 0; i < 2; i++) {
		struct vm *vm;
		if (vm_add(host, i ? "b" : "a", HOSTILE_PAGES, &vm, &err) ||
		    mmu_new(vm->pmap, mode, &mmu_opts, &mmu[i], &err) ||
		    mmu_hole(mmu[i], HOSTILE_HOLE, 10))
			abort();
	}
	while (b.p < b.end)
		hostile_step(mmu[take_byte(&b) & 1], &b);
	hostile_expect(host_audit(host, stdout) == 0);
	host_free(host);
	opt_release(&swap_section, &swap_opts);
}

#endif
