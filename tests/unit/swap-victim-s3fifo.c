#include "victims.h"

/* A queue of frames by their names, slow and plain: [0] is the oldest. */
struct queue {
	uint32_t n, frame[RIG_FRAMES_MOST];
};

static struct {
	struct queue small, main;
	bool used[RIG_FRAMES_MOST]; /* since the twin last looked at it */
	uint32_t small_target;
} twin;

static void push(struct queue *q, uint32_t frame)
{
	q->frame[q->n++] = frame;
}

static bool take(struct queue *q, uint32_t frame)
{
	for (uint32_t i = 0; i < q->n; i++) {
		if (q->frame[i] != frame)
			continue;
		memmove(&q->frame[i], &q->frame[i + 1], (q->n - i - 1) * sizeof q->frame[0]);
		q->n--;
		return true;
	}
	return false;
}

/* In the comparison no page comes back, so nothing enters main by its ghost. */
static void twin_mapped(struct rig *r, mpn_t mpn)
{
	(void)r;
	push(&twin.small, mpn.n);
}

static void twin_unmapped(struct rig *r, mpn_t mpn)
{
	(void)r;
	CU_ASSERT_TRUE_FATAL(take(&twin.small, mpn.n) || take(&twin.main, mpn.n));
}

static void twin_start(struct rig *r)
{
	memset(&twin, 0, sizeof twin);
	twin.small_target = r->m->frames / 10 ? r->m->frames / 10 : 1;
	r->twin_mapped = twin_mapped;
	r->twin_unmapped = twin_unmapped;
}

/* Used again: to main. Pinned: to the queue's end. Else it goes. */
static mpn_t walk(struct rig *r, struct queue *q)
{
	for (uint32_t steps = 2 * q->n; steps > 0 && q->n > 0; steps--) {
		uint32_t frame = q->frame[0];
		bool used = r->noted[frame].again;

		if (rig_eligible(r, frame) && !used)
			return (mpn_t){frame};
		take(q, frame);
		if (!rig_eligible(r, frame)) {
			push(q, frame);
			continue;
		}
		r->noted[frame].again = false;
		push(&twin.main, frame);
	}
	return MPN_NONE;
}

static mpn_t s3fifo_twin(struct rig *r)
{
	mpn_t mpn = MPN_NONE;

	if (twin.small.n >= twin.small_target || twin.main.n == 0)
		mpn = walk(r, &twin.small);
	if (!mpn_valid(mpn))
		mpn = walk(r, &twin.main);
	return mpn_valid(mpn) ? mpn : walk(r, &twin.small);
}

/* Fresh pages forever, and references to pages that are there. */
static void queues_equal_their_twin(void)
{
	static const uint32_t frames[] = {1, 5, 16, 100, 300};
	static struct rig r;
	uint64_t seed = test_seed(2023);

	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		uint32_t pages = 20000 / TEST_SCALE;
		rig_open(&r, &victim_s3fifo, s3fifo_twin,
			 (struct rig_shape){.frames = frames[i], .pages = pages, .only = i == 3},
			 seed + i);
		twin_start(&r);
		for (uint32_t page = 0; page < pages; page++) {
			size_t v = rng_below(&r.rng, RIG_VMS);
			rig_touch(&r, v, page, ACCESS_READ);
			for (uint64_t k = rng_below(&r.rng, 4); k > 0; k--) {
				const struct frame f = r.m->frame[rng_below(&r.rng, frames[i])];
				if (frame_is_private(f))
					rig_touch(&r, f.vm, f.ppn, ACCESS_WRITE);
			}
			if (page % 50 == 0)
				rig_pin(&r, v, page);
			if (page % 70 == 0)
				rig_drop(&r, v, page);
			if (page % 90 == 0) /* the stamps are renumbered soon */
				r.m->now = (uint32_t)max_u64(r.m->now, STAMP_LIMIT - 20);
		}
		CU_ASSERT_TRUE(r.picks > 10000 / TEST_SCALE);
		CU_ASSERT_TRUE(r.renewals > 200 / TEST_SCALE);
		rig_close(&r);
	}
}

static void none_eligible(void)
{
	rig_none_eligible(&victim_s3fifo);
}

/* Without the rig's comparison: frees the victim's page. */
static mpn_t no_twin(struct rig *r)
{
	(void)r;
	return MPN_NONE;
}

static void touch_evicting(struct rig *r, uint32_t page)
{
	if (!pte_resident(test_entry(r->vm[0], page)) && r->m->free == 0) {
		mpn_t mpn = victim_s3fifo.pick(r->state);
		CU_ASSERT_TRUE_FATAL(mpn_valid(mpn));
		rig_drop(r, 0, r->m->frame[mpn.n].ppn);
	}
	rig_touch(r, 0, page, ACCESS_READ);
}

