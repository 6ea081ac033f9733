#include "victims.h"

#include <math.h>

/*
 * Chi-square of counts that should be equal. Its mean is the number of degrees
 * of freedom and its variance twice that; six deviations (and some, for its
 * skew at few degrees) are passed once in 10^8 seeds or so.
 */
static bool uniform(const uint64_t *count, size_t n, uint64_t draws)
{
	double expected = (double)draws / (double)n, x = 0, freedom = (double)n - 1;

	for (size_t i = 0; i < n; i++)
		x += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
	bool ok = fabs(x - freedom) < 6 * sqrt(2 * freedom) + 12;
	if (!ok)
		printf("  chi-square %.1f with %.0f degrees of freedom\n", x, freedom);
	return ok;
}

#define FRAMES 60
#define DRAWS  (200000 / TEST_SCALE)

/* Frames of VM a to c in turn; every fifth page pinned, every seventh frame free. */
static void fill(struct rig *r)
{
	for (uint32_t i = 0; i < FRAMES; i++) {
		rig_touch(r, i % RIG_VMS, i, ACCESS_READ);
		if (i % 5 == 0)
			r->vm[i % RIG_VMS]->pmap->pte[i] |= PTE_PINNED;
	}
	for (uint32_t i = 0; i < FRAMES; i += 7)
		rig_drop(r, i % RIG_VMS, i);
}

static void eligible_frames_are_equally_likely(void)
{
	static struct rig r;
	uint64_t seed = test_seed(20021209), count[FRAMES];
	uint32_t place[FRAMES], n = 0;

	for (int only = 0; only < 2; only++) {
		rig_open(&r, &victim_random, NULL,
			 (struct rig_shape){.frames = FRAMES, .pages = FRAMES, .only = only}, seed);
		fill(&r);
		n = 0;
		for (uint32_t i = 0; i < FRAMES; i++)
			place[i] = rig_eligible(&r, i) ? n++ : FRAMES;
		CU_ASSERT_TRUE_FATAL(n > 10);
		memset(count, 0, sizeof count);
		for (int i = 0; i < DRAWS; i++) {
			mpn_t mpn = victim_random.pick(r.state);
			CU_ASSERT_TRUE_FATAL(mpn_valid(mpn) && place[mpn.n] < n);
			count[place[mpn.n]]++;
		}
		CU_ASSERT_TRUE(uniform(count, n, DRAWS));
		rig_close(&r);
	}
}

/* One pick says nothing of the next: pairs are uniform too. */
static void picks_are_independent(void)
{
	static uint64_t pairs[16 * 16];
	static struct rig r;
	uint32_t last = 0;

	rig_open(&r, &victim_random, NULL, (struct rig_shape){.frames = 16, .pages = 16},
		 test_seed(3));
	for (uint32_t i = 0; i < 16; i++)
		rig_touch(&r, 0, i, ACCESS_READ);
	memset(pairs, 0, sizeof pairs);
	for (int i = 0; i < DRAWS; i++) {
		uint32_t mpn = victim_random.pick(r.state).n;
		pairs[last * 16 + mpn]++;
		last = mpn;
	}
	CU_ASSERT_TRUE(uniform(pairs, 256, DRAWS));
	rig_close(&r);
}

/* One page of a thousand is found, wherever it is. */
static void rare_frames_are_found(void)
{
	static struct rig r;

	rig_open(&r, &victim_random, NULL,
		 (struct rig_shape){.frames = RIG_FRAMES_MOST, .pages = RIG_FRAMES_MOST},
		 test_seed(4));
	for (uint32_t i = 0; i < RIG_FRAMES_MOST; i++) {
		rig_touch(&r, 0, i, ACCESS_READ);
		r.vm[0]->pmap->pte[i] |= PTE_PINNED;
	}
	for (uint32_t i = 0; i < RIG_FRAMES_MOST; i++) {
		r.vm[0]->pmap->pte[i] &= ~PTE_PINNED;
		CU_ASSERT_EQUAL(victim_random.pick(r.state).n, pte_value(test_entry(r.vm[0], i)));
		r.vm[0]->pmap->pte[i] |= PTE_PINNED;
	}
	rig_close(&r);
}

static void none_eligible(void)
{
	rig_none_eligible(&victim_random);
}

TESTS("swap/victim-random", {"equally likely", eligible_frames_are_equally_likely},
      {"independent", picks_are_independent}, {"rare frames", rare_frames_are_found},
      {"none eligible", none_eligible})
