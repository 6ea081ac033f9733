/* What a guest that replays a trace gives to its balloon, and what a touch of it costs. */
#include "host.h"

#include "traces/replay_guest.h"

#include <errno.h>

#define PAGES	10
#define READ_NS 5000

struct stage {
	struct test_host t;
	struct vm *vm;
	struct replay_guest *guest;
	struct driver_guest table;
	struct oracle *oracle;
};

static void stage_open(struct stage *s)
{
	struct err err;

	test_host_new(&s->t,
		      (struct test_shape){.frames = PAGES, .backing = "ram", .no_swap = true});
	s->vm = test_vm(&s->t, "a", PAGES);
	CU_ASSERT_EQUAL_FATAL(oracle_new(&s->oracle), 0);
	CU_ASSERT_EQUAL_FATAL(replay_guest_new(s->vm, s->oracle, READ_NS, &s->guest, &err), 0);
	s->table = replay_guest_table(s->guest);
}

static void stage_close(struct stage *s)
{
	CU_ASSERT_EQUAL(test_audit(&s->t), 0);
	replay_guest_free(s->guest);
	test_host_free(&s->t);
	oracle_free(s->oracle);
}

static void fill(struct stage *s, uint32_t page)
{
	test_fill(s->vm, page, 100 + page);
	CU_ASSERT_EQUAL(oracle_write(s->oracle, s->vm, (ppn_t){page}, 100 + page), 0);
}

/* The next page given, or -1; it is given up as the host would. */
static int give(struct stage *s)
{
	ppn_t ppn;

	if (s->table.alloc_page(s->table.ctx, &ppn))
		return -1;
	pmap_give_up(s->vm->pmap, ppn);
	return (int)ppn.n;
}

/* By hand: the hand clears what was touched, and takes what was not touched since. */
static void second_chance(void)
{
	struct stage s;
	ppn_t ppn;

	stage_open(&s);
	CU_ASSERT_EQUAL(s.table.alloc_page(s.table.ctx, &ppn), -ENOMEM); /* nothing there */
	for (uint32_t i = 0; i < 6; i++) /* 6 to 9 never have contents */
		fill(&s, i);
	s.vm->pmap->pte[0] |= PTE_PINNED;
	CU_ASSERT_EQUAL(give(&s), 1); /* all were touched: the second turn */
	CU_ASSERT_EQUAL(give(&s), 2);
	test_hit(s.vm, 3, ACCESS_READ);
	CU_ASSERT_EQUAL(give(&s), 4);
	CU_ASSERT_EQUAL(give(&s), 5);
	CU_ASSERT_EQUAL(give(&s), 3); /* its second chance is over */
	CU_ASSERT_EQUAL(give(&s), -1);
	struct guest_memory m;
	s.table.stats(s.table.ctx, &m);
	CU_ASSERT_EQUAL(m.total, PAGES);
	CU_ASSERT_EQUAL(m.swapped, 5);
	CU_ASSERT_EQUAL(m.free, 4);
	for (uint32_t i = 1; i < 6; i++)
		s.table.free_page(s.table.ctx, (ppn_t){i});
	stage_close(&s);
}

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

/* A page that comes back holds zeros, and the oracle knows. */
static void contents(void)
{
	struct stage s;
	struct err err;
	ppn_t ppn;

	stage_open(&s);
	for (uint32_t i = 0; i < PAGES; i++)
		fill(&s, i);
	CU_ASSERT_EQUAL(give(&s), 0);
	pmap_drop(s.vm->pmap, (ppn_t){0}); /* deflated by the host */
	s.table.free_page(s.table.ctx, (ppn_t){0});
	CU_ASSERT_EQUAL(s.table.alloc_page(s.table.ctx, &ppn), 0); /* refused by the host */
	s.table.free_page(s.table.ctx, ppn);
	CU_ASSERT_EQUAL(oracle_check(s.oracle, s.vm, read_page, stdout, &err), 0);
	stage_close(&s);
}

static void touched(void)
{
	struct stage s;

	stage_open(&s);
	fill(&s, 4);
	CU_ASSERT_EQUAL(give(&s), 4);
	uint64_t before = s.vm->time_ns;
	pmap_drop(s.vm->pmap, (ppn_t){4});
	s.table.popped(s.table.ctx, (ppn_t){4});
	CU_ASSERT_EQUAL(s.vm->time_ns, before + READ_NS);
	struct guest_memory m;
	s.table.stats(s.table.ctx, &m);
	CU_ASSERT_EQUAL(m.swapped, 0);
	CU_ASSERT_EQUAL(m.swap_ins, 1);
	CU_ASSERT_EQUAL(m.faults, 1);
	stage_close(&s);
}

TESTS("traces/replay_guest", {"second chance", second_chance}, {"contents", contents},
      {"touched", touched})