#define FRAMES	   40
#define FRESH_FROM 1000

/*
 * Evicts page A from the small queue, lets `later` others follow, touches A
 * again, and then sends fresh pages through: whether A survived them is
 * whether it entered main, by its ghost. 40 frames: 4 small and 36 main.
 */
static bool ghost_is_remembered(uint32_t a, uint32_t later)
{
	static struct rig r;
	uint32_t fresh = FRESH_FROM;

	rig_open(&r, &victim_s3fifo, no_twin,
		 (struct rig_shape){.frames = FRAMES, .pages = 10 * FRESH_FROM}, 1);
	touch_evicting(&r, a);
	while (pte_resident(test_entry(r.vm[0], a)))
		touch_evicting(&r, fresh++);
	for (uint32_t i = 0; i < later; i++)
		touch_evicting(&r, fresh++);
	touch_evicting(&r, a);
	for (uint32_t i = 0; i < 2 * FRAMES; i++)
		touch_evicting(&r, fresh++);
	bool survived = pte_resident(test_entry(r.vm[0], a));
	rig_close(&r);
	return survived;
}

/* Fills the machine, has a victim picked and lost, brings it back: whether it is in main. */
static bool comes_back_to_main(void (*lose)(struct rig *r, uint32_t page))
{
	static struct rig r;
	uint32_t fresh = FRESH_FROM;

	rig_open(&r, &victim_s3fifo, no_twin,
		 (struct rig_shape){.frames = FRAMES, .pages = 10 * FRESH_FROM}, 1);
	for (uint32_t page = 0; page < FRAMES; page++)
		touch_evicting(&r, page);
	mpn_t mpn = victim_s3fifo.pick(r.state);
	CU_ASSERT_TRUE_FATAL(mpn_valid(mpn));
	const uint32_t a = r.m->frame[mpn.n].ppn;
	lose(&r, a);
	touch_evicting(&r, a);
	for (uint32_t i = 0; i < 2 * FRAMES; i++)
		touch_evicting(&r, fresh++);
	bool survived = pte_resident(test_entry(r.vm[0], a));
	rig_close(&r);
	return survived;
}

static void after_its_neighbour(struct rig *r, uint32_t page)
{
	rig_drop(r, 0, (page + 1) % FRAMES);
	rig_drop(r, 0, page);
}

static void to_sharing(struct rig *r, uint32_t page)
{
	struct pmap *pmap = r->vm[0]->pmap;
	const mpn_t mpn = pte_mpn(test_entry(r->vm[0], page));

	pmap_map_shared(pmap, (ppn_t){page}, mpn);
	pmap_break_shared(pmap, (ppn_t){page}, mpn); /* and is written at once */
}

/* A victim's neighbours may go with it, and before it; and it may come not to go at all. */
static void names_are_of_the_evicted(void)
{
	CU_ASSERT_TRUE(comes_back_to_main(after_its_neighbour));
	CU_ASSERT_FALSE(comes_back_to_main(to_sharing));
}

/* The table of ghosts may forget one early when another takes its place: rarely. */
static void ghosts_enter_main(void)
{
	uint32_t early = 0, tries = 0;

	for (uint32_t a = 0; a < 30; a++) {
		CU_ASSERT_TRUE(ghost_is_remembered(a, 0));
		for (uint32_t later = 1; later < 36 - 2; later += 4, tries++)
			early += !ghost_is_remembered(a, later);
		for (uint32_t later = 36; later < 60; later += 5)
			CU_ASSERT_FALSE(ghost_is_remembered(a, later));
	}
	CU_ASSERT_TRUE(early < tries / 2);
}

/* A page used twice outlives a scan; pages of the scan do not. */
static void scans_pass_through(void)
{
	static struct rig r;

	rig_open(&r, &victim_s3fifo, no_twin, (struct rig_shape){.frames = 50, .pages = 5000}, 1);
	for (int round = 0; round < 2; round++) {
		for (uint32_t page = 0; page < 40; page++)
			touch_evicting(&r, page);
	}
	for (uint32_t page = 100; page < 4000; page++)
		touch_evicting(&r, page);
	for (uint32_t page = 0; page < 40; page++)
		CU_ASSERT_TRUE(pte_resident(test_entry(r.vm[0], page)));
	rig_close(&r);
}

TESTS("swap/victim-s3fifo", {"queues equal their twin", queues_equal_their_twin},
      {"none eligible", none_eligible}, {"ghosts enter main", ghosts_enter_main},
      {"names are of the evicted", names_are_of_the_evicted},
      {"scans pass through", scans_pass_through})
