/* What live guests cost: a page's first touch, its way out and back, beside the bare calls. */
#include "experiments/bench_live.h"

#include "experiments/bench.h"

#include "core/os.h"
#include "core/ring.h"
#include "experiments/datadir.h"
#include "live/live.h"
#include "live/pool.h"
#include "swap/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES	    BENCH_PAGES
#define PATIENCE_NS UINT64_C(30000000000)

struct guest_end {
	pid_t pid;
	int to, from; /* its input and output */
};

/* What the host is told. */
struct how {
	bool beside, async; /* live.beside, live.swap_io = uring */
};

struct bench_host {
	struct host *host;
	struct live *live;
	struct live_vm *vm;
	struct guest_end guest;
	char socket[64];
};

/* The guest that touches (live/guest/retouch.c): under the agent where socket is not NULL. */
static int start_guest(struct guest_end *g, const char *socket, struct err *err)
{
	char program[PATH_MAX], agent[PATH_MAX], ram[40];
	int in[2] = {-1, -1}, out[2] = {-1, -1}, fd = memfd_create("guest memory", 0);

	int rc = program_path("guest/retouch", program, err);
	rc = rc ? rc : program_path("ballast-agent.so", agent, err);
	if (rc == 0 && (fd < 0 || ftruncate(fd, (off_t)PAGES * PAGE_SIZE) || pipe2(in, O_CLOEXEC) ||
			pipe2(out, O_CLOEXEC)))
		rc = err_run(err, errno, "no guest to measure: %s", strerror(errno));
	if (rc)
		return rc;
	snprintf(ram, sizeof ram, "/proc/self/fd/%d", fd);
	g->pid = fork();
	if (g->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		setenv("BALLAST_RAM", ram, 1);
		if (socket) {
			setenv("LD_PRELOAD", agent, 1);
			setenv("BALLAST_VM", "bench", 1);
			setenv("BALLAST_AGENT_SOCKET", socket, 1);
		}
		execl(program, "retouch", "-", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	close(fd);
	g->to = in[1];
	g->from = out[0];
	return 0;
}

static void end_guest(struct guest_end *g)
{
	if (g->pid <= 0)
		return;
	close(g->to);
	close(g->from);
	kill(g->pid, SIGKILL);
	waitpid(g->pid, NULL, 0);
}

/* Has every page touched; *ns a page. The host serves meanwhile, if there is one. */
static int touch_all(struct guest_end *g, struct live *live, double *ns, struct err *err)
{
	struct pollfd answer = {g->from, POLLIN, 0};
	uint64_t end = os_mono_ns() + PATIENCE_NS;
	char text[40] = "";
	int rc = write(g->to, "t\n", 2) == 2 ? 0 : -EPIPE;

	while (rc == 0 && poll(&answer, 1, 0) == 0 && os_mono_ns() < end)
		rc = live_turn(live, 1000000, err);
	if (rc == 0 && answer.revents && read(g->from, text, sizeof text - 1) > 0) {
		*ns = strtod(text, NULL) / PAGES;
		return 0;
	}
	return err_run(err, EIO, "the guest to measure did not answer");
}

static int open_host(struct bench_host *b, struct how how, struct err *err)
{
	struct host_opts host = {0};
	struct cost_opts cost = {0};
	struct swap_opts swap = {0};
	struct live_opts live = {0};
	struct pmap_part *pmaps;
	struct swap *area;

	if (opt_defaults(&host_section, &host) || opt_defaults(&cost_section, &cost) ||
	    opt_defaults(&swap_section, &swap) || opt_defaults(&live_section, &live))
		return err_run(err, ENOMEM, "no memory for a host");
	host.frames = 2 * PAGES;
	host.backing = &backing_live.policy;
	live.beside = how.beside;
	snprintf(b->socket, sizeof b->socket, "/tmp/ballast-bench.%d", (int)getpid());
	int rc = host_new(&host, &cost, &b->host, err);
	if (rc == 0 && pmap_part_new(b->host, &pmaps))
		rc = err_run(err, ENOMEM, "no memory for a host");
	rc = rc ? rc : swap_open(b->host, pmaps, &swap, 2 * PAGES, &os_io, &area, err);
	if (rc == 0 && how.async && swap_async(area))
		rc = err_run(err, ENOSYS, "this kernel has no io_uring for us");
	rc = rc ? rc : live_open(b->host, pmaps, &live, b->socket, NULL, 2 * PAGES, &b->live, err);
	return rc ? rc : live_add(b->live, "bench", NULL, PAGES, &b->vm, err);
}

/* Evicts every page, as the host does when frames are short; *ns a page. */
static int evict_all(struct bench_host *b, double *ns, struct err *err)
{
	uint64_t start = os_mono_ns();
	uint32_t n = b->host->reclaimer[0].reclaimer->reclaim(b->host->reclaimer[0].ctx, PAGES,
							      NULL, NULL, err);

	*ns = (double)(os_mono_ns() - start) / PAGES;
	return n == PAGES ? 0 : err_run(err, EIO, "only %u of %d pages were evicted", n, PAGES);
}

static int hide_all(struct bench_host *b, double *ns)
{
	uint64_t start = os_mono_ns();

	for (uint32_t i = 0; i < PAGES; i++)
		pmap_sample(b->vm->vm->pmap, (ppn_t){i});
	*ns = (double)(os_mono_ns() - start) / PAGES;
	return 0;
}

/* Everything is as if it had never been touched. */
static void forget_all(struct bench_host *b)
{
	for (uint32_t i = 0; i < PAGES; i++)
		pmap_drop(b->vm->vm->pmap, (ppn_t){i});
}

static int first_touch(struct bench_host *b, uint32_t around, double *ns, struct err *err)
{
	forget_all(b);
	b->vm->around = around;
	return touch_all(&b->guest, b->live, ns, err);
}

static int one_round(struct bench_host *b, bench_figures ns, size_t i, struct err *err)
{
	int rc = first_touch(b, 8, &ns[BENCH_AROUND8][i], err);

	rc = rc ? rc : first_touch(b, 16, &ns[BENCH_AROUND16][i], err);
	rc = rc ? rc : first_touch(b, 1, &ns[BENCH_MISSING][i], err);
	rc = rc ? rc : evict_all(b, &ns[BENCH_EVICT][i], err);
	rc = rc ? rc : touch_all(&b->guest, b->live, &ns[BENCH_SWAP_IN][i], err);
	rc = rc ? rc : hide_all(b, &ns[BENCH_SAMPLE][i]);
	return rc ? rc : touch_all(&b->guest, b->live, &ns[BENCH_SAMPLED][i], err);
}

/* Both by turns, so that whatever else the machine does hits both. */
static int rounds(struct how how, bench_figures calls, bench_figures ours, struct err *err)
{
	struct bench_host b = {0};
	struct bench_bare *bare = NULL;
	double warm;
	int rc = open_host(&b, how, err);

	rc = rc ? rc : bench_bare_open(&bare, err);
	rc = rc ? rc : start_guest(&b.guest, b.socket, err);
	rc = rc ? rc : touch_all(&b.guest, b.live, &warm, err);
	for (size_t i = 0; rc == 0 && i < BENCH_ROUNDS; i++) {
		rc = bench_bare_round(bare, calls, i, err);
		rc = rc ? rc : one_round(&b, ours, i, err);
	}
	bench_bare_close(bare);
	end_guest(&b.guest);
	host_free(b.host);
	return rc;
}

/* Telling. */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *ns)
{
	qsort(ns, BENCH_ROUNDS, sizeof *ns, by_size);
	return ns[BENCH_ROUNDS / 2];
}

/* Budgets in ns a page; 0: none. */
static const struct {
	const char *name;
	int must, aim;
} rows[BENCH_WHATS] = {
	[BENCH_MISSING] = {"missing fault", 12000, 0},
	[BENCH_AROUND8] = {"first touch, fault_around 8", 0, 2000},
	[BENCH_AROUND16] = {"first touch, fault_around 16", 0, 2000},
	[BENCH_EVICT] = {"evict, batched", 3000, 2000},
	[BENCH_SWAP_IN] = {"swap-in", 0, 0},
	[BENCH_SAMPLE] = {"sample", 0, 0},
	[BENCH_SAMPLED] = {"touch of sampled", 0, 0},
};

static void tell(json_t *out, bench_figures bare, bench_figures ours)
{
	for (int i = 0; i < BENCH_WHATS; i++) {
		double calls = median(bare[i]), all = median(ours[i]);
		json_t *row = json_pack("{s:f, s:f, s:f}", "calls_ns", calls, "ballast_ns", all,
					"ratio", all / calls);
		if (rows[i].must)
			json_object_set_new(row, "must_ns", json_integer(rows[i].must));
		if (rows[i].aim)
			json_object_set_new(row, "aim_ns", json_integer(rows[i].aim));
		json_object_set_new(out, rows[i].name, row);
	}
}

static int compare(json_t *all, const char *name, struct how how, struct err *err)
{
	bench_figures calls, ours;
	int rc = rounds(how, calls, ours, err);

	if (rc)
		return rc;
	json_t *out = json_object();
	tell(out, calls, ours);
	json_object_set_new(all, name, out);
	return 0;
}

/* Beside the guest on one CPU the manager wakes at once; the mask is put back. */
static int on_one_cpu(json_t *all, struct err *err)
{
	cpu_set_t before, one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	if (sched_getaffinity(0, sizeof before, &before) || sched_setaffinity(0, sizeof one, &one))
		return err_run(err, errno, "no CPU of its own: %s", strerror(errno));
	int rc = compare(all, "beside the guest: one CPU", (struct how){0}, err);
	sched_setaffinity(0, sizeof before, &before);
	return rc;
}

static bool has_ring(void)
{
	struct ring *ring;

	if (ring_open(&ring))
		return false;
	ring_close(ring);
	return true;
}

int bench_live(const struct bench_args *args, json_t *out, struct err *err)
{
	(void)args;
	if (live_check(err)) { /* no failure: a bench of all goes on */
		json_object_set_new(out, "skipped", json_string(err->msg));
		return 0;
	}
	int rc = on_one_cpu(out, err);
	rc = rc ? rc : compare(out, "live.beside = yes", (struct how){.beside = true}, err);
	rc = rc ? rc : compare(out, "live.beside = no", (struct how){0}, err);
	return rc || !has_ring() ? rc
				 : compare(out, "live.swap_io = uring",
					   (struct how){.beside = true, .async = true}, err);
}
