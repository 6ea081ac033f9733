/* A live guest's faults, answered by the system calls alone. */
#include "experiments/bench_live.h"

#include "core/os.h"
#include "live/uffd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (BENCH_PAGES * PAGE_SIZE)
#define BATCH 64 /* pages written at once */

struct bench_bare {
	pid_t pid;
	int to, from, uffd, memory, file;
	uint64_t base; /* of the guest's memory, there */
	uint8_t *view; /* of it, here */
};

/* What the guest says when it is ready. */
struct hello {
	int uffd;
	uint64_t base;
};

/* The guest: 't' touches every page, 'z' takes every page's mapping away; either says how long. */
static _Noreturn void guest(int memory, int in, int out)
{
	volatile uint8_t *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_NEEDED};
	struct hello hello = {(int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), (uint64_t)at};
	char what;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (at == MAP_FAILED || hello.uffd < 0 || uffd_call(hello.uffd, UFFDIO_API, &api) ||
	    madvise((void *)at, BYTES, MADV_NOHUGEPAGE) ||
	    uffd_register(hello.uffd, hello.base, BENCH_PAGES) ||
	    write(out, &hello, sizeof hello) != sizeof hello)
		_exit(1);
	while (read(in, &what, 1) == 1) {
		uint64_t start = os_mono_ns();
		for (size_t i = 0; i < BYTES; i += PAGE_SIZE) {
			if (what == 't')
				at[i]++;
			else
				madvise((void *)(at + i), PAGE_SIZE, MADV_DONTNEED);
		}
		uint64_t took = os_mono_ns() - start;
		if (write(out, &took, sizeof took) != sizeof took)
			break;
	}
	_exit(0);
}

