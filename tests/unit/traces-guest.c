#include "guest.h"

#include <errno.h>

/* What the host's page holds, as a write back reads it. */
static void contents(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	CU_ASSERT_EQUAL(gos_store(t.g, (ppn_t){5000}, 77), 0);
	CU_ASSERT_EQUAL(gos_fetch(t.g, 5000), 77);
	CU_ASSERT_EQUAL(gos_touch(t.g, (ppn_t){5000}, ACCESS_WRITE), 0);
	CU_ASSERT_EQUAL(gos_fetch(t.g, 5000), CONTENT_OWN);
	CU_ASSERT_EQUAL(gos_store(t.g, (ppn_t){5000}, 0), 0);
	CU_ASSERT_EQUAL(gos_fetch(t.g, 5000), 0);
	guest_free(&t);
	guest_new(&t, (struct guest_shape){.backing = "ram", .oracle = true});
	CU_ASSERT_EQUAL(gos_store(t.g, (ppn_t){5000}, 77), 0);
	CU_ASSERT_EQUAL(gos_fetch(t.g, 5000), 77);
	CU_ASSERT_EQUAL(gos_touch(t.g, (ppn_t){5000}, ACCESS_WRITE), 0);
	uint64_t own = gos_fetch(t.g, 5000);
	CU_ASSERT(own != 77 && own != CONTENT_OWN);
	CU_ASSERT(test_reads_as(t.vm, 5000, own));
	guest_free(&t);
}

/* Pages that the host reads from its swap in vain. */
static void waste(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){.pages = 4096, .frames = 100});
	for (uint32_t i = 1000; i < 1200; i++)
		CU_ASSERT_EQUAL(gos_touch(t.g, (ppn_t){i}, ACCESS_WRITE), 0);
	CU_ASSERT_EQUAL(gos_store(t.g, (ppn_t){1199}, 1), 0);
	CU_ASSERT_EQUAL(t.g->stats.overwritten, 0);
	CU_ASSERT_EQUAL(gos_store(t.g, (ppn_t){1000}, 1), 0);
	CU_ASSERT_EQUAL(t.g->stats.overwritten, 1);
	gos_fetch(t.g, 1001);
	CU_ASSERT_EQUAL(t.g->stats.double_paged, 1);
	gos_fetch(t.g, 1001);
	CU_ASSERT_EQUAL(t.g->stats.double_paged, 1);
	guest_free(&t);
}

/* A host without a frame for it: the VM fails with the host's reason. */
static void no_frame(void)
{
	struct load_opts o = test_load("idle");
	struct load_ref load = {"i", &o};
	struct test_guest t;
	struct err err;

	o.memory = 8 << 20;
	o.duration = 1000000000;
	guest_new(&t, (struct guest_shape){.frames = 200, .loads = &load, .n = 1, .no_swap = true});
	CU_ASSERT_EQUAL(host_run(t.t.host, &err), 0);
	CU_ASSERT_EQUAL(t.vm->state, VM_FAILED);
	CU_ASSERT(test_one_line(&t.vm->err));
	test_host_free(&t.t);
}

static void statistics(void)
{
	struct test_guest t;

	guest_new(&t, (struct guest_shape){0});
	CU_ASSERT_EQUAL(test_stat(&t.vm->stats, "os_free"), pages_free(t.g));
	CU_ASSERT_EQUAL(test_stat(&t.vm->stats, "os_kernel"), 1);
	CU_ASSERT_STRING_EQUAL(guest_oses[0]->name, "none"); /* the default; run.c asks for it */
	guest_free(&t);
}

TESTS("traces/guest", {"contents", contents}, {"waste", waste}, {"no frame", no_frame},
      {"statistics", statistics})
