/*
 * The balloon module's own code (balloon/linux) in a kernel that is played here
 * (tests/kernel), against the host's end: its target moves, programs take pages
 * and free them, compaction isolates pages, moves them and puts them back, the
 * kernel runs out of memory. The host acts in the middle of whatever the module
 * does: at each look at the rings.
 *
 * Every page has exactly the references that the balloon, the messages not
 * answered, compaction and programs hold; none is freed twice, or lost, or freed
 * while it is in the balloon, whatever the host does. Of an honest host's balloon
 * no page is ever used.
 */
#include "test.h"

#include "balloon/private.h"
#include "balloon/ring.h"
#include "core/rng.h"

#undef PAGE_SHIFT /* the same, the module's */
#include "balloon/linux/bb.h"

#define PAGES  8000u /* more than both rings can name at once */
#define REGION BALLOON_REGION_MIN
#define STEPS  10000

enum temper { HONEST, SLOW, RESTARTS, RUBBISH };

static struct world {
	enum temper temper;
	struct rng rng;
	struct host *host;
	struct balloon *balloon;
	struct vm *vm;
	struct ring_end ring;
	uint8_t region[REGION] __aligned(4096);
	struct bb bb;
	bool busy; /* the host is at it already */
	struct page *program[PAGES];
	u32 programs;
	struct page *glimpsed; /* by compaction, in the balloon; it may lock it later */
	struct page *isolated;
	unsigned moved, restarts;
} w;

struct page kernel_pages[KERNEL_PAGES];
ktime_t kernel_now;

/* Of main.c. */
unsigned int bb_rate_start = 1u << 20, bb_order = 4, bb_reserve_mb, bb_oom_pages = 64,
	     bb_backoff_ms = 10;
bool bb_deflate_on_oom = true, bb_report_free;
void bb_kick(struct bb *b)
{
	WRITE_ONCE(b->kicked, true);
}

/* Of pressure.c. */
void bb_memory(struct balloon_stats *stats)
{
	stats->total = cpu_to_le64(PAGES);
}

static bool chance(unsigned of)
{
	return rng_below(&w.rng, of) == 0;
}

/* What is around the module. */

long si_mem_available(void)
{
	long n = 0;

	for (u32 i = 0; i < PAGES; i++)
		n += kernel_pages[i].count == 0;
	return n;
}

struct page *alloc_pages(gfp_t gfp, unsigned order)
{
	const u32 n = 1u << order, blocks = PAGES / n, first = (u32)rng_below(&w.rng, blocks);

	(void)gfp;
	if (chance(order ? 8 : 20000))
		return NULL;
	for (u32 i = 0; i < blocks; i++) {
		struct page *p = &kernel_pages[(first + i) % blocks * n];
		u32 k = 0;
		while (k < n && p[k].count == 0)
			k++;
		for (u32 j = 0; k == n && j < n; j++)
			p[j].count = 1;
		if (k == n)
			return p;
	}
	return NULL;
}

static void rubbish(void)
{
	struct balloon_region *r = w.ring.region;
	__le32 *const at[] = {&r->to_host.tail, &r->to_guest.head, &r->host_epoch, &r->guest_epoch,
			      &r->to_guest.tail};
	const u32 value = (u32)rng_below(&w.rng, chance(2) ? 64 : UINT32_MAX);

	if (chance(2))
		*at[rng_below(&w.rng, ARRAY_LEN(at))] = cpu_to_le32(value);
	else
		memcpy(w.region + 4096 + BALLOON_RING_MIN +
			       4 * rng_below(&w.rng, BALLOON_RING_MIN / 4),
		       &value, sizeof value);
}

/* It sees a page in the balloon, mostly the next to leave, and has its lock when it has left. */
static void compaction_looks(void)
{
	struct page *p = w.glimpsed;

	if (p && !p->locked && !p->movable) {
		p->locked = true;
	} else if (p && chance(2)) {
		if (p != w.isolated)
			p->locked = false;
		put_page(p);
		w.glimpsed = NULL;
	} else if (!p) {
		p = &kernel_pages[rng_below(&w.rng, PAGES)];
		if (w.bb.list.pages.next != &w.bb.list.pages && chance(2))
			p = list_entry(w.bb.list.pages.next, struct page, lru);
		if (!p->movable || p->locked)
			return;
		get_page(p);
		w.glimpsed = p;
	}
}

/* Once in so many times the host looks. */
static void pass(unsigned of)
{
	if (w.busy)
		return;
	w.busy = true;
	kernel_now += (ktime_t)rng_below(&w.rng, 50000);
	if (chance(of)) {
		clock_run_until(&w.host->clock, (u64)kernel_now);
		balloon_contact(w.balloon, w.vm);
	}
	if (chance(2))
		compaction_looks();
	if (w.temper == RESTARTS && chance(500)) {
		ring_host_void(&w.ring);
		w.restarts++;
	}
	if (w.temper == RUBBISH && chance(100))
		rubbish();
	w.busy = false;
}

