/*
 * Walks that are made again without being made: each count after each step is that of
 * a slow twin, the same mode without its run(). References come singly and in rows.
 *
 * A guest whose last-level tables are seen at several addresses and, by other tables of
 * the same pages, in two spaces; it writes any word of them at any time, flushes when
 * it likes, and looks at pages often enough that a walk is the same as before.
 */
#include "mmu.h"

#include "core/rng.h"

#define PAGES  4096
#define DATA   600 /* PPNs of pages from here on */
#define SPREAD 20  /* words of a table that are used */
#define ALIAS  (UINT64_C(1) << 18)
#define ROW    100 /* references at most */
#define OPS    (110000 / TEST_SCALE)

struct side {
	struct test_mmu m;
	uint32_t root[2];
	unsigned kinds; /* of words: the last is global, beside which nothing is made again */
};

static uint64_t made_again, in_rows;

static void counted(struct mmu *mmu, struct mmu_row *row)
{
	const uint64_t misses = mmu->stats.tlb_misses;
	const size_t at = row->at;

	mmu->mode->run(mmu, row);
	made_again += mmu->stats.tlb_misses - misses;
	in_rows += row->end > at + 1 ? row->at - at : 0;
}

/* Two roots; in the first, what is ALIAS pages on has the same last-level tables. */
static void make_tables(struct side *s)
{
	struct test_mmu *m = &s->m;
	struct err err;

	test_root(m);
	s->root[0] = m->root;
	for (uint64_t t = 0; t < 4; t++) {
		uint32_t last = test_walk_to(m, t << 9, 1);
		test_word(m, test_walk_to(m, ALIAS + (t << 9), 2), (unsigned)t,
			  gpte_make(last, RWU));
	}
	test_root(m);
	s->root[1] = m->root;
	for (uint64_t t = 0; t < 3; t++)
		test_walk_to(m, t << 9, 1);
	CU_ASSERT_EQUAL_FATAL(mmu_load_root(m->mmu, s->root[0], &err), 0);
	m->root = s->root[0];
	mmu_set_user(m->mmu, true);
}

static void open_side(struct side *s, const char *mode, const struct mmu_opts *opts, bool anew)
{
	test_mmu_open(&s->m, mode, PAGES, opts, (struct test_shape){.frames = PAGES + 100});
	s->m.mmu->run = anew ? NULL : counted;
	make_tables(s);
}

/* A word of some last-level table, or of the one above it. */
static void write_word(struct side *s, uint64_t vpn, uint64_t what)
{
	static const gpte_t rights[] = {RWU, RWU | GPTE_A | GPTE_D, GPTE_P | GPTE_U, RWU | GPTE_A,
					RWU | GPTE_G};
	uint32_t table = test_walk_to(&s->m, vpn, 1);
	struct err err;

	if (what % 128 == 127) { /* a table goes, and comes back where it was, or read-only */
		uint32_t above = test_walk_to(&s->m, vpn, 2);
		unsigned i = pt_index(vpn, 2);
		gpte_t w = pt_read(&s->m.mmu->tables, (ppn_t){above}, i);
		test_word(&s->m, above, i, 0);
		test_word(&s->m, above, i, what & 128 ? w : w ^ GPTE_W);
		return;
	}
	gpte_t w = what % 8 == 7
			   ? 0
			   : gpte_make(DATA + what / 8 % 2000, rights[what / 16000 % s->kinds]);
	test_word(&s->m, table, (unsigned)vpn & 511, w);
	if (what & 1)
		CU_ASSERT_EQUAL(mmu_flush_page(s->m.mmu, vpn, &err), 0);
}

static uint64_t some_page(const struct side *s, uint64_t a)
{
	uint64_t vpn = (a % 4) << 9 | (a / 4 % SPREAD);

	return vpn + (s->m.root == s->root[0] && a / 2048 % 2 ? ALIAS : 0);
}

/* One reference by itself; what is absent may be mapped. */
static void single(struct side *s, uint64_t vpn, uint64_t b, ppn_t *ppn, int *rc)
{
	struct mmu_fault fault;

	*rc = test_ref(&s->m, vpn, (enum access)(b % 4 == 0), ppn, &fault);
	if (*rc == MMU_FAULT && fault.why == PT_ABSENT && b % 2)
		test_map(&s->m, vpn, DATA + (uint32_t)(b / 8 % 2000), RWU);
}

