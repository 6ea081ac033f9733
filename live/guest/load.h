/*
 * A load: clients, a thread each, that do one operation after the other, and a
 * main thread that tells of them each second (report.h) until the time is over
 * or SIGTERM comes. bytes are those that the operations moved; bad are answers
 * that were wrong. An operation that fails, other than with a wrong answer, ends
 * the load with exit code 2 and no last line.
 */
#ifndef BALLAST_LIVE_GUEST_LOAD_H
#define BALLAST_LIVE_GUEST_LOAD_H

#include "live/guest/random.h"
#include "live/guest/report.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LOAD_CLIENTS 256

struct load;

struct load_client {
	struct load *load;
	unsigned id;
	uint64_t random;
	pthread_t thread;
	_Atomic uint64_t ops, bytes, bad;
	void *own; /* the program's */
};

struct load {
	const char *name;
	unsigned clients;
	uint64_t seconds, seed;
	/* One operation, or a few; they are counted there. False: it cannot go on (errno). */
	bool (*work)(struct load_client *c);
	char further[200]; /* values for each line: "set_mb=40" */
	struct load_client client[LOAD_CLIENTS];
	_Atomic bool stop;
	_Atomic int failed; /* errno */
};

static inline void load_count(struct load_client *c, uint64_t ops, uint64_t bytes)
{
	atomic_fetch_add_explicit(&c->ops, ops, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->bytes, bytes, memory_order_relaxed);
}

static inline void load_bad(struct load_client *c)
{
	atomic_fetch_add_explicit(&c->bad, 1, memory_order_relaxed);
}

static inline void *load_client_run(void *arg)
{
	struct load_client *c = arg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	while (!c->load->stop) {
		if (c->load->work(c))
			continue;
		c->load->failed = errno ? errno : EIO;
		c->load->stop = true;
	}
	return NULL;
}

struct load_sum {
	uint64_t ops, bytes, bad;
};

static inline struct load_sum load_sum(struct load *l)
{
	struct load_sum s = {0};

	for (unsigned i = 0; i < l->clients; i++) {
		s.ops += l->client[i].ops;
		s.bytes += l->client[i].bytes;
		s.bad += l->client[i].bad;
	}
	return s;
}

/* Sleeps at most until the next line, or until SIGTERM, which it then takes. */
static inline bool load_terminated(const struct report *r)
{
	uint64_t now = report_now(), ns = r->next_ns > now ? r->next_ns - now : 1;
	struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
	sigset_t terms;

	sigemptyset(&terms);
	sigaddset(&terms, SIGTERM);
	return sigtimedwait(&terms, NULL, &t) == SIGTERM;
}

static inline void load_tell(struct load *l, struct report *r)
{
	uint64_t bytes_before = load_sum(l).bytes, since = report_now();

	while (!l->stop) {
		if (load_terminated(r) || report_now() >= r->start_ns + l->seconds * REPORT_EVERY)
			l->stop = true;
		if (!report_due(r))
			continue;
		struct load_sum s = load_sum(l);
		uint64_t now = report_now();
		report_line(r, s.ops, "mb_s=%.2f clients=%u bad_so_far=%llu %s",
			    (double)(s.bytes - bytes_before) * 1e3 / (double)(now - since + 1),
			    l->clients, (unsigned long long)s.bad, l->further);
		bytes_before = s.bytes;
		since = now;
	}
}

/* What the page cache has goes to the disk, and is forgotten. */
static inline void load_drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	sync();
	if (fd < 0 || write(fd, "3", 1) != 1)
		perror("the caches stay");
	if (fd >= 0)
		close(fd);
}

/* Runs it; the clients' `own` is set. The program's exit code. */
static inline int load_run(struct load *l)
{
	struct report r;
	sigset_t terms;

	sigemptyset(&terms);
	sigaddset(&terms, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &terms, NULL);
	report_start(&r, l->name);
	for (unsigned i = 0; i < l->clients; i++) {
		struct load_client *c = &l->client[i];
		c->load = l;
		c->id = i;
		c->random = random_mix(l->seed * LOAD_CLIENTS + i + 1);
		if (pthread_create(&c->thread, NULL, load_client_run, c)) {
			fprintf(stderr, "%s: no thread\n", l->name);
			return 2;
		}
	}
	load_tell(l, &r);
	for (unsigned i = 0; i < l->clients; i++)
		pthread_join(l->client[i].thread, NULL);
	struct load_sum s = load_sum(l);
	if (l->failed) {
		fprintf(stderr, "%s: an operation failed: %s\n", l->name, strerror(l->failed));
		return 2;
	}
	report_end(&r, s.bad, "done=%llu mb=%.1f", (unsigned long long)s.ops,
		   (double)s.bytes / 1e6);
	return s.bad ? 1 : 0;
}

#endif
