/*
 * The pool: one sparse shared-memory file that holds what every guest's pages
 * contain, and the backing `live` that knows it.
 *
 *   [0, frames)        a slot per frame, used while the frame is a shared one
 *   from there on      a home window per VM, a page per PPN
 *
 * A private frame's bytes lie at home, a shared one's in its slot; everything
 * else is a hole. So an MPN is a token of account, and the tokens are honest:
 * the file has as many blocks as private and shared frames (pool_audit).
 * Guests have the same file mapped, so what the manager leaves here vanishes
 * from them too, and they come to the manager when they touch it again.
 *
 * There are addresses for 256 GiB of windows, and one that was closed serves
 * another VM of its size. One thread.
 */
#ifndef BALLAST_LIVE_POOL_H
#define BALLAST_LIVE_POOL_H

#include "pmap/pmap.h"

extern const struct backing backing_live;

/* Whoever can keep a guest from writing to pages of its own, n of them side by side. */
struct pool_guard {
	void (*protect)(void *ctx, uint16_t vm, ppn_t ppn, uint32_t n, bool on);
	void *ctx;
};

struct pool_stats {
	uint64_t punched; /* pages given back to the kernel, one by one */
	uint64_t failed;  /* times that the kernel refused */
};

struct pool {
	int fd;
	uint8_t *view; /* the manager's, of all of it */
	uint64_t next; /* bytes: where the next window begins */
	uint64_t span; /* bytes: of the file, and of the view */
	struct window {
		uint64_t offset;
		uint32_t pages;
		bool open;
	} * window; /* [windows] by VM id */
	size_t windows;
	struct pool_guard guard;
	struct pool_stats stats;
};

/* The pool of a machine whose backing is backing_live. */
static inline struct pool *pool_of(const struct machine *m)
{
	return m->store;
}

/* Reserves the VM's window. -ENOMEM, or -ENOSPC when the addresses are used up. */
MUST_CHECK int pool_window_open(struct pool *pool, uint16_t vm, uint32_t pages);

/* Gives all of a window's memory back at once; it holds nothing from now on. */
void pool_window_close(struct pool *pool, uint16_t vm);

/*
 * Takes over the file of a pool that has died, and a window in it. The file is
 * the pool's to close.
 */
MUST_CHECK int pool_adopt(struct pool *pool, int fd);
MUST_CHECK int pool_window_adopt(struct pool *pool, uint16_t vm, uint64_t offset, uint32_t pages);

/*
 * Gives back whatever no frame is in use for: what a manager that died had
 * begun to fill or not yet left; and fills, with zeroes, the private pages that
 * it had begun to give. Returns the pages given back, or -errno.
 */
MUST_CHECK int64_t pool_sweep(const struct machine *m, const struct pmap_part *pmaps);

/* Pages of memory that the kernel says the file has. 0 or -errno. */
MUST_CHECK int pool_blocks(const struct pool *pool, uint64_t *pages);

/* Compares them with the frames in use; writes a violation, returns how many. */
size_t pool_audit(const struct machine *m, FILE *out);

#endif
