/* Runs of frames: whole ones reserved, broken last, and counted as a slow twin counts. */
#include "test.h"

#include "core/rng.h"
#include "core/runs.h"

#include <errno.h>
#include <string.h>

#define FRAMES (5 * RUN_FRAMES + 100)

struct rig {
	struct machine m;
	struct meter meter;
};

static int rig_open(struct rig *r, uint32_t frames, uint32_t low)
{
	*r = (struct rig){0};
	CU_ASSERT_EQUAL_FATAL(machine_init(&r->m, &r->meter, &backing_ids, frames, low), 0);
	return runs_new(&r->m);
}

static void rig_close(struct rig *r)
{
	machine_fini(&r->m);
	CU_ASSERT_EQUAL(r->meter.bytes, 0);
}

static size_t audit(struct rig *r)
{
	return machine_audit(&r->m, stdout);
}

/* The 100 frames that are no run go first, then a whole run is broken, and no other. */
static void single_frames(void)
{
	struct rig r;

	CU_ASSERT_EQUAL_FATAL(rig_open(&r, FRAMES, 0), 0);
	CU_ASSERT_EQUAL(runs_whole(&r.m), 5);
	for (uint32_t i = 0; i < 100; i++) {
		mpn_t mpn = machine_take(&r.m);
		CU_ASSERT(mpn.n >= 5 * RUN_FRAMES);
		machine_own(&r.m, mpn, 0, (ppn_t){i});
	}
	CU_ASSERT_EQUAL(runs_whole(&r.m), 5);
	for (uint32_t i = 0; i < RUN_FRAMES; i++)
		machine_own(&r.m, machine_take(&r.m), 0, (ppn_t){100 + i});
	CU_ASSERT_EQUAL(runs_whole(&r.m), 4);
	CU_ASSERT_EQUAL(r.m.free, 4 * RUN_FRAMES);
	CU_ASSERT_EQUAL(audit(&r), 0);
	for (uint32_t mpn = 0; mpn < FRAMES; mpn++) {
		if (r.m.frame[mpn].refs)
			machine_put(&r.m, (mpn_t){mpn});
	}
	CU_ASSERT_EQUAL(runs_whole(&r.m), 5);
	CU_ASSERT_EQUAL(audit(&r), 0);
	rig_close(&r);
}

/* Reserved frames are free: they go last, the oldest reservation first, and it is lost then. */
static void reserved_runs(void)
{
	struct rig r;

	CU_ASSERT_EQUAL_FATAL(rig_open(&r, FRAMES, 0), 0);
	uint32_t a = runs_reserve(&r.m, 3, 7), b = runs_reserve(&r.m, 4, 7);
	CU_ASSERT(a != b && a != RUN_NONE && b != RUN_NONE);
	CU_ASSERT(runs_is_for(&r.m, a, 3, 7) && !runs_is_for(&r.m, a, 4, 7));
	CU_ASSERT_EQUAL(r.m.free, FRAMES);
	mpn_t at = runs_take_at(&r.m, a, 9);
	CU_ASSERT_EQUAL(at.n, a * RUN_FRAMES + 9);
	machine_own(&r.m, at, 3, (ppn_t){7 * 512 + 9});
	CU_ASSERT_FALSE(mpn_valid(runs_take_at(&r.m, a, 9)));
	for (uint32_t i = 0; i < FRAMES - 2 * RUN_FRAMES; i++) {
		mpn_t mpn = machine_take(&r.m);
		CU_ASSERT_FATAL(mpn.n / RUN_FRAMES != a && mpn.n / RUN_FRAMES != b);
		machine_own(&r.m, mpn, 0, (ppn_t){i});
	}
	CU_ASSERT_EQUAL(runs_reserve(&r.m, 5, 1), RUN_NONE);
	CU_ASSERT_EQUAL(r.m.runs->stats.lost, 0);
	mpn_t stolen = machine_take(&r.m);
	CU_ASSERT_EQUAL(stolen.n / RUN_FRAMES, a);
	CU_ASSERT_FALSE(runs_is_for(&r.m, a, 3, 7));
	CU_ASSERT_EQUAL(r.m.runs->stats.lost, 1);
	machine_untake(&r.m, stolen);
	CU_ASSERT_EQUAL(audit(&r), 0);
	/* Once all its frames are free a run is whole, and nobody's. */
	machine_put(&r.m, at);
	CU_ASSERT_EQUAL(runs_whole(&r.m), 1);
	CU_ASSERT_EQUAL(runs_reserve(&r.m, 5, 1), a);
	CU_ASSERT_EQUAL(audit(&r), 0);
	rig_close(&r);
}

