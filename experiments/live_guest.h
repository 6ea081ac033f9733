/*
 * A guest of a live job (experiments/run_live.h): its VM, its process and what
 * is measured of it, from what its section says to its end.
 *
 * What can be refused is refused by live_guest_prepare(), before there is a host.
 * Failures of its process later on are the guest's own (err). One thread; all
 * but the first and the last two are called while the host may be entered.
 */
#ifndef BALLAST_EXPERIMENTS_LIVE_GUEST_H
#define BALLAST_EXPERIMENTS_LIVE_GUEST_H

#include "experiments/live_meter.h"
#include "experiments/liveparts.h"
#include "experiments/terms.h"
#include "experiments/vm_live.h"

struct live_guest {
	const struct vm_opts *opts;
	struct guestproc proc;
	struct words words;
	struct launch launch;
	const char *folder;   /* of the run's sockets and logs */
	struct live_vm *live; /* NULL until it came */
	pid_t pid;	      /* 0: not started, or reaped */
	uint64_t since_ns;    /* monotonic: when it was started, or told to end */
	bool ending;	      /* it was told to end */
	struct live_meter meter;
	struct err err; /* why its process failed */
};

/* A guest that holds nothing. */
void live_guest_init(struct live_guest *g, const char *folder);
void live_guest_free(struct live_guest *g);

/* The i-th VM of the job. accel: what QEMU is to use, where the job leaves it open. */
MUST_CHECK int live_guest_prepare(struct live_guest *g, const struct job *job, size_t i,
				  const char *(*accel)(void *ctx), void *ctx, struct err *err);

/* Its VM comes into the host, and it is expected; then its process is started. */
MUST_CHECK int live_guest_come(struct live_guest *g, const struct liveparts *parts,
			       const struct terms *terms, struct err *err);
MUST_CHECK int live_guest_launch(struct live_guest *g, struct err *err);

/* Looks how it is: reads its log, takes its process's leave, kills it if it does not do as told. */
void live_guest_look(struct live_guest *g, uint64_t now_ns);

/* It has come and gone, or never came. */
bool live_guest_gone(const struct live_guest *g);

void live_guest_end(struct live_guest *g);  /* tells it to end */
void live_guest_wait(struct live_guest *g); /* kills its process, if there is one yet */

/* What runs in it, for run.json; and DIR/guest-NAME.log. */
json_t *live_guest_json(const struct live_guest *g);
MUST_CHECK int live_guest_log(const struct live_guest *g, const char *dir, struct err *err);

#endif
