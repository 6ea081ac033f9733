#include "experiments/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct member {
	_Atomic uint64_t done, total;
	_Atomic uint64_t held; /* tokens; never too few, should it die just here */
};

struct crew {
	int tokens[2];
	size_t members;
	struct member *member; /* shared with the children */
};

static struct {
	struct crew *crew; /* NULL: this process is of none */
	struct member *me;
} joined;

static int fill(struct crew *c, size_t jobs)
{
	if (pipe2(c->tokens, O_CLOEXEC | O_NONBLOCK) != 0)
		return -errno;
	for (size_t i = 0; i < jobs; i++) {
		if (write(c->tokens[1], "+", 1) != 1)
			return -errno;
	}
	return 0;
}

int crew_open(size_t jobs, size_t members, struct crew **out, struct err *err)
{
	struct crew *c = calloc(1, sizeof *c);

	if (!c)
		return err_run(err, ENOMEM, "no memory for a crew");
	*c = (struct crew){.tokens = {-1, -1}, .members = members};
	c->member = mmap(NULL, members * sizeof *c->member, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->member == MAP_FAILED) {
		free(c);
		return err_run(err, ENOMEM, "no memory for a crew");
	}
	int rc = fill(c, jobs);
	if (rc) {
		crew_close(c);
		return err_run(err, -rc, "cannot make a pipe: %s", strerror(-rc));
	}
	*out = c;
	return 0;
}

void crew_close(struct crew *c)
{
	for (int i = 0; i < 2; i++) {
		if (c->tokens[i] >= 0)
			close(c->tokens[i]);
	}
	munmap(c->member, c->members * sizeof *c->member);
	free(c);
}

void crew_join(struct crew *c, size_t member)
{
	joined.crew = c;
	joined.me = &c->member[member];
}

void crew_leave(void)
{
	joined.crew = NULL;
}

void crew_progress(const struct crew *c, uint64_t *done, uint64_t *total, size_t *members)
{
	*done = *total = *members = 0;
	for (size_t i = 0; i < c->members; i++) {
		uint64_t n = atomic_load(&c->member[i].total);
		*done += atomic_load(&c->member[i].done);
		*total += n;
		*members += n > 0;
	}
}

int crew_token_fd(void)
{
	return joined.crew ? joined.crew->tokens[0] : -1;
}

bool crew_take(void)
{
	char token;

	if (!joined.crew)
		return true;
	atomic_fetch_add(&joined.me->held, 1);
	bool taken = read(joined.crew->tokens[0], &token, 1) == 1;
	if (!taken)
		atomic_fetch_sub(&joined.me->held, 1);
	return taken;
}

/* Never full: only what was taken is put back. */
static void put_back(struct crew *c, struct member *m)
{
	(void)!write(c->tokens[1], "+", 1);
	atomic_fetch_sub(&m->held, 1);
}

void crew_give(void)
{
	if (joined.crew)
		put_back(joined.crew, joined.me);
}

void crew_mourn(struct crew *c, size_t member)
{
	struct member *m = &c->member[member];

	while (atomic_load(&m->held))
		put_back(c, m);
	atomic_store(&m->done, atomic_load(&m->total));
}

void crew_expect_runs(size_t runs)
{
	if (joined.crew)
		atomic_fetch_add(&joined.me->total, runs);
}

void crew_run_done(void)
{
	if (joined.crew)
		atomic_fetch_add(&joined.me->done, 1);
}