void kernel_pass(void)
{
	pass(w.temper == SLOW ? 40 : 3);
}

void kernel_wait(void)
{
	kernel_now += 1000000;
	pass(3);
}

/* What the module's thread does. */
static void turn(struct bb *b)
{
	u32 want;

	mutex_lock(&b->lock);
	bb_listen(b);
	if (b->talk != BB_TALKING && ktime_after(ktime_get(), b->hello_at))
		bb_hello(b);
	if (b->talk == BB_TALKING && ktime_after(ktime_get(), b->poll_at))
		bb_report(b);
	while (b->talk == BB_TALKING && b->size > b->target) {
		if (!bb_deflate(b, b->size - b->target))
			break;
	}
	want = bb_slot(b) ? bb_allowance(b) : 0;
	mutex_unlock(&b->lock);
	if (want)
		bb_inflate(b, want);
	kernel_now += (ktime_t)rng_below(&w.rng, 2000000);
}

static void run_out(struct bb *b)
{
	mutex_lock(&b->lock);
	bb_release(b, bb_oom_pages);
	mutex_unlock(&b->lock);
}

/* A page of the balloon is taken aside, and later moved or put back. */
static void compact(struct bb *b)
{
	struct page *from = w.isolated, *to;
	bool moved;

	if (!from) {
		from = &kernel_pages[rng_below(&w.rng, PAGES)];
		if (!from->movable || from->locked)
			return;
		get_page(from);
		from->locked = true;
		list_del(&from->lru);
		b->list.isolated_pages++;
		w.isolated = from;
		return;
	}
	to = chance(8) ? NULL : alloc_pages(GFP_HIGHUSER_MOVABLE, 0);
	if (to)
		to->locked = true;
	moved = to && b->list.migratepage(&b->list, to, from, MIGRATE_SYNC) == MIGRATEPAGE_SUCCESS;
	w.isolated = NULL;
	w.moved += moved;
	from->locked = false;
	if (to)
		to->locked = false;
	if (!moved) {
		kernel_link(&from->lru, &b->list.pages);
		b->list.isolated_pages--;
	}
	put_page(from);
	if (to)
		put_page(to);
}

static void programs_go_on(void)
{
	struct err err;

	for (u32 n = (u32)rng_below(&w.rng, 200); n--;) {
		if (w.programs && chance(2)) {
			const u32 i = (u32)rng_below(&w.rng, w.programs);
			put_page(w.program[i]);
			w.program[i] = w.program[--w.programs];
			continue;
		}
		struct page *p = alloc_pages(GFP_HIGHUSER_MOVABLE, 0);
		if (!p)
			continue;
		w.program[w.programs++] = p;
		const ppn_t ppn = {(u32)page_to_pfn(p)};
		CU_ASSERT_EQUAL_FATAL(pmap_touch(w.vm->pmap, ppn, ACCESS_WRITE, &err), 0);
	}
}

/* Every reference is somebody's. */
static void audit(struct bb *b)
{
	static int due[PAGES];
	u32 listed = 0, giving = 0, wrong = 0;
	struct page *p;

	memset(due, 0, sizeof due);
	list_for_each_entry(p, &b->list.pages, lru)
	{
		due[page_to_pfn(p)]++;
		listed++;
	}
	CU_ASSERT_EQUAL_FATAL(b->list.isolated_pages, w.isolated != NULL);
	CU_ASSERT_EQUAL_FATAL(b->size, listed + b->list.isolated_pages);
	for (u32 i = 0; i < b->pending; i++) {
		const struct bb_batch *batch = b->window[(b->oldest + i) % BB_WINDOW];
		giving += batch->type == BALLOON_MSG_INFLATE ? batch->n : 0;
		for (u32 k = 0; k < batch->n; k++)
			due[page_to_pfn(batch->page[k])]++;
	}
	CU_ASSERT_EQUAL_FATAL(b->giving, giving);
	for (u32 i = 0; i < w.programs; i++)
		due[page_to_pfn(w.program[i])]++;
	if (w.isolated)
		due[page_to_pfn(w.isolated)] += 2; /* the balloon's, and compaction's */
	if (w.glimpsed)
		due[page_to_pfn(w.glimpsed)]++;
	for (u32 i = 0; i < PAGES; i++)
		wrong += kernel_pages[i].count != due[i];
	CU_ASSERT_EQUAL_FATAL(wrong, 0);
}

