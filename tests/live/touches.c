/*
 * A guest that touches the pages that it is told to, when it is told, and
 * nothing else: what its faults and the samples of its pages come to, page by
 * page.
 */
#include "live.h"

#include <sys/socket.h>
#include <sys/stat.h>

#define PAGES  1024
#define SECOND UINT64_C(1000000000)

struct order {
	uint32_t first, n; /* pages; of 0: close all descriptors but those that are known */
};

/* The guest: this program again, with its orders at the descriptor that ORDERS names. */

/* In every way that there is; returns how many are open still. */
static uint32_t close_all(int orders)
{
	uint32_t n = 0;
	struct stat st;

	for (int fd = 3; fd < 2048; fd++) {
		if (fd != orders)
			close(fd);
	}
	if (orders > 3)
		close_range(3, (unsigned)orders - 1, 0);
	close_range((unsigned)orders + 1, ~0u, 0);
	closefrom(orders + 1);
	for (int fd = 3; fd < 2048; fd++)
		n += fd != orders && fstat(fd, &st) == 0;
	return n;
}

static _Noreturn void touch(const char *file, int orders)
{
	int fd = open(file, O_RDWR);
	uint8_t *memory = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint32_t written[PAGES] = {0}, is;
	struct order o;

	if (memory == MAP_FAILED)
		_exit(10);
	while (read(orders, &o, sizeof o) == sizeof o) {
		uint32_t bad = o.n ? 0 : close_all(orders);
		for (uint32_t i = o.first; i < o.first + o.n; i++) {
			uint8_t *at = memory + (size_t)i * PAGE_SIZE;
			memcpy(&is, at, sizeof is);
			bad += is != written[i];
			written[i] += i + 1;
			memcpy(at, &written[i], sizeof is);
		}
		if (write(orders, &bad, sizeof bad) != sizeof bad)
			_exit(11);
	}
	_exit(0);
}

__attribute__((constructor)) static void as_guest(void)
{
	const char *role = getenv("ROLE");

	if (role && strcmp(role, "touch") == 0)
		touch(getenv("BALLAST_RAM"), atoi(getenv("ORDERS")));
}

/* The host. */

static struct live_vm *toucher(struct live_test *t, int *orders)
{
	const char *argv[] = {"touches", NULL, NULL};
	char number[16];
	struct live_vm *v;
	struct err err;
	int pair[2];

	live_need(live_add(t->live, "touched", NULL, PAGES, &v, &err), &err);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		abort();
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	snprintf(number, sizeof number, "%d", pair[1]);
	setenv("ORDERS", number, 1);
	live_spawn(t, v, "/proc/self/exe", argv, "touch");
	close(pair[1]);
	*orders = pair[0];
	return v;
}

static void turn(struct live_test *t)
{
	struct err err;

	live_need(live_turn(t->live, 1000000, &err), &err);
}

static uint32_t answer(struct live_test *t, int orders, struct order o)
{
	uint32_t n = 0;

	CU_ASSERT_EQUAL_FATAL(write(orders, &o, sizeof o), sizeof o);
	for (int i = 0; i < 60000; i++) {
		turn(t);
		if (recv(orders, &n, sizeof n, MSG_DONTWAIT) == sizeof n)
			return n;
	}
	CU_FAIL_FATAL("the guest does not answer");
	return 0;
}

/* Has it touch pages, each of which must be as it left it. */
static void order(struct live_test *t, int orders, uint32_t first, uint32_t n)
{
	CU_ASSERT_EQUAL(answer(t, orders, (struct order){first, n}), 0);
}

static void end(struct live_test *t, int orders)
{
	int status = -1;

	close(orders);
	live_run_for(t, 60 * SECOND);
	CU_ASSERT_EQUAL(waitpid(t->guest[0].pid, &status, 0), t->guest[0].pid);
	CU_ASSERT_EQUAL(status, 0);
	close(t->guest[0].out);
	CU_ASSERT_EQUAL(t->host->machine.free, t->host->machine.frames);
	CU_ASSERT_EQUAL(live_audit(t), 0);
	live_test_close(t);
}

