/*
 * Which pages of a model are sampled, and what the pmap must make of them:
 * whatever befalls a page, it stays sampled until its next touch, which is
 * reported once.
 */
#ifndef BALLAST_TESTS_SAMPLED_H
#define BALLAST_TESTS_SAMPLED_H

#include "host.h"

#include "core/rng.h"

#define SAMPLED_VMS   8
#define SAMPLED_PAGES 400

struct sampled {
	struct rng rng;
	bool on[SAMPLED_VMS][SAMPLED_PAGES];
	uint64_t touched, minor; /* reports */
};

static inline void sampled_touched(void *ctx, struct pmap *pmap, ppn_t ppn, bool minor)
{
	struct sampled *s = ctx;

	CU_ASSERT_TRUE_FATAL(s->on[pmap->vm->id][ppn.n]);
	CU_ASSERT_TRUE_FATAL(pte_resident(pmap_peek(pmap, ppn)));
	s->on[pmap->vm->id][ppn.n] = false;
	s->touched++;
	s->minor += minor;
}

static inline void sampled_start(struct sampled *s, struct test_host *t, uint64_t seed)
{
	*s = (struct sampled){0};
	rng_init(&s->rng, seed, "test sampled", 0);
	t->pmaps->sample = (struct sample_watch){sampled_touched, s};
}

/* Now and then takes a sample of a running VM's page, or takes it back. */
static inline void sampled_step(struct sampled *s, struct vm *vm)
{
	ppn_t ppn = {(uint32_t)rng_below(&s->rng, vm->pages)};
	unsigned what = (unsigned)rng_below(&s->rng, 40);

	if (what > 3)
		return;
	s->on[vm->id][ppn.n] = what > 0;
	if (what)
		pmap_sample(vm->pmap, ppn);
	else
		pmap_unsample(vm->pmap, ppn);
}

/* Every page of the VM against what must be, rights included. */
static inline void sampled_check(const struct sampled *s, const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->pages; i++) {
		pte_t e = test_entry(vm, i), rights = e & (PTE_R | PTE_W);
		bool on = s->on[vm->id][i];
		pte_t want = PTE_R | PTE_W;

		if (on || !pte_resident(e))
			want = 0;
		else if (pte_state(e) == PAGE_SHARED)
			want = PTE_R;
		CU_ASSERT_EQUAL_FATAL((e & PTE_SAMPLED) != 0, on);
		CU_ASSERT_EQUAL_FATAL(rights, want);
	}
}

#endif
