/* The simulated guest's driver, against a host that is real and a guest that is not. */
#include "balloon.h"

#define MB 256 /* pages */
#define MS UINT64_C(1000000)

struct rig {
	struct balloon_test bt;
	struct vm *vm;
	struct toy_guest *guest;
	struct local_driver *local;
};

static void rig_open(struct rig *r, uint32_t pages, uint32_t keep, bool interrupt)
{
	struct driver_guest table;
	struct err err;

	balloon_test_open(&r->bt, (struct test_shape){.frames = pages + 64, .no_swap = true});
	r->bt.opts.interrupt = interrupt;
	balloon_test_start(&r->bt);
	r->vm = test_vm(&r->bt.t, "a", pages);
	for (uint32_t i = 0; i < pages; i++)
		test_hit(r->vm, i, ACCESS_WRITE);
	r->guest = toy_new(r->vm, keep);
	table = toy_table(r->guest);
	CU_ASSERT_EQUAL_FATAL(
		local_driver_new(r->bt.balloon, r->vm, &table, &r->bt.opts, 0, &r->local, &err), 0);
}

static void rig_close(struct rig *r)
{
	CU_ASSERT_EQUAL(test_audit(&r->bt.t), 0);
	local_driver_free(r->local);
	balloon_test_close(&r->bt);
	toy_free_guest(r->guest);
}

/* The policy changes its mind: what the host's reclaim loop does. */
static void aim(struct rig *r, uint64_t pages)
{
	const struct reclaimer *rec = r->bt.t.host->reclaimer[0].reclaimer;

	r->vm->target = pages;
	rec->retarget(r->bt.t.host->reclaimer[0].ctx, r->vm);
}

static uint32_t held(struct rig *r)
{
	return driver_holds(local_driver_of(r->local));
}

/* The guest makes use of all that it has. */
static void use_all(struct rig *r)
{
	for (uint32_t i = 0; i < r->vm->pages; i++) {
		if (!r->guest->out[i])
			test_hit(r->vm, i, ACCESS_WRITE);
	}
}

/* Both sides and the guest agree. */
static void agree(struct rig *r, uint64_t pages)
{
	CU_ASSERT_EQUAL(ballooned(r->vm), pages);
	CU_ASSERT_EQUAL(held(r), pages);
	CU_ASSERT_EQUAL(r->guest->n, pages);
}

static void idle_guest_in_two_seconds(void)
{
	struct rig r;

	rig_open(&r, 256 * MB, 16 * MB, false);
	balloon_test_wait(&r.bt, 1001 * MS); /* it has just asked */
	agree(&r, 0);
	aim(&r, 156 * MB);
	balloon_test_wait(&r.bt, 2000 * MS);
	agree(&r, 100 * MB);
	CU_ASSERT_EQUAL(vm_held(r.vm), 156 * MB);
	CU_ASSERT_TRUE(balloon_serves(r.bt.balloon, r.vm));
	aim(&r, 256 * MB); /* and back */
	balloon_test_wait(&r.bt, 1100 * MS);
	agree(&r, 0);
	rig_close(&r);
}

static void interrupted_at_once(void)
{
	struct rig r;

	rig_open(&r, 64 * MB, 16 * MB, true);
	balloon_test_wait(&r.bt, 1500 * MS);
	aim(&r, 60 * MB);
	balloon_test_wait(&r.bt, 200 * MS); /* no poll in it */
	agree(&r, 4 * MB);
	aim(&r, 62 * MB);
	balloon_test_wait(&r.bt, 20 * MS);
	agree(&r, 2 * MB);
	rig_close(&r);
}

/* The guest keeps what it must: the driver asks again, and no fewer remain. */
static void guest_refuses(void)
{
	struct rig r;

	rig_open(&r, 64 * MB, 40 * MB, false);
	aim(&r, 30 * MB); /* 34 wanted, 24 to be had */
	balloon_test_wait(&r.bt, 3000 * MS);
	agree(&r, 24 * MB);
	CU_ASSERT_TRUE(test_stat(&r.vm->stats, "told_refusals") >= 2);
	CU_ASSERT_TRUE(test_stat(&r.vm->stats, "balloon_rate") < 256 * MB);
	balloon_test_wait(&r.bt, 12000 * MS);
	CU_ASSERT_FALSE(balloon_serves(r.bt.balloon, r.vm)); /* slow: the host will page */
	r.guest->keep = 8 * MB;				     /* it can again */
	balloon_test_wait(&r.bt, 20000 * MS);
	agree(&r, 34 * MB);
	CU_ASSERT_TRUE(balloon_serves(r.bt.balloon, r.vm));
	rig_close(&r);
}

static void cap_is_kept(void)
{
	struct rig r;

	rig_open(&r, 100 * MB, 0, false);
	aim(&r, 0);
	balloon_test_wait(&r.bt, 5000 * MS);
	agree(&r, 65 * MB);
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "balloon_refused"), 0);
	CU_ASSERT_FALSE(balloon_serves(r.bt.balloon, r.vm)); /* full, and more is wanted */
	rig_close(&r);
}

