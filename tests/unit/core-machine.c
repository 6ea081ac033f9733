#include "core/machine.h"
#include "core/rng.h"
#include "test.h"

#include <string.h>

#define FRAMES 40
#define LOW    12

static struct meter meter;

static void open_machine(struct machine *m)
{
	meter.bytes = 0;
	CU_ASSERT_EQUAL_FATAL(machine_init(m, &meter, &backing_ids, FRAMES, LOW), 0);
}

/* No violation; each is shown. */
static void expect_sound(const struct machine *m)
{
	CU_ASSERT_EQUAL_FATAL(machine_audit(m, stdout), 0);
}

static size_t violations(const struct machine *m)
{
	char *text = NULL;
	size_t size, lines = 0;
	FILE *out = open_memstream(&text, &size);
	size_t bad = machine_audit(m, out);

	fclose(out);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	CU_ASSERT_EQUAL(lines, bad); /* each is a line */
	free(text);
	return bad;
}

static void high_frames_go_first(void)
{
	struct machine m;
	bool taken[FRAMES] = {false};

	open_machine(&m);
	CU_ASSERT_EQUAL(m.free, FRAMES);
	for (uint32_t i = 0; i < FRAMES; i++) {
		mpn_t mpn = machine_take(&m);
		CU_ASSERT_TRUE_FATAL(mpn_valid(mpn) && mpn.n < FRAMES);
		CU_ASSERT_FALSE(taken[mpn.n]);
		CU_ASSERT_EQUAL(mpn.n >= LOW, i < FRAMES - LOW);
		taken[mpn.n] = true;
		machine_own(&m, mpn, 3, (ppn_t){i});
	}
	CU_ASSERT_FALSE(mpn_valid(machine_take(&m)));
	CU_ASSERT_EQUAL(m.free, 0);
	CU_ASSERT_EQUAL(m.private_frames, FRAMES);
	expect_sound(&m);
	machine_put(&m, (mpn_t){LOW - 1}); /* the one below the boundary, the one above */
	CU_ASSERT_EQUAL(m.zone[ZONE_LOW].free, 1);
	machine_put(&m, (mpn_t){LOW});
	CU_ASSERT_EQUAL(m.zone[ZONE_HIGH].free, 1);
	CU_ASSERT_EQUAL(machine_take(&m).n, LOW);
	CU_ASSERT_EQUAL(machine_take(&m).n, LOW - 1);
	machine_fini(&m);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

/* All low, all high, more low than there are: the boundary is where it must be. */
static void zones_of_any_size(void)
{
	static const uint32_t low[] = {0, FRAMES, FRAMES + 5};
	struct machine m;

	for (size_t i = 0; i < ARRAY_LEN(low); i++) {
		CU_ASSERT_EQUAL(machine_init(&m, &meter, &backing_ids, FRAMES, low[i]), 0);
		CU_ASSERT_EQUAL(m.zone[ZONE_HIGH].free, low[i] ? 0 : FRAMES);
		for (uint32_t n = 0; n < FRAMES; n++)
			machine_own(&m, machine_take(&m), 0, (ppn_t){n});
		CU_ASSERT_FALSE(mpn_valid(machine_take(&m)));
		expect_sound(&m);
		for (uint32_t n = 0; n < FRAMES; n++)
			machine_put(&m, (mpn_t){n});
		expect_sound(&m);
		machine_fini(&m);
	}
}

/* Random takes, owners and puts against a table of who has what. */
static void counts_add_up(void)
{
	enum { FREE, TAKEN, PRIVATE, OVERHEAD } who[FRAMES] = {FREE};
	uint64_t n[4] = {FRAMES, 0, 0, 0};
	struct machine m;
	struct rng rng;

	open_machine(&m);
	rng_init(&rng, test_seed(5), "machine", 0);
	for (int i = 0; i < 20000; i++) {
		uint32_t at = (uint32_t)rng_below(&rng, FRAMES);
		unsigned was = who[at];
		if (was == FREE) {
			mpn_t mpn = machine_take(&m);
			at = mpn.n;
			CU_ASSERT_EQUAL_FATAL(who[at], FREE);
			who[at] = TAKEN;
		} else if (was == TAKEN && rng_below(&rng, 3) == 0) {
			machine_untake(&m, (mpn_t){at});
			who[at] = FREE;
		} else if (was == TAKEN) {
			bool private = rng_below(&rng, 2);
			if (private)
				machine_own(&m, (mpn_t){at}, 7, (ppn_t){at});
			else
				machine_own_overhead(&m, (mpn_t){at});
			who[at] = private ? PRIVATE : OVERHEAD;
			CU_ASSERT_EQUAL(frame_is_private(m.frame[at]), private);
		} else {
			if (was == PRIVATE)
				machine_put(&m, (mpn_t){at});
			else
				machine_put_overhead(&m, (mpn_t){at});
			who[at] = FREE;
		}
		memset(n, 0, sizeof n);
		for (uint32_t f = 0; f < FRAMES; f++)
			n[who[f]]++;
		CU_ASSERT_EQUAL_FATAL(m.free, n[FREE]);
		CU_ASSERT_EQUAL_FATAL(m.private_frames, n[PRIVATE]);
		CU_ASSERT_EQUAL_FATAL(m.overhead, n[OVERHEAD]);
		CU_ASSERT_EQUAL_FATAL(m.shared, 0);
		if (n[TAKEN] == 0) /* a frame in between is nobody's: the audit may complain */
			expect_sound(&m);
	}
	machine_fini(&m);
}

struct watcher {
	uint32_t mapped[FRAMES];
};

static void on_mapped(void *ctx, mpn_t mpn)
{
	((struct watcher *)ctx)->mapped[mpn.n]++;
}

static void on_unmapped(void *ctx, mpn_t mpn)
{
	((struct watcher *)ctx)->mapped[mpn.n] += 100;
}

static void the_watcher_hears_of_private_frames_alone(void)
{
	struct watcher w = {{0}};
	struct machine m;

	open_machine(&m);
	m.watch = (struct frame_watch){on_mapped, on_unmapped, &w};
	mpn_t a = machine_take(&m), b = machine_take(&m);
	machine_own(&m, a, 1, (ppn_t){9});
	machine_own_overhead(&m, b);
	CU_ASSERT_EQUAL(w.mapped[a.n], 1);
	machine_put(&m, a);
	machine_put_overhead(&m, b);
	CU_ASSERT_EQUAL(w.mapped[a.n], 101);
	CU_ASSERT_EQUAL(w.mapped[b.n], 0);
	machine_fini(&m);
}

/* Each kind of damage alone, mended again before the next. */
static void the_audit_finds_damage(void)
{
	struct machine m;
	mpn_t own[10];

	open_machine(&m);
	for (uint32_t i = 0; i < 10; i++) {
		own[i] = machine_take(&m);
		machine_own(&m, own[i], 2, (ppn_t){i});
	}
	machine_put(&m, own[3]);
	machine_put(&m, own[5]);
	CU_ASSERT_EQUAL(violations(&m), 0);

	uint64_t *const counts[] = {&m.free, &m.private_frames, &m.shared, &m.overhead};
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		++*counts[i];
		CU_ASSERT_EQUAL(violations(&m), 1);
		--*counts[i];
	}
	for (int z = 0; z < ZONE_COUNT; z++) {
		m.zone[z].free++;
		CU_ASSERT_EQUAL(violations(&m), 1);
		m.zone[z].free--;
	}
	m.frame[own[0].n].refs = 2; /* a private frame with two owners */
	CU_ASSERT_EQUAL(violations(&m), 1);
	m.frame[own[0].n].refs = 0; /* a frame in use that looks free */
	CU_ASSERT_TRUE(violations(&m) >= 2);
	m.frame[own[0].n].refs = 1;
	m.frame[own[3].n].refs = 1; /* a frame on the free list that looks used */
	CU_ASSERT_TRUE(violations(&m) >= 2);
	m.frame[own[3].n].refs = 0;
	m.frame[own[0].n].vm = FRAME_OVERHEAD; /* another's */
	CU_ASSERT_EQUAL(violations(&m), 2);
	m.frame[own[0].n].vm = 2;

	uint32_t next = m.frame[own[5].n].ppn;
	CU_ASSERT_EQUAL(m.zone[ZONE_HIGH].free_head, own[5].n);
	m.frame[own[5].n].ppn = own[5].n; /* the free list bites its tail */
	CU_ASSERT_TRUE(violations(&m) >= 1);
	m.frame[own[5].n].ppn = FRAMES + 100; /* leads outside */
	CU_ASSERT_TRUE(violations(&m) >= 1);
	m.frame[own[5].n].ppn = UINT32_MAX; /* ends early: a frame leaked */
	CU_ASSERT_EQUAL(violations(&m), 1);
	m.frame[own[5].n].ppn = 0; /* leads into the other zone */
	CU_ASSERT_TRUE(violations(&m) >= 1);
	m.frame[own[5].n].ppn = next;
	CU_ASSERT_EQUAL(violations(&m), 0);
	machine_fini(&m);
}

