#include "host.h"

#include <errno.h>

/* Parts and reclaimers that write down when they are called. */
struct witness {
	const char *name;
	char *log;  /* [256], of all witnesses */
	int refuse; /* what vm_added returns */
	size_t violations;
	struct machine *m; /* reclaimers: take from here... */
	uint32_t *hoard;   /* ...these frames, which back nothing */
	uint32_t hoarded, wanted;
	bool complain;
};

static void note(const struct witness *w, const char *what)
{
	size_t n = strlen(w->log);

	snprintf(w->log + n, 256 - n, "%s%s ", w->name, what);
}

static int added(void *ctx, struct vm *vm)
{
	struct witness *w = ctx;

	(void)vm;
	note(w, "+");
	return w->refuse;
}

static void emptied(void *ctx, struct vm *vm)
{
	(void)vm;
	note(ctx, "0");
}

static void removed(void *ctx, struct vm *vm)
{
	(void)vm;
	note(ctx, "-");
}

static size_t audit(void *ctx, FILE *out)
{
	const struct witness *w = ctx;

	for (size_t i = 0; i < w->violations; i++)
		fprintf(out, "%s is wrong\n", w->name);
	return w->violations;
}

static void closed(void *ctx)
{
	note(ctx, "x");
}

static const struct part witness_part = {"witness", added, emptied, removed, audit, closed};
static const struct part silent_part = {.name = "silent"};

static void guest_closed(void *state)
{
	note(state, "g");
}

static const struct guest witness_guest = {"witness", NULL, guest_closed};

static struct host *open_host(uint32_t frames, const char *thresholds)
{
	struct test_host t;

	test_host_new(&t, (struct test_shape){
				  .frames = frames, .thresholds = thresholds, .no_swap = true});
	return t.host;
}

static void parts_come_in_order_and_go_in_reverse(void)
{
	char log[256] = "";
	struct witness p[3] = {
		{.name = "a", .log = log}, {.name = "b", .log = log}, {.name = "c", .log = log}};
	struct host *host = open_host(4, NULL);
	struct vm *vm;
	struct err err;

	for (int i = 0; i < 3; i++)
		host_add_part(host, &witness_part, &p[i]);
	host_add_part(host, &silent_part, NULL); /* no hook is required */
	CU_ASSERT_EQUAL(vm_add(host, "one", 4, &vm, &err), 0);
	CU_ASSERT_STRING_EQUAL(log, "a+ b+ c+ ");
	vm_drive(vm, &witness_guest, &p[0]);
	*log = '\0';
	CU_ASSERT_EQUAL(host_audit(host, stdout), 0);
	p[0].violations = 2;
	p[2].violations = 1;
	FILE *null = fopen("/dev/null", "w");
	CU_ASSERT_EQUAL(host_audit(host, null), 3);
	fclose(null);
	host_free(host);
	CU_ASSERT_STRING_EQUAL(log, "c0 b0 a0 c- b- a- ag cx bx ax ");
	host_free(NULL);
}

static void a_part_that_refuses_a_vm_undoes_the_rest(void)
{
	char log[256] = "", name[] = "one";
	struct witness p[3] = {{.name = "a", .log = log},
			       {.name = "b", .log = log},
			       {.name = "c", .log = log, .refuse = -ENOMEM}};
	struct host *host = open_host(4, NULL);
	struct err err = {0};
	struct vm *vm;

	for (int i = 0; i < 3; i++)
		host_add_part(host, &witness_part, &p[i]);
	CU_ASSERT_EQUAL(vm_add(host, name, 4, &vm, &err), -ENOMEM);
	CU_ASSERT_STRING_EQUAL(log, "a+ b+ c+ b- a- ");
	CU_ASSERT_TRUE(test_one_line(&err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "vm one"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "witness"));
	CU_ASSERT_EQUAL(host->vms, 0);
	p[2].refuse = 0;
	CU_ASSERT_EQUAL(vm_add(host, name, 4, &vm, &err), 0);
	name[0] = '?'; /* the name was copied */
	CU_ASSERT_STRING_EQUAL(vm->name, "one");
	CU_ASSERT_EQUAL(vm->id, 0);
	CU_ASSERT_EQUAL(vm->pages, 4);
	CU_ASSERT_EQUAL(vm->state, VM_RUNNING);
	CU_ASSERT_EQUAL(host_audit(host, stdout), 0);
	host_free(host);
}

