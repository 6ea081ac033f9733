#include "host.h"

#include "tax/admit.h"

#include <errno.h>

#define MB 256 /* pages */

static void promises_add_up(void)
{
	struct ledger l = {.frames = 100 * MB, .slots = 50 * MB};
	const struct promise a = {.min = 30 * MB, .max = 60 * MB, .overhead = 10 * MB},
			     b = {.min = 60 * MB, .max = 80 * MB};
	struct err err;

	CU_ASSERT_EQUAL(admit(&l, "a", &a, &err), 0);
	CU_ASSERT_EQUAL(admit(&l, "b", &b, &err), 0); /* both to the last page */
	CU_ASSERT_EQUAL(l.promised + l.overhead, l.frames);
	CU_ASSERT_EQUAL(l.swap, l.slots);
	admit_strike(&l, &a);
	admit_strike(&l, &b);
	CU_ASSERT_EQUAL(l.promised + l.overhead + l.swap, 0);
}

/* The figures that are missing are said, and nothing is entered. */
static void what_does_not_fit_is_refused(void)
{
	static const struct {
		struct promise p;
		const char *says;
	} cases[] = {
		{{.min = 50 * MB, .max = 60 * MB, .overhead = 21 * MB},
		 "vm x does not fit: its min of 50 MB and overhead of 21 MB need 1 MB more than "
		 "are "
		 "left of 100 MB of machine memory; the others have a min of 20 MB and overhead of "
		 "10 MB"},
		{{.min = 0, .max = 31 * MB},
		 "vm x does not fit: max - min, 31 MB, needs 1 MB more than are left of 50 MB of "
		 "swap; raise swap.size or vm.x.min"},
		{{.min = 2 * MB, .max = MB}, "vm x: its min of 2 MB is above its max of 1 MB"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ledger l = {.frames = 100 * MB, .slots = 50 * MB}, before;
		const struct promise other = {.min = 20 * MB, .max = 40 * MB, .overhead = 10 * MB};
		struct err err;
		CU_ASSERT_EQUAL(admit(&l, "o", &other, &err), 0);
		before = l;
		CU_ASSERT_EQUAL(admit(&l, "x", &cases[i].p, &err), -EINVAL);
		CU_ASSERT_STRING_EQUAL(err.msg, cases[i].says);
		CU_ASSERT_EQUAL(memcmp(&l, &before, sizeof l), 0);
	}
}

static void overhead_is_frames(void)
{
	struct test_host t;
	struct overhead *o;
	struct err err;

	test_host_new(&t, (struct test_shape){.frames = 100});
	CU_ASSERT_EQUAL_FATAL(overhead_open(t.host, &o, &err), 0);
	struct vm *a = test_vm(&t, "a", 10), *b = test_vm(&t, "b", 10), *c = test_vm(&t, "c", 10);
	a->overhead = 20;
	b->overhead = 30;
	CU_ASSERT_EQUAL(overhead_take(o, a, &err), 0);
	CU_ASSERT_EQUAL(overhead_take(o, b, &err), 0);
	CU_ASSERT_EQUAL(overhead_take(o, c, &err), 0); /* none is nothing */
	CU_ASSERT_EQUAL(t.m->overhead, 50);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	vm_retire(a, "the test says so");
	CU_ASSERT_EQUAL(t.m->overhead, 30);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	c->overhead = 101;
	CU_ASSERT_EQUAL(overhead_take(o, c, &err), -EINVAL);
	c->overhead = 71; /* there are 70, and nobody to take them from */
	CU_ASSERT_EQUAL(overhead_take(o, c, &err), -ENOMEM);
	CU_ASSERT_TRUE(test_one_line(&err));
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* A frame of the overhead that somebody else came to own. */
static void damage_is_found(void)
{
	struct test_host t;
	struct overhead *o;
	struct err err;

	test_host_new(&t, (struct test_shape){.frames = 100});
	CU_ASSERT_EQUAL_FATAL(overhead_open(t.host, &o, &err), 0);
	struct vm *a = test_vm(&t, "a", 10);
	a->overhead = 1;
	CU_ASSERT_EQUAL(overhead_take(o, a, &err), 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct frame *f = &t.m->frame[i];
		if (f->vm == FRAME_OVERHEAD && f->refs)
			f->vm = a->id;
	}
	CU_ASSERT_TRUE(test_audit_quietly(&t) > 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct frame *f = &t.m->frame[i];
		if (f->vm == a->id && f->refs)
			f->vm = FRAME_OVERHEAD;
	}
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

TESTS("tax/admit", {"promises add up", promises_add_up},
      {"what does not fit is refused", what_does_not_fit_is_refused},
      {"overhead is frames", overhead_is_frames}, {"damage is found", damage_is_found})