static void open_world(enum temper temper)
{
	struct host_opts opts = {.frames = PAGES, .backing = &backing_ids.policy};
	const struct cost_opts cost = {0};
	struct balloon_opts balloon;
	struct pmap_part *pmaps;
	struct err err;

	w = (struct world){.temper = temper};
	memset(kernel_pages, 0, sizeof kernel_pages);
	kernel_now = 1;
	rng_init(&w.rng, test_seed(1), "balloon-linux", temper);
	opts.thresholds = thresholds_list[0];
	CU_ASSERT_EQUAL_FATAL(opt_defaults(&balloon_section, &balloon), 0);
	balloon.cap = 1;
	balloon.messages = 1000000;
	balloon.rate = UINT64_C(1) << 40;
	balloon.interrupt = true;
	balloon.distrust = 1000000000;
	CU_ASSERT_EQUAL_FATAL(host_new(&opts, &cost, &w.host, &err), 0);
	CU_ASSERT_EQUAL_FATAL(pmap_part_new(w.host, &pmaps), 0);
	CU_ASSERT_EQUAL_FATAL(balloon_open(w.host, pmaps, &balloon, &w.balloon, &err), 0);
	CU_ASSERT_EQUAL_FATAL(vm_add(w.host, "linux", PAGES, &w.vm, &err), 0);
	CU_ASSERT_EQUAL_FATAL(ring_host_init(&w.ring, w.region, REGION), 0);
	const struct balloon_end end = ring_as_end(&w.ring);
	balloon_connect(w.balloon, w.vm, &end);

	static struct pci_dev pdev;
	static struct bb_batch window[BB_WINDOW];
	struct bb *b = &w.bb;
	b->pdev = &pdev;
	b->poll_ms = 1000;
	b->rate = bb_rate_start;
	b->backoff_ms = bb_backoff_ms;
	b->doorbell = true;
	for (int i = 0; i < BB_WINDOW; i++)
		b->window[i] = &window[i];
	bb_pages_init(b);
	CU_ASSERT_EQUAL_FATAL(bb_channel_init(&b->ch, w.region, REGION, NULL), 0);
}

/* The module goes: all is the guest's again. */
static void close_world(void)
{
	struct bb *b = &w.bb;

	while (w.isolated)
		compact(b);
	w.busy = true;
	while (w.glimpsed)
		compaction_looks();
	mutex_lock(&b->lock);
	bb_bye(b);
	mutex_unlock(&b->lock);
	audit(b);
	CU_ASSERT_EQUAL(b->size, 0);
	CU_ASSERT_EQUAL(b->pending, 0);
	CU_ASSERT_EQUAL(host_audit(w.host, stdout), 0);
}

static void step(struct bb *b)
{
	const u64 what = rng_below(&w.rng, 100);

	if (what < 60)
		turn(b);
	else if (what < 75)
		programs_go_on();
	else if (what < 95)
		compact(b);
	else if (what < 97)
		run_out(b);
	else {
		w.vm->target = (u32)rng_below(&w.rng, PAGES);
		w.host->reclaimer[0].reclaimer->retarget(w.host->reclaimer[0].ctx, w.vm);
	}
}

static void play(enum temper temper)
{
	const struct balloon_vm_stats *told;
	u64 most = 0;

	open_world(temper);
	for (int i = 0; i < STEPS; i++) {
		step(&w.bb);
		audit(&w.bb);
		most = max(most, (u64)w.bb.size);
	}
	told = &balloon_of(w.balloon, w.vm)->stats;
	printf("  most %llu pages, %llu in, %llu out, %u moved, %llu refused, %u restarts, %llu "
	       "times void, %llu popped\n",
	       (unsigned long long)most, (unsigned long long)told->inflated,
	       (unsigned long long)told->deflated, w.moved, (unsigned long long)w.bb.count.refusals,
	       w.restarts, (unsigned long long)w.bb.count.resets, (unsigned long long)told->popped);
	CU_ASSERT_TRUE(most > PAGES / 4);
	CU_ASSERT_TRUE(told->inflated > PAGES);
	CU_ASSERT_TRUE(told->deflated > 0);
	CU_ASSERT_TRUE(w.moved > 20);
	CU_ASSERT_EQUAL(w.bb.count.resets > 0, temper >= RESTARTS);
	if (temper < RESTARTS) {
		CU_ASSERT_EQUAL(told->popped, 0);
		CU_ASSERT_EQUAL(told->refused, 0);
		CU_ASSERT_EQUAL(told->bad_messages, 0);
	}
	close_world();
	if (temper < RESTARTS) {
		balloon_contact(w.balloon, w.vm);
		CU_ASSERT_EQUAL(w.vm->pmap->count[PAGE_BALLOONED], 0);
	}
	host_free(w.host);
}

static void test_honest(void)
{
	play(HONEST);
}

static void test_slow(void)
{
	play(SLOW);
}

static void test_restarts(void)
{
	play(RESTARTS);
}

static void test_rubbish(void)
{
	play(RUBBISH);
}

TESTS("model/balloon-linux", {"honest host", test_honest}, {"slow host", test_slow},
      {"host that restarts", test_restarts}, {"rubbish in the rings", test_rubbish})
