/*
 * Guests in processes, each of whose pages is checked by the guest itself while
 * the host evicts, shares and samples: not one wrong byte, and as many pages of
 * memory in the pool as frames in use.
 */
#include "live.h"

#include "core/rng.h"

#define SECONDS 4

static void told_all(struct live_test *t)
{
	for (size_t i = 0; i < t->guests; i++) {
		unsigned long long ops = 0, bad = 1;
		CU_ASSERT_TRUE(live_told(t, i, &ops, &bad));
		CU_ASSERT_EQUAL(bad, 0);
		CU_ASSERT_TRUE(ops > 1000);
		printf("  guest %zu: %llu ops, %llu bad\n", i, ops, bad);
	}
	for (size_t i = 0; live_at(t->live, i); i++) {
		const struct live_vm *v = live_at(t->live, i);
		printf("  vm %s: %llu events, %llu again, %llu around, %llu moves, %llu gap "
		       "writes, %llu ns a fault, worst %llu\n",
		       v->vm->name, (unsigned long long)v->stats.events,
		       (unsigned long long)v->stats.again, (unsigned long long)v->stats.around,
		       (unsigned long long)v->stats.moves, (unsigned long long)v->stats.gap_writes,
		       (unsigned long long)(v->stats.fault_ns / (v->stats.events + 1)),
		       (unsigned long long)v->stats.fault_worst);
		CU_ASSERT_EQUAL(v->vm->state, VM_ENDED);
		if (v->vm->state == VM_FAILED)
			printf("  %s\n", v->vm->err.msg);
	}
}

/* Everything has been given back. */
static void nothing_left(struct live_test *t)
{
	CU_ASSERT_EQUAL(t->host->machine.free, t->host->machine.frames);
	CU_ASSERT_EQUAL(live_audit(t), 0);
}

static void run(struct live_test *t)
{
	for (int i = 0; i < SECONDS; i++) {
		live_run_for(t, 1000000000);
		CU_ASSERT_EQUAL(live_audit(t), 0);
	}
	live_run_for(t, 60u * 1000000000u);
	told_all(t);
	nothing_left(t);
}

static void one_guest_fits(void)
{
	struct live_test t;

	live_test_open(&t, (struct live_shape){.frames = 8192, .around = 8});
	live_verifier(&t, "a", 4096, 4096, SECONDS, 2, 1);
	run(&t);
	live_test_close(&t);
}

static void eviction(void)
{
	struct live_test t;

	live_test_open(&t, (struct live_shape){.frames = 4096, .around = 8});
	live_verifier(&t, "a", 6144, 6144, SECONDS, 4, 1);
	run(&t);
	live_test_close(&t);
}

static void sharing_and_eviction(void)
{
	struct live_test t;

	live_test_open(&t, (struct live_shape){
				   .frames = 8192, .around = 8, .scan = "random", .rate = 20000});
	live_verifier(&t, "a", 6144, 6144, SECONDS, 2, 1);
	live_verifier(&t, "b", 6144, 6144, SECONDS, 2, 2);
	run(&t);
	const struct share_stats *s = sharing_stats(t.sharing);
	printf("  merged %llu, copied %llu, false %llu\n", (unsigned long long)s->merged,
	       (unsigned long long)s->copied, (unsigned long long)s->false_hit);
	CU_ASSERT_TRUE(s->merged > 1000);
	live_test_close(&t);
}

/* The swap file is not in memory: pages come from the disk, and nobody waits for others'. */
static void from_the_disk(void)
{
	struct live_test t;
	uint64_t fetched = 0;
	bool far = false; /* as far as this system tells */

	live_test_open(&t, (struct live_shape){.frames = 6144, .around = 8});
	live_verifier(&t, "a", 6144, 6144, SECONDS, 2, 1);
	live_verifier(&t, "b", 3072, 3072, SECONDS, 1, 2);
	for (int i = 0; i < 10 * SECONDS; i++) {
		live_run_for(&t, 100000000);
		fdatasync(swap_fd(t.swap));
		posix_fadvise(swap_fd(t.swap), 0, 0, POSIX_FADV_DONTNEED);
		far |= !os_is_near(swap_fd(t.swap), 0);
	}
	run(&t);
	for (size_t i = 0; live_at(t.live, i); i++)
		fetched += live_at(t.live, i)->stats.fetched;
	printf("  %llu pages from the disk\n", (unsigned long long)fetched);
	CU_ASSERT_TRUE(!far || fetched > 0);
	live_test_close(&t);
}

static uint64_t sampled_touched, sampled_minor;

static void on_touched(void *ctx, struct pmap *pmap, ppn_t ppn, bool minor)
{
	(void)ctx;
	(void)pmap;
	(void)ppn;
	sampled_touched++;
	sampled_minor += minor;
}

/* Pages picked at random are hidden from the guest until it touches them. */
static void sampling(void)
{
	struct live_test t;
	struct rng rng;

	rng_init(&rng, test_seed(5), "live samples", 0);
	live_test_open(&t, (struct live_shape){
				   .frames = 5120, .around = 8, .scan = "random", .rate = 5000});
	t.pmaps->sample = (struct sample_watch){.touched = on_touched};
	struct live_vm *v = live_verifier(&t, "a", 6144, 6144, SECONDS, 2, 3);
	for (int i = 0; i < 100 * SECONDS && v->state != LIVE_GONE; i++) {
		live_run_for(&t, 10000000);
		for (int n = 0; n < 20 && v->state == LIVE_RUNNING; n++)
			pmap_sample(v->vm->pmap, (ppn_t){(uint32_t)rng_below(&rng, 6144)});
	}
	run(&t);
	printf("  %llu samples touched, %llu of them in memory\n",
	       (unsigned long long)sampled_touched, (unsigned long long)sampled_minor);
	CU_ASSERT_TRUE(sampled_minor > 100);
	CU_ASSERT_TRUE(sampled_touched > sampled_minor);
	live_test_close(&t);
}

/* A guest dies in the middle of it all; the other does not notice. */
static void one_is_killed(void)
{
	unsigned long long ops, bad = 1;
	struct live_test t;
	int status;

	live_test_open(&t, (struct live_shape){
				   .frames = 8192, .around = 8, .scan = "random", .rate = 10000});
	struct live_vm *a = live_verifier(&t, "a", 6144, 6144, 60, 2, 1);
	live_verifier(&t, "b", 6144, 6144, SECONDS, 2, 2);
	live_run_for(&t, 1500000000);
	CU_ASSERT_EQUAL(a->state, LIVE_RUNNING);
	kill(t.guest[0].pid, SIGKILL);
	waitpid(t.guest[0].pid, &status, 0);
	close(t.guest[0].out);
	live_run_for(&t, 60u * 1000000000u);
	CU_ASSERT_EQUAL(a->state, LIVE_GONE);
	CU_ASSERT_TRUE(live_told(&t, 1, &ops, &bad));
	CU_ASSERT_EQUAL(bad, 0);
	nothing_left(&t);
	live_test_close(&t);
}

TESTS("process guests", {"one guest that fits", one_guest_fits}, {"eviction", eviction},
      {"from the disk", from_the_disk}, {"sharing and eviction", sharing_and_eviction},
      {"sampling", sampling}, {"a guest is killed", one_is_killed})
