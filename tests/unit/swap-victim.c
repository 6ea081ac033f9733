#include "host.h"

#include <errno.h>

/* What the socket's contract asks for, of every policy. */
static void every_policy_keeps_the_contract(void)
{
	size_t n = 0;

	for (; victims[n]; n++) {
		const struct victim *v = (const struct victim *)victims[n];
		CU_ASSERT_PTR_NOT_NULL(v->pick);
		CU_ASSERT_TRUE(*v->policy.name && *v->policy.help);
		CU_ASSERT_PTR_EQUAL(policy_find(victims, v->policy.name), victims[n]);
	}
	CU_ASSERT_EQUAL(n, 7);
}

static void none_never_picks(void)
{
	struct test_host t;
	struct err err = {0};

	test_host_new(&t, (struct test_shape){.frames = 4, .victim = "none"});
	struct vm *vm = test_vm(&t, "a", 8);
	for (uint32_t i = 0; i < 4; i++)
		test_hit(vm, i, ACCESS_WRITE);
	CU_ASSERT_EQUAL(pmap_touch(vm->pmap, (ppn_t){4}, ACCESS_READ, &err), -ENOMEM);
	CU_ASSERT_TRUE(test_one_line(&err));
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_PRIVATE], 4);
	pmap_drop(vm->pmap, (ppn_t){0});
	test_hit(vm, 4, ACCESS_READ);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* A page read back leaves its copy: evicted again unchanged, it is not written. */
static void clean_pages_are_not_written_again(void)
{
	for (const struct policy *const *p = victims; *p; p++) {
		struct test_host t;
		if (strcmp((*p)->name, "none") == 0)
			continue;
		test_host_new(&t, (struct test_shape){.frames = 8, .victim = (*p)->name});
		struct vm *vm = test_vm(&t, "a", 12);
		for (uint32_t i = 0; i < 12; i++)
			test_fill(vm, i, i + 1);
		for (int round = 0; round < 50; round++) {
			for (uint32_t i = 0; i < 12; i++)
				CU_ASSERT_TRUE(test_reads_as(vm, i, i + 1));
		}
		uint64_t outs = test_stat(&vm->stats, "swap_outs");
		CU_ASSERT_TRUE(outs > 12);
		CU_ASSERT_TRUE(test_stat(&vm->stats, "swap_writes") <= 12);
		CU_ASSERT_EQUAL(outs - test_stat(&vm->stats, "swap_ins"), 12 - 8);
		CU_ASSERT_EQUAL(test_audit(&t), 0);
		test_host_free(&t);
	}
}

static int opened, closed;

static int opens_in_vain(void *state, const struct victim_env *env)
{
	*(struct victim_env *)state = *env;
	opened++;
	return -ENOMEM;
}

static void is_closed(void *state)
{
	CU_ASSERT_PTR_NOT_NULL(((const struct victim_env *)state)->host);
	closed++;
}

/* Without memory: a policy is closed if it was opened, whatever came of that. */
static void closed_if_opened(void)
{
	struct victim v = {
		.policy = {"vain", "gets no memory"},
		.state_size = sizeof(struct victim_env),
		.open = opens_in_vain,
		.close = is_closed,
		.track = (enum frame_track)3, /* which machine_track() has nothing for */
	};

	for (int i = 0; i < 2; i++, v.track = TRACK_STAMPS) {
		struct test_host t;
		struct swap *swap;
		struct err err = {0};
		test_host_new(&t, (struct test_shape){.frames = 4, .no_swap = true});
		opened = closed = 0;
		t.swap_opts.victim = &v.policy;
		CU_ASSERT_EQUAL(swap_open(t.host, t.pmaps, &t.swap_opts, 16, &os_io, &swap, &err),
				-ENOMEM);
		CU_ASSERT_EQUAL(opened, i);
		CU_ASSERT_EQUAL(closed, i);
		CU_ASSERT_TRUE(test_one_line(&err));
		test_host_free(&t);
	}
}

TESTS("swap/victim", {"contract", every_policy_keeps_the_contract}, {"none", none_never_picks},
      {"clean pages", clean_pages_are_not_written_again}, {"closed if opened", closed_if_opened})
