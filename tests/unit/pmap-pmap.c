#include "host.h"

#include "core/rng.h"

#include <errno.h>

#define FLAGS (PTE_R | PTE_W | PTE_ACCESSED | PTE_STORE | PTE_PINNED)
/* what a page has with its first frame */
#define FIRST (PTE_R | PTE_W | PTE_CHANGED | PTE_RECENT)

static void expect(const struct vm *vm, uint32_t page, enum page_state state, pte_t flags)
{
	pte_t e = test_entry(vm, page);

	CU_ASSERT_EQUAL(pte_state(e), state);
	CU_ASSERT_EQUAL(e & FLAGS, flags);
	CU_ASSERT_EQUAL(e & ((1u << 16) - 1) & ~(PTE_R | PTE_W), 0); /* where other kinds point */
}

static void entries_hold_what_they_are_made_of(void)
{
	static const uint32_t values[] = {0, 1, 0x12345678, UINT32_MAX};

	for (int s = 0; s < PAGE_STATES; s++) {
		CU_ASSERT_PTR_NOT_NULL(page_state_names[s]);
		for (size_t v = 0; v < ARRAY_LEN(values); v++) {
			pte_t e = pte_make((enum page_state)s, values[v], PTE_R | PTE_LOGGED);
			CU_ASSERT_EQUAL(pte_state(e), s);
			CU_ASSERT_EQUAL(pte_value(e), values[v]);
			CU_ASSERT_EQUAL(pte_mpn(e).n, values[v]);
			CU_ASSERT_EQUAL(e & FLAGS, PTE_R | PTE_LOGGED);
			CU_ASSERT_EQUAL(pte_resident(e), s == PAGE_PRIVATE || s == PAGE_SHARED);
		}
	}
}

static void touches_set_bits_by_their_kind(void)
{
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 4});
	struct vm *vm = test_vm(&t, "a", 4);
	expect(vm, 0, PAGE_UNBACKED, 0);
	test_hit(vm, 0, ACCESS_READ);
	expect(vm, 0, PAGE_PRIVATE, FIRST | PTE_ACCESSED);
	test_hit(vm, 1, ACCESS_WRITE);
	expect(vm, 1, PAGE_PRIVATE, PTE_R | PTE_W | PTE_ACCESSED | PTE_STORE);
	test_hit(vm, 0, ACCESS_WRITE);
	expect(vm, 0, PAGE_PRIVATE, PTE_R | PTE_W | PTE_ACCESSED | PTE_STORE);
	test_hit(vm, 0, ACCESS_READ); /* takes nothing back */
	expect(vm, 0, PAGE_PRIVATE, PTE_R | PTE_W | PTE_ACCESSED | PTE_STORE);
	(void)pmap_peek(vm->pmap, (ppn_t){2});
	expect(vm, 2, PAGE_UNBACKED, 0);
	CU_ASSERT_EQUAL(test_stat(&vm->stats, "faults"), 2);
	CU_ASSERT_EQUAL(test_stat(&vm->stats, "zero_fills"), 2);
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_PRIVATE], 2);
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_UNBACKED], 2);
	CU_ASSERT_EQUAL(vm->time_ns, 2 * (1000 + 300)); /* two faults with zeroing */
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* Out to swap and back: what samplers, sharing and the log must know lasts, DIRTY does not. */
static void lasting_flags_survive_swap(void)
{
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 2, .victim = "fifo"});
	struct vm *vm = test_vm(&t, "a", 8);
	test_hit(vm, 0, ACCESS_WRITE);
	test_hit(vm, 1, ACCESS_READ);
	test_hit(vm, 2, ACCESS_READ);
	test_hit(vm, 3, ACCESS_READ);
	expect(vm, 0, PAGE_SWAPPED, PTE_ACCESSED | (PTE_STORE & ~PTE_DIRTY));
	expect(vm, 1, PAGE_SWAPPED, PTE_ACCESSED | PTE_CHANGED | PTE_RECENT);
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_SWAPPED], 2);
	CU_ASSERT_EQUAL(pmap_harvest_accessed(vm->pmap, (ppn_t){0}, 1, NULL, NULL), 1);
	expect(vm, 0, PAGE_SWAPPED, PTE_STORE & ~PTE_DIRTY);
	test_hit(vm, 0, ACCESS_READ);
	expect(vm, 0, PAGE_PRIVATE, FIRST | PTE_ACCESSED | (PTE_STORE & ~PTE_DIRTY));
	CU_ASSERT_EQUAL(test_stat(&vm->stats, "faults"), 5);
	CU_ASSERT_EQUAL(test_stat(&vm->stats, "zero_fills"), 4);
	CU_ASSERT_EQUAL(test_stat(&vm->stats, "swap_ins"), 1);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

