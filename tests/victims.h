/*
 * A rig for victim policies: the policy and a slow twin watch the same frames,
 * and must pick the same one each time that memory is full.
 *
 * There is no swap here: a page that loses its frame is dropped. The twin
 * decides from what the rig noted itself (when a frame was mapped and touched,
 * and how), never from the policy's stamps or marks.
 */
#ifndef BALLAST_TESTS_VICTIMS_H
#define BALLAST_TESTS_VICTIMS_H

#include "host.h"

#define RIG_VMS		3
#define RIG_FRAMES_MOST 700

struct noted {
	uint64_t mapped, touched; /* numbers of events, 0 if not mapped */
	bool referenced;	  /* touched since the twin's hand came by */
	bool again;		  /* touched after the reference that mapped it */
	bool dirty;
};

struct rig {
	struct test_host t;
	struct machine *m;
	const struct victim *victim;
	void *state;
	uint32_t *copy; /* of nothing, as swap has it */
	struct victim_env env;
	struct rng rng;
	struct vm *vm[RIG_VMS];
	struct noted noted[RIG_FRAMES_MOST];
	uint64_t events, picks, none, renewals;
	uint32_t pins;
	mpn_t (*twin)(struct rig *r);
	void (*twin_mapped)(struct rig *r, mpn_t mpn);	 /* optional */
	void (*twin_unmapped)(struct rig *r, mpn_t mpn); /* optional */
	uint32_t hand;					 /* of twins that have one */
};

struct rig_shape {
	uint32_t frames, pages; /* pages of each VM */
	bool pins, only;
	bool aims; /* another VM's frames are wanted now and then */
};

static void rig_mapped(void *ctx, mpn_t mpn)
{
	struct rig *r = ctx;

	r->noted[mpn.n] = (struct noted){.mapped = ++r->events};
	if (r->victim->mapped)
		r->victim->mapped(r->state, mpn);
	if (r->twin_mapped)
		r->twin_mapped(r, mpn);
}

static void rig_unmapped(void *ctx, mpn_t mpn)
{
	struct rig *r = ctx;

	if (r->victim->unmapped)
		r->victim->unmapped(r->state, mpn);
	if (r->twin_unmapped)
		r->twin_unmapped(r, mpn);
	r->noted[mpn.n] = (struct noted){0};
}

static inline void rig_open(struct rig *r, const struct victim *victim, mpn_t (*twin)(struct rig *),
			    struct rig_shape shape, uint64_t seed)
{
	static const char *const names[RIG_VMS] = {"a", "b", "c"};

	*r = (struct rig){.victim = victim, .twin = twin};
	test_host_new(&r->t, (struct test_shape){.frames = shape.frames, .no_swap = true});
	r->m = r->t.m;
	r->copy = calloc(shape.frames, sizeof *r->copy);
	for (size_t i = 0; i < RIG_VMS; i++)
		r->vm[i] = test_vm(&r->t, names[i], shape.pages);
	r->env = (struct victim_env){.host = r->t.host,
				     .pmaps = r->t.pmaps,
				     .opts = &r->t.swap_opts,
				     .copy = r->copy,
				     .only = shape.only ? r->vm[1] : NULL};
	r->t.swap_opts.wsclock_tau = (uint64_t)50 << 20;
	rng_init(&r->env.rng, seed, "victim", 0);
	rng_init(&r->rng, seed, "rig", 0);
	r->state = calloc(1, victim->state_size ? victim->state_size : 1);
	if (!r->state || !r->copy || machine_track(r->m, victim->track) ||
	    (victim->open && victim->open(r->state, &r->env)))
		abort();
	r->m->watch = (struct frame_watch){rig_mapped, rig_unmapped, r};
}

static inline void rig_close(struct rig *r)
{
	CU_ASSERT_EQUAL(test_audit(&r->t), 0);
	r->m->watch = (struct frame_watch){NULL, NULL, NULL};
	if (r->victim->close)
		r->victim->close(r->state);
	free(r->state);
	free(r->copy);
	test_host_free(&r->t);
}

static inline bool rig_eligible(const struct rig *r, uint32_t mpn)
{
	const struct frame f = r->m->frame[mpn];

	return r->noted[mpn].mapped && (!r->env.only || f.vm == r->env.only->id) &&
	       !(test_entry(r->vm[f.vm], f.ppn) & PTE_PINNED);
}

static inline void rig_drop(struct rig *r, size_t v, uint32_t page)
{
	r->pins -= (test_entry(r->vm[v], page) & PTE_PINNED) != 0;
	pmap_drop(r->vm[v]->pmap, (ppn_t){page});
}

/* Policy and twin each pick; the page goes. Where there is none, frame 0's page goes. */
static inline void rig_evict(struct rig *r)
{
	mpn_t got = r->victim->pick(r->state), want = r->twin(r);

	CU_ASSERT_EQUAL_FATAL(got.n, want.n);
	r->picks++;
	r->none += !mpn_valid(got);
	const struct frame f = r->m->frame[mpn_valid(got) ? got.n : 0];
	rig_drop(r, f.vm, f.ppn);
}

static inline void rig_touch(struct rig *r, size_t v, uint32_t page, enum access access)
{
	bool hit = pte_resident(test_entry(r->vm[v], page));

	if (!hit && r->m->free == 0)
		rig_evict(r);
	if (r->m->stamp && r->m->now > STAMP_LIMIT) { /* as the replayer does */
		CU_ASSERT_EQUAL_FATAL(machine_renew_stamps(r->m), 0);
		r->renewals++;
	}
	test_hit(r->vm[v], page, access);
	struct noted *n = &r->noted[pte_value(test_entry(r->vm[v], page))];
	n->touched = ++r->events;
	n->referenced = true;
	n->again |= hit;
	n->dirty |= access == ACCESS_WRITE;
}