static int start(struct bench_bare *b, struct err *err)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	struct hello hello;

	b->memory = memfd_create("bare guest", MFD_CLOEXEC);
	b->file = os_temp_file("/tmp");
	b->view = MAP_FAILED;
	if (b->memory >= 0 && ftruncate(b->memory, BYTES) == 0)
		b->view = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b->memory, 0);
	if (b->view == MAP_FAILED || b->file < 0 || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return err_run(err, errno, "no guest to measure: %s", strerror(errno));
	b->pid = fork();
	if (b->pid == 0)
		guest(b->memory, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	b->to = in[1];
	b->from = out[0];
	if (b->pid < 0 || read(b->from, &hello, sizeof hello) != sizeof hello)
		return err_run(err, ECHILD, "the bare guest did not come up");
	b->base = hello.base;
	int pidfd = (int)syscall(SYS_pidfd_open, b->pid, 0);
	b->uffd = (int)syscall(SYS_pidfd_getfd, pidfd, hello.uffd, 0);
	int rc = errno;
	close(pidfd);
	return b->uffd < 0 ? err_run(err, rc, "no userfaultfd of the bare guest: %s", strerror(rc))
			   : 0;
}

void bench_bare_close(struct bench_bare *b)
{
	if (!b)
		return;
	if (b->pid > 0) {
		kill(b->pid, SIGKILL);
		waitpid(b->pid, NULL, 0);
	}
	if (b->view != MAP_FAILED)
		munmap(b->view, BYTES);
	for (const int *fd = &b->to; fd <= &b->file; fd++)
		os_close(*fd);
	free(b);
}

int bench_bare_open(struct bench_bare **bare, struct err *err)
{
	struct bench_bare *b = calloc(1, sizeof *b);

	if (!b)
		return err_run(err, ENOMEM, "no memory for a bench");
	b->to = b->from = b->uffd = -1;
	*bare = b;
	return start(b, err);
}

static int answer(const struct bench_bare *b, uint64_t address, enum bench_what what)
{
	uint64_t page = (address - b->base) >> PAGE_SHIFT, n = what == BENCH_AROUND8 ? 8 : 16;
	uint64_t at = b->base + (page << PAGE_SHIFT);

	if (what == BENCH_AROUND8 || what == BENCH_AROUND16)
		return uffd_zero(b->uffd, b->base + ((page - page % n) << PAGE_SHIFT), n);
	if (what == BENCH_MISSING)
		return uffd_zero(b->uffd, at, 1);
	if (what == BENCH_SWAP_IN && os_read_at(&os_io, b->file, b->view + (page << PAGE_SHIFT),
						PAGE_SIZE, page << PAGE_SHIFT))
		return -EIO;
	return uffd_continue(b->uffd, at, 1, false);
}

/* Has the guest touch everything, and answers its faults that way. */
static int touch(const struct bench_bare *b, enum bench_what what, double *ns)
{
	struct pollfd fds[2] = {{b->uffd, POLLIN, 0}, {b->from, POLLIN, 0}};
	struct uffd_msg msg[16];
	uint64_t took;
	int rc = write(b->to, "t", 1) == 1 ? 0 : -EPIPE;

	for (fds[1].revents = 0; rc == 0 && !fds[1].revents;) {
		if (poll(fds, 2, -1) < 0)
			return -errno;
		ssize_t n = fds[0].revents ? read(b->uffd, msg, sizeof msg) : 0;
		for (size_t i = 0; n > 0 && rc == 0 && i < (size_t)n / sizeof *msg; i++)
			rc = answer(b, msg[i].arg.pagefault.address, what);
	}
	if (rc == 0 && read(b->from, &took, sizeof took) != sizeof took)
		rc = -EPIPE;
	if (rc == 0)
		*ns = (double)took / BENCH_PAGES;
	return rc;
}

static int zap(const struct bench_bare *b, double *ns)
{
	uint64_t took;

	if (write(b->to, "z", 1) != 1 || read(b->from, &took, sizeof took) != sizeof took)
		return -EPIPE;
	*ns = (double)took / BENCH_PAGES;
	return 0;
}

/* Runs in no order that anything could foresee; those of a batch are written at once. */
static uint64_t run_at(size_t i)
{
	return i * 37 % (BENCH_PAGES / BENCH_RUN) * BENCH_RUN;
}

static int evict(const struct bench_bare *b, double *ns)
{
	static uint8_t bytes[BATCH * PAGE_SIZE];
	const size_t runs = BATCH / BENCH_RUN;
	const uint64_t start = os_mono_ns();
	int rc = 0;

	for (size_t batch = 0; rc == 0 && batch < BENCH_PAGES / BATCH; batch++) {
		for (size_t i = 0; rc == 0 && i < runs; i++) {
			uint64_t first = run_at(batch * runs + i) << PAGE_SHIFT;
			rc = uffd_protect(b->uffd, b->base + first, BENCH_RUN, true);
			if (rc == 0)
				rc = os_read_at(&os_io, b->memory,
						bytes + i * BENCH_RUN * PAGE_SIZE,
						BENCH_RUN * PAGE_SIZE, first);
		}
		if (rc == 0)
			rc = os_write_at(&os_io, b->file, bytes, sizeof bytes,
					 batch * sizeof bytes);
		for (size_t i = 0; rc == 0 && i < runs; i++)
			rc = fallocate(b->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       (off_t)(run_at(batch * runs + i) << PAGE_SHIFT),
				       BENCH_RUN * PAGE_SIZE)
				     ? -errno
				     : 0;
	}
	*ns = (double)(os_mono_ns() - start) / BENCH_PAGES;
	return rc;
}

static int empty(const struct bench_bare *b)
{
	return fallocate(b->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BYTES) ? -errno
											  : 0;
}

int bench_bare_round(const struct bench_bare *b, bench_figures ns, size_t i, struct err *err)
{
	int rc = touch(b, BENCH_AROUND8, &ns[BENCH_AROUND8][i]);

	rc = rc ? rc : empty(b);
	rc = rc ? rc : touch(b, BENCH_AROUND16, &ns[BENCH_AROUND16][i]);
	rc = rc ? rc : empty(b);
	rc = rc ? rc : touch(b, BENCH_MISSING, &ns[BENCH_MISSING][i]);
	rc = rc ? rc : evict(b, &ns[BENCH_EVICT][i]);
	rc = rc ? rc : touch(b, BENCH_SWAP_IN, &ns[BENCH_SWAP_IN][i]);
	rc = rc ? rc : zap(b, &ns[BENCH_SAMPLE][i]);
	rc = rc ? rc : touch(b, BENCH_SAMPLED, &ns[BENCH_SAMPLED][i]);
	rc = rc ? rc : empty(b);
	return rc ? err_run(err, -rc, "the bare guest's memory: %s", strerror(-rc)) : 0;
}