static void dropped_pages_read_as_zero(void)
{
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 2, .backing = "ram", .victim = "fifo"});
	struct vm *vm = test_vm(&t, "a", 4);
	for (uint32_t i = 0; i < 4; i++)
		test_fill(vm, i, 10 + i);
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "swap_slots_used"), 2);
	for (uint32_t i = 0; i < 4; i++) { /* two swapped, two in memory */
		pmap_drop(vm->pmap, (ppn_t){i});
		expect(vm, i, PAGE_UNBACKED, PTE_LOGGED);
		pmap_drop(vm->pmap, (ppn_t){i}); /* nothing is left to free */
	}
	CU_ASSERT_EQUAL(t.m->free, 2);
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "swap_slots_used"), 0);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_TRUE(test_reads_as(vm, i, 0));
	test_host_free(&t);
}

static void contents_are_a_write(void)
{
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 2, .backing = "ram"});
	struct vm *vm = test_vm(&t, "a", 2);
	test_fill(vm, 1, 77);
	expect(vm, 1, PAGE_PRIVATE, FIRST | PTE_ACCESSED | (PTE_STORE & ~PTE_UNNAMED));
	CU_ASSERT_TRUE(test_reads_as(vm, 1, 77));
	test_hit(vm, 1, ACCESS_WRITE); /* of who knows what */
	expect(vm, 1, PAGE_PRIVATE, PTE_R | PTE_W | PTE_ACCESSED | PTE_STORE);
	test_fill(vm, 1, 0);
	CU_ASSERT_TRUE(test_reads_as(vm, 1, 0));
	test_host_free(&t);
}

#define PAGES 50

struct seen {
	bool page[PAGES];
	uint32_t last, n;
};

static void see(void *arg, ppn_t ppn)
{
	struct seen *s = arg;

	CU_ASSERT_TRUE(ppn.n < PAGES && !s->page[ppn.n] && (s->n == 0 || ppn.n > s->last));
	s->page[ppn.n] = true;
	s->last = ppn.n;
	s->n++;
}

/* Random ranges against two arrays of what was touched and written since. */
static void harvests_find_what_was_touched(void)
{
	bool accessed[PAGES] = {false}, written[PAGES] = {false};
	struct test_host t;
	struct rng rng;

	rng_init(&rng, test_seed(8), "harvest", 0);
	test_host_new(&t, (struct test_shape){.frames = 20});
	struct vm *vm = test_vm(&t, "a", PAGES);
	for (int i = 0; i < 20000; i++) {
		uint32_t page = (uint32_t)rng_below(&rng, PAGES);
		uint32_t n = (uint32_t)rng_below(&rng, PAGES + 20);
		unsigned what = (unsigned)rng_below(&rng, 40);
		bool *twin = what == 0 ? accessed : written;
		struct seen seen = {.n = 0};
		if (what > 1) {
			bool write = what % 3 == 0;
			test_hit(vm, page, write ? ACCESS_WRITE : ACCESS_READ);
			accessed[page] = true;
			written[page] |= write;
			continue;
		}
		if (n == PAGES + 19)
			n = UINT32_MAX; /* to the end, whatever it is */
		uint32_t found =
			what == 0 ? pmap_harvest_accessed(vm->pmap, (ppn_t){page}, n, see, &seen)
				  : pmap_harvest_dirty(vm->pmap, (ppn_t){page}, n, see, &seen);
		CU_ASSERT_EQUAL(found, seen.n);
		for (uint32_t k = 0; k < PAGES; k++) {
			bool in = k >= page && k - page < n;
			CU_ASSERT_EQUAL(seen.page[k], in && twin[k]);
			if (in)
				twin[k] = false;
		}
	}
	test_host_free(&t);
}

/* What each touch of a sampled page is worth, in time, and whom it is told. */
struct told {
	uint32_t n, minor, page;
};

static void tell(void *ctx, struct pmap *pmap, ppn_t ppn, bool minor)
{
	struct told *told = ctx;

	CU_ASSERT_FALSE(pmap_peek(pmap, ppn) & PTE_SAMPLED);
	told->n++;
	told->minor += minor;
	told->page = ppn.n;
}

