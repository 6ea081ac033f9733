/* What live guests cost: a page's first touch, its way out and back, beside the bare kernel. */
#include "experiments/bench.h"

#include "core/os.h"
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

#define PAGES	    8192
#define PATIENCE_NS UINT64_C(30000000000)

struct guest_end {
	pid_t pid;
	int to, from; /* its input and output */
};

struct bench_host {
	struct host *host;
	struct live *live;
	struct live_vm *vm;
	struct guest_end guest;
	char socket[64];
};

/* The guest that touches (live/guest/touch.c): under the agent where socket is not NULL. */
static int start_guest(struct guest_end *g, const char *socket, struct err *err)
{
	char program[PATH_MAX], agent[PATH_MAX], ram[40];
	int in[2] = {-1, -1}, out[2] = {-1, -1}, fd = memfd_create("guest memory", 0);

	int rc = program_path("guest/touch", program, err);
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
		execl(program, "touch", "-", (char *)NULL);
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

	while (rc == 0 && poll(&answer, 1, live ? 0 : 10000) == 0 && os_mono_ns() < end)
		rc = live ? live_turn(live, 1000000, err) : 0;
	if (rc == 0 && answer.revents && read(g->from, text, sizeof text - 1) > 0) {
		*ns = strtod(text, NULL) / PAGES;
		return 0;
	}
	return err_run(err, EIO, "the guest to measure did not answer");
}

static int open_host(struct bench_host *b, const char *around, struct err *err)
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
	live.fault_around = policy_find(arounds, around);
	snprintf(b->socket, sizeof b->socket, "/tmp/ballast-bench.%d", (int)getpid());
	int rc = host_new(&host, &cost, &b->host, err);
	if (rc == 0 && pmap_part_new(b->host, &pmaps))
		rc = err_run(err, ENOMEM, "no memory for a host");
	rc = rc ? rc : swap_open(b->host, pmaps, &swap, 2 * PAGES, &os_io, &area, err);
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

static int measure(struct bench_host *b, json_t *out, struct err *err)
{
	double first, evict, again, hide, minor;
	struct guest_end *g = &b->guest;

	int rc = start_guest(g, b->socket, err);
	rc = rc ? rc : touch_all(g, b->live, &first, err);
	rc = rc ? rc : evict_all(b, &evict, err);
	rc = rc ? rc : touch_all(g, b->live, &again, err);
	rc = rc ? rc : hide_all(b, &hide);
	rc = rc ? rc : touch_all(g, b->live, &minor, err);
	if (rc)
		return rc;
	json_object_set_new(out, "first_touch_ns", json_real(first));
	json_object_set_new(out, "evict_ns", json_real(evict));
	json_object_set_new(out, "swap_in_ns", json_real(again));
	json_object_set_new(out, "sample_ns", json_real(hide));
	json_object_set_new(out, "touch_of_sampled_ns", json_real(minor));
	return 0;
}

static int with_host(json_t *all, const char *name, const char *around, struct err *err)
{
	struct bench_host b = {0};
	json_t *out = json_object();
	int rc = open_host(&b, around, err);

	rc = rc ? rc : measure(&b, out, err);
	end_guest(&b.guest);
	host_free(b.host);
	json_object_set_new(all, name, out);
	return rc;
}

/* The kernel alone: its first touch of shared memory; writing a page to a file and punching it. */
static int bare(json_t *all, struct err *err)
{
	struct guest_end g = {0};
	double first, again;
	uint8_t *view = MAP_FAILED;
	json_t *out = json_object();
	int fd = memfd_create("bare", MFD_CLOEXEC), file = os_temp_file("/tmp");
	const size_t bytes = (size_t)PAGES * PAGE_SIZE;

	int rc = start_guest(&g, NULL, err);
	rc = rc ? rc : touch_all(&g, NULL, &first, err);
	rc = rc ? rc : touch_all(&g, NULL, &again, err);
	end_guest(&g);
	if (rc == 0 && fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
		view = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (rc == 0 && (view == MAP_FAILED || file < 0))
		rc = err_run(err, errno, "no memory to measure: %s", strerror(errno));
	if (rc == 0) {
		memset(view, 1, bytes);
		uint64_t start = os_mono_ns();
		for (size_t at = 0; rc == 0 && at < bytes; at += PAGE_SIZE) {
			rc = os_write_at(&os_io, file, view + at, PAGE_SIZE, at);
			if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
				      PAGE_SIZE))
				rc = -errno;
		}
		json_object_set_new(out, "first_touch_ns", json_real(first));
		json_object_set_new(out, "touch_ns", json_real(again));
		json_object_set_new(out, "write_and_punch_ns",
				    json_real((double)(os_mono_ns() - start) / PAGES));
		munmap(view, bytes);
	}
	os_close(fd);
	os_close(file);
	json_object_set_new(all, "bare kernel", out);
	return rc;
}

/* Beside the guest on one CPU the manager wakes at once; the mask is put back. */
static int on_one_cpu(json_t *all, struct err *err)
{
	cpu_set_t before, one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_getaffinity(0, sizeof before, &before) || sched_setaffinity(0, sizeof one, &one))
		return err_run(err, errno, "no CPU of its own: %s", strerror(errno));
	int rc = with_host(all, "manager and guest on one CPU", "off", err);
	rc = rc ? rc : with_host(all, "the same, fault_around 8", "8", err);
	sched_setaffinity(0, sizeof before, &before);
	return rc;
}

int bench_live(const struct bench_args *args, json_t *out, struct err *err)
{
	(void)args;
	if (live_check(err)) { /* no failure: a bench of all goes on */
		json_object_set_new(out, "skipped", json_string(err->msg));
		return 0;
	}
	int rc = bare(out, err);
	rc = rc ? rc : on_one_cpu(out, err);
	rc = rc ? rc : with_host(out, "wherever the kernel puts them", "off", err);
	return rc ? rc : with_host(out, "the same there, fault_around 8", "8", err);
}
