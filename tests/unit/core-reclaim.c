#include "host.h"

#include "core/reclaim.h"

#include <errno.h>

#define FRAMES 1000 /* marks 60, 40, 20, 10; width 3; goal 66 */
#define MS     UINT64_C(1000000)

/* A planner that gives what the test says, and counts. */
struct wish {
	struct test_host t;
	uint64_t target[4];
	unsigned plans;
	bool fails;
	char events[1 << 18]; /* "reason\n" or "VM event: reason\n" of those asked for */
	const char *only;     /* which events */
};

static int plan(void *ctx, const char *reason, struct err *err)
{
	struct wish *w = ctx;

	(void)reason;
	w->plans++;
	if (w->fails)
		return err_run(err, ENOMEM, "no luck");
	for (size_t i = 0; i < w->t.host->vms; i++)
		w->t.host->vm[i]->target = w->target[i];
	return 0;
}

static void note(void *ctx, uint64_t time_ns, const struct vm *vm, const char *event,
		 const char *reason)
{
	struct wish *w = ctx;
	size_t used = strlen(w->events);

	(void)time_ns;
	if (strstr(w->only, event))
		snprintf(w->events + used, sizeof w->events - used, "%s%s%s%s%s\n",
			 vm ? vm->name : "", vm ? " " : "", vm ? event : "", vm ? ": " : "",
			 reason);
}

static void open_wish(struct wish *w, struct test_shape shape, const char *events)
{
	*w = (struct wish){.only = events};
	shape.thresholds = shape.thresholds ? shape.thresholds : "esx";
	shape.frames = shape.frames ? shape.frames : FRAMES;
	test_host_new(&w->t, shape);
	w->t.host->planner = (struct planner){plan, w, 15000 * MS};
	w->t.host->on_event = note;
	w->t.host->event_ctx = w;
}

/* Touches pages of the VM, from the first that it has not, until so many frames are free. */
static void fill_to(struct wish *w, struct vm *vm, uint64_t free)
{
	while (w->t.m->free > free)
		test_hit(vm, (uint32_t)vm_held(vm), ACCESS_READ);
}

/* Drops its last pages until so many frames are free, and lets the loop look. */
static void drop_to(struct wish *w, struct vm *vm, uint64_t free)
{
	while (w->t.m->free < free)
		pmap_drop(vm->pmap, (ppn_t){(uint32_t)vm_held(vm) - 1});
	clock_run_until(&w->t.host->clock, w->t.host->clock.now_ns + 10 * MS);
}

