/*
 * A live host inside a test, and guests in processes of their own: the page
 * verifier (live/guest/verify.c) under the agent.
 *
 * BUILD names the build folder. Where this machine cannot manage guests the
 * program is skipped with the reason.
 */
#ifndef BALLAST_TESTS_LIVE_LIVE_H
#define BALLAST_TESTS_LIVE_LIVE_H

#include "test.h"

#include "balloon/balloon.h"
#include "core/os.h"
#include "core/reclaim.h"
#include "live/private.h"
#include "sharing/sharing.h"
#include "swap/swap.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct live_shape {
	uint32_t frames, slots;
	const char *scan; /* NULL: no sharing */
	int64_t rate;	  /* pages/s of each VM */
	int64_t around;
	const struct os_io *io;
	const struct balloon_opts *balloon; /* NULL: none */
	const char *thresholds;		    /* NULL: reserve */
};

#define LIVE_GUESTS 8

struct live_test {
	struct host *host;
	struct pmap_part *pmaps;
	struct sharing *sharing;
	struct swap *swap;
	struct balloon *balloon;
	struct reclaim *reclaim;
	struct live *live;
	char socket[64];
	struct {
		pid_t pid;
		int out; /* its standard output */
	} guest[LIVE_GUESTS];
	size_t guests;
};

static inline const char *live_build(void)
{
	const char *b = getenv("BUILD");

	return b && *b ? b : "build";
}

static inline void live_need(int rc, const struct err *err)
{
	if (rc == 0)
		return;
	printf("  %s\n", err->msg);
	abort();
}

static inline void live_test_open(struct live_test *t, struct live_shape s)
{
	struct host_opts host = {0};
	struct cost_opts cost = {0};
	struct share_opts share = {0};
	struct swap_opts swap = {0};
	struct live_opts live = {0};
	struct reclaim_opts reclaim = {0};
	char around[8];
	struct err err;

	if (live_check(&err))
		SKIP(err.msg);
	*t = (struct live_test){0};
	live_need(opt_defaults(&host_section, &host) | opt_defaults(&cost_section, &cost) |
			  opt_defaults(&share_section, &share) |
			  opt_defaults(&swap_section, &swap) | opt_defaults(&live_section, &live) |
			  opt_defaults(&reclaim_section, &reclaim),
		  &err);
	host.frames = s.frames;
	host.backing = &backing_live.policy;
	host.thresholds = policy_find(thresholds_list, s.thresholds ? s.thresholds : "reserve");
	share.scan = policy_find(scans, s.scan ? s.scan : "none");
	share.rate_vm = s.rate;
	share.rate_total = 0;
	share.period = 10000000;
	snprintf(around, sizeof around, "%d", (int)s.around);
	live.fault_around = policy_find(arounds, s.around ? around : "off");
	snprintf(t->socket, sizeof t->socket, "/tmp/ballast-test.%d", (int)getpid());
	live_need(host_new(&host, &cost, &t->host, &err), &err);
	live_need(pmap_part_new(t->host, &t->pmaps), &err);
	live_need(sharing_open(t->host, t->pmaps, &share, &t->sharing, &err), &err);
	if (s.balloon)
		live_need(balloon_open(t->host, t->pmaps, s.balloon, &t->balloon, &err), &err);
	live_need(swap_open(t->host, t->pmaps, &swap, s.slots ? s.slots : 1 << 20,
			    s.io ? s.io : &os_io, &t->swap, &err),
		  &err);
	live_need(reclaim_open(t->host, &reclaim, &t->reclaim, &err), &err);
	live_need(live_open(t->host, t->pmaps, &live, t->socket, NULL, 1, &t->live, &err), &err);
	live_balloon(t->live, t->balloon);
}

/* A VM's process, under the agent: argv[1] is the file of its memory, put in here. */
static inline void live_spawn(struct live_test *t, const struct live_vm *v, const char *program,
			      const char *argv[], const char *role)
{
	char agent[200], file[64];
	int out[2], fd = memfd_create("guest memory", 0);

	if (t->guests >= LIVE_GUESTS || fd < 0 || ftruncate(fd, (off_t)v->vm->pages * PAGE_SIZE) ||
	    pipe2(out, O_CLOEXEC))
		abort();
	snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
	snprintf(agent, sizeof agent, "%s/ballast-agent.so", live_build());
	argv[1] = file;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		setenv("LD_PRELOAD", agent, 1);
		setenv("BALLAST_RAM", file, 1);
		setenv("BALLAST_VM", v->vm->name, 1);
		setenv("BALLAST_AGENT_SOCKET", t->socket, 1);
		setenv("ROLE", role, 1);
		execv(program, (char *const *)argv);
		_exit(127);
	}
	argv[1] = NULL;
	close(out[1]);
	close(fd);
	t->guest[t->guests].pid = pid;
	t->guest[t->guests++].out = out[0];
}

/* A VM and a verifier in it. */
static inline struct live_vm *live_verifier(struct live_test *t, const char *name, uint32_t pages,
					    uint32_t used, unsigned seconds, unsigned threads,
					    unsigned seed)
{
	char program[200], number[4][24];
	struct live_vm *v;
	struct err err;

	live_need(live_add(t->live, name, NULL, pages, &v, &err), &err);
	snprintf(program, sizeof program, "%s/guest/verify", live_build());
	snprintf(number[0], sizeof number[0], "%u", seconds);
	snprintf(number[1], sizeof number[1], "%u", threads);
	snprintf(number[2], sizeof number[2], "%u", seed);
	snprintf(number[3], sizeof number[3], "%u", used);
	const char *argv[] = {"verify", NULL, number[0], number[1], number[2], number[3], NULL};
	live_spawn(t, v, program, argv, "");
	return v;
}

/* Runs the host for so long, or until every guest is gone. */
static inline void live_run_for(struct live_test *t, uint64_t ns)
{
	uint64_t end = os_mono_ns() + ns;
	struct err err;

	for (bool any = true; any && os_mono_ns() < end;) {
		live_need(live_turn(t->live, 50000000, &err), &err);
		any = false;
		for (size_t i = 0; live_at(t->live, i); i++)
			any |= live_at(t->live, i)->state != LIVE_GONE;
	}
}

/* What the i-th guest said: its counts. False if it did not say. Its exit code must be 0. */
static inline bool live_told(struct live_test *t, size_t i, unsigned long long *ops,
			     unsigned long long *bad)
{
	char text[200] = "";
	int status = -1;

	waitpid(t->guest[i].pid, &status, 0);
	ssize_t n = read(t->guest[i].out, text, sizeof text - 1);
	close(t->guest[i].out);
	if (status)
		printf("  guest %zu ended with status %x\n", i, (unsigned)status);
	return n > 0 && status == 0 && sscanf(text, "ops %llu bad %llu", ops, bad) == 2;
}

static inline size_t live_audit(struct live_test *t)
{
	return host_audit(t->host, stdout);
}

static inline void live_test_close(struct live_test *t)
{
	host_free(t->host);
}

#endif