static void marks(void)
{
	static const struct {
		uint32_t frames;
		const char *thresholds;
		double low, high;
		uint32_t mark_low, mark_high;
	} cases[] = {
		{1000, "none", 0.04, 0.06, 0, 1},      {1, "none", 0.5, 0.9, 0, 1},
		{1000, "reserve", 0.04, 0.06, 40, 60}, {10, "reserve", 0.04, 0.06, 0, 1},
		{1000, "reserve", 0.05, 0.05, 50, 51}, {1, "reserve", 0.5, 0.9, 0, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct host_opts opts = {
			.frames = cases[i].frames,
			.backing = &backing_ids.policy,
			.thresholds = policy_find(thresholds_list, cases[i].thresholds),
			.reserve_low = cases[i].low,
			.reserve_high = cases[i].high,
		};
		const struct cost_opts cost = {0};
		struct host *host;
		struct err err;
		CU_ASSERT_EQUAL_FATAL(host_new(&opts, &cost, &host, &err), 0);
		CU_ASSERT_EQUAL(host->mark_low, cases[i].mark_low);
		CU_ASSERT_EQUAL(host->mark_high, cases[i].mark_high);
		host_free(host);
	}
}

static void a_reserve_upside_down_is_refused(void)
{
	const struct cost_opts cost = {0};
	struct host_opts opts = {.frames = 10,
				 .backing = &backing_ids.policy,
				 .thresholds = policy_find(thresholds_list, "reserve"),
				 .reserve_low = 0.5,
				 .reserve_high = 0.01};
	struct host *host;
	struct err err;

	CU_ASSERT_EQUAL(host_new(&opts, &cost, &host, &err), -EINVAL);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "50 %"));
}

/* Gives back frames that it hoards, as many as it has. */
static uint32_t reclaim(void *ctx, uint32_t want, struct vm *only, struct vm *needy,
			struct err *err)
{
	struct witness *w = ctx;
	uint32_t n = 0;

	(void)needy;
	CU_ASSERT_PTR_NULL(only);
	note(w, "!");
	w->wanted = want;
	while (n < want && w->hoarded > 0) {
		machine_untake(w->m, (mpn_t){w->hoard[--w->hoarded]});
		n++;
	}
	if (n < want && w->complain)
		err_run(err, ENOSPC, "%s has no room", w->name);
	return n;
}

static const struct reclaimer witness_reclaimer = {.policy = {"witness", ""}, .reclaim = reclaim};

static void reclaimers_are_asked_in_order(void)
{
	char log[256] = "";
	uint32_t hoard[2][10];
	struct host *host = open_host(100, "reserve"); /* marks 4 and 6 */
	struct witness r[2] = {{.name = "a", .log = log, .m = &host->machine, .hoard = hoard[0]},
			       {.name = "b", .log = log, .m = &host->machine, .hoard = hoard[1]}};
	struct err err = {0};
	struct vm *vm;
	mpn_t mpn;

	host_add_reclaimer(host, &witness_reclaimer, &r[0]);
	host_add_reclaimer(host, &witness_reclaimer, &r[1]);
	CU_ASSERT_EQUAL(vm_add(host, "vm", 4, &vm, &err), 0);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 10; k++)
			hoard[i][k] = machine_take(&host->machine).n;
	}
	r[0].hoarded = 10;
	r[1].hoarded = 2;
	while (host->machine.free > 4)
		CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), 0);
	CU_ASSERT_STRING_EQUAL(log, ""); /* above the mark nobody is asked */
	CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), 0);
	CU_ASSERT_STRING_EQUAL(log, "a! "); /* it had enough */
	CU_ASSERT_EQUAL(r[0].wanted, 2);
	CU_ASSERT_EQUAL(host->machine.free, 6 - 1);
	*log = '\0';
	r[0].hoarded = 1;
	CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), 0);
	CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), 0);
	CU_ASSERT_STRING_EQUAL(log, "a! b! "); /* the second gives what is missing */
	CU_ASSERT_EQUAL(r[1].wanted, 1);
	CU_ASSERT_EQUAL(host->stats.reclaims, 2);
	host_free(host);
}

