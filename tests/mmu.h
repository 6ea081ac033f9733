/*
 * A VM with an MMU for tests, and page tables built by hand: each new table takes
 * the next PPN.
 */
#ifndef BALLAST_TESTS_MMU_H
#define BALLAST_TESTS_MMU_H

#include "host.h"

#include "pmap/mmu.h"

#define RWU (GPTE_P | GPTE_W | GPTE_U)

struct test_mmu {
	struct test_host t;
	struct vm *vm;
	struct mmu *mmu;
	uint32_t root, next;
};

static inline struct mmu_opts test_mmu_opts(void)
{
	struct mmu_opts opts;

	if (opt_defaults(&mmu_section, &opts))
		abort();
	return opts;
}

static inline void test_mmu_open(struct test_mmu *m, const char *mode, uint32_t pages,
				 const struct mmu_opts *opts, struct test_shape shape)
{
	struct mmu_opts defaults = test_mmu_opts();
	struct err err;

	*m = (struct test_mmu){.next = 1};
	test_host_new(&m->t, shape);
	m->vm = test_vm(&m->t, "a", pages);
	if (mmu_new(m->vm->pmap, test_policy(translations, mode, NULL), opts ? opts : &defaults,
		    &m->mmu, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
}

static inline void test_mmu_close(struct test_mmu *m)
{
	host_free(m->t.host);
}

static inline void test_word(struct test_mmu *m, uint32_t table, unsigned i, gpte_t word)
{
	struct err err;

	CU_ASSERT_EQUAL_FATAL(mmu_pt_write(m->mmu, (ppn_t){table}, i, word, &err), 0);
}

static inline uint32_t test_table(struct test_mmu *m, unsigned level)
{
	struct err err;

	CU_ASSERT_EQUAL_FATAL(mmu_set_content(m->mmu, (ppn_t){m->next}, 0, &err), 0);
	CU_ASSERT_EQUAL_FATAL(mmu_pt_pin(m->mmu, (ppn_t){m->next}, level, &err), 0);
	return m->next++;
}

static inline void test_root(struct test_mmu *m)
{
	struct err err;

	m->root = test_table(m, PT_LEVELS);
	CU_ASSERT_EQUAL_FATAL(mmu_load_root(m->mmu, m->root, &err), 0);
}

/* The table of that level for a page, made where missing. */
static inline uint32_t test_walk_to(struct test_mmu *m, uint64_t vpn, unsigned to)
{
	uint32_t at = m->root;

	for (unsigned level = PT_LEVELS; level > to; level--) {
		gpte_t w = pt_read(&m->mmu->tables, (ppn_t){at}, pt_index(vpn, level));
		if (!(w & GPTE_P)) {
			uint32_t table = test_table(m, level - 1);
			test_word(m, at, pt_index(vpn, level), gpte_make(table, RWU));
			at = table;
		} else {
			at = (uint32_t)gpte_ppn(w);
		}
	}
	return at;
}

static inline void test_map(struct test_mmu *m, uint64_t vpn, uint32_t ppn, gpte_t flags)
{
	test_word(m, test_walk_to(m, vpn, 1), pt_index(vpn, 1), gpte_make(ppn, flags));
}

static inline void test_map_large(struct test_mmu *m, uint64_t vpn, uint32_t ppn, gpte_t flags)
{
	test_word(m, test_walk_to(m, vpn, 2), pt_index(vpn, 2), gpte_make(ppn, flags | GPTE_PS));
}

/* 0, MMU_FAULT or -errno; *ppn and *fault as mmu_ref()'s. */
static inline int test_ref(struct test_mmu *m, uint64_t vpn, enum access access, ppn_t *ppn,
			   struct mmu_fault *fault)
{
	struct err err;

	return mmu_ref(m->mmu, vpn, access, ppn, fault, &err);
}

/* References to memory that walks make for this one reference, which must succeed. */
static inline uint64_t test_walk_refs(struct test_mmu *m, uint64_t vpn, enum access access)
{
	uint64_t before = m->mmu->stats.walk_refs;
	struct mmu_fault fault;
	ppn_t ppn;

	CU_ASSERT_EQUAL_FATAL(test_ref(m, vpn, access, &ppn, &fault), 0);
	return m->mmu->stats.walk_refs - before;
}

#endif
