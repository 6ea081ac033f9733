/*
 * The requests of a live host's socket that concern a guest's balloon
 * (docs/live.md). One thread.
 */
#ifndef BALLAST_EXPERIMENTS_LIVEHOST_BALLOON_H
#define BALLAST_EXPERIMENTS_LIVEHOST_BALLOON_H

#include "core/job.h"
#include "live/live.h"

#include <jansson.h>

struct balloon;

/*
 * "balloon": "qemu" or "process" of a request to add a guest: it gets a channel,
 * where the host has balloons. "off", or nothing: it has none. "hole" and
 * "hole_pages": balloon_hole(). 0 or -errno.
 */
MUST_CHECK int live_balloon_add(struct live_vm *v, struct balloon *balloon, const json_t *request,
				struct err *err);

/* "balloon": N pages, or "policy", of a request to set a guest. 0 or -errno. */
MUST_CHECK int live_balloon_set(struct live_vm *v, const json_t *request, struct err *err);

/* A guest's "driver": what is known of it, in a word. */
const char *live_balloon_state(const struct live_vm *v, struct balloon *balloon);

#endif