/*
 * A VM that may hold 40 pages, and whose first touches would bring 63 others
 * along: to make room it would have to give up those that it is being given.
 */
static void first_touches_at_the_most(void)
{
	struct live_test t;
	int orders;

	live_test_open(&t,
		       (struct live_shape){.frames = 4 * PAGES, .around = 64, .thresholds = "esx"});
	struct live_vm *v = toucher(&t, &orders);
	live_claim(v, 0, 40, 1000);
	host_plan(t.host, "its claim");
	for (uint32_t i = 0; i < PAGES; i += 64) {
		order(&t, orders, i + 7, 1);
		CU_ASSERT_EQUAL(live_audit(&t), 0);
	}
	order(&t, orders, 0, PAGES);
	CU_ASSERT_EQUAL(live_audit(&t), 0);
	order(&t, orders, 0, PAGES);
	CU_ASSERT_TRUE(v->vm->pmap->count[PAGE_PRIVATE] <= 40 + 64);
	end(&t, orders);
}

static bool is_mapped(const struct live_vm *v, uint32_t page)
{
	uint64_t entry = 0;
	off_t at = (off_t)(((v->base >> PAGE_SHIFT) + page) * sizeof entry);

	CU_ASSERT_EQUAL(pread(v->pagemap, &entry, sizeof entry, at), sizeof entry);
	return entry >> 63;
}

static uint64_t touched, minor_touches;

static void on_touched(void *ctx, struct pmap *pmap, ppn_t ppn, bool minor)
{
	(void)ctx;
	(void)pmap;
	(void)ppn;
	touched++;
	minor_touches += minor;
}

/* Every third page is sampled: unmapped within a turn, in few trips, and found by its next touch.
 */
static void samples(void)
{
	const uint32_t sampled = (PAGES + 2) / 3;
	struct live_test t;
	int orders;

	live_test_open(&t, (struct live_shape){.frames = 2 * PAGES, .around = 8});
	t.pmaps->sample = (struct sample_watch){.touched = on_touched};
	struct live_vm *v = toucher(&t, &orders);
	order(&t, orders, 0, PAGES);
	const uint32_t trips = t.live->tag;
	for (uint32_t i = 0; i < PAGES; i += 3)
		pmap_sample(v->vm->pmap, (ppn_t){i});
	turn(&t);
	CU_ASSERT_EQUAL(t.live->tag - trips, (sampled + HIDE_MOST - 1) / HIDE_MOST);
	for (uint32_t i = 0; i < PAGES; i++)
		CU_ASSERT_EQUAL(is_mapped(v, i), i % 3 != 0);
	order(&t, orders, 0, 31);
	CU_ASSERT_EQUAL(minor_touches, 11);
	order(&t, orders, 0, 31); /* a touch is told once */
	CU_ASSERT_EQUAL(minor_touches, 11);
	order(&t, orders, 0, PAGES);
	CU_ASSERT_EQUAL(minor_touches, sampled);
	CU_ASSERT_EQUAL(touched, sampled);
	end(&t, orders);
}

/* Of a guest that closes everything the agent is left: its socket, its userfaultfd and the pool. */
static void everything_closed(void)
{
	struct live_test t;
	int orders;

	live_test_open(&t, (struct live_shape){.frames = 2 * PAGES, .around = 8});
	struct live_vm *v = toucher(&t, &orders);
	order(&t, orders, 0, PAGES);
	CU_ASSERT_EQUAL(answer(&t, orders, (struct order){0, 0}), 3);
	for (uint32_t i = 0; i < PAGES; i += 2)
		pmap_sample(v->vm->pmap, (ppn_t){i});
	turn(&t);
	CU_ASSERT_EQUAL(v->state, LIVE_RUNNING);
	CU_ASSERT_FALSE(is_mapped(v, 0));
	order(&t, orders, 0, PAGES);
	end(&t, orders);
}

TESTS("live/touches", {"first touches at the most", first_touches_at_the_most},
      {"samples", samples}, {"everything closed", everything_closed})