static void woken(void *ctx)
{
	++*(int *)ctx;
}

/* With somebody to evict beside them, guests take from the reserve and wait for its end alone. */
static void an_evictor_is_woken_first(void)
{
	char log[256] = "";
	uint32_t hoard[50];
	struct host *host = open_host(100, "reserve"); /* marks 4 and 6 */
	struct witness r = {.name = "a", .log = log, .m = &host->machine, .hoard = hoard};
	struct err err = {0};
	struct vm *vm;
	int woke = 0;
	mpn_t mpn;

	host_add_reclaimer(host, &witness_reclaimer, &r);
	host->evictor.wake = woken;
	host->evictor.ctx = &woke;
	CU_ASSERT_EQUAL(vm_add(host, "vm", 4, &vm, &err), 0);
	for (r.hoarded = 0; r.hoarded < 50; r.hoarded++)
		hoard[r.hoarded] = machine_take(&host->machine).n;
	while (host->machine.free > 4)
		CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), 0);
	host_replenish(host);
	CU_ASSERT_EQUAL(r.wanted, 2);
	CU_ASSERT_EQUAL(host->machine.free, 6);
	*log = '\0';
	while (host->machine.free > 0)
		CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), 0);
	CU_ASSERT_EQUAL(woke, 4);
	CU_ASSERT_STRING_EQUAL(log, "");
	CU_ASSERT_EQUAL(host->evictor.in_line, 0);
	CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), 0);
	CU_ASSERT_EQUAL(woke, 5);
	CU_ASSERT_STRING_EQUAL(log, "a! ");
	CU_ASSERT_EQUAL(r.wanted, 6); /* the mark, which is less than a batch */
	CU_ASSERT_EQUAL(host->evictor.in_line, 6);
	CU_ASSERT_EQUAL(host->machine.free, 6 - 1);
	host_replenish(host);
	CU_ASSERT_EQUAL(host->machine.free, 5); /* above the mark */
	host_free(host);
}

/* The reserve serves when nothing can be reclaimed; then the first reason given is told. */
static void no_frame_is_an_error_with_a_reason(void)
{
	char log[256] = "";
	struct host *host = open_host(100, "reserve");
	struct witness r[2] = {{.name = "a", .log = log}, {.name = "b", .log = log}};
	struct err err = {0};
	struct vm *vm;
	mpn_t mpn;

	host_add_reclaimer(host, &witness_reclaimer, &r[0]);
	host_add_reclaimer(host, &witness_reclaimer, &r[1]);
	CU_ASSERT_EQUAL(vm_add(host, "vm", 4, &vm, &err), 0);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), 0);
	CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), -ENOMEM);
	CU_ASSERT_STRING_EQUAL(err.msg, "no frame: 100 frames, none free and none to reclaim");
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, NULL), -ENOMEM);
	r[1].complain = true;
	CU_ASSERT_EQUAL(host_take_frame(host, vm, &mpn, &err), -ENOMEM);
	CU_ASSERT_STRING_EQUAL(err.msg, "no frame: b has no room");
	CU_ASSERT_EQUAL(host->stats.min_free, 0);
	host_free(host);
}

static char event_log[256];

static void on_event(void *ctx, uint64_t time_ns, const struct vm *vm, const char *event,
		     const char *reason)
{
	size_t n = strlen(event_log);

	(void)ctx;
	snprintf(event_log + n, sizeof event_log - n, "%llu %s %s: %s\n",
		 (unsigned long long)time_ns, vm ? vm->name : "-", event, reason);
}