/* A page unpinned is touched, as by the transfer that it was pinned for. */
static inline void rig_pin(struct rig *r, size_t v, uint32_t page)
{
	pte_t *e = &r->vm[v]->pmap->pte[page];

	if (*e & PTE_PINNED) {
		*e &= ~PTE_PINNED;
		r->pins--;
		rig_touch(r, v, page, ACCESS_WRITE);
	} else if (pte_resident(*e) && r->pins < r->m->frames / 8) {
		*e |= PTE_PINNED;
		r->pins++;
	}
}

/* From now on any VM's frames are wanted, or one VM's. */
static inline void rig_aim(struct rig *r)
{
	size_t v = rng_below(&r->rng, RIG_VMS + 1);

	r->env.only = v < RIG_VMS ? r->vm[v] : NULL;
	victim_aim(r->state, r->env.only);
}

/* A reference, mostly to few pages; now and then a drop, a pin, and time that flies. */
static inline void rig_step(struct rig *r, struct rig_shape shape)
{
	size_t v = rng_below(&r->rng, RIG_VMS);
	uint32_t page =
		(uint32_t)(rng_below(&r->rng, shape.pages) * rng_below(&r->rng, 1000) / 1000);
	unsigned what = (unsigned)rng_below(&r->rng, 1000);

	if (what < 20)
		rig_drop(r, v, page);
	else if (what < 40 && shape.pins)
		rig_pin(r, v, page);
	else if (what < 42 && r->m->stamp)
		r->m->now = (uint32_t)max_u64(r->m->now, STAMP_LIMIT - 20);
	else if (what < 60 && shape.aims)
		rig_aim(r);
	else
		rig_touch(r, v, page, rng_below(&r->rng, 3) ? ACCESS_READ : ACCESS_WRITE);
	r->vm[v]->time_ns += rng_below(&r->rng, (uint64_t)3 << 20);
}

/* Small machines, one below and one above where lru sorts, pins, one VM alone, one after another.
 */
static const struct rig_shape rig_shapes[] = {
	{.frames = 1, .pages = 3},
	{.frames = 7, .pages = 6},
	{.frames = 16, .pages = 10, .pins = true},
	{.frames = 128, .pages = 70, .pins = true},
	{.frames = 129, .pages = 70, .pins = true},
	{.frames = 60, .pages = 50, .only = true},
	{.frames = 160, .pages = 120, .pins = true, .only = true},
	{.frames = RIG_FRAMES_MOST, .pages = 400, .pins = true},
	{.frames = 60, .pages = 50, .aims = true},
	{.frames = 400, .pages = 300, .pins = true, .aims = true},
};

/* Random steps on every shape. The twin's own state is reset by `reset`, if any. */
static inline void rig_compare(const struct victim *victim, mpn_t (*twin)(struct rig *),
			       void (*start)(struct rig *))
{
	static struct rig r;
	uint64_t seed = test_seed(1966);

	for (size_t i = 0; i < ARRAY_LEN(rig_shapes); i++) {
		rig_open(&r, victim, twin, rig_shapes[i], seed + i);
		if (start)
			start(&r);
		for (int step = 0; step < 40000 / TEST_SCALE; step++)
			rig_step(&r, rig_shapes[i]);
		CU_ASSERT_TRUE(r.picks > 2000 / TEST_SCALE);
		CU_ASSERT_TRUE(victim->track != TRACK_STAMPS || r.renewals > 20 / TEST_SCALE);
		rig_close(&r);
	}
}

/* Nothing mapped, everything pinned, or all another VM's: no frame is picked. */
static inline void rig_none_eligible(const struct victim *victim)
{
	static const uint32_t frames[] = {4, 200};
	static struct rig r;

	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		struct rig_shape shape = {.frames = frames[i], .pages = frames[i]};
		rig_open(&r, victim, NULL, shape, 1);
		CU_ASSERT_FALSE(mpn_valid(victim->pick(r.state)));
		for (uint32_t page = 0; page < frames[i]; page++) {
			rig_touch(&r, 0, page, ACCESS_READ);
			r.vm[0]->pmap->pte[page] |= PTE_PINNED;
		}
		CU_ASSERT_FALSE(mpn_valid(victim->pick(r.state)));
		CU_ASSERT_FALSE(mpn_valid(victim->pick(r.state)));
		r.vm[0]->pmap->pte[frames[i] / 2] &= ~PTE_PINNED;
		mpn_t only = pte_mpn(test_entry(r.vm[0], frames[i] / 2));
		CU_ASSERT_EQUAL(victim->pick(r.state).n, only.n);
		CU_ASSERT_EQUAL(victim->pick(r.state).n, only.n); /* eviction may have failed */
		rig_close(&r);

		shape.only = true;
		rig_open(&r, victim, NULL, shape, 1);
		for (uint32_t page = 0; page < frames[i] - 1; page++)
			rig_touch(&r, page % 2 * 2, page, ACCESS_READ);
		CU_ASSERT_FALSE(mpn_valid(victim->pick(r.state)));
		rig_touch(&r, 1, 0, ACCESS_READ);
		CU_ASSERT_EQUAL(victim->pick(r.state).n, pte_value(test_entry(r.vm[1], 0)));
		rig_close(&r);
	}
}

#endif
