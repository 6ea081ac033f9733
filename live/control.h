/*
 * The host's front door: JSON lines over a UNIX socket of mode 0600.
 *
 * A client sends one object a line and gets one object a line, in order:
 *   {"do": "status"}  ->  {"ok": true, ...}  or  {"ok": false, "error": "..."}
 * What can be done is the answerer's affair (docs/live.md). A line has at most
 * 64 KiB; a client that sends more, or whose user is neither the host's nor
 * root, is cut off, and so is the first of too many. The server never waits for
 * a client: what one does not take of its answer is kept for it, and until it
 * has it nothing else is read from it.
 */
#ifndef BALLAST_LIVE_CONTROL_H
#define BALLAST_LIVE_CONTROL_H

#include "core/err.h"
#include "live/loop.h"

#include <jansson.h>

#define CONTROL_IN_USE                                                                             \
	"%s: a host is running there already: stop it with 'ballast host stop', or give --socket"

struct control;

/* Returns the reply, the server's to free; NULL only without memory. */
typedef json_t *answer_fn(void *ctx, const json_t *request);

/* -EADDRINUSE if a host answers there; -EINVAL, -errno if what lies there is no host's. */
MUST_CHECK int control_in_use(const char *path, struct err *err);

/* Removes the agents' socket of a host that died there; for who has the claim. */
void control_clear(const char *path);

/* path: where control_in_use() found nobody; a dead host's socket is replaced. */
MUST_CHECK int control_open(struct loop *loop, const char *path, answer_fn *answer, void *ctx,
			    struct control **control, struct err *err);
void control_close(struct control *control); /* NULL is fine */

/*
 * As a client: asks a host of this user's (root: of anybody's) and waits up to
 * 30 s. *reply is the caller's. An answer of "ok": false is -EREMOTEIO with the
 * host's error.
 */
MUST_CHECK int control_ask(const char *path, const json_t *request, json_t **reply,
			   struct err *err);

#endif