/* Many in a row, few of which are no plain ones: those that run() leaves come singly. */
static void some_row(struct side *s, uint64_t seed)
{
	struct mmu *mmu = s->m.mmu;
	uint64_t ref[ROW], b[ROW], writes = 0;
	struct mmu_row row = {.ref = ref};
	struct rng rng;
	ppn_t ppn;
	int rc;

	rng_init(&rng, seed, "a row", 0);
	row.words = 2 + rng_below(&rng, ROW - 1);
	const uint64_t pages = 1 + rng_below(&rng, 4 * SPREAD);
	for (size_t i = 0; i < row.words; i++) {
		const uint64_t which = rng_below(&rng, 4096);
		b[i] = rng_below(&rng, 1 << 20);
		ref[i] = some_page(s, which & 2048 ? which : which % pages) << MMU_REF_SHIFT |
			 (b[i] % 4 == 0) | (uint64_t)(rng_below(&rng, 100) == 0) << 4;
	}
	for (; row.at < row.words; row.at++) {
		row.end = row.at + 1 + rng_below(&rng, row.words - row.at);
		if (mmu->run) {
			const size_t at = row.at;
			mmu_fetch_until(mmu, &row, row.at);
			mmu->run(mmu, &row);
			for (size_t i = at; i < row.at; i++)
				writes += ref[i] & 1;
		}
		if (row.at < row.words)
			single(s, ref[row.at] >> MMU_REF_SHIFT, b[row.at], &ppn, &rc);
	}
	CU_ASSERT_EQUAL(row.writes, writes);
}

static void step(struct side *s, uint64_t op, uint64_t a, uint64_t b, ppn_t *ppn, int *rc)
{
	struct err err;
	const uint64_t which = a / 1024 % 2;

	if (op < 9780) {
		single(s, some_page(s, a), b, ppn, rc);
	} else if (op < 9880) {
		some_row(s, a << 20 | b);
	} else if (op < 9960) {
		write_word(s, (a % 4) << 9 | (a / 4 % SPREAD), b);
	} else if (op < 9985) {
		*rc = mmu_load_root(s->m.mmu, s->m.root = s->root[which], &err);
	} else if (op < 9987) {
		*rc = mmu_flush_space(s->m.mmu, s->root[which], &err);
	} else if (op < 9992) {
		mmu_set_user(s->m.mmu, a & 1);
	} else if (op < 9998) {
		pmap_harvest_dirty(s->m.vm->pmap, (ppn_t){DATA + (uint32_t)(a % 2000)}, 2, NULL,
				   NULL);
	} else {
		pmap_drop(s->m.vm->pmap, (ppn_t){DATA + (uint32_t)(a % 2000)});
	}
}

/* All but the last, which is a ratio of others. */
static bool same_counts(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct mmu_stats, cycles_per_ref)) == 0;
}

static void compare(const char *mode, const struct mmu_opts *opts, bool global, uint64_t seed)
{
	static struct side quick, slow;
	struct rng rng;

	made_again = in_rows = 0;
	rng_init(&rng, seed, "mmu again", 0);
	open_side(&quick, mode, opts, false);
	open_side(&slow, mode, opts, true);
	quick.kinds = slow.kinds = global ? 5 : 4;
	for (unsigned i = 0; i < OPS; i++) {
		uint64_t op = rng_below(&rng, 10000), a = rng_below(&rng, 1 << 20),
			 b = rng_below(&rng, 1 << 20);
		ppn_t x = {0}, y = {0};
		int rc = 0, want = 0;
		step(&quick, op, a, b, &x, &rc);
		step(&slow, op, a, b, &y, &want);
		if (rc != want || x.n != y.n || quick.m.mmu->digest != slow.m.mmu->digest ||
		    !same_counts(&quick.m.mmu->stats, &slow.m.mmu->stats)) {
			printf("  %s: step %u, operation %llu\n", mode, i, (unsigned long long)op);
			CU_FAIL_FATAL("a walk made again is counted otherwise");
		}
	}
	printf("  %s: %llu of %llu walks made again, %llu references in rows\n", mode,
	       (unsigned long long)made_again, (unsigned long long)quick.m.mmu->stats.tlb_misses,
	       (unsigned long long)in_rows);
	CU_ASSERT(made_again > (global ? 0 : OPS / 20));
	CU_ASSERT(in_rows > OPS / 50);
	CU_ASSERT_EQUAL(mmu_audit(quick.m.mmu, stdout), 0);
	test_mmu_close(&quick.m);
	test_mmu_close(&slow.m);
}

static void counts_are_those_of_the_slow_twin(void)
{
	static const char *const modes[] = {"ept", "nested", "shadow"};
	const uint64_t seed = test_seed(1998);

	for (size_t i = 0; i < 4 * ARRAY_LEN(modes); i++) {
		struct mmu_opts opts = test_mmu_opts();
		opts.l1_entries = opts.l1_large_entries = 4;
		opts.l1_ways = opts.l1_large_ways = 2;
		opts.l2_entries = i & 1 ? 16 : 32;
		opts.l2_ways = i & 1 ? 4 : 8;
		opts.pde_cache = i & 2 ? 2 : 32;
		opts.pdpte_cache = i & 1 ? 1 : 4;
		opts.nested_tlb = i & 2 ? 8 : 0;
		opts.asids = i & 1 ? 6 : 1;
		opts.split = i & 2;
		compare(modes[i / 4], &opts, i % 4 == 1, seed + i);
	}
}

TESTS("mmu again", {"counts are those of the slow twin", counts_are_those_of_the_slow_twin})