/* Down where free frames fall below the lower mark, up past the higher one by the width. */
static void hysteresis(void)
{
	static const struct {
		uint64_t free;
		enum host_state state;
	} steps[] = {
		{40, HOST_HIGH}, {39, HOST_SOFT}, {62, HOST_SOFT}, {63, HOST_HIGH},
		{39, HOST_SOFT}, {20, HOST_SOFT}, {19, HOST_HARD}, {42, HOST_HARD},
		{43, HOST_SOFT}, {40, HOST_SOFT}, {62, HOST_SOFT}, {19, HOST_HARD},
		{10, HOST_HARD}, {9, HOST_LOW},	  {22, HOST_LOW},  {23, HOST_HARD},
		{20, HOST_HARD}, {9, HOST_LOW},	  {0, HOST_LOW},   {500, HOST_HIGH},
		{41, HOST_HIGH}, {0, HOST_LOW},	  {43, HOST_SOFT}, {70, HOST_HIGH},
	};
	static struct wish w;

	open_wish(&w, (struct test_shape){.no_swap = true}, "state");
	struct vm *vm = test_vm(&w.t, "a", 2 * FRAMES);
	w.target[0] = 2 * FRAMES; /* nobody is above it */
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (w.t.m->free > steps[i].free)
			fill_to(&w, vm, steps[i].free);
		else
			drop_to(&w, vm, steps[i].free);
		CU_ASSERT_EQUAL(w.t.host->state, steps[i].state);
		CU_ASSERT_EQUAL(test_audit(&w.t), 0);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(w.events,
				      "high to soft: 39 frames free, below the mark of 40\n"
				      "soft to high: 63 frames free, past the mark of 63\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(w.events, "low to high: 500 frames free"));
	test_host_free(&w.t);
}

/* Every ns is in one state; a plan is made at each change, and each period. */
static void time_and_plans_are_counted(void)
{
	static struct wish w;
	const struct stat_scope *scope;
	uint64_t sum = 0;

	open_wish(&w, (struct test_shape){.no_swap = true}, "state");
	scope = &w.t.host->scope;
	struct vm *vm = test_vm(&w.t, "a", 2 * FRAMES);
	w.target[0] = 2 * FRAMES;
	host_plan(w.t.host, "start");
	clock_run_until(&w.t.host->clock, 100 * MS);
	fill_to(&w, vm, 30); /* soft */
	clock_run_until(&w.t.host->clock, 350 * MS);
	fill_to(&w, vm, 5); /* hard, low */
	clock_run_until(&w.t.host->clock, 400 * MS);
	drop_to(&w, vm, 100); /* ends in high, 10 ms later */
	CU_ASSERT_EQUAL(w.plans, 1 + 3 + 1);
	clock_run_until(&w.t.host->clock, 31000 * MS);
	host_gauge(w.t.host);
	CU_ASSERT_EQUAL(w.plans, 5 + 2);
	CU_ASSERT_EQUAL(test_stat(scope, "soft_ns"), 250 * MS);
	CU_ASSERT_EQUAL(test_stat(scope, "hard_ns"), 0);
	CU_ASSERT_EQUAL(test_stat(scope, "low_ns"), 60 * MS);
	for (int s = 0; s < HOST_STATES; s++) {
		char name[16];
		snprintf(name, sizeof name, "%s_ns", host_state_names[s]);
		sum += test_stat(scope, name);
	}
	CU_ASSERT_EQUAL(sum, 31000 * MS);
	CU_ASSERT_EQUAL(test_stat(scope, "state_changes"), 4);
	CU_ASSERT_EQUAL(test_stat(scope, "plans"), w.plans);
	CU_ASSERT_EQUAL(test_stat(&vm->stats, "target"), 2 * FRAMES);
	test_host_free(&w.t);
}

/* For as long after a change as is set, but not for a period that comes round. */
static void changes_are_adjusted_to(void)
{
	static struct wish w;

	open_wish(&w, (struct test_shape){.no_swap = true, .reclaim_adjust = 300000 * MS}, "state");
	struct vm *vm = test_vm(&w.t, "a", FRAMES);
	w.target[0] = FRAMES;
	CU_ASSERT_EQUAL(vm->pages, FRAMES);
	CU_ASSERT_FALSE(w.t.host->adjusting);
	host_plan(w.t.host, "a change");
	CU_ASSERT_TRUE(w.t.host->adjusting);
	clock_run_until(&w.t.host->clock, 299000 * MS);
	CU_ASSERT_TRUE(w.t.host->adjusting);
	clock_run_until(&w.t.host->clock, 316000 * MS);
	CU_ASSERT_FALSE(w.t.host->adjusting);
	clock_run_until(&w.t.host->clock, 400000 * MS);
	CU_ASSERT_FALSE(w.t.host->adjusting);
	host_plan(w.t.host, "another");
	CU_ASSERT_TRUE(w.t.host->adjusting);
	test_host_free(&w.t);
}

/* 6 % of 4 GB is 251 MB and a bit; by hand from the slices. */
static void marks_of_later_versions(void)
{
	static const struct {
		uint32_t gb, min_free_mb; /* 28 GB: 245.76 + 327.68 + 327.68 */
	} cases[] = {{4, 245}, {12, 573}, {28, 901}, {128, 1925}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t mark[HOST_STATES];
		const struct thresholds *later =
			(const struct thresholds *)test_policy(thresholds_list, "esx-later", NULL);
		later->states(NULL, cases[i].gb << 18, mark);
		CU_ASSERT_EQUAL(mark[HOST_HIGH] >> 8, cases[i].min_free_mb);
		CU_ASSERT_EQUAL(mark[HOST_CLEAR], mark[HOST_HIGH]);
		CU_ASSERT_DOUBLE_EQUAL(mark[HOST_SOFT], 0.64 * mark[HOST_HIGH], 1);
		CU_ASSERT_DOUBLE_EQUAL(mark[HOST_HARD], 0.32 * mark[HOST_HIGH], 1);
		CU_ASSERT_DOUBLE_EQUAL(mark[HOST_LOW], 0.16 * mark[HOST_HIGH], 1);
	}
}

/* 1000 frames, 6 %: minFree 60; clear below 60, soft 38, hard 19, low 9; width 3. */
static void clear_is_a_state_of_later_versions(void)
{
	static struct wish w;

	open_wish(&w, (struct test_shape){.no_swap = true, .thresholds = "esx-later"}, "state");
	struct vm *vm = test_vm(&w.t, "a", 2 * FRAMES);
	w.target[0] = 2 * FRAMES;
	fill_to(&w, vm, 60);
	CU_ASSERT_EQUAL(w.t.host->state, HOST_HIGH);
	fill_to(&w, vm, 59);
	CU_ASSERT_EQUAL(w.t.host->state, HOST_CLEAR);
	fill_to(&w, vm, 37);
	CU_ASSERT_EQUAL(w.t.host->state, HOST_SOFT);
	drop_to(&w, vm, 62);
	CU_ASSERT_EQUAL(w.t.host->state, HOST_SOFT);
	drop_to(&w, vm, 63);
	CU_ASSERT_EQUAL(w.t.host->state, HOST_HIGH);
	test_host_free(&w.t);
}

static void marks_must_fall(void)
{
	struct reclaim_opts opts = {.high = 0.06, .soft = 0.04, .hard = 0.05, .low = 0.01};
	struct err err;

	CU_ASSERT_EQUAL(reclaim_check(&opts, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.msg, "reclaim.soft, 4 %, is below reclaim.hard, 5 %: each state "
					"must be shorter of memory than the one before");
	opts.hard = 0.04;
	CU_ASSERT_EQUAL(reclaim_check(&opts, &err), 0);
}

/* In hard, those above their targets give, in proportion, up to the goal and no more. */
static void excess_is_paged_in_proportion(void)
{
	static struct wish w;

	open_wish(&w, (struct test_shape){.reclaim_rate = 1000000, .slots = 4000}, "");
	struct vm *a = test_vm(&w.t, "a", FRAMES), *b = test_vm(&w.t, "b", FRAMES),
		  *c = test_vm(&w.t, "c", FRAMES);
	w.target[0] = 400;
	w.target[1] = 300;
	w.target[2] = 300;
	for (uint32_t i = 0; i < 430; i++)
		test_hit(a, i, ACCESS_WRITE);
	for (uint32_t i = 0; i < 420; i++)
		test_hit(b, i, ACCESS_WRITE);
	while (w.t.host->state < HOST_HARD)
		test_hit(c, (uint32_t)vm_held(c), ACCESS_WRITE);
	/*
	 * 19 frames would be free; 46 are wanted of 150 above: 9 of a, 37 of b. They
	 * went in soft already, since nobody has a balloon: 26 at 39 free.
	 */
	clock_run_until(&w.t.host->clock, 100 * MS);
	CU_ASSERT_EQUAL(w.t.host->state, HOST_HIGH);
	CU_ASSERT_TRUE(w.t.m->free >= 65 && w.t.m->free <= 66);
	CU_ASSERT_TRUE(vm_held(a) >= 400 && vm_held(a) < 430);
	CU_ASSERT_TRUE(vm_held(b) >= 300 && vm_held(b) < 420);
	CU_ASSERT_EQUAL(test_stat(&c->stats, "swap_outs"), 0);
	/* As far as b is above, four times as much as a. */
	CU_ASSERT_DOUBLE_EQUAL((double)test_stat(&b->stats, "swap_outs"),
			       4.0 * (double)test_stat(&a->stats, "swap_outs"), 8);
	CU_ASSERT_EQUAL(test_audit(&w.t), 0);
	test_host_free(&w.t);
}

/* A balloon that serves some VMs; it never does anything. */
struct balloon {
	uint64_t serves; /* a bit per VM */
	unsigned told[4];
};

static void retarget(void *ctx, struct vm *vm)
{
	((struct balloon *)ctx)->told[vm->id]++;
}

static bool serves(void *ctx, const struct vm *vm)
{
	return ((const struct balloon *)ctx)->serves >> vm->id & 1;
}

static const struct reclaimer balloon_reclaimer = {
	.policy = {"balloon", "of a test"},
	.from = HOST_SOFT,
	.retarget = retarget,
	.serves = serves,
};

/* In soft only those are paged that have no balloon; in hard all. */
static void soft_pages_where_no_balloon_works(void)
{
	static struct wish w;
	struct balloon balloon = {.serves = 1};

	open_wish(&w, (struct test_shape){.reclaim_rate = 1000, .slots = 4000}, "");
	host_add_reclaimer(w.t.host, &balloon_reclaimer, &balloon);
	struct vm *a = test_vm(&w.t, "a", FRAMES), *b = test_vm(&w.t, "b", FRAMES);
	w.target[0] = w.target[1] = 100;
	for (uint32_t i = 0; i < 480; i++) {
		test_hit(a, i, ACCESS_WRITE);
		test_hit(b, i, ACCESS_WRITE);
	}
	fill_to(&w, a, 39);
	CU_ASSERT_EQUAL(w.t.host->state, HOST_SOFT);
	CU_ASSERT_TRUE(balloon.told[0] > 0 && balloon.told[1] > 0);
	clock_run_until(&w.t.host->clock, 20 * MS);
	CU_ASSERT_EQUAL(test_stat(&a->stats, "swap_outs"), 0);
	CU_ASSERT_TRUE(test_stat(&b->stats, "swap_outs") >= 10);
	balloon.serves = 3;
	uint64_t before = test_stat(&b->stats, "swap_outs");
	clock_run_until(&w.t.host->clock, 100 * MS);
	CU_ASSERT_EQUAL(test_stat(&b->stats, "swap_outs"), before);
	while (w.t.host->state < HOST_HARD)
		test_hit(a, (uint32_t)vm_held(a), ACCESS_WRITE);
	clock_run_until(&w.t.host->clock, 110 * MS);
	CU_ASSERT_TRUE(test_stat(&a->stats, "swap_outs") > 0);
	CU_ASSERT_TRUE(test_stat(&b->stats, "swap_outs") > before);
	test_host_free(&w.t);
}

/* So many pages a second, however many looks there are. */
static void paging_keeps_to_its_rate(void)
{
	static struct wish w;

	open_wish(&w, (struct test_shape){.reclaim_rate = 200, .slots = 4000}, "");
	struct vm *a = test_vm(&w.t, "a", 2 * FRAMES);
	w.target[0] = 2 * FRAMES;
	fill_to(&w, a, 25);
	w.target[0] = 100;
	host_plan(w.t.host, "the test says so");
	uint64_t before = test_stat(&a->stats, "swap_outs");
	clock_run_until(&w.t.host->clock, w.t.host->clock.now_ns + 100 * MS);
	/* 200 a second for 100 ms are 20, and a tick's worth more at the start. */
	uint64_t paged = test_stat(&a->stats, "swap_outs") - before;
	CU_ASSERT_TRUE(paged >= 19 && paged <= 23);
	test_host_free(&w.t);
}

/* A guest that touches page after page of its VM, round and round, so many times. */
struct walker {
	uint64_t left;
	uint32_t at;
};

static int walk(void *state, struct vm *vm, uint64_t until_ns, struct err *err)
{
	struct walker *k = state;

	while (vm->time_ns < until_ns && k->left) {
		int rc = pmap_touch(vm->pmap, (ppn_t){k->at}, ACCESS_WRITE, err);
		if (rc)
			return rc;
		k->at = k->at + 1 == vm->pages ? 0 : k->at + 1;
		k->left--;
		vm->time_ns += 100;
	}
	return k->left ? STEP_MORE : STEP_ENDED;
}

static const struct guest walker_guest = {"walker", walk, NULL};

/*
 * Who is woken was blocked first, among those that wait; who ends, or comes to
 * its target, waits no more.
 */
static void check_order(const char *events)
{
	char queue[64] = "", *at;

	for (const char *line = events; *line; line = strchr(line, '\n') + 1) {
		char name[2] = {line[0], 0};
		if (strncmp(line + 2, "blocked", 7) == 0) {
			strcat(queue, name);
		} else if (strncmp(line + 2, "ended", 5) == 0 ||
			   strncmp(line + 2, "woken: it is at its target", 26) == 0) {
			at = strchr(queue, name[0]);
			if (at)
				memmove(at, at + 1, strlen(at));
		} else {
			CU_ASSERT_EQUAL_FATAL(queue[0], name[0]);
			memmove(queue, queue + 1, strlen(queue));
		}
	}
}

/*
 * Three VMs of 700 pages on 1000 frames, all targets 0: every VM is above its
 * target all the time, and all of them run to their ends.
 */
static void progress_under_full_pressure(void)
{
	static const int64_t rates[] = {100, 5000, 0};
	static struct wish w;
	struct walker walker[3];
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		open_wish(&w, (struct test_shape){.slots = 4000, .audit_ns = 500 * MS},
			  "blocked woken ended");
		w.t.reclaim_opts.rate = rates[i];
		host_changed(w.t.host, &reclaim_section, &w.t.reclaim_opts);
		for (size_t v = 0; v < 3; v++) {
			static const char *const names[] = {"a", "b", "c"};
			walker[v] = (struct walker){.left = 2100};
			vm_drive(test_vm(&w.t, names[v], 700), &walker_guest, &walker[v]);
		}
		host_plan(w.t.host, "start");
		CU_ASSERT_EQUAL(host_run(w.t.host, &err), 0);
		for (size_t v = 0; v < 3; v++) {
			CU_ASSERT_EQUAL(walker[v].left, 0);
			CU_ASSERT_EQUAL(w.t.host->vm[v]->state, VM_ENDED);
			CU_ASSERT_FALSE(w.t.host->vm[v]->blocked);
		}
		if (rates[i])
			CU_ASSERT_TRUE(test_stat(&w.t.host->scope, "blocks") > 10);
		if (rates[i])
			CU_ASSERT_TRUE(test_stat(&w.t.host->vm[0]->stats, "blocked_ns") > 10 * MS);
		check_order(w.events);
		test_host_free(&w.t);
	}
}

/* Where nothing can be reclaimed nobody waits for ever: VMs fail one by one, the last lives. */
static void nothing_to_reclaim_is_no_deadlock(void)
{
	static struct wish w;
	struct walker walker[3];
	struct err err = {0};

	open_wish(&w, (struct test_shape){.victim = "none"}, "");
	for (size_t v = 0; v < 3; v++) {
		static const char *const names[] = {"a", "b", "c"};
		walker[v] = (struct walker){.left = 2100};
		vm_drive(test_vm(&w.t, names[v], 700), &walker_guest, &walker[v]);
	}
	host_plan(w.t.host, "start");
	CU_ASSERT_EQUAL(host_run(w.t.host, &err), 0);
	CU_ASSERT_EQUAL(w.t.host->stats.vm_failed, 2);
	CU_ASSERT_EQUAL(walker[0].left * walker[1].left * walker[2].left, 0);
	test_host_free(&w.t);
}

/* The one that is above its target waits; the one that is not runs on. */
static void only_those_above_their_target_are_blocked(void)
{
	static struct wish w;
	struct walker walker[2] = {{.left = 3000}, {.left = 3000}};
	struct err err = {0};

	open_wish(&w, (struct test_shape){.slots = 4000, .reclaim_rate = 500}, "blocked");
	for (size_t v = 0; v < 2; v++)
		vm_drive(test_vm(&w.t, v ? "b" : "a", 600), &walker_guest, &walker[v]);
	w.target[0] = 200;
	w.target[1] = 700;
	host_plan(w.t.host, "start");
	CU_ASSERT_EQUAL(host_run(w.t.host, &err), 0);
	CU_ASSERT_TRUE(test_stat(&w.t.host->vm[0]->stats, "blocks") > 0);
	CU_ASSERT_EQUAL(test_stat(&w.t.host->vm[1]->stats, "blocks"), 0);
	CU_ASSERT_EQUAL(test_stat(&w.t.host->vm[1]->stats, "swap_outs"), 0);
	CU_ASSERT_EQUAL(vm_held(w.t.host->vm[1]), 600);
	test_host_free(&w.t);
}

/* Nobody is taken below its min for another; for a frame of its own a VM may go there. */
static void min_is_kept_for_others(void)
{
	static struct wish w;

	open_wish(&w, (struct test_shape){.slots = 4000}, "");
	struct vm *a = test_vm(&w.t, "a", FRAMES), *b = test_vm(&w.t, "b", 2 * FRAMES);
	a->min = 400;
	b->min = 500;
	for (uint32_t i = 0; i < 450; i++)
		test_hit(a, i, ACCESS_WRITE);
	w.target[0] = 400; /* and b's is 0: a planner that lies to b */
	for (uint32_t i = 0; i < 2 * FRAMES; i++) {
		test_hit(b, i, ACCESS_WRITE);
		CU_ASSERT_TRUE_FATAL(vm_held(a) >= 400);
	}
	w.target[0] = 0; /* now it lies to a as well, but b's needs are no reason */
	w.target[1] = 2 * FRAMES;
	w.t.reclaim_opts.rate = 1;
	host_changed(w.t.host, &reclaim_section, &w.t.reclaim_opts);
	uint64_t paged = test_stat(&a->stats, "paged");
	for (uint32_t i = 0; i < 2 * FRAMES; i++)
		test_hit(b, i, ACCESS_WRITE);
	CU_ASSERT_TRUE(vm_held(a) >= 400 - (test_stat(&a->stats, "paged") - paged));
	CU_ASSERT_EQUAL(test_audit(&w.t), 0);
	test_host_free(&w.t);
}

/* However much is free: max, and min for a VM without shares. */
static void ceilings_hold_in_every_state(void)
{
	static struct wish w;

	open_wish(&w, (struct test_shape){.slots = 4000, .reclaim_rate = 10000}, "");
	struct vm *a = test_vm(&w.t, "a", 400), *b = test_vm(&w.t, "b", 400);
	w.target[0] = w.target[1] = 400;
	for (uint32_t i = 0; i < 300; i++) {
		test_hit(a, i, ACCESS_WRITE);
		test_hit(b, i, ACCESS_WRITE);
	}
	CU_ASSERT_EQUAL(vm_held(a) + vm_held(b), 600);
	a->max = w.target[0] = 100;
	b->min = w.target[1] = 50;
	b->shares = 0;
	host_plan(w.t.host, "terms");
	clock_run_until(&w.t.host->clock, 100 * MS);
	CU_ASSERT_EQUAL(w.t.host->state, HOST_HIGH);
	CU_ASSERT_EQUAL(vm_held(a), 100);
	CU_ASSERT_EQUAL(vm_held(b), 50);
	for (uint32_t i = 0; i < 400; i++) {
		test_hit(a, i, ACCESS_WRITE);
		test_hit(b, i, ACCESS_WRITE);
		CU_ASSERT_EQUAL_FATAL(vm_held(a), 100);
		CU_ASSERT_EQUAL_FATAL(vm_held(b), 50);
	}
	b->shares = 1; /* and it may have more again */
	w.target[1] = 400;
	host_plan(w.t.host, "terms");
	for (uint32_t i = 0; i < 400; i++)
		test_hit(b, i, ACCESS_WRITE);
	CU_ASSERT_EQUAL(vm_held(b), 400);
	CU_ASSERT_EQUAL(test_audit(&w.t), 0);
	test_host_free(&w.t);
}

/* A planner that fails leaves the targets; it is told. */
static void a_plan_that_fails_is_told(void)
{
	static struct wish w;

	open_wish(&w, (struct test_shape){.no_swap = true}, "targets stay");
	struct vm *vm = test_vm(&w.t, "a", 100);
	w.target[0] = 77;
	host_plan(w.t.host, "one");
	w.fails = true;
	w.target[0] = 88;
	host_plan(w.t.host, "two");
	CU_ASSERT_EQUAL(vm->target, 77);
	CU_ASSERT_PTR_NOT_NULL(strstr(w.events, "two: no luck\n"));
	test_host_free(&w.t);
}

/* frames - overhead - goal + saved; sharing saves what is held beyond the frames. */
static void what_there_is_to_divide(void)
{
	static struct wish w;

	open_wish(&w, (struct test_shape){.no_swap = true, .scan = "random", .backing = "ram"}, "");
	struct vm *vm = test_vm(&w.t, "a", 200);
	CU_ASSERT_EQUAL(host_divisible(w.t.host), FRAMES - 66);
	machine_own_overhead(w.t.m, machine_take(w.t.m));
	CU_ASSERT_EQUAL(host_divisible(w.t.host), FRAMES - 66 - 1);
	for (uint32_t i = 0; i < 50; i++)
		test_fill(vm, i, i < 20 ? 7 : 100 + i); /* 20 pages are equal */
	for (int i = 0; i < 100; i++)
		sharing_scan(w.t.sharing, vm, 200);
	CU_ASSERT_EQUAL(vm_held(vm), 50);
	CU_ASSERT_EQUAL(w.t.m->free, FRAMES - 1 - 31);
	CU_ASSERT_EQUAL(host_saved(w.t.host), 19);
	CU_ASSERT_EQUAL(host_divisible(w.t.host), FRAMES - 66 - 1 + 19);
	test_host_free(&w.t);
}

TESTS("core/reclaim", {"changes are adjusted to", changes_are_adjusted_to},
      {"hysteresis", hysteresis}, {"time and plans are counted", time_and_plans_are_counted},
      {"marks of later versions", marks_of_later_versions},
      {"clear is a state of later versions", clear_is_a_state_of_later_versions},
      {"marks must fall", marks_must_fall},
      {"excess is paged in proportion", excess_is_paged_in_proportion},
      {"soft pages where no balloon works", soft_pages_where_no_balloon_works},
      {"paging keeps to its rate", paging_keeps_to_its_rate},
      {"progress under full pressure", progress_under_full_pressure},
      {"nothing to reclaim is no deadlock", nothing_to_reclaim_is_no_deadlock},
      {"only those above their target are blocked", only_those_above_their_target_are_blocked},
      {"min is kept for others", min_is_kept_for_others},
      {"ceilings hold in every state", ceilings_hold_in_every_state},
      {"a plan that fails is told", a_plan_that_fails_is_told},
      {"what there is to divide", what_there_is_to_divide})
