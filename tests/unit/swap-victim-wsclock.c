#include "victims.h"

#define WINDOW 256 /* eligible frames that one look goes over at most */

/* What the hand wrote down of each frame, in a VM's milliseconds (of 2^20 ns). */
static uint64_t seen_used[RIG_FRAMES_MOST];

static uint64_t vm_ms(const struct rig *r, uint32_t mpn)
{
	return r->vm[r->m->frame[mpn].vm]->time_ns >> 20;
}

static void twin_mapped(struct rig *r, mpn_t mpn)
{
	seen_used[mpn.n] = vm_ms(r, mpn.n);
}

/* The first clean page outside the working set; else the first dirty one; else the oldest. */
static mpn_t wsclock_twin(struct rig *r)
{
	const uint64_t tau_ms = r->t.swap_opts.wsclock_tau >> 20;
	uint32_t frames = r->m->frames, seen = 0;
	mpn_t dirty = MPN_NONE, oldest = MPN_NONE;
	uint64_t oldest_age = 0;

	for (uint32_t looked = 0; looked < frames && seen < WINDOW; looked++) {
		uint32_t at = r->hand;
		r->hand = (r->hand + 1) % frames;
		if (!rig_eligible(r, at))
			continue;
		seen++;
		if (r->noted[at].referenced)
			seen_used[at] = vm_ms(r, at);
		r->noted[at].referenced = false;
		uint64_t age = vm_ms(r, at) - seen_used[at];
		if (age > tau_ms && !r->noted[at].dirty)
			return (mpn_t){at};
		if (age > tau_ms && !mpn_valid(dirty))
			dirty.n = at;
		if (!mpn_valid(oldest) || age > oldest_age) {
			oldest.n = at;
			oldest_age = age;
		}
	}
	return mpn_valid(dirty) ? dirty : oldest;
}

static void start(struct rig *r)
{
	r->twin_mapped = twin_mapped;
}

static void equals_its_twin(void)
{
	rig_compare(&victim_wsclock, wsclock_twin, start);
}

static void none_eligible(void)
{
	rig_none_eligible(&victim_wsclock);
}

/* Four pages, one of each kind; by hand. */
static void clean_pages_out_of_the_working_set_go_first(void)
{
	static struct rig r;
	mpn_t at[4];

	rig_open(&r, &victim_wsclock, NULL, (struct rig_shape){.frames = 4, .pages = 4}, 1);
	for (uint32_t i = 0; i < 4; i++) /* pages 0 and 1 dirty */
		rig_touch(&r, 0, i, i < 2 ? ACCESS_WRITE : ACCESS_READ);
	for (uint32_t i = 0; i < 4; i++)
		at[i] = pte_mpn(test_entry(r.vm[0], i));
	CU_ASSERT_EQUAL(victim_wsclock.pick(r.state).n, at[0].n); /* none is old: the first */
	r.vm[0]->time_ns += (uint64_t)51 << 20;			  /* tau is 50 */
	CU_ASSERT_EQUAL(victim_wsclock.pick(r.state).n, at[2].n); /* clean before dirty */
	r.vm[0]->pmap->pte[2] |= PTE_PINNED;
	CU_ASSERT_EQUAL(victim_wsclock.pick(r.state).n, at[3].n);
	rig_touch(&r, 0, 3, ACCESS_READ);			  /* back in the working set */
	CU_ASSERT_EQUAL(victim_wsclock.pick(r.state).n, at[0].n); /* dirty, and the first of them */
	r.vm[1]->time_ns += (uint64_t)1000 << 20; /* another VM's time is no matter */
	rig_touch(&r, 0, 0, ACCESS_READ);
	rig_touch(&r, 0, 1, ACCESS_READ);
	rig_touch(&r, 0, 3, ACCESS_READ);
	victim_wsclock.pick(r.state); /* the hand sees the touches */
	r.vm[0]->time_ns += (uint64_t)10 << 20;
	rig_touch(&r, 0, 1, ACCESS_READ);
	CU_ASSERT_NOT_EQUAL(victim_wsclock.pick(r.state).n, at[1].n); /* older ones are there */
	rig_close(&r);
}

TESTS("swap/victim-wsclock", {"equals its twin", equals_its_twin}, {"none eligible", none_eligible},
      {"clean pages go first", clean_pages_out_of_the_working_set_go_first})