static void sampled_pages_report_their_next_touch(void)
{
	struct told told = {0};
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 2, .victim = "fifo", .read_ns = 7000});
	t.pmaps->sample = (struct sample_watch){tell, &told};
	struct vm *vm = test_vm(&t, "a", 4);
	test_hit(vm, 0, ACCESS_WRITE);
	uint64_t then = vm->time_ns;
	pmap_sample(vm->pmap, (ppn_t){0});
	pmap_sample(vm->pmap, (ppn_t){0}); /* once more changes nothing */
	expect(vm, 0, PAGE_PRIVATE, PTE_ACCESSED | PTE_STORE);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_hit(vm, 0, ACCESS_READ);
	expect(vm, 0, PAGE_PRIVATE, PTE_R | PTE_W | PTE_ACCESSED | PTE_STORE);
	CU_ASSERT_EQUAL(told.n, 1);
	CU_ASSERT_EQUAL(told.minor, 1);
	test_hit(vm, 0, ACCESS_WRITE);
	CU_ASSERT_EQUAL(told.n, 1);
	CU_ASSERT_EQUAL(vm->time_ns, then); /* what a minor fault costs is the watcher's */
	CU_ASSERT_EQUAL(test_stat(&vm->stats, "faults"), 1);
	pmap_sample(vm->pmap, (ppn_t){0});
	pmap_unsample(vm->pmap, (ppn_t){0});
	pmap_unsample(vm->pmap, (ppn_t){0});
	expect(vm, 0, PAGE_PRIVATE, PTE_R | PTE_W | PTE_ACCESSED | PTE_STORE);
	pmap_sample(vm->pmap, (ppn_t){0});
	pmap_sample(vm->pmap, (ppn_t){3}); /* never touched yet */
	test_hit(vm, 1, ACCESS_READ);
	test_hit(vm, 2, ACCESS_READ); /* page 0 goes */
	CU_ASSERT_EQUAL(told.n, 1);
	expect(vm, 0, PAGE_SWAPPED, PTE_ACCESSED | (PTE_STORE & ~PTE_DIRTY));
	CU_ASSERT_TRUE(test_entry(vm, 0) & PTE_SAMPLED);
	pmap_drop(vm->pmap, (ppn_t){0});
	CU_ASSERT_TRUE(test_entry(vm, 0) & PTE_SAMPLED);
	test_hit(vm, 0, ACCESS_READ); /* and comes: no minor fault, but a touch */
	CU_ASSERT_EQUAL(told.n, 2);
	CU_ASSERT_EQUAL(told.page, 0);
	test_hit(vm, 3, ACCESS_WRITE);
	CU_ASSERT_EQUAL(told.n, 3);
	CU_ASSERT_EQUAL(told.page, 3);
	CU_ASSERT_EQUAL(told.minor, 1);
	CU_ASSERT_EQUAL(vm->time_ns, 5 * (1000 + 300));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	vm->pmap->pte[3] |= PTE_SAMPLED; /* and may be touched all the same */
	CU_ASSERT_EQUAL(test_audit_quietly(&t), 1);
	vm->pmap->pte[3] &= ~PTE_SAMPLED;
	test_host_free(&t);
}

static void hide(void *ctx, ppn_t ppn)
{
	*(uint32_t *)ctx = *(uint32_t *)ctx * 10 + ppn.n;
}

/* Whoever drives the guest takes the page from its sight, once a sample. */
static void sampled_pages_are_hidden(void)
{
	uint32_t hidden = 0;
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 4});
	struct vm *vm = test_vm(&t, "a", 4);
	vm->pmap->hide = hide;
	vm->pmap->hide_ctx = &hidden;
	test_hit(vm, 1, ACCESS_WRITE);
	pmap_sample(vm->pmap, (ppn_t){1});
	pmap_sample(vm->pmap, (ppn_t){1});
	pmap_sample(vm->pmap, (ppn_t){2});
	CU_ASSERT_EQUAL(hidden, 12);
	test_hit(vm, 1, ACCESS_READ);
	pmap_sample(vm->pmap, (ppn_t){1});
	CU_ASSERT_EQUAL(hidden, 121);
	test_host_free(&t);
}

/* A touch that fails leaves the page sampled, and is none. */
static void failed_touches_are_not_reported(void)
{
	struct told told = {0};
	struct test_host t;
	struct err err;

	test_host_new(&t, (struct test_shape){.frames = 1, .victim = "none"});
	t.pmaps->sample = (struct sample_watch){tell, &told};
	struct vm *vm = test_vm(&t, "a", 2);
	test_hit(vm, 0, ACCESS_READ);
	pmap_sample(vm->pmap, (ppn_t){1});
	pte_t before = test_entry(vm, 1);
	CU_ASSERT_EQUAL(pmap_touch(vm->pmap, (ppn_t){1}, ACCESS_READ, &err), -ENOMEM);
	CU_ASSERT_EQUAL(test_entry(vm, 1), before);
	CU_ASSERT_EQUAL(told.n, 0);
	test_host_free(&t);
}

/* A state of another part: its handler is asked, and without one the VM is told. */
static int pops;

static int pop(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access, struct err *err)
{
	mpn_t mpn = machine_take(&pmap->vm->host->machine);

	(void)err;
	CU_ASSERT_PTR_EQUAL(ctx, &pops);
	CU_ASSERT_EQUAL(access, ACCESS_WRITE);
	pops++;
	pmap_map_private(pmap, ppn, mpn, PAGE_BALLOONED);
	return 0;
}