/* Out of memory: pages back before anything is killed, and no more taken for a while. */
static void released(void)
{
	struct rig r;

	rig_open(&r, 64 * MB, 0, false);
	aim(&r, 44 * MB);
	balloon_test_wait(&r.bt, 3000 * MS);
	agree(&r, 20 * MB);
	CU_ASSERT_EQUAL(r.guest->release.release(r.guest->release.ctx, 1500), 1500);
	agree(&r, 20 * MB - 1500);
	use_all(&r);
	balloon_test_wait(&r.bt, 4000 * MS);
	agree(&r, 20 * MB - 1500);
	balloon_test_wait(&r.bt, 3000 * MS);
	agree(&r, 20 * MB);
	CU_ASSERT_EQUAL(r.guest->release.release(r.guest->release.ctx, UINT32_MAX), 20 * MB);
	agree(&r, 0);
	CU_ASSERT_EQUAL(r.guest->release.release(r.guest->release.ctx, 1), 0);
	rig_close(&r);
}

static struct balloon *to_leave; /* by deafening_alloc() */

/* The host hears nothing of what is allocated for it. */
static int deafening_alloc(void *ctx, ppn_t *ppn)
{
	const struct toy_guest *g = ctx;

	balloon_disconnect(to_leave, g->vm);
	return toy_alloc(ctx, ppn);
}

/* Pages on their way to a host that does not answer: it may yet take them, so they wait. */
static void unanswered(void)
{
	struct rig r;
	struct driver_guest table;
	struct err err;

	rig_open(&r, 64 * MB, 0, false);
	local_driver_free(r.local);
	to_leave = r.bt.balloon;
	table = toy_table(r.guest);
	table.alloc_page = deafening_alloc;
	CU_ASSERT_EQUAL_FATAL(
		local_driver_new(r.bt.balloon, r.vm, &table, &r.bt.opts, 0, &r.local, &err), 0);
	aim(&r, 44 * MB);
	for (int i = 0; i < 300 && r.guest->n == 0; i++)
		balloon_test_wait(&r.bt, 10 * MS);
	const uint32_t gone = r.guest->n;
	CU_ASSERT_TRUE(gone > 0);
	CU_ASSERT_EQUAL(held(&r), 0);
	CU_ASSERT_EQUAL(r.guest->release.release(r.guest->release.ctx, 1), 0);
	CU_ASSERT_TRUE(driver_waits(local_driver_of(r.local)));
	balloon_test_wait(&r.bt, 5000 * MS); /* it has given the host up by now */
	CU_ASSERT_EQUAL(r.guest->n, gone);
	CU_ASSERT_TRUE(driver_waits(local_driver_of(r.local)));
	driver_stop(local_driver_of(r.local));
	agree(&r, 0);
	rig_close(&r);
}

/* The guest wrote to a page that it had given: all of it is void, and it starts over. */
static void popped_resets(void)
{
	struct rig r;

	rig_open(&r, 64 * MB, 0, false);
	aim(&r, 60 * MB);
	balloon_test_wait(&r.bt, 3000 * MS);
	agree(&r, 4 * MB);
	CU_ASSERT_TRUE(test_reads_as(r.vm, 64 * MB - 1, 0));
	CU_ASSERT_EQUAL(ballooned(r.vm), 4 * MB - 1);
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "balloon_popped"), 1);
	aim(&r, 64 * MB);
	balloon_test_wait(&r.bt, 2000 * MS);
	agree(&r, 0);
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "balloon_resets"), 1);
	use_all(&r);
	aim(&r, 60 * MB);
	balloon_test_wait(&r.bt, 3000 * MS);
	agree(&r, 4 * MB);
	rig_close(&r);
}

static void toy_popped(void *ctx, ppn_t ppn)
{
	struct toy_guest *g = ctx;

	CU_ASSERT_FATAL(g->out[ppn.n]);
	g->out[ppn.n] = 0;
	g->n--;
	g->popped++;
}

/* A guest that touches what it likes loses the pages touched, and those alone. */
static void popped_one_by_one(void)
{
	struct rig r;
	struct driver_guest table;
	struct err err;

	rig_open(&r, 64 * MB, 0, false);
	local_driver_free(r.local);
	table = toy_table(r.guest);
	table.popped = toy_popped;
	CU_ASSERT_EQUAL_FATAL(
		local_driver_new(r.bt.balloon, r.vm, &table, &r.bt.opts, 0, &r.local, &err), 0);
	aim(&r, 60 * MB);
	balloon_test_wait(&r.bt, 3000 * MS);
	agree(&r, 4 * MB);
	aim(&r, 64 * MB - 4 * MB + 3); /* so that those are not wanted any more */
	for (uint32_t i = 0; i < 3; i++)
		test_hit(r.vm, 64 * MB - 1 - i, ACCESS_READ);
	balloon_test_wait(&r.bt, 2000 * MS);
	agree(&r, 4 * MB - 3);
	CU_ASSERT_EQUAL(r.guest->popped, 3);
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "balloon_resets"), 0);
	rig_close(&r);
}

