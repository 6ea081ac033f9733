/* The self-check finds what is planted. */
#include "host.h"

#include "sharing/private.h"

static void planted(void)
{
	struct test_host t;
	struct err err;

	test_host_new(&t, (struct test_shape){.scan = "sequential", .no_swap = true});
	struct vm *a = test_vm(&t, "a", 6), *b = test_vm(&t, "b", 6);
	CU_ASSERT_EQUAL(sharing_group(t.sharing, b, "other", &err), 0);
	for (uint32_t i = 0; i < 3; i++) {
		test_fill(a, i, 5);
		test_fill(b, i, 5);
	}
	test_fill(a, 3, 0);
	test_fill(a, 4, 6);
	sharing_scan(t.sharing, a, 6);
	sharing_scan(t.sharing, b, 6);
	CU_ASSERT_EQUAL_FATAL(test_audit(&t), 0);
	struct frame *f = &t.m->frame[pte_value(test_entry(a, 0))];
	struct hash_frame *e = table_entry(&t.sharing->table, f->ppn);
	const struct frame frame = *f;
	const struct hash_frame entry = *e;
	const pte_t pte = test_entry(b, 0);

	f->refs++; /* a count too high */
	CU_ASSERT_NOT_EQUAL(test_audit_quietly(&t), 0);
	*f = frame;
	f->ppn = 0; /* a frame that no index knows */
	CU_ASSERT_NOT_EQUAL(test_audit_quietly(&t), 0);
	*f = frame;
	e->place++; /* a table frame that stands for nothing */
	CU_ASSERT_NOT_EQUAL(test_audit_quietly(&t), 0);
	*e = entry;
	b->pmap->pte[0] = test_entry(a, 0); /* one frame for two groups */
	CU_ASSERT_NOT_EQUAL(test_audit_quietly(&t), 0);
	b->pmap->pte[0] = pte | PTE_W; /* a shared page that may be written */
	CU_ASSERT_NOT_EQUAL(test_audit_quietly(&t), 0);
	b->pmap->pte[0] = pte;
	t.sharing->stats.saved++;
	CU_ASSERT_NOT_EQUAL(test_audit_quietly(&t), 0);
	t.sharing->stats.saved--;
	t.sharing->vm[0]->stats.zero++;
	CU_ASSERT_NOT_EQUAL(test_audit_quietly(&t), 0);
	t.sharing->vm[0]->stats.zero--;
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

TESTS("sharing/audit", {"planted", planted})