static void states_have_handlers(void)
{
	struct test_host t;
	struct err err = {0};

	test_host_new(&t, (struct test_shape){.no_swap = true});
	struct vm *vm = test_vm(&t, "a", 3);
	test_hit(vm, 1, ACCESS_WRITE);
	machine_untake(t.m, pmap_unmap_private(vm->pmap, (ppn_t){1}, PAGE_BALLOONED, 5));
	expect(vm, 1, PAGE_BALLOONED, PTE_ACCESSED | (PTE_STORE & ~PTE_DIRTY));
	pte_t before = test_entry(vm, 1);
	CU_ASSERT_EQUAL(pmap_touch(vm->pmap, (ppn_t){1}, ACCESS_READ, &err), -EFAULT);
	CU_ASSERT_STRING_EQUAL(err.msg, "page 1 is ballooned and nothing here can resolve that");
	CU_ASSERT_EQUAL(test_entry(vm, 1), before);
	pmap_handle(t.pmaps, PAGE_BALLOONED, &(struct page_handler){.fault = pop, .ctx = &pops});
	pops = 0;
	CU_ASSERT_EQUAL(pmap_touch(vm->pmap, (ppn_t){1}, ACCESS_WRITE, &err), 0);
	CU_ASSERT_EQUAL(pops, 1);
	expect(vm, 1, PAGE_PRIVATE, PTE_R | PTE_W | PTE_ACCESSED | PTE_STORE);
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_BALLOONED], 0);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* Each alone, and undone before the next. */
static void the_audit_finds_damage(void)
{
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 4, .victim = "fifo"});
	struct vm *a = test_vm(&t, "a", 4), *b = test_vm(&t, "b", 4);
	for (uint32_t i = 0; i < 4; i++)
		test_hit(i % 2 ? a : b, i, ACCESS_WRITE);
	test_hit(a, 0, ACCESS_WRITE); /* b's page 0 is swapped now, a's page 1 private */
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	pte_t *e = &a->pmap->pte[1], good = *e;
	const pte_t bad[] = {
		pte_make(PAGE_PRIVATE, pte_value(a->pmap->pte[3]), good & FLAGS), /* another's */
		pte_make(PAGE_PRIVATE, 4, good & FLAGS), /* no such frame */
		pte_make(PAGE_PRIVATE, UINT32_MAX, good & FLAGS),
		pte_make(PAGE_UNBACKED, 0, 0),	   /* a frame that nobody maps */
		pte_make(PAGE_UNBACKED, 0, PTE_R), /* may be read without a frame */
		pte_make(PAGE_SWAPPED, pte_value(b->pmap->pte[0]), 0), /* b's slot */
		pte_make(PAGE_SWAPPED, 100, 0),			       /* a free slot */
		pte_make(PAGE_SWAPPED, UINT32_MAX, 0),		       /* no such slot */
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		*e = bad[i];
		CU_ASSERT_TRUE(test_audit_quietly(&t) > 0);
		*e = good;
		CU_ASSERT_EQUAL(test_audit(&t), 0);
	}
	for (int s = 0; s < PAGE_STATES; s++) {
		b->pmap->count[s]++;
		CU_ASSERT_EQUAL(test_audit_quietly(&t), 1);
		b->pmap->count[s]--;
	}
	struct frame *f = &t.m->frame[pte_value(good)];
	f->ppn = 2; /* the frame says another page, another VM */
	CU_ASSERT_EQUAL(test_audit_quietly(&t), 1);
	f->ppn = 1;
	f->vm = b->id;
	CU_ASSERT_EQUAL(test_audit_quietly(&t), 1);
	f->vm = a->id;
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* The manager's own memory for a page of a guest: 8 bytes here. */
static void entries_are_metered(void)
{
	struct test_host t;

	test_host_new(&t, (struct test_shape){.no_swap = true});
	uint64_t before = t.host->meter.bytes;
	test_vm(&t, "a", 1000);
	CU_ASSERT_EQUAL(t.host->meter.bytes, before + 8000);
	test_host_free(&t);
}

TESTS("pmap/pmap", {"entries", entries_hold_what_they_are_made_of},
      {"touches", touches_set_bits_by_their_kind}, {"lasting flags", lasting_flags_survive_swap},
      {"drop", dropped_pages_read_as_zero}, {"contents", contents_are_a_write},
      {"harvest", harvests_find_what_was_touched}, {"handlers", states_have_handlers},
      {"sampled pages", sampled_pages_report_their_next_touch},
      {"hidden pages", sampled_pages_are_hidden},
      {"failed touches", failed_touches_are_not_reported},
      {"audit finds damage", the_audit_finds_damage}, {"metered", entries_are_metered})
