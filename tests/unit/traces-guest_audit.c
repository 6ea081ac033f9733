/* Damage of every kind is found; sound accounts are passed by every other test. */
#include "guest.h"

static struct test_guest t;
static struct gfile *f;
static struct gproc *p;

static void open_all(void)
{
	guest_new(&t, (struct guest_shape){0});
	CU_ASSERT_EQUAL_FATAL(file_new(t.g, 10, 10, CONTENT_OWN, &f), 0);
	CU_ASSERT_EQUAL_FATAL(proc_new(t.g, &p), 0);
	for (uint64_t i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(proc_touch(p, i, ACCESS_WRITE), 0);
	reclaim(t.g, 10); /* ten are on their way to swap */
	CU_ASSERT_EQUAL(file_write(t.g, f, 0, 10), 0);
	CU_ASSERT_EQUAL(t.g->list[LIST_WRITEBACK].n, 10);
	CU_ASSERT_EQUAL(test_audit(&t.t), 0);
}

#define FINDS(damage, mend)                                                                        \
	do {                                                                                       \
		damage;                                                                            \
		CU_ASSERT(test_audit_quietly(&t.t) > 0);                                           \
		mend;                                                                              \
		CU_ASSERT_EQUAL(test_audit(&t.t), 0);                                              \
	} while (0)

static void counts(void)
{
	open_all();
	FINDS(t.g->stats.cached++, t.g->stats.cached--);
	FINDS(t.g->stats.dirty--, t.g->stats.dirty++);
	FINDS(t.g->stats.anon++, t.g->stats.anon--);
	FINDS(t.g->stats.kernel++, t.g->stats.kernel--);
	FINDS(t.g->stats.tables++, t.g->stats.tables--);
	FINDS(t.g->stats.balloon++, t.g->stats.balloon--);
	FINDS(t.g->stats.swapped++, t.g->stats.swapped--);
	FINDS(f->cached++, f->cached--);
	FINDS(f->dirty++, f->dirty--);
	FINDS(p->resident++, p->resident--);
	FINDS(t.g->swap.used--, t.g->swap.used++);
	guest_free(&t);
}

static void owners(void)
{
	open_all();
	uint32_t cached = f->page[3], out = t.g->list[LIST_WRITEBACK].head;
	uint32_t anon = t.g->list[LIST_ANON_INACTIVE].head;
	gpte_t *e = proc_entry(p, t.g->page[anon].index), was = *e;
	FINDS(f->page[3] = NO_PAGE, f->page[3] = cached);
	FINDS(t.g->page[cached].index = 4, t.g->page[cached].index = 3);
	FINDS(t.g->page[cached].owner = 1000, t.g->page[cached].owner = f->id);
	FINDS(*e = 0, *e = was);
	FINDS(t.g->swap.page[t.g->page[out].slot] = NO_PAGE,
	      t.g->swap.page[t.g->page[out].slot] = out);
	guest_free(&t);
}

static void lists(void)
{
	open_all();
	uint32_t page = t.g->list[LIST_CACHE_INACTIVE].head, next = t.g->page[page].next;
	FINDS(t.g->list[LIST_CACHE_INACTIVE].n++, t.g->list[LIST_CACHE_INACTIVE].n--);
	FINDS(t.g->page[page].next = NO_PAGE, t.g->page[page].next = next);
	FINDS(t.g->page[page].next = page, t.g->page[page].next = next);
	FINDS(t.g->page[page].list = LIST_NONE, t.g->page[page].list = LIST_CACHE_INACTIVE);
	guest_free(&t);
}

TESTS("traces/guest_audit", {"counts", counts}, {"owners", owners}, {"lists", lists})