static void zones(void)
{
	struct rig r;

	CU_ASSERT_EQUAL(rig_open(&r, FRAMES, RUN_FRAMES + 1), -EINVAL);
	rig_close(&r);
	CU_ASSERT_EQUAL_FATAL(rig_open(&r, FRAMES, RUN_FRAMES), 0);
	for (int i = 0; i < 4; i++) /* the high zone's first */
		CU_ASSERT(runs_reserve(&r.m, 1, 1) != 0);
	CU_ASSERT_EQUAL(runs_reserve(&r.m, 1, 1), 0);
	mpn_t low = machine_take_from(&r.m, ZONE_LOW);
	CU_ASSERT_EQUAL(low.n, 0);
	machine_own(&r.m, low, 0, (ppn_t){0});
	CU_ASSERT_EQUAL(r.m.zone[ZONE_LOW].free, RUN_FRAMES - 1);
	CU_ASSERT_EQUAL(audit(&r), 0);
	rig_close(&r);
	CU_ASSERT_EQUAL_FATAL(rig_open(&r, 100, 100), 0); /* less than a run, all low */
	CU_ASSERT_EQUAL(runs_reserve(&r.m, 1, 1), RUN_NONE);
	CU_ASSERT(mpn_valid(machine_take(&r.m)));
	rig_close(&r);
}

/* Random takes, puts and reservations, against a map of who has which frame. */
static void against_a_slow_twin(void)
{
	static uint8_t taken[FRAMES];
	struct rig r;
	struct rng rng;
	uint32_t n = 0;

	rng_init(&rng, test_seed(5), "runs", 0);
	memset(taken, 0, sizeof taken);
	CU_ASSERT_EQUAL_FATAL(rig_open(&r, FRAMES, 2 * RUN_FRAMES), 0);
	for (unsigned i = 0; i < 60000; i++) {
		uint32_t at = (uint32_t)rng_below(&rng, FRAMES), run;
		bool grow = i / 6000 % 2 == 0;
		mpn_t mpn = MPN_NONE;
		switch (rng_below(&rng, grow ? 4 : 8)) {
		case 0:
			run = runs_reserve(&r.m, (uint16_t)rng_below(&rng, 3), at);
			for (uint32_t f = 0; run != RUN_NONE && f < RUN_FRAMES; f++)
				CU_ASSERT_FALSE(taken[run * RUN_FRAMES + f]);
			break;
		case 1:
			mpn = runs_take_at(&r.m, at / RUN_FRAMES, at % RUN_FRAMES);
			CU_ASSERT_EQUAL(mpn_valid(mpn), !taken[at]);
			CU_ASSERT(!mpn_valid(mpn) || mpn.n == at);
			break;
		case 2:
		case 3:
			mpn = machine_take(&r.m);
			CU_ASSERT_EQUAL(mpn_valid(mpn), n < FRAMES);
			break;
		default:
			if (taken[at]) {
				machine_put(&r.m, (mpn_t){at});
				taken[at] = 0;
				n--;
			}
		}
		if (mpn_valid(mpn)) {
			CU_ASSERT_FATAL(mpn.n < FRAMES && !taken[mpn.n]);
			taken[mpn.n] = 1;
			machine_own(&r.m, mpn, 0, (ppn_t){mpn.n});
			n++;
		}
		CU_ASSERT_EQUAL(r.m.free, FRAMES - n);
		if (i % 2000 == 0)
			CU_ASSERT_EQUAL(audit(&r), 0);
	}
	CU_ASSERT_EQUAL(audit(&r), 0);
	r.m.runs->run[1].free++; /* planted */
	FILE *nowhere = fopen("/dev/null", "w");
	CU_ASSERT(machine_audit(&r.m, nowhere) > 0);
	fclose(nowhere);
	r.m.runs->run[1].free--;
	rig_close(&r);
}

TESTS("core/runs", {"single frames", single_frames}, {"reserved runs", reserved_runs},
      {"zones", zones}, {"against a slow twin", against_a_slow_twin})
