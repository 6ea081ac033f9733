#include "victims.h"

/* The frame whose last touch is the oldest. */
static mpn_t lru_twin(struct rig *r)
{
	mpn_t oldest = MPN_NONE;

	for (uint32_t i = 0; i < r->m->frames; i++) {
		if (rig_eligible(r, i) &&
		    (!mpn_valid(oldest) || r->noted[i].touched < r->noted[oldest.n].touched))
			oldest.n = i;
	}
	return oldest;
}

static void equals_its_twin(void)
{
	rig_compare(&victim_lru, lru_twin, NULL);
}

static void none_eligible(void)
{
	rig_none_eligible(&victim_lru);
}

/* Frames mapped and never touched share a stamp: more of them than a queue holds. */
static void frames_of_one_stamp(void)
{
	static struct rig r;
	struct rig_shape shape = {.frames = 400, .pages = 400};

	rig_open(&r, &victim_lru, NULL, shape, 1);
	rig_touch(&r, 1, 0, ACCESS_READ);
	for (uint32_t page = 0; page < 399; page++)
		CU_ASSERT_EQUAL(pmap_fault(r.vm[0]->pmap, (ppn_t){page}, ACCESS_READ, NULL), 0);
	CU_ASSERT_EQUAL(victim_lru.pick(r.state).n, pte_value(test_entry(r.vm[1], 0)));
	rig_drop(&r, 1, 0);
	for (uint32_t left = 399; left > 0; left--) {
		mpn_t mpn = victim_lru.pick(r.state);
		CU_ASSERT_TRUE_FATAL(mpn_valid(mpn));
		rig_drop(&r, 0, r.m->frame[mpn.n].ppn);
	}
	CU_ASSERT_FALSE(mpn_valid(victim_lru.pick(r.state)));
	rig_close(&r);
}

/* A sample of every second frame meets no page at all: the manager itself has those. */
static void pages_that_no_sample_meets(void)
{
	static struct rig r;
	struct rig_shape shape = {.frames = RIG_FRAMES_MOST, .pages = 60};

	rig_open(&r, &victim_lru, lru_twin, shape, test_seed(77));
	for (uint32_t i = 0; i < shape.frames; i++)
		CU_ASSERT_TRUE_FATAL(mpn_valid(machine_take(r.m)));
	for (uint32_t i = 0; i < shape.frames; i++) {
		if (i % 2 == 1 && i < 80)
			machine_untake(r.m, (mpn_t){i});
		else
			machine_own_overhead(r.m, (mpn_t){i});
	}
	for (int step = 0; step < 40000 / TEST_SCALE; step++)
		rig_step(&r, shape);
	CU_ASSERT_TRUE(r.picks > 2000 / TEST_SCALE);
	rig_close(&r);
}

TESTS("swap/victim-lru", {"equals its twin", equals_its_twin}, {"none eligible", none_eligible},
      {"frames of one stamp", frames_of_one_stamp},
      {"pages that no sample meets", pages_that_no_sample_meets})