/* Half a VM's pages in memory, half swapped out: all of it comes back, and nothing else. */
static void a_failed_vm_gives_everything_back(void)
{
	struct err why = {0};
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 20, .backing = "ram"});
	struct vm *a = test_vm(&t, "a", 30), *b = test_vm(&t, "b", 30);
	for (uint32_t i = 0; i < 30; i++) {
		test_fill(a, i, 1 + i);
		test_fill(b, i, 100 + i);
	}
	*event_log = '\0';
	t.host->on_event = on_event;
	err_run(&why, EIO, "its disk is gone");
	uint64_t b_private = b->pmap->count[PAGE_PRIVATE];
	a->time_ns = 77;
	vm_fail(a, &why);
	CU_ASSERT_STRING_EQUAL(event_log, "77 a failed: its disk is gone\n");
	CU_ASSERT_EQUAL(a->state, VM_FAILED);
	why.msg[0] = '?'; /* the error was copied */
	CU_ASSERT_STRING_EQUAL(a->err.msg, "its disk is gone");
	CU_ASSERT_EQUAL(a->pmap->count[PAGE_UNBACKED], 30);
	CU_ASSERT_EQUAL(t.m->free, 20 - b_private);
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "swap_slots_used"), 30 - b_private);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	vm_fail(a, &why); /* once is enough */
	CU_ASSERT_EQUAL(t.host->stats.vm_failed, 1);
	CU_ASSERT_STRING_EQUAL(a->err.msg, "its disk is gone");
	for (uint32_t i = 0; i < 30; i++)
		CU_ASSERT_TRUE(test_reads_as(b, i, 100 + i));
	host_event(t.host, NULL, "said", "%d pages", 5);
	CU_ASSERT_PTR_NOT_NULL(strstr(event_log, "0 - said: 5 pages\n"));
	test_host_free(&t);
}

static void an_ended_vm_gives_everything_back(void)
{
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 20});
	struct vm *a = test_vm(&t, "a", 30);
	for (uint32_t i = 0; i < 30; i++)
		test_fill(a, i, 1 + i);
	*event_log = '\0';
	t.host->on_event = on_event;
	a->time_ns = 5;
	vm_end(a, "it is done");
	vm_end(a, "it is done"); /* once is enough */
	CU_ASSERT_STRING_EQUAL(event_log, "5 a ended: it is done\n");
	CU_ASSERT_EQUAL(a->state, VM_ENDED);
	CU_ASSERT_EQUAL(t.m->free, 20);
	CU_ASSERT_EQUAL(t.host->stats.vm_failed, 0);
	CU_ASSERT_EQUAL(test_stat(&t.host->scope, "swap_slots_used"), 0);
	CU_ASSERT_EQUAL(test_audit(&t), 0);
	test_host_free(&t);
}

/* Frames that a new VM gets have nothing in them of the one that had them before. */
static void nothing_leaks_between_guests(void)
{
	struct err why = {0};
	struct test_host t;

	test_host_new(&t, (struct test_shape){.frames = 8, .backing = "ram"});
	struct vm *a = test_vm(&t, "a", 8), *b = test_vm(&t, "b", 8);
	for (uint32_t i = 0; i < 8; i++)
		test_fill(a, i, 1 + i);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_TRUE(test_reads_as(b, i, 0)); /* by eviction */
	pmap_drop(a->pmap, (ppn_t){7});
	CU_ASSERT_TRUE(test_reads_as(a, 7, 0));
	err_run(&why, EIO, "why");
	vm_fail(a, &why);
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT_TRUE(test_reads_as(b, i, 0));
	test_host_free(&t);
}

/* The number of VMs is set and not reached: adding so many takes a minute under sanitizers. */
static void not_one_vm_too_many(void)
{
	struct host *host = open_host(1, NULL);
	struct err err = {0};
	struct vm *vm;

	host->vms = VM_ID_MAX;
	CU_ASSERT_EQUAL(vm_add(host, "last", 1, &vm, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "vm last"));
	CU_ASSERT_TRUE(test_one_line(&err));
	host->vms = 0;
	CU_ASSERT_EQUAL(vm_add(host, "first", 1, &vm, &err), 0);
	host_free(host);
}

TESTS("core/host", {"parts in order", parts_come_in_order_and_go_in_reverse},
      {"a part refuses", a_part_that_refuses_a_vm_undoes_the_rest}, {"marks", marks},
      {"upside down", a_reserve_upside_down_is_refused},
      {"reclaimers in order", reclaimers_are_asked_in_order},
      {"an evictor", an_evictor_is_woken_first}, {"no frame", no_frame_is_an_error_with_a_reason},
      {"a failed VM", a_failed_vm_gives_everything_back},
      {"an ended VM", an_ended_vm_gives_everything_back},
      {"nothing leaks", nothing_leaks_between_guests}, {"not one too many", not_one_vm_too_many})