static void stamps_follow_the_owner(void)
{
	struct machine m;

	open_machine(&m);
	CU_ASSERT_PTR_NULL(m.stamp);
	CU_ASSERT_EQUAL(machine_track(&m, TRACK_STAMPS), 0);
	mpn_t a = machine_take(&m), b = machine_take(&m);
	machine_own_overhead(&m, b);
	m.now = 17;
	machine_own(&m, a, 0, (ppn_t){0});
	CU_ASSERT_EQUAL(m.stamp[a.n], 17);
	CU_ASSERT_EQUAL(m.stamp[b.n], STAMP_FREE); /* backs no page */
	machine_put(&m, a);
	CU_ASSERT_EQUAL(m.stamp[a.n], STAMP_FREE);
	machine_fini(&m);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

static void used_marks_die_with_the_frame(void)
{
	struct machine m;

	open_machine(&m);
	CU_ASSERT_EQUAL(machine_track(&m, TRACK_USED), 0);
	mpn_t a = machine_take(&m);
	machine_own(&m, a, 0, (ppn_t){0});
	CU_ASSERT_EQUAL(m.used[a.n], 0);
	machine_use(&m, a);
	CU_ASSERT_EQUAL(m.used[a.n], 1);
	machine_put(&m, a);
	CU_ASSERT_EQUAL(machine_take(&m).n, a.n);
	machine_own(&m, a, 1, (ppn_t){5});
	CU_ASSERT_EQUAL(m.used[a.n], 0);
	machine_fini(&m);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

/* Renewal: the same order among frames in use, free ones stay free, now is the newest. */
static void renewal_keeps_the_order(void)
{
	uint32_t before[FRAMES], seen[FRAMES];
	bool newest[FRAMES]; /* seen is the frame's stamp */
	struct machine m;
	struct rng rng;

	open_machine(&m);
	CU_ASSERT_EQUAL(machine_track(&m, TRACK_STAMPS), 0);
	m.seen = seen;
	rng_init(&rng, test_seed(6), "renewal", 0);
	for (uint32_t i = 0; i < 30; i++)
		machine_own(&m, machine_take(&m), 0, (ppn_t){i});
	for (int round = 0; round < 200; round++) {
		m.now = STAMP_LIMIT + 1;
		for (uint32_t i = 0; i < FRAMES; i++) {
			if (m.stamp[i] != STAMP_FREE)
				m.stamp[i] = 1 + (uint32_t)rng_below(&rng, STAMP_LIMIT);
			newest[i] = rng_below(&rng, 2);
			seen[i] = newest[i] ? m.stamp[i] : 1 + (uint32_t)rng_below(&rng, 60);
			newest[i] = seen[i] == m.stamp[i];
		}
		memcpy(before, m.stamp, sizeof before);
		uint32_t epoch = m.stamp_epoch;
		CU_ASSERT_EQUAL_FATAL(machine_renew_stamps(&m), 0);
		CU_ASSERT_EQUAL(m.stamp_epoch, epoch + 1);
		CU_ASSERT_EQUAL(m.now, 31);
		for (uint32_t i = 0; i < FRAMES; i++) {
			CU_ASSERT_EQUAL(m.stamp[i] == STAMP_FREE, before[i] == STAMP_FREE);
			CU_ASSERT_TRUE(m.stamp[i] < m.now);
			CU_ASSERT_TRUE(m.stamp[i] == STAMP_FREE ||
				       (seen[i] == m.stamp[i]) == newest[i]);
			for (uint32_t j = 0; j < FRAMES; j++) {
				if (before[i] < before[j])
					CU_ASSERT_TRUE(m.stamp[i] < m.stamp[j]);
			}
		}
	}
	expect_sound(&m);
	machine_fini(&m);
}

/* What a backing was told of, in its order. */
struct told {
	uint32_t first[8], n[8];
	uint16_t vm[8];
	size_t runs, pages;
};

static void told_run(struct machine *m, uint16_t vm, ppn_t ppn, uint32_t n)
{
	struct told *t = m->store;

	CU_ASSERT_FATAL(t->runs < 8);
	t->vm[t->runs] = vm;
	t->first[t->runs] = ppn.n;
	t->n[t->runs++] = n;
}

static void told_page(struct machine *m, mpn_t mpn, struct frame was)
{
	struct told *t = m->store;

	(void)mpn;
	CU_ASSERT_EQUAL(was.ppn, 30);
	t->pages++;
}

static void neighbours_leave_together(void)
{
	/* VM 1: three neighbours, a gap, one; VM 2: the next number; VM 1 again, backwards. */
	static const struct {
		uint16_t vm;
		uint32_t ppn;
	} leaves[] = {{1, 10}, {1, 11}, {1, 12}, {1, 14}, {2, 15}, {1, 9}, {1, 8}};
	static const uint32_t first[] = {10, 14, 15, 9, 8}, n[] = {3, 1, 1, 1, 1};
	static const struct backing_runs runs = {.left = told_run};
	struct backing backing = backing_ids;
	struct told told = {.runs = 0};
	struct machine m;
	mpn_t mpn[ARRAY_LEN(leaves)];

	backing.left = told_page;
	backing.runs = &runs;
	meter.bytes = 0;
	CU_ASSERT_EQUAL_FATAL(machine_init(&m, &meter, &backing, FRAMES, LOW), 0);
	m.store = &told;
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		mpn[i] = machine_take(&m);
		machine_own(&m, mpn[i], leaves[i].vm, (ppn_t){leaves[i].ppn});
	}
	machine_gather(&m);
	machine_gathered(&m); /* of nothing */
	CU_ASSERT_EQUAL(told.runs, 0);
	machine_gather(&m);
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++)
		machine_put(&m, mpn[i]);
	CU_ASSERT_EQUAL(m.free, FRAMES);
	machine_gathered(&m);
	CU_ASSERT_EQUAL_FATAL(told.runs, ARRAY_LEN(n));
	for (size_t i = 0; i < ARRAY_LEN(n); i++) {
		CU_ASSERT_EQUAL(told.first[i], first[i]);
		CU_ASSERT_EQUAL(told.n[i], n[i]);
		CU_ASSERT_EQUAL(told.vm[i], i == 2 ? 2 : 1);
	}
	CU_ASSERT_EQUAL(told.pages, 0);
	mpn[0] = machine_take(&m); /* afterwards one by one again */
	machine_own(&m, mpn[0], 1, (ppn_t){30});
	machine_put(&m, mpn[0]);
	CU_ASSERT_EQUAL(told.pages, 1);
	expect_sound(&m);
	machine_fini(&m);
}

TESTS("core/machine", {"neighbours leave together", neighbours_leave_together},
      {"high frames go first", high_frames_go_first}, {"zones of any size", zones_of_any_size},
      {"counts add up", counts_add_up}, {"watcher", the_watcher_hears_of_private_frames_alone},
      {"audit finds damage", the_audit_finds_damage}, {"stamps", stamps_follow_the_owner},
      {"used", used_marks_die_with_the_frame}, {"renewal keeps the order", renewal_keeps_the_order})
