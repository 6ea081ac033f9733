/* A crew: never more runs at once than it has tokens, over all its processes. */
#include "test.h"

#include "experiments/crew.h"
#include "experiments/parallel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMBERS 3
#define RUNS	12
#define JOBS	2

struct shared {
	atomic_int now, most;
};

struct work {
	struct shared *shared;
	struct crew *crew;
	size_t bad_member; /* its fifth run fails */
	bool dies;	   /* or it dies with all tokens in its hands */
	size_t member;
	uint64_t ticks;
};

static int one_run(void *arg, size_t task, void *result, struct err *err)
{
	const struct work *w = arg;
	struct timespec nap = {0, 2000000};

	int now = atomic_fetch_add(&w->shared->now, 1) + 1, most = atomic_load(&w->shared->most);
	while (now > most && !atomic_compare_exchange_weak(&w->shared->most, &most, now))
		;
	nanosleep(&nap, NULL);
	atomic_fetch_sub(&w->shared->now, 1);
	*(size_t *)result = task;
	return w->member == w->bad_member && task == 5 ? err_input(err, "the fifth") : 0;
}

static int member(void *arg, size_t i, void *result, struct err *err)
{
	struct work w = *(struct work *)arg;
	size_t results[RUNS];
	const struct tasks tasks = {
		.n = RUNS,
		.run = one_run,
		.arg = &w,
		.results = results,
		.result_size = sizeof *results,
		.most = RUNS,
	};

	w.member = i;
	crew_join(w.crew, i);
	for (int held = 0; w.dies && i == w.bad_member;) {
		struct pollfd token = {.fd = crew_token_fd(), .events = POLLIN};
		if (held == JOBS)
			raise(SIGKILL);
		poll(&token, 1, -1);
		held += crew_take();
	}
	*(int *)result = parallel_run(&tasks, err);
	err->exit_code = 0;
	return 0;
}

static void tick(void *arg, uint64_t done, uint64_t total)
{
	struct work *w = arg;

	w->ticks++;
	CU_ASSERT(done <= total);
	CU_ASSERT_EQUAL(total, MEMBERS);
}

static void mourn(void *arg, size_t i, const char *why)
{
	const struct work *w = arg;

	CU_ASSERT(w->dies && i == w->bad_member);
	CU_ASSERT_STRING_EQUAL(why, "Killed");
	crew_mourn(w->crew, i);
}

static void run(size_t bad_member, bool dies, int results[MEMBERS])
{
	struct work w = {.bad_member = bad_member, .dies = dies};
	struct err err = {0};
	uint64_t done, total;
	size_t told;
	const struct tasks tasks = {
		.n = MEMBERS,
		.run = member,
		.arg = &w,
		.results = results,
		.result_size = sizeof *results,
		.done = tick,
		.done_arg = &w,
		.most = MEMBERS,
		.tick_ms = 1,
		.died = mourn,
	};

	w.shared = mmap(NULL, sizeof *w.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	CU_ASSERT_NOT_EQUAL_FATAL(w.shared, MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(crew_open(JOBS, MEMBERS, &w.crew, &err), 0);
	CU_ASSERT_EQUAL(crew_token_fd(), -1); /* this process did not join */
	CU_ASSERT_EQUAL(parallel_run(&tasks, &err), 0);
	CU_ASSERT(atomic_load(&w.shared->most) <= JOBS);
	CU_ASSERT(w.ticks > MEMBERS);
	crew_progress(w.crew, &done, &total, &told);
	CU_ASSERT_EQUAL(total, (MEMBERS - dies) * RUNS);
	CU_ASSERT_EQUAL(told, MEMBERS - dies);
	CU_ASSERT_EQUAL(done == total, dies || bad_member == MEMBERS);

	/* Every token is back. */
	crew_join(w.crew, 0);
	for (int i = 0; i < JOBS; i++)
		CU_ASSERT(crew_take());
	CU_ASSERT(!crew_take());
	crew_give();
	CU_ASSERT(crew_take());
	crew_leave();
	CU_ASSERT(crew_take()); /* of none: there is nothing to wait for */
	crew_close(w.crew);
	munmap(w.shared, sizeof *w.shared);
}

static void test_all_end(void)
{
	int results[MEMBERS];

	run(MEMBERS, false, results);
	for (size_t i = 0; i < MEMBERS; i++)
		CU_ASSERT_EQUAL(results[i], 0);
}

static void test_one_fails(void)
{
	int results[MEMBERS];

	run(1, false, results);
	CU_ASSERT_EQUAL(results[0], 0);
	CU_ASSERT_EQUAL(results[1], -EINVAL);
	CU_ASSERT_EQUAL(results[2], 0);
}

/* Whoever waits for a token then does not wait for ever. */
static void test_one_dies(void)
{
	int results[MEMBERS] = {-1, -1, -1};

	run(1, true, results);
	CU_ASSERT_EQUAL(results[0], 0);
	CU_ASSERT_EQUAL(results[2], 0);
}

TESTS("experiments/crew", {"all end", test_all_end}, {"one member fails", test_one_fails},
      {"one member dies", test_one_dies})