static void stopped_gives_all(void)
{
	struct rig r;

	rig_open(&r, 64 * MB, 0, false);
	aim(&r, 60 * MB);
	balloon_test_wait(&r.bt, 3000 * MS);
	driver_stop(local_driver_of(r.local));
	agree(&r, 0);
	CU_ASSERT_FALSE(balloon_serves(r.bt.balloon, r.vm));
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "balloon_popped"), 0);
	balloon_test_wait(&r.bt, 3000 * MS);
	agree(&r, 0);
	rig_close(&r);
}

/* It dies without a word; another comes and finds nothing of the old balloon. */
static void vanishes_and_comes_back(void)
{
	struct rig r;
	struct driver_guest table;
	struct err err;

	rig_open(&r, 64 * MB, 0, false);
	aim(&r, 60 * MB);
	balloon_test_wait(&r.bt, 3000 * MS);
	local_driver_free(r.local);
	CU_ASSERT_EQUAL(ballooned(r.vm), 4 * MB);
	CU_ASSERT_FALSE(balloon_serves(r.bt.balloon, r.vm));
	toy_free_guest(r.guest); /* the guest was rebooted */
	r.guest = toy_new(r.vm, 0);
	table = toy_table(r.guest);
	CU_ASSERT_EQUAL_FATAL(local_driver_new(r.bt.balloon, r.vm, &table, &r.bt.opts,
					       r.bt.t.host->clock.now_ns + 500 * MS, &r.local,
					       &err),
			      0);
	balloon_test_wait(&r.bt, 400 * MS);
	CU_ASSERT_EQUAL(ballooned(r.vm), 4 * MB);
	balloon_test_wait(&r.bt, 100 * MS);
	CU_ASSERT_TRUE(ballooned(r.vm) < 4 * MB);
	CU_ASSERT_TRUE(balloon_serves(r.bt.balloon, r.vm));
	balloon_test_wait(&r.bt, 3000 * MS);
	CU_ASSERT_EQUAL(ballooned(r.vm), held(&r));
	CU_ASSERT_EQUAL(ballooned(r.vm), r.guest->n);
	rig_close(&r);
}

static uint32_t toy_take_free(void *ctx, ppn_t *ppn, uint32_t n)
{
	struct toy_guest *g = ctx;
	uint32_t got = 0;

	for (; got < n && g->fresh_hints < 3000; got++) {
		ppn[got].n = (uint32_t)g->fresh_hints++;
		g->out[ppn[got].n] = 1;
		g->n++;
	}
	return got;
}

static void toy_free_reported(void *ctx, const ppn_t *ppn, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		toy_free(ctx, ppn[i]);
}

static void hints(void)
{
	struct rig r;
	struct driver_guest table;
	struct err err;

	rig_open(&r, 64 * MB, 0, false);
	for (int on = 0; on < 2; on++) {
		r.bt.balloon->opts.hints = on;
		r.bt.balloon->opts.hint_rate = 1000 * PAGE_SIZE;
		local_driver_free(r.local);
		table = toy_table(r.guest);
		table.take_free = toy_take_free;
		table.free_reported = toy_free_reported;
		CU_ASSERT_EQUAL_FATAL(local_driver_new(r.bt.balloon, r.vm, &table,
						       &r.bt.balloon->opts, 0, &r.local, &err),
				      0);
		balloon_test_wait(&r.bt, 500 * MS);
		CU_ASSERT_EQUAL(vm_held(r.vm), 64 * MB - 1000u * (unsigned)on);
		balloon_test_wait(&r.bt, 4000 * MS);
		CU_ASSERT_EQUAL(vm_held(r.vm), 64 * MB - 3000u * (unsigned)on);
		agree(&r, 0);
	}
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "hinted"), 3000);
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "hint_frames"), 3000);
	CU_ASSERT_TRUE(test_reads_as(r.vm, 0, 0));
	rig_close(&r);
}

/* A guest in trouble is asked for less and less, and more again when it is well. */
static void pressure(void)
{
	struct rig r;

	rig_open(&r, 64 * MB, 0, false);
	r.guest->pressure = 500;
	balloon_test_wait(&r.bt, 3500 * MS);
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "balloon_rate"), 256 * MB / 16);
	balloon_test_wait(&r.bt, 20000 * MS);
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "balloon_rate"), MB);
	r.guest->pressure = 0;
	balloon_test_wait(&r.bt, 2000 * MS);
	CU_ASSERT_EQUAL(test_stat(&r.vm->stats, "balloon_rate"), MB + 2 * 256 * MB / 8);
	rig_close(&r);
}

TESTS("balloon/driver", {"an idle guest gives 100 MB within 2 s", idle_guest_in_two_seconds},
      {"interrupted at once", interrupted_at_once}, {"the guest refuses", guest_refuses},
      {"the cap is kept", cap_is_kept}, {"out of memory it deflates", released},
      {"unanswered", unanswered}, {"a touch resets", popped_resets},
      {"touched pages one by one", popped_one_by_one},
      {"stopped it gives all back", stopped_gives_all},
      {"vanishes and comes back", vanishes_and_comes_back}, {"hints", hints},
      {"pressure", pressure})
