/*
 * Time that a guest would have run and could not: what must be taken out of its
 * clock before its throughput is compared with another's.
 *
 * A guest under TCG sees no steal by itself, so it is measured at the host, of
 * the threads that are its virtual CPUs ("CPU 0/TCG"; where there are none, of
 * every thread but the agent's): how long they ran, how long they were ready
 * and waited for a CPU (/proc/PID/task/TID/schedstat, first and second number),
 * and, told apart, how long the manager was at work on their faults. The first
 * wait is the machine's doing, and is taken out; the second is what managing
 * memory costs, and mostly what one wants to see. Faults also wait for the
 * manager's own turn on a CPU, which no counter tells: fault_ns is a lower bound.
 *
 * A thread that ends loses what it did since the last reading. One thread.
 */
#ifndef BALLAST_LIVE_STEAL_H
#define BALLAST_LIVE_STEAL_H

#include "core/types.h"

#include <sys/types.h>

#define STEAL_THREADS 128 /* at a time; further ones are not counted */

/* Since the guest began, of all its CPUs together, ns. */
struct steal {
	uint64_t run_ns, wait_ns, fault_ns;
};

struct steal_meter {
	struct steal total;
	unsigned threads;
	struct {
		pid_t tid;
		bool seen;
		uint64_t run_ns, wait_ns; /* at the last reading */
	} thread[STEAL_THREADS];
};

struct live_vm;

/*
 * Brings the totals up to date: of a guest of the live host (under the host's
 * lock, for its faults), or of the threads below a folder /proc/PID/task.
 * 0 or -errno: -ENOENT or -ESRCH if the process is gone.
 */
MUST_CHECK int steal_read(struct steal_meter *m, const struct live_vm *v);
MUST_CHECK int steal_read_tasks(struct steal_meter *m, const char *tasks);

/*
 * How much of ns, the time between two readings, the guest could run: ns less
 * its waits by the CPUs that on average wanted to run, one at least,
 *
 *   able = ns - w / max(1, (run + w) / ns)
 *
 * w being wait_ns, and faults' time too if that is asked for. For one busy CPU
 * that is ns - w, for two half of w each. ops / able is the throughput of a
 * guest with CPUs of its own. At least 1.
 */
uint64_t steal_able_ns(const struct steal *from, const struct steal *to, uint64_t ns, bool faults);

#endif
